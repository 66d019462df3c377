//! Margin of the prediction (Coleman et al., Selection via Proxy, 2020).

use super::{Criterion, Direction, Prediction, Sums};
use crate::recipe::Method;

/// `p_(1) - p_(2)`: the largest minus the second largest probability, from 0 to 1. Low is kept.
pub(super) struct Margin;

impl Criterion for Margin {
    fn name(&self) -> &'static str {
        Method::Margin.name()
    }

    fn direction(&self) -> Direction {
        Direction::KeepLow
    }

    fn score(&self, prediction: &Prediction<'_>) -> f32 {
        let (first, second) = top_two(prediction.probabilities);
        first - second
    }

    fn of_sums(&self) -> Option<fn(&Sums) -> f32> {
        Some(|sums| (-(-sums.gap).exp_m1() / sums.all()) as f32)
    }

    fn maximum(&self, _classes: usize) -> Option<f64> {
        Some(1.0)
    }
}

fn top_two(probabilities: &[f32]) -> (f32, f32) {
    probabilities.iter().fold((0.0, 0.0), |(first, second), &p| {
        if p > first { (p, first) } else { (first, f32::max(second, p)) }
    })
}
