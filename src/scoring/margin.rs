//! Margin of the prediction (Coleman et al., Selection via Proxy, 2020).

use super::{Criterion, Direction, Given, Prediction, Sums};
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
        if prediction.given == Given::Probabilities {
            return first - second.max(0.0);
        }
        // p_(1) (1 - exp(z_(2) - z_(1))): the difference of two rounded neighbours would lose digits.
        let (highest, next) = top_two(prediction.logits);
        let gap = f64::from(next) - f64::from(highest);
        (f64::from(first) * -gap.exp_m1()) as f32
    }

    fn of_sums(&self) -> Option<fn(&Sums) -> f32> {
        Some(|sums| (-(-sums.gap).exp_m1() / sums.all()) as f32)
    }

    fn maximum(&self, _classes: usize) -> Option<f64> {
        Some(1.0)
    }
}

/// The largest and the second largest value; nothing where there are not so many.
fn top_two(values: &[f32]) -> (f32, f32) {
    let nothing = f32::NEG_INFINITY;
    let (first, second) = values.iter().fold((nothing, nothing), |(first, second), &p| {
        if p > first { (p, first) } else { (first, f32::max(second, p)) }
    });
    (first, second)
}
