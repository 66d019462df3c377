//! Temporal dual-depth scoring (Zhang et al., TDDS, 2024).

use super::{Trajectory, moments, windows};
use crate::recipe::Method;
use crate::scoring::{Direction, Prediction};

/// Keeps the logarithm of a probability of 0 finite, as in the authors' code.
const EPSILON: f64 = 1e-8;

/// The step between two epochs is `a_t = sum_c |p_{t+1,c} (ln(p_{t+1,c} + 1e-8) - ln(p_{t,c} + 1e-8))|`,
/// with the absolute value inside the sum. A window of J epochs has J - 1 steps and the spread
/// `R_k = ||a - mean a||_2`. The score is the moving average
/// `sum_{k=0}^{T-J} g (1 - g)^{T-J-k} R_k`, which begins at 0. High is kept.
pub(super) struct Tdds {
    window: usize,
    decay: f64,
}

impl Tdds {
    /// A window has at least two epochs, so that it has a step; `check_trajectory` refuses less.
    pub(super) fn new(window: usize, decay: f64) -> Self {
        Self { window: window.max(2), decay }
    }
}

impl Trajectory for Tdds {
    fn name(&self) -> &'static str {
        Method::Tdds.name()
    }

    fn direction(&self) -> Direction {
        Direction::KeepHigh
    }

    /// The moving average, the last J - 1 steps, the last probabilities.
    fn memory(&self, classes: usize) -> usize {
        self.window + classes
    }

    fn observe(&self, epoch: usize, prediction: &Prediction<'_>, memory: &mut [f64]) {
        let (state, last) = memory.split_at_mut(self.window);
        let (average, steps) = state.split_at_mut(1);
        if epoch > 0 {
            steps[(epoch - 1) % (self.window - 1)] = step(last, prediction.probabilities);
        }
        if epoch + 1 >= self.window {
            let (_, squares) = moments(steps);
            average[0] = (1.0 - self.decay) * average[0] + self.decay * squares.sqrt();
        }
        for (last, p) in last.iter_mut().zip(prediction.probabilities) {
            *last = f64::from(*p);
        }
    }

    fn score(&self, epochs: usize, memory: &[f64]) -> f32 {
        if windows(epochs, self.window) == 0 { f32::NAN } else { memory[0] as f32 }
    }
}

fn step(last: &[f64], now: &[f32]) -> f64 {
    last.iter().zip(now).fold(0.0, |sum, (last, now)| {
        let now = f64::from(*now);
        sum + (now * ((now + EPSILON).ln() - (last + EPSILON).ln())).abs()
    })
}
