//! Entropy of the prediction (Coleman et al., Selection via Proxy, 2020).

use super::least_confidence::rest;
use super::{Criterion, Direction, Given, Prediction, Sums};
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
        nats(prediction) as f32
    }

    fn of_sums(&self) -> Option<fn(&Sums) -> f32> {
        Some(|sums| (sums.others.ln_1p() + sums.spread / sums.all()) as f32)
    }

    fn maximum(&self, classes: usize) -> Option<f64> {
        Some((classes as f64).ln())
    }
}

/// `-sum_c p_c ln p_c`.
pub(super) fn nats(prediction: &Prediction<'_>) -> f64 {
    let probabilities = prediction.probabilities;
    if prediction.given == Given::Probabilities {
        return probabilities.iter().map(|p| term(*p)).sum();
    }
    // The softmax rounds a probability near 1 to a step of 6e-8, which is much beside the entropy of a
    // confident prediction: there the largest is one minus the others, which are exact.
    let rest = rest(probabilities);
    let largest = largest(probabilities);
    let others = probabilities.iter().enumerate().filter(|(class, _)| *class != largest);
    others.map(|(_, p)| term(*p)).sum::<f64>() - (1.0 - rest) * (-rest).ln_1p()
}

/// `-p ln p`, which tends to 0 with p, so absent classes add nothing.
fn term(p: f32) -> f64 {
    if p > 0.0 { -f64::from(p) * f64::from(p.ln()) } else { 0.0 }
}

/// The first class of the largest probability.
fn largest(probabilities: &[f32]) -> usize {
    let best = |best: usize, class: usize| {
        if probabilities[class] > probabilities[best] { class } else { best }
    };
    (0..probabilities.len()).fold(0, best)
}
