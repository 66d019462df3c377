//! Proxy models: trained on some subsets of a run, tested on the part of its training data that is held
//! out from all of them.

use std::ops::Range;

use super::{Subset, Tested, bench};
use crate::error::Result;
use crate::run::Observer;
use crate::run::worker::Run;
use crate::storage::Ledger;

/// Which proxy models.
pub(in crate::run) struct Job<'a> {
    /// The run, which has selected.
    pub(in crate::run) run: &'a Run,
    /// Where they lie.
    pub(in crate::run) ledger: Ledger,
    /// What they are trained on.
    pub(in crate::run) subsets: &'static [Subset],
    /// With which seeds.
    pub(in crate::run) seeds: Range<u32>,
    /// Whether the coreset is drawn anew for each seed, because it is itself random.
    pub(in crate::run) anew: bool,
}

/// One proxy model and how it did.
#[derive(Clone, Debug)]
pub(in crate::run) struct Proxy {
    /// The key of its test.
    pub(in crate::run) key: String,
    pub(in crate::run) tested: Tested,
}

/// What came of them.
pub(in crate::run) enum Proxied {
    /// All of them, seed by seed.
    Tested(Vec<Proxy>),
    /// Why there can be none.
    Impossible(String),
}

/// Trains and tests those that are not in the ledger yet. Without an observer nothing is trained: all of
/// them must be there, and what their records say must follow from their predictions.
///
/// # Errors
/// Whatever training says; `CorruptData` for records that are missing or wrong.
pub(in crate::run) fn proxied(job: &Job<'_>, observer: Option<&dyn Observer>) -> Result<Proxied> {
    bench::proxied(job, observer)
}
