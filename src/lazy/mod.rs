//! Scores, folds and selection inside anyone's Polars query: expressions over columns, and verbs of
//! `LazyFrame`.
//!
//! Everything stays lazy and is the definition that runs use: the same kernels, the same keyed hashes,
//! the same total order. So results are equal in eager, lazy and streaming execution, and independent of
//! row order and threads.
//!
//! ```
//! use polars::prelude::*;
//! use unseen::lazy;
//! use unseen::scoring::Direction;
//! use unseen::seed::Seed;
//!
//! let predictions = df!(
//!     "id" => ["a", "b", "c"],
//!     "label" => [0, 0, 1],
//!     "logits" => [[4.0f32, 0.0], [1.0, 0.9], [0.0, 3.0]].map(|row| Series::new("".into(), row)),
//! )?;
//! let seed = Seed::new(0);
//! let table = predictions.lazy()
//!     .with_columns([
//!         lazy::margin(col("logits")),
//!         lazy::el2n(col("logits"), col("label")),
//!         lazy::fold(col("id"), 5, &seed),
//!     ])
//!     // The best of each class.
//!     .filter(lazy::selected(col("id"), col("el2n"), Direction::KeepHigh, 1, &seed).over(["label"])?)
//!     .collect()?;
//! assert_eq!(table.column("id")?.str()?.iter().flatten().collect::<Vec<_>>(), ["b", "c"]);
//! # PolarsResult::Ok(())
//! ```
//!
//! # Columns of predictions
//!
//! A prediction is a `List` or an `Array` of `f32` or `f64`: the logits of each class, or with
//! [`probabilities`] a distribution over them. A label is an integer. Where one of them is null, so is the
//! score. A query fails where the numbers of classes differ, a number is NaN or infinite, probabilities
//! do not sum to 1, or a label is no class. The error names the row, counted from 0 in the rows that
//! Polars hands over together: all of them, those of a group, or a batch of the streaming engine.
//! [`Predictions::classes`] holds lists in different batches to one number.

mod compared;
mod folds;
mod frame;
mod order;
mod predictions;
mod scores;
#[cfg(test)]
#[allow(clippy::float_cmp, reason = "the same kernel gives the same bits")]
mod tests;
mod trajectory;
#[cfg(test)]
#[allow(clippy::float_cmp, reason = "the same code gives the same bits")]
mod whole_tests;

/// The extension trait for `LazyFrame`.
pub mod prelude {
    pub use super::frame::UnseenLazyFrame;
}

pub use compared::{Embedded, compared};
pub use folds::fold;
pub use frame::UnseenLazyFrame;
pub use order::{rank, selected};
pub use predictions::{Predictions, logits, probabilities};
pub use scores::{
    confidence_weighted_entropy, cross_entropy, el2n, entropy, grand, least_confidence, margin,
    normalized_margin, score_by, self_confidence,
};
pub use trajectory::trajectory;
