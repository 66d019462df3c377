//! How well a label fits the prediction: the label quality scores of cleanlab (`cleanlab/rank.py`;
//! Northcutt et al., Confident Learning, 2021). Low is suspect, and kept.

use super::entropy::nats;
use super::least_confidence::rest;
use super::{Criterion, Direction, Prediction};
use crate::recipe::Method;

/// `p_label`, from 0 to 1. Low is kept.
pub(super) struct SelfConfidence;

impl Criterion for SelfConfidence {
    fn name(&self) -> &'static str {
        Method::SelfConfidence.name()
    }

    fn direction(&self) -> Direction {
        Direction::KeepLow
    }

    fn score(&self, prediction: &Prediction<'_>) -> f32 {
        prediction.probabilities[prediction.label]
    }

    fn maximum(&self, _classes: usize) -> Option<f64> {
        Some(1.0)
    }
}

/// `(p_label - max_{c != label} p_c + 1) / 2`, from 0 to 1. Low is kept.
pub(super) struct NormalizedMargin;

impl Criterion for NormalizedMargin {
    fn name(&self) -> &'static str {
        Method::NormalizedMargin.name()
    }

    fn direction(&self) -> Direction {
        Direction::KeepLow
    }

    fn score(&self, prediction: &Prediction<'_>) -> f32 {
        let margin = label_margin(prediction.probabilities, prediction.label);
        if margin > 0.0 {
            return f64::midpoint(margin, 1.0) as f32;
        }
        // The largest probability is another's. One minus it is the sum of the rest, without the
        // cancellation that would make all confidently wrong samples equal.
        let own = f64::from(prediction.probabilities[prediction.label]);
        f64::midpoint(own, rest(prediction.probabilities)) as f32
    }

    fn maximum(&self, _classes: usize) -> Option<f64> {
        Some(1.0)
    }
}

/// `ln(c + 1) / c` of `c = (entropy / ln C) / p_label`, from 0 to 1. Low is kept.
///
/// Its limits are 1 for a certain and right prediction and 0 for a certain and wrong one; cleanlab,
/// which clamps at 1e-6, gives 0 for both.
pub(super) struct ConfidenceWeightedEntropy;

impl Criterion for ConfidenceWeightedEntropy {
    fn name(&self) -> &'static str {
        Method::ConfidenceWeightedEntropy.name()
    }

    fn direction(&self) -> Direction {
        Direction::KeepLow
    }

    fn score(&self, prediction: &Prediction<'_>) -> f32 {
        let own = f64::from(prediction.probabilities[prediction.label]);
        let classes = prediction.probabilities.len() as f64;
        let ratio = nats(prediction) / classes.ln() / own;
        if own <= 0.0 {
            0.0
        } else if ratio > 0.0 {
            (ratio.ln_1p() / ratio) as f32
        } else {
            1.0
        }
    }

    fn maximum(&self, _classes: usize) -> Option<f64> {
        Some(1.0)
    }
}

/// The label's value minus the largest other one (0 if there is no other), exact in `f64`.
pub(super) fn label_margin(values: &[f32], label: usize) -> f64 {
    let (before, after) = values.split_at(label);
    let others = before.iter().chain(after.iter().skip(1)).copied().reduce(f32::max);
    f64::from(values[label]) - f64::from(others.unwrap_or(0.0))
}
