//! Predictions and tables that others made, used without a run: models of any framework become score
//! tables, and any score table becomes a selection.
//!
//! - `table`: foreign Parquet files with the columns that are needed, batch by batch.
//! - `predictions` (their `lists` in scratch files), `members`: what models said, and which samples each was trained on.
//! - `checks`: the law of a prediction table; every breach is one error that names rows.
//! - `score`, `scorer`: from predictions to a score table; `compare`: by their embeddings; `label_errors`: the
//!   labels that are probably wrong. `select`: from score tables to a selection,
//!   `layout`: whatever columns they have, `metadata`: what is known beside them.
//! - `drift`: how far new scores have moved from old ones.

mod checks;
mod compare;
mod drift;
mod label_errors;
mod layout;
mod lists;
mod members;
mod metadata;
mod names;
mod predictions;
mod score;
mod scorer;
mod select;
mod table;
#[cfg(test)]
#[allow(clippy::float_cmp, reason = "hand values are exact")]
mod tests;

pub use drift::{Drift, Quantiles};
pub use label_errors::label_error_table;
pub use score::{Job, Scored, ScoredModel, score};
pub use select::{ClassKept, Scores, Selected};
pub use table::read_as;
