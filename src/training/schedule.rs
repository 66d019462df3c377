//! The learning rate at each step.

use std::f64::consts::PI;

use crate::recipe::{Schedule, Train};

/// The learning rate of step `step` (from 0) out of `epochs * steps_per_epoch`.
///
/// Over the `w` steps of the warm-up it is `lr (step + 1) / w`. After it, cosine is
/// `lr (1 + cos(pi t)) / 2` with `t` the share of the remaining steps already taken
/// (Loshchilov & Hutter 2017, arXiv 1608.03983, without restarts).
pub(super) fn learning_rate(train: &Train, step: usize, steps_per_epoch: usize) -> f64 {
    let warmup = (train.warmup_epochs * steps_per_epoch as f64).round() as usize;
    if step < warmup {
        return train.lr * (step + 1) as f64 / warmup as f64;
    }
    match train.schedule {
        Schedule::Constant => train.lr,
        Schedule::Cosine => {
            let total = (train.epochs * steps_per_epoch).saturating_sub(warmup).max(1);
            let share = (step - warmup) as f64 / total as f64;
            train.lr * f64::midpoint(1.0, (PI * share).cos())
        }
        Schedule::Step => {
            let epoch = step / steps_per_epoch.max(1);
            let passed = train.step_epochs.iter().filter(|e| **e <= epoch).count();
            train.lr * train.step_factor.powi(passed as i32)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(train: &Train, steps_per_epoch: usize) -> Vec<f64> {
        let steps = train.epochs * steps_per_epoch;
        (0..steps).map(|s| learning_rate(train, s, steps_per_epoch)).collect()
    }

    fn close(a: &[f64], b: &[f64]) {
        assert!(a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-12), "{a:?}");
    }

    #[test]
    fn warms_up_over_a_fraction_of_an_epoch() {
        let train = Train { epochs: 1, lr: 1.0, warmup_epochs: 0.5, ..Train::default() };
        let train = Train { schedule: Schedule::Constant, ..train };
        close(&rates(&train, 4), &[0.5, 1.0, 1.0, 1.0]);
    }

    #[test]
    fn cosine_falls_from_lr_towards_zero() {
        let train = Train { epochs: 2, lr: 2.0, warmup_epochs: 0.0, ..Train::default() };
        let root = 0.5_f64.sqrt();
        close(&rates(&train, 2), &[2.0, 1.0 + root, 1.0, 1.0 - root]);
    }

    #[test]
    fn steps_multiply_by_the_factor() {
        let train = Train { epochs: 4, lr: 1.0, warmup_epochs: 0.0, ..Train::default() };
        let train = Train { step_epochs: vec![1, 3], schedule: Schedule::Step, ..train };
        close(&rates(&train, 1), &[1.0, 0.2, 0.2, 0.2 * 0.2]);
    }

    #[test]
    fn a_warm_up_longer_than_the_training_never_ends() {
        let train = Train { epochs: 1, lr: 1.0, warmup_epochs: 2.0, ..Train::default() };
        close(&rates(&train, 2), &[0.25, 0.5]);
    }
}
