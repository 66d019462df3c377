//! The memory of a model at work on the CPU: what a step of its training holds, and a batch of its outputs.

use super::optimizer::Optimizer;
use super::{predict, sizing};
use crate::Result;
use crate::models::{self, Architecture, Pass, Step};
use crate::recipe::{Model, Outputs, Train};
use crate::samples::Shape;

/// About how many bytes a model needs on the CPU beside the samples themselves, to be trained or to give
/// outputs: weights, optimiser state, the batch that is worked on and the next, and everything that a step
/// keeps for the gradient. If its training is watched, it gives outputs while that waits for its next step. A number
/// beyond 64 bits becomes the largest.
///
/// # Errors
/// As for [`super::check`].
pub fn memory_bytes(
    model: &Model,
    train: &Train,
    (outputs, watched): (Outputs, bool),
    shape: Shape,
    classes: usize,
) -> Result<u64> {
    let trained = sizing::parameters(model, shape, classes)?;
    let steps = Architecture::from(model).steps(shape, classes)?;
    let net = Sizes { steps: &steps, shape, trained: trained as u128 };
    let waiting = if watched { net.waiting(train, outputs)? } else { 0 };
    let most = net.training(train)?.max(net.predicting(outputs)? + waiting);
    Ok(u64::try_from(most).unwrap_or(u64::MAX))
}

/// As [`memory_bytes`], for a model on a device with memory of its own: batches that are gathered, and what is on
/// its way to a checkpoint: weights and the optimiser's buffers, or of a model that is done its weights twice.
///
/// # Errors
/// As for [`super::check`].
pub fn host_bytes(model: &Model, train: &Train, shape: Shape, classes: usize) -> Result<u64> {
    let copies = 2.max(1 + Optimizer::buffers(train)) as u128;
    let weights = copies * sizing::parameters(model, shape, classes)? as u128;
    let batch = train.batch_size.max(predict::BATCH) as u128;
    let inputs = 3 * batch * shape.len() as u128;
    Ok(u64::try_from(bytes(weights + inputs)).unwrap_or(u64::MAX))
}

/// What decides how much a net holds.
struct Sizes<'a> {
    steps: &'a [Step],
    shape: Shape,
    trained: u128,
}

impl Sizes<'_> {
    /// Bytes of a training.
    fn training(&self, train: &Train) -> Result<u128> {
        let conv = self.body(Pass::Train, train.batch_size)?;
        // A weight, its gradient and moments; and, as one of them or a file is made, its numbers and its bytes.
        let copies = 5 + Optimizer::buffers(train) as u128;
        let kept = self.of_each(kept_by) * train.batch_size as u128;
        let kept = kept + self.inputs(train.batch_size) + self.packed(train.batch_size);
        Ok(bytes(self.trained * copies + kept) + conv.unwrap_or(0))
    }

    /// Bytes of a batch of outputs.
    fn predicting(&self, outputs: Outputs) -> Result<u128> {
        let pass = match outputs {
            Outputs::Clean => Pass::Clean,
            Outputs::Training => Pass::Batch,
        };
        let conv = self.body(pass, predict::BATCH)?;
        let copies = if conv.is_some() { 3 } else { 2 };
        let held = self.steps.iter().map(|step| held_by(step, places(self.steps))).max();
        let held = held.unwrap_or(0) * predict::BATCH as u128;
        let numbers = self.trained * copies + self.inputs(predict::BATCH) + held;
        let numbers = numbers + self.packed(predict::BATCH);
        Ok(bytes(numbers) + conv.unwrap_or(0))
    }

    /// Bytes that a training holds between two steps, beside its weights and what outputs share with it: in
    /// training mode they are computed in the buffers that the body of a convolution net keeps from step to step.
    fn waiting(&self, train: &Train, outputs: Outputs) -> Result<u128> {
        let body = self.body(Pass::Train, train.batch_size)?.unwrap_or(0);
        let shared = match outputs {
            Outputs::Clean => 0,
            Outputs::Training => self.body(Pass::Batch, predict::BATCH)?.unwrap_or(0),
        };
        let copies = 1 + Optimizer::buffers(train) as u128;
        Ok(bytes(self.trained * copies) + body.saturating_sub(shared))
    }

    /// Bytes of the body of a convolution net.
    fn body(&self, pass: Pass, batch: usize) -> Result<Option<u128>> {
        Ok(models::body_bytes(self.steps, self.shape, pass, batch)?.map(|bytes| bytes as u128))
    }

    /// Numbers of the batch that is worked on, and of the one that is gathered meanwhile.
    fn inputs(&self, batch: usize) -> u128 {
        2 * batch as u128 * self.shape.len() as u128
    }

    /// Numbers of the widest side of a fully connected step, packed for its products.
    fn packed(&self, batch: usize) -> u128 {
        let widths = self.steps.iter().map(|step| match step {
            Step::Linear { inputs, outputs, .. } => (*inputs).max(*outputs) as u128,
            _ => 0,
        });
        batch as u128 * widths.max().unwrap_or(0)
    }

    fn of_each(&self, numbers: fn(&Step, u128) -> u128) -> u128 {
        self.steps.iter().map(|step| numbers(step, places(self.steps))).sum()
    }
}

fn bytes(numbers: u128) -> u128 {
    numbers * size_of::<f32>() as u128
}

/// Tokens of an image, if the net has such.
fn places(steps: &[Step]) -> u128 {
    let places = steps.iter().find_map(|step| match step {
        Step::Tokens { places, .. } => Some(*places as u128),
        _ => None,
    });
    places.unwrap_or(0)
}

/// About how many numbers a step keeps per sample for the gradient: a fully connected one with the ReLU
/// behind it three for each output; a block of a transformer 44 of the width for each place, and four tables
/// of all places by all for each head.
fn kept_by(step: &Step, places: u128) -> u128 {
    match step {
        Step::Linear { outputs, .. } => 3 * *outputs as u128,
        Step::Block { width, heads, .. } => {
            places * (places * 4 * *heads as u128 + 44 * *width as u128)
        }
        _ => 0,
    }
}

/// About how many numbers a step holds per sample without a gradient.
fn held_by(step: &Step, places: u128) -> u128 {
    match step {
        Step::Linear { outputs, .. } => 3 * *outputs as u128,
        Step::Block { width, heads, .. } => {
            places * (places * 3 * *heads as u128 + 14 * *width as u128)
        }
        _ => 0,
    }
}
