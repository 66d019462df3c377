//! The pictures by name.

use super::chart::{self, Chart};
use crate::error::{Error, Result};
use crate::run::{Curve, Evidence, Swept};

/// A picture of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plot {
    /// How scores are distributed (the paper's Figure 1).
    Scores,
    /// How far the models of stage 1 agree.
    Agreement,
    /// How samples move between stages (the paper's Figure 2).
    Stages,
    /// What is kept of each class.
    Classes,
    /// What fresh models reach that were trained on the coreset and on other subsets.
    Evaluation,
    /// What would be kept at other shares.
    Keep,
    /// What a sweep found.
    Sweep,
}

impl Plot {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Scores,
        Self::Agreement,
        Self::Stages,
        Self::Classes,
        Self::Evaluation,
        Self::Keep,
        Self::Sweep,
    ];

    /// The name by which it is asked for.
    pub fn name(self) -> &'static str {
        match self {
            Self::Scores => "scores",
            Self::Agreement => "agreement",
            Self::Stages => "stages",
            Self::Classes => "classes",
            Self::Evaluation => "evaluation",
            Self::Keep => "keep",
            Self::Sweep => "sweep",
        }
    }

    /// Draws what a run shows.
    ///
    /// # Errors
    /// `InvalidInput` if the run has nothing of the kind, with what would make it.
    pub fn of(self, run: &Evidence) -> Result<Chart> {
        let none = |why: &str| Error::input(format!("{}: {why}", run.summary.uri));
        match self {
            Self::Scores => Ok(chart::histograms(&run.scores)),
            Self::Classes => Ok(chart::classes(&run.classes)),
            Self::Agreement => run.agreement.first().map(chart::agreement).ok_or_else(|| {
                none("one model scored everything, so there is nothing to agree with")
            }),
            Self::Stages if run.flow.stages.len() < 2 => {
                Err(none("it selected in one stage, so nothing moved; set select.stages"))
            }
            Self::Stages => Ok(chart::flow(&run.flow)),
            Self::Evaluation => run
                .evaluations
                .first()
                .map(chart::evaluation)
                .ok_or_else(|| none("it was not evaluated; give `unseen evaluate` first")),
            Self::Keep | Self::Sweep => Err(Error::internal("this is not drawn from one run")),
        }
    }

    /// Draws what a run would keep at other shares.
    pub fn keep(curve: &Curve) -> Chart {
        chart::curve(curve)
    }

    /// Draws what a sweep found.
    pub fn sweep(swept: &Swept) -> Chart {
        chart::sweep(swept)
    }
}
