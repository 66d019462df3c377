//! Scoring of blocks: many rows in parallel, each row alone, so threads never change a bit.

use rayon::prelude::*;

use super::{Criterion, Prediction};
use crate::{Error, Result};

/// Rows that one task scores.
const BLOCK: usize = 256;

/// The outputs of one model for `n` samples.
#[derive(Clone, Copy, Debug)]
pub struct Block<'a> {
    /// `n x classes` numbers, row-major.
    pub values: Values<'a>,
    /// How many classes.
    pub classes: usize,
    /// `n` class indices.
    pub labels: &'a [u32],
    /// The Euclidean norms of `n` embeddings, for criteria that use them.
    pub embedding_norms: Option<&'a [f32]>,
}

/// What a model put out.
#[derive(Clone, Copy, Debug)]
pub enum Values<'a> {
    /// Logits.
    Logits(&'a [f32]),
    /// Probabilities. Logits are then their natural logarithms; probabilities below the smallest normal
    /// `f32` count as that number, so the cross-entropy is at most 87.3.
    Probabilities(&'a [f32]),
}

/// Scores a block: `out` is `n x criteria`, row-major, and `out[row * criteria.len() + i]` becomes the
/// score of `criteria[i]`.
///
/// # Errors
/// `InvalidInput` names the first row (counted from 0) with a NaN or infinite logit, with
/// probabilities that are no distribution (a value outside [0, 1] or a sum off 1 by more than 1e-3),
/// or whose label is no class; `Internal` if the lengths do not fit.
pub fn score_block(block: &Block<'_>, criteria: &[&dyn Criterion], out: &mut [f32]) -> Result<()> {
    match block.values {
        Values::Logits(logits) => {
            check_lengths(logits, block, criteria, out)?;
            check_rows(logits, block.classes, "has a logit that is NaN or infinite", |row| {
                row.iter().all(|z| z.is_finite())
            })?;
            each_row(logits, block, criteria, out, |row, logits, probabilities| {
                logits.copy_from_slice(row);
                softmax(row, probabilities);
            });
        }
        Values::Probabilities(given) => {
            check_lengths(given, block, criteria, out)?;
            let fault = "has probabilities that do not sum to 1";
            check_rows(given, block.classes, fault, is_distribution)?;
            each_row(given, block, criteria, out, |row, logits, probabilities| {
                probabilities.copy_from_slice(row);
                logarithms(row, logits);
            });
        }
    }
    Ok(())
}

/// The score of one row of probabilities, as [`score_block`] gives it.
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
    Ok(by.score(&Prediction { logits: &logits, probabilities, label, embedding_norm: None }))
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
    block: &Block<'_>,
    criteria: &[&dyn Criterion],
    out: &[f32],
) -> Result<()> {
    let Block { classes, labels, .. } = *block;
    let rows = labels.len();
    if block.embedding_norms.is_some_and(|norms| norms.len() != rows) {
        return Err(Error::internal(format!("{rows} labels do not fit the norms of embeddings")));
    }
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
    block: &Block<'_>,
    criteria: &[&dyn Criterion],
    out: &mut [f32],
    fill: impl Fn(&[f32], &mut [f32], &mut [f32]) + Sync + Send,
) {
    let (width, classes) = (criteria.len(), block.classes);
    if width == 0 {
        return;
    }
    let norm = |row: usize| block.embedding_norms.map(|norms| norms[row]);
    let blocks = out.par_chunks_mut(BLOCK * width).zip(values.par_chunks(BLOCK * classes));
    blocks.enumerate().for_each(|(i, (out, values))| {
        let (mut logits, mut probabilities) = (vec![0.0; classes], vec![0.0; classes]);
        let rows = out.chunks_mut(width).zip(values.chunks(classes));
        for (row, (out, values)) in (i * BLOCK..).zip(rows) {
            fill(values, &mut logits, &mut probabilities);
            let prediction = Prediction {
                logits: &logits,
                probabilities: &probabilities,
                label: block.labels[row] as usize,
                embedding_norm: norm(row),
            };
            for (score, criterion) in out.iter_mut().zip(criteria) {
                *score = criterion.score(&prediction);
            }
        }
    });
}
