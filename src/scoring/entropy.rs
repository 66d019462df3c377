//! Entropy of the prediction (Coleman et al., Selection via Proxy, 2020).

use super::{Criterion, Direction, Prediction, Sums};
use crate::recipe::Method;

/// `-sum_c p_c ln p_c`, in nats, from 0 to `ln C`. High is kept.
pub(super) struct Entropy;

impl Criterion for Entropy {
    fn name(&self) -> &'static str {
        Method::Entropy.name()
    }

    fn direction(&self) -> Direction {
        Direction::KeepHigh
    }

    fn score(&self, prediction: &Prediction<'_>) -> f32 {
        nats(prediction.probabilities) as f32
    }

    fn of_sums(&self) -> Option<fn(&Sums) -> f32> {
        Some(|sums| (sums.others.ln_1p() + sums.spread / sums.all()) as f32)
    }

    fn maximum(&self, classes: usize) -> Option<f64> {
        Some((classes as f64).ln())
    }
}

/// `-sum_c p_c ln p_c`.
pub(super) fn nats(probabilities: &[f32]) -> f64 {
    // p ln p tends to 0 with p, so absent classes add nothing.
    let present = probabilities.iter().filter(|p| **p > 0.0);
    present.fold(0.0, |sum, &p| sum - f64::from(p * p.ln()))
}
