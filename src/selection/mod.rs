//! From score tables to the kept samples: aggregate, rank, share out, and fold the stages.
//!
//! Everything here is a function from tables to tables; nothing is read or written. A run calls
//! [`SelectionPlan::new`] once, [`stage`](fn@stage) after the models of each stage have scored, and
//! [`finish`] at the end; [`select`] is one stage of any score tables. The verbs of
//! [`crate::lazy`] serve anyone's `LazyFrame`.
//!
//! - `aggregate`, `scale`, `own`, `scored`: the scores of several models become one.
//! - `beside`: what is known of samples beside their scores.
//! - `rank`, `strategy`: the order in which samples are wanted.
//! - `quota`, `classes`, `plan`: how many each stage and each class keep.
//! - `cells`, `feasible`, `fill`: quotas over several columns. `budget`: what a cost column pays for.
//! - `stage`, `state`, `outcome`, `twins`: the selection itself. `early`: what is told before it runs.
//!
//! Two rules make the result independent of row order, files and threads: ranks follow the total
//! order (score, keyed hash of the id, id), and every sum of scores runs in ascending order of
//! ids and models.

mod aggregate;
mod beside;
mod budget;
mod cells;
mod classes;
mod column;
mod early;
mod feasible;
mod fill;
mod join;
mod laminar;
mod outcome;
mod own;
mod plan;
pub mod quota;
mod rank;
mod scale;
mod scored;
mod stage;
mod state;
mod strategy;
mod summary;
mod twins;

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "equal scores are ties")]
mod reference;
#[cfg(test)]
#[allow(clippy::float_cmp, reason = "hand values are exact")]
mod tests;

pub use aggregate::{ScoredBy, aggregate};
pub use beside::{check_columns, named_columns};
pub use cells::{cell_bounds, cell_name};
pub(crate) use column::{labels, unfit, whole};
pub use early::check_terms;
pub use join::{Joined, join, joined_columns};
pub use outcome::{class_errors, coreset, finish, remaining, select};
pub use own::check_scores;
pub use plan::{SelectionPlan, stage_sizes};
pub(crate) use rank::ordered;
pub use scored::{end, one_score};
pub use stage::{Terms, stage};
pub use summary::{ClassCount, Spread, StageCut, Summary, spread, spread_of, summary, tied};
pub use twins::{drawn_by_class, twins};
