//! The run: from a recipe to a pruned dataset, one committed task after another.
//!
//! ```text
//! ingest -> folds -> [train -> score] x K -> select 1 -> [train -> score] -> select 2 ... -> coreset -> shards -> manifest
//! ```
//!
//! This is the only room that knows all others. A task that is committed is never done again; a
//! task that is not leaves nothing that anybody reads.

mod attempt;
mod auto;
mod clean;
mod clusters;
#[cfg(feature = "train")]
mod compare;
mod curve;
mod dataset;
mod diff;
mod evaluate;
mod evidence;
mod explain;
mod extend;
mod finished;
#[cfg(feature = "train")]
mod fit;
#[cfg(not(feature = "train"))]
#[path = "no_fit.rs"]
mod fit;
mod identity;
mod init;
mod label_errors;
mod manifest;
mod memory;
mod metadata;
mod part;
mod plan;
mod rounds;
mod rows;
#[cfg(feature = "train")]
mod score_table;
mod scored;
mod share;
mod single;
mod split_of;
mod stability;
mod stages;
mod status;
mod stored;
mod summary;
mod sweep;
mod task;
#[cfg(feature = "train")]
mod under_way;
mod verify;
#[cfg(feature = "train")]
mod watch;
mod work;
mod worker;

pub use auto::{Candidate, Choice};
pub use clean::{CleanRules, Cleaned, Litter, clean};
pub use curve::{Curve, Point, curve};
pub use diff::{ClassShift, Difference, Moved, Side, diff};
pub use evaluate::{
    Compared, Comparison, Evaluate, Evaluated, Evaluation, Figures, Judgement, Subset, evaluate,
    evaluation_gate, evaluations,
};
pub use evidence::{
    Agreement, Bin, ClassStory, Disparity, Evidence, Flow, Gallery, Glimpse, Histogram, Provenance,
    Question, Shelf, Shown, Suspect, Suspects, Uneven, Unusable, evidence,
};
pub use explain::{Class, Cluster, Explanation, ModelOf, QuotaCell, SourceRow, StageOf, explain};
pub use extend::{Appended, ClassDrift, Extended, extend};
pub use finished::{Finished, finished};
pub use identity::{InputObject, RunFile};
pub use manifest::{Manifest, Published};
pub use memory::Memory;
pub use plan::{Plan, PlannedTask};
pub use single::TaskEnd;
pub use split_of::{FoldsOf, folds_of};
pub use stability::{Dispersion, Pair, Stability, StabilityJob, stability, stability_gate};
pub use status::{Status, TaskState, TaskStatus, status};
pub use stored::select_again;
pub use summary::{ClassCount, StageSummary, Summary};
pub use sweep::{Swept, SweptPoint, sweep, swept};
pub use task::Task;
pub use verify::{Check, Verification, verify, verify_in, verify_within};
pub use worker::Run;

/// What a run tells while it works, of several tasks at once. Nothing in a result depends on it.
pub trait Observer: Sync {
    /// A task begins. `work` is its size and `left` that of all tasks not yet done, itself
    /// included, both in sample passes.
    fn begin(&self, task: &str, work: u64, left: u64);
    /// `done` of the task's `work` is done; `note` says how it goes.
    fn advance(&self, task: &str, done: u64, note: &str);
    /// The task is committed.
    fn end(&self, task: &str, note: &str);
    /// Nothing can be done here until `worker`, another process, has done `task`.
    fn wait(&self, task: &str, worker: &str);
    /// Something the user should know.
    fn warn(&self, text: &str);
}

/// An observer that looks away.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Observer for Silent {
    fn begin(&self, _: &str, _: u64, _: u64) {}
    fn advance(&self, _: &str, _: u64, _: &str) {}
    fn end(&self, _: &str, _: &str) {}
    fn wait(&self, _: &str, _: &str) {}
    fn warn(&self, _: &str) {}
}
