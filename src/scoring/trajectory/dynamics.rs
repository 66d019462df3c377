//! The memory of many samples, epoch by epoch.

use rayon::prelude::*;

use super::Trajectory;
use crate::scoring::Block;
use crate::scoring::rows::each_prediction;
use crate::{Error, Result};

/// Watches the predictions of `n` samples and scores their trajectories. Each sample has its own
/// numbers, which one task at a time touches, so threads never change a bit.
pub struct Dynamics {
    scores: Vec<Box<dyn Trajectory>>,
    samples: usize,
    classes: usize,
    /// `samples x width`, where width is the sum of what the scores remember.
    memory: Vec<f64>,
    /// The epoch that is observed, and how many samples it still lacks.
    epoch: usize,
    missing: usize,
}

impl Dynamics {
    /// Watches `n` samples of `classes` classes for these scores.
    pub fn new(scores: Vec<Box<dyn Trajectory>>, n: usize, classes: usize) -> Self {
        let memory = vec![0.0; n * width(&scores, classes)];
        Self { scores, samples: n, classes, memory, epoch: 0, missing: n }
    }

    /// How many bytes it takes for `n` samples.
    pub fn bytes(scores: &[Box<dyn Trajectory>], n: usize, classes: usize) -> u64 {
        (width(scores, classes) * n * size_of::<f64>()) as u64
    }

    /// Takes the outputs after `epoch` (from 0) of the samples `first..first + block.labels.len()`. Each
    /// epoch is observed for every sample once, in any order of blocks, before the next begins.
    ///
    /// # Errors
    /// As [`crate::scoring::score_block`]; `Internal` for samples or an epoch out of turn.
    pub fn observe(&mut self, epoch: usize, first: usize, block: &Block<'_>) -> Result<()> {
        let rows = block.labels.len();
        if epoch != self.epoch || rows > self.missing || first + rows > self.samples {
            return Err(Error::internal(format!(
                "{rows} samples from {first} on came after epoch {epoch}, but epoch {} still lacks {} of \
                 {} samples",
                self.epoch, self.missing, self.samples
            )));
        }
        if block.classes != self.classes {
            return Err(Error::internal("the number of classes changed between epochs"));
        }
        let Self { scores, classes, memory, .. } = self;
        let width = width(scores, *classes);
        let memory = &mut memory[first * width..(first + rows) * width];
        each_prediction(block, width, memory, |prediction, mut memory| {
            for score in scores.iter() {
                let (own, others) = memory.split_at_mut(score.memory(*classes));
                score.observe(epoch, prediction, own);
                memory = others;
            }
        })?;
        self.missing -= rows;
        if self.missing == 0 {
            (self.epoch, self.missing) = (epoch + 1, self.samples);
        }
        Ok(())
    }

    /// What is remembered of the samples: all there is between two epochs.
    pub fn memory(&self) -> &[f64] {
        &self.memory
    }

    /// Goes on with what was remembered after `epochs` epochs.
    ///
    /// # Errors
    /// `CorruptData` if these are the numbers of other scores or samples.
    pub fn resume(&mut self, epochs: usize, memory: Vec<f64>) -> Result<()> {
        if memory.len() != self.memory.len() {
            return Err(Error::corrupt("the trajectories are of other samples or scores"));
        }
        (self.epoch, self.missing, self.memory) = (epochs, self.samples, memory);
        Ok(())
    }

    /// A column of `n` scores for each trajectory, in their order, after `epochs` epochs. Scores of
    /// trajectories that are too short ([`crate::scoring::check_trajectory`] tells beforehand) are NaN.
    pub fn finish(self, epochs: usize) -> Vec<Vec<f32>> {
        let width = width(&self.scores, self.classes);
        let mut first = 0;
        let mut columns = Vec::with_capacity(self.scores.len());
        for score in &self.scores {
            let own = first..first + score.memory(self.classes);
            let of = |row: usize| &self.memory[row * width..][own.clone()];
            let rows = (0..self.samples).into_par_iter();
            columns.push(rows.map(|row| score.score(epochs, of(row))).collect());
            first = own.end;
        }
        columns
    }
}

/// The numbers that all scores together remember of a sample.
fn width(scores: &[Box<dyn Trajectory>], classes: usize) -> usize {
    scores.iter().map(|score| score.memory(classes)).sum()
}
