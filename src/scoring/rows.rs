//! Scoring of blocks: many rows in parallel, each row alone, so threads never change a bit.

use rayon::prelude::*;

use super::{Criterion, Prediction};
use crate::{Error, Result};

/// Rows that one task scores.
const BLOCK: usize = 256;

/// Scores `n` rows of logits.
///
/// `logits` is `n x classes`, `labels` has `n` class indices, and `out` is `n x criteria`, all
/// row-major: `out[row * criteria.len() + i]` is the score of `criteria[i]`.
///
/// # Errors
/// `InvalidInput` names the first row (counted from 0) with a NaN or infinite logit or a label
/// that is no class; `Internal` if the lengths do not fit.
pub fn score_rows(
    logits: &[f32],
    classes: usize,
    labels: &[u32],
    criteria: &[&dyn Criterion],
    out: &mut [f32],
) -> Result<()> {
    check_lengths(logits, classes, labels, criteria, out)?;
    check_rows(logits, classes, "has a logit that is NaN or infinite", |row| {
        row.iter().all(|z| z.is_finite())
    })?;
    each_row(logits, classes, labels, criteria, out, |row, logits, probabilities| {
        logits.copy_from_slice(row);
        softmax(row, probabilities);
    });
    Ok(())
}

/// Scores `n` rows of probabilities, for instance means over models. Shapes as in [`score_rows`].
///
/// Logits are their natural logarithms; probabilities below the smallest normal `f32` count as
/// that number, so the cross-entropy is at most 87.3.
///
/// # Errors
/// `InvalidInput` names the first row (counted from 0) that is no distribution (a value outside
/// [0, 1] or a sum off 1 by more than 1e-3) or whose label is no class; `Internal` if the lengths
/// do not fit.
pub fn score_probabilities(
    probabilities: &[f32],
    classes: usize,
    labels: &[u32],
    criteria: &[&dyn Criterion],
    out: &mut [f32],
) -> Result<()> {
    check_lengths(probabilities, classes, labels, criteria, out)?;
    check_rows(probabilities, classes, "has probabilities that do not sum to 1", is_distribution)?;
    each_row(probabilities, classes, labels, criteria, out, |row, logits, probabilities| {
        probabilities.copy_from_slice(row);
        logarithms(row, logits);
    });
    Ok(())
}

/// The score of one row of probabilities, as [`score_probabilities`] gives it.
///
/// # Errors
/// `InvalidInput` if the row is no distribution or the label no class.
pub(crate) fn score_distribution(
    probabilities: &[f32],
    label: usize,
    by: &dyn Criterion,
) -> Result<f32> {
    if !is_distribution(probabilities) || label >= probabilities.len() {
        return Err(Error::input("the probabilities do not sum to 1 or the label is no class"));
    }
    let mut logits = vec![0.0; probabilities.len()];
    logarithms(probabilities, &mut logits);
    Ok(by.score(&Prediction { logits: &logits, probabilities, label }))
}

/// The softmax of one row of finite logits, written to `out` of the same length.
///
/// The largest logit is subtracted first, so no logit overflows; the sum is taken in `f64`.
pub fn softmax(logits: &[f32], out: &mut [f32]) {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0;
    for (p, z) in out.iter_mut().zip(logits) {
        *p = (z - max).exp();
        sum += f64::from(*p);
    }
    let scale = (1.0 / sum) as f32;
    for p in out {
        *p *= scale;
    }
}

fn logarithms(probabilities: &[f32], logits: &mut [f32]) {
    for (z, p) in logits.iter_mut().zip(probabilities) {
        *z = p.max(f32::MIN_POSITIVE).ln();
    }
}

fn is_distribution(row: &[f32]) -> bool {
    let sum = row.iter().fold(0.0, |sum, &p| sum + f64::from(p));
    row.iter().all(|p| (0.0..=1.0).contains(p)) && (sum - 1.0).abs() <= 1e-3
}

fn check_lengths(
    values: &[f32],
    classes: usize,
    labels: &[u32],
    criteria: &[&dyn Criterion],
    out: &[f32],
) -> Result<()> {
    let rows = labels.len();
    if classes == 0 || values.len() != rows * classes || out.len() != rows * criteria.len() {
        return Err(Error::internal(format!(
            "{rows} labels do not fit {} values of {classes} classes and {} scores of {} criteria",
            values.len(),
            out.len(),
            criteria.len()
        )));
    }
    match labels.iter().position(|label| *label as usize >= classes) {
        None => Ok(()),
        Some(row) => Err(Error::input(format!(
            "row {row} has label {}, but the model has {classes} classes; correct the label",
            labels[row]
        ))),
    }
}

fn check_rows(
    values: &[f32],
    classes: usize,
    fault: &str,
    good: impl Fn(&[f32]) -> bool + Sync + Send,
) -> Result<()> {
    match values.par_chunks(classes).position_first(|row| !good(row)) {
        None => Ok(()),
        Some(row) => Err(Error::input(format!(
            "row {row} {fault} and cannot be scored; a lower learning rate may help"
        ))),
    }
}

/// Calls `fill(row, logits, probabilities)` for every row and scores the result.
fn each_row(
    values: &[f32],
    classes: usize,
    labels: &[u32],
    criteria: &[&dyn Criterion],
    out: &mut [f32],
    fill: impl Fn(&[f32], &mut [f32], &mut [f32]) + Sync + Send,
) {
    let width = criteria.len();
    if width == 0 {
        return;
    }
    let values = values.par_chunks(BLOCK * classes);
    let out = out.par_chunks_mut(BLOCK * width);
    (out, values, labels.par_chunks(BLOCK)).into_par_iter().for_each(|(out, values, labels)| {
        let (mut logits, mut probabilities) = (vec![0.0; classes], vec![0.0; classes]);
        let rows = out.chunks_mut(width).zip(values.chunks(classes)).zip(labels);
        for ((out, row), &label) in rows {
            fill(row, &mut logits, &mut probabilities);
            let prediction = Prediction {
                logits: &logits,
                probabilities: &probabilities,
                label: label as usize,
            };
            for (score, criterion) in out.iter_mut().zip(criteria) {
                *score = criterion.score(&prediction);
            }
        }
    });
}
