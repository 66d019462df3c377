//! Least confidence of the prediction (Coleman et al., Selection via Proxy, 2020).

use super::{Criterion, Direction, Prediction, Sums};
use crate::recipe::Method;

/// `1 - max_c p_c`, from 0 to `1 - 1/C`. High is kept.
pub(super) struct LeastConfidence;

impl Criterion for LeastConfidence {
    fn name(&self) -> &'static str {
        Method::LeastConfidence.name()
    }

    fn direction(&self) -> Direction {
        Direction::KeepHigh
    }

    fn score(&self, prediction: &Prediction<'_>) -> f32 {
        rest(prediction.probabilities) as f32
    }

    fn of_sums(&self) -> Option<fn(&Sums) -> f32> {
        Some(|sums| (sums.others / sums.all()) as f32)
    }

    fn maximum(&self, classes: usize) -> Option<f64> {
        Some(1.0 - 1.0 / classes as f64)
    }
}

/// `1 - max_c p_c`.
pub(super) fn rest(probabilities: &[f32]) -> f64 {
    // Summing the others equals 1 - max without its cancellation, so that very confident
    // predictions still differ.
    let (others, _) = probabilities.iter().fold((0.0, 0.0), |(others, max), &p| {
        let p = f64::from(p);
        if p > max { (others + max, p) } else { (others + p, max) }
    });
    others
}
