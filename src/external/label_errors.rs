//! The table of label errors, from the mean probabilities of anybody's models.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Float32Array, Int32Array, RecordBatch, StringArray};

use crate::error::{Error, Result};
use crate::scoring::{self, MeanProbabilities};
use crate::tables;

/// The contract of [`tables::label_errors`] for samples in the order of their ids, and how many labels
/// are suspected.
///
/// # Errors
/// `InvalidInput` naming a sample that no model predicted.
pub fn label_error_table(
    ids: &[String],
    labels: &[u32],
    means: MeanProbabilities,
) -> Result<(RecordBatch, u64)> {
    let classes = means.classes();
    let means = means.finish().map_err(|at| {
        Error::input(format!("no model gives probabilities for sample `{}`", ids[at]))
    })?;
    let found = scoring::label_errors(&means, classes, labels)?;
    let suspected: BooleanArray = found.iter().map(|e| Some(e.suspected)).collect();
    let count = suspected.true_count() as u64;
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values(ids)),
        Arc::new(Int32Array::from_iter_values(labels.iter().map(|label| *label as i32))),
        Arc::new(Int32Array::from_iter_values(found.iter().map(|e| e.suggested as i32))),
        Arc::new(Float32Array::from_iter_values(found.iter().map(|e| e.self_confidence))),
        Arc::new(Float32Array::from_iter_values(found.iter().map(|e| e.normalized_margin))),
        Arc::new(suspected),
    ];
    Ok((RecordBatch::try_new(tables::label_errors(), columns)?, count))
}
