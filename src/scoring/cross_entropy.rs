//! Cross-entropy loss of the label.

use super::{Criterion, Direction, Prediction, Sums, narrow};
use crate::recipe::Method;

/// `-ln p_label = logsumexp(z) - z_label`, in nats, from 0 without a bound. High is kept.
pub(super) struct CrossEntropy;

impl Criterion for CrossEntropy {
    fn name(&self) -> &'static str {
        Method::CrossEntropy.name()
    }

    fn direction(&self) -> Direction {
        Direction::KeepHigh
    }

    fn score(&self, prediction: &Prediction<'_>) -> f32 {
        // From logits, so that a probability too small for f32 still has its loss.
        let max = prediction.logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let sum = prediction.logits.iter().fold(0.0, |sum, &z| sum + f64::from((z - max).exp()));
        let loss = sum.ln() + f64::from(max) - f64::from(prediction.logits[prediction.label]);
        loss.min(f64::from(f32::MAX)) as f32
    }

    fn of_sums(&self) -> Option<fn(&Sums) -> f32> {
        Some(|sums| narrow(sums.others.ln_1p() + sums.own_gap))
    }
}
