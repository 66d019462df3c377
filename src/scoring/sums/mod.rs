//! Scores of logits. Over many classes scoring takes as long as its exponentials, so that the scores of a
//! row share them: one pass over it gives sums that entropy, margin, least confidence, EL2N and
//! cross-entropy follow from.

#[cfg(not(feature = "train"))]
#[path = "numbers.rs"]
mod vectors;
#[cfg(feature = "train")]
mod vectors;

#[cfg(all(test, feature = "train"))]
mod numbers;

use rayon::prelude::*;

use super::rows::softmax;
use super::{Block, Criterion, Given, Prediction};

/// Rows that one task scores.
const BLOCK: usize = 256;

/// Sums over the softmax of a row of logits `z`, scaled so that the largest probability is 1: `e_c =
/// exp(z_c - max z)`. The top is the class of the largest logit, the first of several.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sums {
    /// The sum of `e_c` over all classes but the top; that over all is 1 more.
    pub others: f64,
    /// The sum of `e_c (max z - z_c)`.
    pub spread: f64,
    /// How far the second largest logit lies below the top; infinite if there is one class.
    pub gap: f64,
    /// How far the logit of the label lies below the top.
    pub own_gap: f64,
    /// The sum of `e_c` over all classes but the label.
    pub wrong: f64,
    /// The sum of `e_c^2` over all classes but the label.
    pub wrong_squares: f64,
}

impl Sums {
    /// The sum of `e_c` over all classes.
    pub fn all(&self) -> f64 {
        1.0 + self.others
    }
}

/// Scores the logits of `block`, whose labels are known to be classes; the number of the first row with
/// a logit that is NaN or infinite, if there is one.
pub(super) fn score_logits(
    values: &[f32],
    block: &Block<'_>,
    criteria: &[&dyn Criterion],
    out: &mut [f32],
) -> Option<usize> {
    let (width, classes) = (criteria.len().max(1), block.classes);
    // Without criteria the logits are looked at all the same.
    let mut nothing = vec![0.0; if criteria.is_empty() { block.labels.len() } else { 0 }];
    let out = if criteria.is_empty() { &mut nothing[..] } else { out };
    let blocks = out.par_chunks_mut(BLOCK * width).zip(values.par_chunks(BLOCK * classes));
    let wrong = blocks.enumerate().filter_map(|(i, (out, values))| {
        let first = i * BLOCK;
        let labels = &block.labels[first..][..out.len() / width];
        let mut sums = vec![None; labels.len()];
        vectors::of_rows(values, classes, labels, &mut sums);
        let rows = out.chunks_mut(width).zip(values.chunks(classes)).zip(&sums);
        for (row, ((out, logits), sums)) in (first..).zip(rows) {
            let Some(sums) = sums else { return Some(row) };
            score_row(logits, sums, (block, row), criteria, out);
        }
        None
    });
    wrong.min()
}

/// Scores one row: from its sums where that is enough, else from the whole prediction.
fn score_row(
    logits: &[f32],
    sums: &Sums,
    (block, row): (&Block<'_>, usize),
    criteria: &[&dyn Criterion],
    out: &mut [f32],
) {
    let mut probabilities = Vec::new();
    for (score, criterion) in out.iter_mut().zip(criteria) {
        if let Some(of_sums) = criterion.of_sums() {
            *score = of_sums(sums);
            continue;
        }
        if probabilities.is_empty() {
            probabilities = vec![0.0; logits.len()];
            softmax(logits, &mut probabilities);
        }
        *score = criterion.score(&Prediction {
            logits,
            probabilities: &probabilities,
            given: Given::Logits,
            label: block.labels[row] as usize,
            embedding_norm: block.embedding_norms.map(|norms| norms[row]),
        });
    }
}

#[cfg(all(test, feature = "train"))]
#[allow(clippy::float_cmp, reason = "differences and infinities are exact")]
mod tests {
    use super::*;
    use crate::seed::Seed;

    /// Sums by vectors agree with those by the definition, for rows of every length and for confident
    /// and flat predictions.
    #[test]
    fn vectors_agree_with_the_definition() {
        let mut random = Seed::new(8).rng();
        for classes in [1, 2, 15, 16, 17, 100, 1000, 3001] {
            let labels: Vec<u32> = (0..8).map(|_| random.below(classes as u32)).collect();
            let mut logits: Vec<f32> = (0..8 * classes)
                .map(|i| (random.unit() - 0.5) * [1.0, 10.0, 60.0, 150.0][i / classes % 4])
                .collect();
            // Equal largest logits.
            let top = logits[..classes].iter().copied().fold(f32::MIN, f32::max);
            (logits[0], logits[classes - 1]) = (top, top);
            let (mut ours, mut theirs) = (vec![None; 8], vec![None; 8]);
            vectors::of_rows(&logits, classes, &labels, &mut ours);
            numbers::of_rows(&logits, classes, &labels, &mut theirs);
            for (ours, theirs) in ours.iter().zip(&theirs) {
                let (a, b) = (ours.unwrap(), theirs.unwrap());
                // How far below the top those lie that the sums consist of.
                let gap = b.gap.min(150.0);
                for (a, b) in [
                    (a.others, b.others),
                    (a.spread, b.spread),
                    (a.wrong, b.wrong),
                    (a.wrong_squares, b.wrong_squares),
                ] {
                    let error = 5e-7 + 2e-7 * gap;
                    assert!((a - b).abs() <= error * b + 1e-33, "{classes}: {a} is not {b}");
                }
                assert!((a.gap - b.gap).abs() <= 1e-5 || a.gap == b.gap, "{} {}", a.gap, b.gap);
                assert_eq!(a.own_gap, b.own_gap);
            }
        }
    }

    #[test]
    fn a_row_with_a_wrong_logit_has_no_sums() {
        for wrong in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for (place, classes) in [(0, 40), (39, 40), (16, 17), (0, 1)] {
                let mut logits = vec![0.5; 2 * classes];
                logits[place] = wrong;
                let mut sums = vec![None; 2];
                vectors::of_rows(&logits, classes, &[0, 0], &mut sums);
                assert!(sums[0].is_none() && sums[1].is_some());
            }
        }
    }
}
