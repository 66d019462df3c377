//! Scores of trajectories: what the predictions of a sample do while the model trains.

mod dynamics;
mod forgetting;
mod sums;
mod tdds;
mod windows;

use super::{Direction, Prediction};
use crate::recipe::{self, Method, Needs};
use crate::{Error, Result};

pub use dynamics::Dynamics;

/// A score of the predictions of one sample, epoch by epoch.
///
/// What has to be remembered of a sample is a fixed count of numbers, so memory is known beforehand.
pub trait Trajectory: Send + Sync {
    /// The name of the score column.
    fn name(&self) -> &'static str;

    /// Which end is kept.
    fn direction(&self) -> Direction;

    /// How many numbers it remembers of a sample; they begin as 0.
    fn memory(&self, classes: usize) -> usize;

    /// Takes the prediction after `epoch` (from 0).
    fn observe(&self, epoch: usize, prediction: &Prediction<'_>, memory: &mut [f64]);

    /// The score after `epochs` epochs; NaN if they are too few.
    fn score(&self, epochs: usize, memory: &[f64]) -> f32;
}

/// The trajectory score behind a method; `None` for the others.
pub fn trajectory(method: Method, options: &recipe::Trajectory) -> Option<Box<dyn Trajectory>> {
    Some(match method {
        Method::Forgetting => Box::new(forgetting::Forgetting(options.never_learned)),
        Method::AumLogitMean => Box::new(sums::AUM_LOGIT_MEAN),
        Method::AumProbSum => Box::new(sums::AUM_PROB_SUM),
        Method::MeanConfidence => Box::new(sums::MEAN_CONFIDENCE),
        Method::Tdds => Box::new(tdds::Tdds::new(options.window, options.decay)),
        Method::DynUnc => Box::new(windows::DynUnc { window: options.window }),
        Method::Dual => Box::new(windows::Dual { window: options.window }),
        _ => return None,
    })
}

/// Checks before any training that a method can score models that train for `epochs` epochs; the first
/// `options.epochs` of them are watched, if that is given.
///
/// # Errors
/// `InvalidRecipe` if fewer epochs are trained than watched, fewer are watched than a window of the
/// method has, or the window or decay is out of its range.
pub fn check_trajectory(method: Method, options: &recipe::Trajectory, epochs: usize) -> Result<()> {
    if method.needs() != Needs::Trajectory {
        return Ok(());
    }
    let name = method.name();
    let watched = options.epochs.unwrap_or(epochs);
    if watched == 0 || watched > epochs {
        return Err(Error::recipe(format!(
            "`{name}` watches {watched} epochs, but models train for {epochs}; change \
             `score.trajectory.epochs` or `train.epochs`"
        )));
    }
    // TDDS looks at the steps between epochs and needs two for a spread.
    let least = match method {
        Method::Tdds => 3,
        Method::DynUnc | Method::Dual => 2,
        _ => return Ok(()),
    };
    if !(least..=watched).contains(&options.window) {
        return Err(Error::recipe(format!(
            "`{name}` needs a window of {least} to {watched} epochs, as many as it watches, not {}; \
             change `score.trajectory.window` or train longer",
            options.window
        )));
    }
    if method == Method::Tdds && !(options.decay > 0.0 && options.decay <= 1.0) {
        return Err(Error::recipe(format!(
            "`score.trajectory.decay` is {}; it must be above 0 and at most 1",
            options.decay
        )));
    }
    Ok(())
}

/// The sliding windows of `window` epochs in `epochs`: `T - J + 1`.
fn windows(epochs: usize, window: usize) -> usize {
    (epochs + 1).saturating_sub(window)
}

/// The mean of the values and the sum of their squared differences from it.
fn moments(values: &[f64]) -> (f64, f64) {
    let mean = values.iter().fold(0.0, |sum, v| sum + v) / values.len() as f64;
    (mean, values.iter().fold(0.0, |sum, v| sum + (v - mean).powi(2)))
}
