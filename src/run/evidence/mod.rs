//! What a report shows of a finished run, gathered from its tables and its source.
//!
//! - `types`: what there is to show. `facts`: the tables it comes from.
//! - `scores`, `agreement`, `flow`, `classes`, `gallery`: one part each.

mod agreement;
mod classes;
mod facts;
mod flow;
mod gallery;
mod scores;
mod types;

use super::evaluate::{comparisons, tested};
use crate::error::Result;
pub use crate::ingest::Glimpse;
use crate::recipe::Storage;
use facts::Facts;
pub use types::{
    Agreement, Bin, ClassStory, Disparity, Evidence, Flow, Gallery, Histogram, Provenance, Shelf,
    Shown, Suspect, Suspects, Uneven, Unusable,
};

/// What is asked of a run.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The run.
    pub run: &'a str,
    /// A run to hold it against, such as one in mode `fitting`.
    pub against: Option<&'a str>,
    /// A sweep of the same data, to show what other recipes reach.
    pub sweep: Option<&'a str>,
    /// Whether to read samples from the source, to look at.
    pub samples: bool,
    /// The column of texts that shows samples best; without it, `text` if there is one.
    pub text: Option<&'a str>,
    /// How stores are reached.
    pub storage: &'a Storage,
}

/// Gathers what there is to show of a finished run. What only the source knows is left out, with a note,
/// if that cannot be read any more.
///
/// # Errors
/// `InvalidInput` if there is no finished run; `CorruptData` if a table is not what its record says.
pub fn evidence(question: &Question<'_>) -> Result<Evidence> {
    let facts = Facts::read(question.run, question.storage)?;
    let other = question.against.map(|uri| Facts::read(uri, question.storage)).transpose()?;
    let both: Vec<&Facts> = [Some(&facts), other.as_ref()].into_iter().flatten().collect();
    let against = question.against.map(|b| super::diff(question.run, b, question.storage));
    let classes = classes::stories(&facts)?;
    let (gallery, suspects) = gallery::gallery(&facts, question)?;
    let keep = facts.summary.kept as f64 / facts.summary.usable.max(1) as f64;
    let agreement = both.iter().map(|facts| agreement::agreement(facts));
    Ok(Evidence {
        scores: scores::histograms(&both)?,
        agreement: agreement.filter_map(Result::transpose).collect::<Result<_>>()?,
        against: against.transpose()?,
        flow: flow::flow(&facts.states)?,
        disparity: classes::disparity(&classes),
        classes,
        evaluations: comparisons(tested(&facts.ledger)?, keep),
        swept: question.sweep.map(|uri| super::swept(uri, question.storage)).transpose()?,
        gallery,
        suspects,
        quarantine: facts.quarantine()?,
        provenance: facts.provenance()?,
        summary: facts.summary,
    })
}
