//! From score tables to the kept samples: aggregate, rank, share out, and fold the stages.
//!
//! Everything here is a query from tables to tables; nothing is read or written. A run calls
//! [`SelectionPlan::new`] once, [`stage`] after the models of each stage have scored, and
//! [`finish`] at the end. The same steps serve anyone's `LazyFrame` through
//! [`crate::lazy`].
//!
//! Two rules make the result independent of row order, files and threads: ranks follow the total
//! order (score, keyed hash of the id, id), and every sum of scores runs in ascending order of
//! ids and models.

mod aggregate;
mod classes;
mod column;
mod plan;
pub mod quota;
mod rank;
mod scale;
mod stage;
mod summary;

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "equal scores are ties")]
mod reference;
#[cfg(test)]
#[allow(clippy::float_cmp, reason = "hand values are exact")]
mod tests;

pub use aggregate::{ScoredBy, aggregate};
pub(crate) use column::{labels, unfit, whole};
pub use plan::{SelectionPlan, stage_sizes};
pub(crate) use rank::ordered;
pub use stage::{coreset, finish, remaining, stage};
pub use summary::{ClassCount, Spread, StageCut, Summary, spread, summary};
