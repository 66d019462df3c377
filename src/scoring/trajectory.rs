//! Scores of trajectories: what the predictions of a sample do while the model trains.

use super::{Block, Direction, Prediction};
use crate::recipe::{self, Method};
use crate::{Error, Result};

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

    /// The score after `epochs` epochs.
    fn score(&self, epochs: usize, memory: &[f64]) -> f32;
}

/// The trajectory score behind a method; `None` for the others.
pub fn trajectory(_method: Method, _options: &recipe::Trajectory) -> Option<Box<dyn Trajectory>> {
    None
}

/// Watches the predictions of `n` samples and scores their trajectories.
pub struct Dynamics {
    scores: Vec<Box<dyn Trajectory>>,
}

impl Dynamics {
    /// Watches `n` samples of `classes` classes for these scores.
    pub fn new(scores: Vec<Box<dyn Trajectory>>, _n: usize, _classes: usize) -> Self {
        Self { scores }
    }

    /// How many bytes it takes for `n` samples.
    pub fn bytes(scores: &[Box<dyn Trajectory>], n: usize, classes: usize) -> u64 {
        let numbers: usize = scores.iter().map(|score| score.memory(classes)).sum();
        (numbers * n * size_of::<f64>()) as u64
    }

    /// Takes the outputs after `epoch` (from 0) of the samples `first..first + block.labels.len()`.
    ///
    /// # Errors
    /// As [`super::score_block`].
    pub fn observe(&mut self, _epoch: usize, _first: usize, _block: &Block<'_>) -> Result<()> {
        Err(Error::internal("no trajectory is watched"))
    }

    /// A column of `n` scores for each trajectory, in their order, after `epochs` epochs.
    pub fn finish(self, _epochs: usize) -> Vec<Vec<f32>> {
        self.scores.iter().map(|_| Vec::new()).collect()
    }
}
