//! The spread of the label's probability over sliding windows: Dyn-Unc (He et al., 2023) and DUAL (Cho
//! et al., 2025).
//!
//! A window has J epochs and there is one for each k from 0 to T - J, the last included. The standard
//! deviation divides by J - 1. The factor 10 of both papers' code changes no rank and is left out.

use super::{Trajectory, moments, windows};
use crate::recipe::Method;
use crate::scoring::{Direction, Prediction};

/// `mean_k std(p_label in window k)`. High is kept.
pub(super) struct DynUnc {
    pub(super) window: usize,
}

/// `mean_k std(p_label in window k) * (1 - mean(p_label in window k))`. High is kept.
pub(super) struct Dual {
    pub(super) window: usize,
}

/// Remembers the last `J` values of `p_label` behind the sum over windows.
fn observe(
    window: usize,
    epoch: usize,
    prediction: &Prediction<'_>,
    memory: &mut [f64],
    spread: impl Fn(f64, f64) -> f64,
) {
    let (sum, ring) = memory.split_at_mut(1);
    ring[epoch % window] = f64::from(prediction.probabilities[prediction.label]);
    if epoch + 1 >= window {
        let (mean, squares) = moments(ring);
        sum[0] += spread(mean, (squares / (window as f64 - 1.0)).sqrt());
    }
}

impl Trajectory for DynUnc {
    fn name(&self) -> &'static str {
        Method::DynUnc.name()
    }

    fn direction(&self) -> Direction {
        Direction::KeepHigh
    }

    fn memory(&self, _classes: usize) -> usize {
        self.window + 1
    }

    fn observe(&self, epoch: usize, prediction: &Prediction<'_>, memory: &mut [f64]) {
        observe(self.window, epoch, prediction, memory, |_, deviation| deviation);
    }

    fn score(&self, epochs: usize, memory: &[f64]) -> f32 {
        (memory[0] / windows(epochs, self.window) as f64) as f32
    }
}

impl Trajectory for Dual {
    fn name(&self) -> &'static str {
        Method::Dual.name()
    }

    fn direction(&self) -> Direction {
        Direction::KeepHigh
    }

    fn memory(&self, _classes: usize) -> usize {
        self.window + 1
    }

    fn observe(&self, epoch: usize, prediction: &Prediction<'_>, memory: &mut [f64]) {
        observe(self.window, epoch, prediction, memory, |mean, deviation| deviation * (1.0 - mean));
    }

    fn score(&self, epochs: usize, memory: &[f64]) -> f32 {
        (memory[0] / windows(epochs, self.window) as f64) as f32
    }
}
