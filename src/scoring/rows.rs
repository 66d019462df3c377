//! Scoring of blocks: many rows in parallel, each row alone, so threads never change a bit.

use rayon::prelude::*;

use super::sums::score_logits;
use super::{Criterion, Given, Prediction};
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
/// whose label is no class, or whose embedding has no finite norm; it names the criterion that needs
/// norms where there are none. `Internal` if the lengths do not fit.
pub fn score_block(block: &Block<'_>, criteria: &[&dyn Criterion], out: &mut [f32]) -> Result<()> {
    if block.embedding_norms.is_none() {
        criteria.iter().try_for_each(|criterion| check_embedding(*criterion))?;
    }
    if let Values::Logits(values) = block.values {
        check_sizes(block, criteria.len(), out.len())?;
        return match score_logits(values, block, criteria, out) {
            None => check_norms(block),
            Some(row) => Err(wrong_row(row, WRONG_LOGIT)),
        };
    }
    each_prediction(block, criteria.len(), out, |prediction, out| {
        for (score, criterion) in out.iter_mut().zip(criteria) {
            *score = criterion.score(prediction);
        }
    })
}

/// Checks a block and calls `visit(prediction, out)` for each of its rows, in parallel; `out` is
/// `n x width`, row-major, and a row sees its own part alone.
///
/// # Errors
/// As [`score_block`].
pub(super) fn each_prediction<T: Send>(
    block: &Block<'_>,
    width: usize,
    out: &mut [T],
    visit: impl Fn(&Prediction<'_>, &mut [T]) + Sync + Send,
) -> Result<()> {
    check_sizes(block, width, out.len())?;
    check_values(block)?;
    check_norms(block)?;
    match block.values {
        Values::Logits(values) => {
            each_row(values, block, width, out, &visit, |row, logits, probabilities| {
                logits.copy_from_slice(row);
                softmax(row, probabilities);
            });
        }
        Values::Probabilities(values) => {
            each_row(values, block, width, out, &visit, |row, logits, probabilities| {
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
/// `InvalidInput` if the row is no distribution, the label no class, or `by` needs an embedding.
pub(crate) fn score_distribution(
    probabilities: &[f32],
    label: usize,
    by: &dyn Criterion,
) -> Result<f32> {
    check_embedding(by)?;
    if !is_distribution(probabilities) || label >= probabilities.len() {
        return Err(Error::input("the probabilities do not sum to 1 or the label is no class"));
    }
    let mut logits = vec![0.0; probabilities.len()];
    logarithms(probabilities, &mut logits);
    let (logits, given) = (&logits[..], Given::Probabilities);
    Ok(by.score(&Prediction { logits, probabilities, given, label, embedding_norm: None }))
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

fn check_embedding(criterion: &dyn Criterion) -> Result<()> {
    if !criterion.needs_embedding() {
        return Ok(());
    }
    Err(Error::input(format!(
        "`{}` needs the norm of each embedding (the input of the model's last layer), and these \
         predictions come without; give it or leave `{0}` out",
        criterion.name()
    )))
}

/// Checks the labels, and that all lengths fit `results`, which are `width` for each row.
fn check_sizes(block: &Block<'_>, width: usize, results: usize) -> Result<()> {
    let Block { classes, labels, embedding_norms, .. } = *block;
    let (Values::Logits(values) | Values::Probabilities(values)) = block.values;
    let fits = |norms: &[f32]| norms.len() == labels.len();
    if classes == 0 || values.len() != labels.len() * classes || !embedding_norms.is_none_or(fits) {
        return Err(Error::internal(format!(
            "{} labels do not fit {} values of {classes} classes or the norms of embeddings",
            labels.len(),
            values.len()
        )));
    }
    if results != labels.len() * width {
        return Err(Error::internal(format!("{results} results do not fit the rows")));
    }
    match labels.iter().position(|label| *label as usize >= classes) {
        None => Ok(()),
        Some(row) => Err(Error::input(format!(
            "row {row} has label {}, but the model has {classes} classes; correct the label",
            labels[row]
        ))),
    }
}

const WRONG_LOGIT: &str = "a logit that is NaN or infinite";

fn check_values(block: &Block<'_>) -> Result<()> {
    match block.values {
        Values::Logits(values) => {
            let finite = |row: &[f32]| row.iter().all(|z| z.is_finite());
            check_rows(values, block.classes, WRONG_LOGIT, finite)
        }
        Values::Probabilities(values) => {
            let fault = "probabilities that do not sum to 1";
            check_rows(values, block.classes, fault, is_distribution)
        }
    }
}

fn check_norms(block: &Block<'_>) -> Result<()> {
    let norms = block.embedding_norms.unwrap_or_default();
    let fault = "an embedding without a finite norm";
    check_rows(norms, 1, fault, |norm| norm[0].is_finite() && norm[0] >= 0.0)
}

fn check_rows(
    values: &[f32],
    width: usize,
    fault: &str,
    good: impl Fn(&[f32]) -> bool + Sync + Send,
) -> Result<()> {
    match values.par_chunks(width).position_first(|row| !good(row)) {
        None => Ok(()),
        Some(row) => Err(wrong_row(row, fault)),
    }
}

fn wrong_row(row: usize, fault: &str) -> Error {
    Error::input(format!(
        "row {row} has {fault} and cannot be scored; a lower learning rate may help"
    ))
}

/// Calls `fill(row, logits, probabilities)` for every row and visits the result.
fn each_row<T: Send>(
    values: &[f32],
    block: &Block<'_>,
    width: usize,
    out: &mut [T],
    visit: &(impl Fn(&Prediction<'_>, &mut [T]) + Sync),
    fill: impl Fn(&[f32], &mut [f32], &mut [f32]) + Sync + Send,
) {
    let classes = block.classes;
    if width == 0 {
        return;
    }
    let given = match block.values {
        Values::Logits(_) => Given::Logits,
        Values::Probabilities(_) => Given::Probabilities,
    };
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
                given,
                label: block.labels[row] as usize,
                embedding_norm: norm(row),
            };
            visit(&prediction, out);
        }
    });
}
