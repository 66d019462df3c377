//! Does the coreset train as well? Fresh models on the coreset, on its random twins and on everything,
//! tested on samples that none of them saw.
//!
//! ```text
//! evaluate/commits/train-<key>.json    a model; the key holds everything that decides its training
//! evaluate/commits/judge-<key>.json    what it says about the test samples, and how good that is
//! evaluate/evaluation.parquet          a row for each of the latter: follows from the records
//! ```
//!
//! The records are those of any task, in a ledger of their own, so a later evaluation of the run trains
//! only what is new to it. `bench` does it; `results` are the rows, `compare` is what they say. `proxies` and
//! `judgement` are the small evaluation that every run makes of itself.

#[cfg(feature = "train")]
mod bench;
#[cfg(not(feature = "train"))]
#[path = "no_bench.rs"]
mod bench;
mod compare;
mod judgement;
mod proxies;
mod results;

use serde::{Deserialize, Serialize};

use super::{Memory, Observer};
use crate::error::{Error, Result};
use crate::evaluation::{Gap, Gate, Gated, Interval, Metrics};
use crate::recipe::{Storage, TrainBudget};
use crate::storage::Ledger;

pub(super) use bench::{impossible, rows_in};
pub use compare::Comparison;
pub(super) use compare::{comparisons, standing};
pub use judgement::{Figures, Judgement};
pub(super) use proxies::{Job, Proxied, Proxy, proxied};
pub use results::evaluations;
pub(super) use results::{Tested, columns, tested};

/// What to evaluate, and how. What is not given here the recipe of the run says.
#[derive(Clone, Debug)]
pub struct Evaluate<'a> {
    /// The run directory.
    pub run: &'a str,
    /// Addresses of the test data; if empty, `evaluate.uri`.
    pub test: &'a [String],
    /// The test rows, instead of `evaluate.filter`.
    pub filter: Option<&'a str>,
    /// How many models are trained on each subset, instead of `evaluate.seeds`.
    pub seeds: Option<u32>,
    /// What is the same for all subsets, instead of `evaluate.budget`.
    pub budget: Option<TrainBudget>,
    /// What must hold; made by [`evaluation_gate`].
    pub gates: &'a [Gate],
    /// How stores are reached.
    pub storage: &'a Storage,
    /// The memory for loading.
    pub memory: Memory,
    /// Devices of the run's kind, instead of those of its recipe.
    pub device: Option<&'a str>,
}

/// How good models are that were trained on a coreset and on what it is compared with.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Evaluation {
    /// The run directory.
    pub uri: String,
    /// The table with a row for each model of all evaluations of the run.
    pub table: String,
    /// How the subsets compare.
    #[serde(flatten)]
    pub comparison: Comparison,
    /// Test samples that look to models exactly like a training sample.
    pub test_copies: u64,
    /// The gates.
    pub gates: Vec<Gated>,
    /// Whether all gates hold.
    pub passed: bool,
}

/// One subset and how good models are that were trained on it: means over seeds, shares from 0 to 1.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Evaluated {
    /// The subset.
    pub subset: Subset,
    /// Its samples.
    pub samples: u64,
    /// Those over the samples of `full`.
    pub keep: f64,
    /// Epochs of each training.
    pub epochs: u32,
    /// Optimiser steps of each training.
    pub steps: u64,
    /// See [`Metrics::accuracy`].
    pub accuracy: Interval,
    /// See [`Metrics::worst_class`].
    pub worst_class: Interval,
    /// See [`Metrics::class_spread`].
    pub class_spread: Interval,
    /// See [`Metrics::ece`].
    pub ece: Interval,
    /// The accuracy of each model, by seed.
    pub accuracies: Vec<f64>,
}

/// The coreset against another subset.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Compared {
    /// The other.
    pub subset: Subset,
    /// The accuracy of the coreset minus that of the other.
    #[serde(flatten)]
    pub gap: Gap,
}

/// What a model is trained on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subset {
    /// All usable samples.
    Full,
    /// Those that the run keeps.
    Coreset,
    /// As many at random of those that no rule bars, drawn anew for each seed.
    Random,
    /// The same, each class with its share.
    RandomStratified,
}

impl Subset {
    /// All of them, in the order in which they are told.
    pub const ALL: [Self; 4] = [Self::Full, Self::Coreset, Self::Random, Self::RandomStratified];

    /// The name in tables and gates; that of a column of the selection for those that have one.
    pub fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Coreset => "coreset",
            Self::Random => "random",
            Self::RandomStratified => "random_stratified",
        }
    }
}

/// Trains and tests what is not yet trained and tested, and compares.
///
/// # Errors
/// `InvalidInput` if the run has not selected yet, or the test samples are wrong; `Conflict` if its
/// input changed; whatever training says. A gate that fails is no error: it is in the result.
pub fn evaluate(job: &Evaluate<'_>, observer: &dyn Observer) -> Result<Evaluation> {
    bench::evaluate(job, observer)
}

/// A gate on the coreset of an evaluation: on one of [`Metrics::NAMES`], in per cent, against a number or
/// against `full`, `random` or `random_stratified` with a number of points: `accuracy >= full - 0.5`.
///
/// # Errors
/// `InvalidRecipe` that says what is wrong with it.
pub fn evaluation_gate(text: &str) -> Result<Gate> {
    let others = Subset::ALL.map(Subset::name);
    let others: Vec<&str> = others.into_iter().filter(|name| *name != "coreset").collect();
    let gate = Gate::parse(text, &Metrics::NAMES, &others)?;
    let share = gate.reference().is_none() && gate.number() > 0.0 && gate.number() < 1.0;
    if share && ["accuracy", "worst_class"].contains(&gate.metric()) {
        let message = format!("gate `{text}`: numbers are per cent; write 85 for 85 %, not 0.85");
        return Err(Error::recipe(message));
    }
    Ok(gate)
}

/// The ledger of the evaluations of a run.
pub(super) fn ledger_of(run: &Ledger) -> Ledger {
    Ledger::new(run.dir().below(EVALUATE), run.run())
}

/// Where it lies below the run directory.
pub(super) const EVALUATE: &str = "evaluate";

/// The share of the samples that is held out where no test data are given.
pub(super) const HELD_OUT: f64 = 0.2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gates_speak_of_per_cent() {
        assert!(evaluation_gate("accuracy >= full - 0.5").is_ok());
        assert!(evaluation_gate("worst_class >= 60").is_ok());
        assert!(evaluation_gate("ece <= 0.5").is_ok());
        let error = evaluation_gate("accuracy >= 0.85").unwrap_err();
        assert!(error.to_string().contains("write 85 for 85 %"), "{error}");
        let error = evaluation_gate("accuracy >= coreset").unwrap_err();
        assert!(error.to_string().contains("full, random, random_stratified"), "{error}");
    }
}
