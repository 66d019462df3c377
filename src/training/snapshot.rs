//! A training between two steps, as bytes: a line of JSON, then numbers as little-endian f32.
//!
//! Random choices follow from the seed, the epoch and the sample, so what is here decides the rest:
//! the tensors of the net (running statistics among them), the optimiser's buffers, and how far it is.

use candle_core::Tensor;
use serde::{Deserialize, Serialize};

use super::epochs::EpochReport;
use super::loss_scale::LossScale;
use super::optimizer::Optimizer;
use crate::models::Net;
use crate::samples::floats;
use crate::{Error, Result};

/// How far a training is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Progress {
    /// The steps of the present epoch that are done.
    pub(super) step: usize,
    /// Their sum of cross-entropies.
    pub(super) loss: f64,
    /// How many of their samples had the largest logit at their label.
    pub(super) correct: usize,
    /// The epochs that are done.
    pub(super) history: Vec<EpochReport>,
}

impl Progress {
    /// The epochs that are done, and the steps of the next one.
    pub(super) fn place(&self) -> (usize, usize) {
        (self.history.len(), self.step)
    }
}

/// The first line.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    progress: Progress,
    /// The optimiser's steps.
    steps: i32,
    /// The scale of its loss, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scale: Option<LossScale>,
    /// The optimiser's buffers of each trained tensor.
    buffers: Vec<usize>,
}

/// A training between two steps.
pub struct Moment<'a> {
    pub(super) net: &'a Net,
    pub(super) optimizer: &'a Optimizer,
    pub(super) progress: &'a Progress,
}

impl Moment<'_> {
    /// How many epochs are done, and how many steps of the next one.
    pub fn place(&self) -> (usize, usize) {
        self.progress.place()
    }

    /// Appends to `bytes` all that the rest of the training depends on.
    ///
    /// # Errors
    /// `Internal` if a tensor cannot be read back from its device.
    pub fn save(&self, bytes: &mut Vec<u8>) -> Result<()> {
        let (steps, scale, buffers) = self.optimizer.state();
        let counts = buffers.iter().map(Vec::len).collect();
        let head = Head { progress: self.progress.clone(), steps, scale, buffers: counts };
        serde_json::to_writer(&mut *bytes, &head)?;
        bytes.push(b'\n');
        let weights = self.net.tensors().map(|(_, _, var)| var.as_tensor());
        let tensors: Vec<&Tensor> = weights.chain(buffers.iter().flatten()).collect();
        let numbers: usize = tensors.iter().map(|tensor| tensor.elem_count()).sum();
        bytes.reserve_exact(numbers * size_of::<f32>());
        for tensor in tensors {
            let values = tensor.flatten_all()?.to_vec1::<f32>()?;
            bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        }
        Ok(())
    }
}

/// Puts what was saved into a net and an optimiser of the same training; says how far it was.
///
/// # Errors
/// `CorruptData` if it is no state of this training.
pub(super) fn restore(bytes: &[u8], net: &Net, optimizer: &mut Optimizer) -> Result<Progress> {
    let end = bytes.iter().position(|byte| *byte == b'\n').ok_or_else(foreign)?;
    let head: Head = serde_json::from_slice(&bytes[..end])?;
    let mut numbers = Numbers(&bytes[end + 1..]);
    for (_, _, var) in net.tensors() {
        var.set(&numbers.like(var)?)?;
    }
    let trained: Vec<&Tensor> = net
        .tensors()
        .filter(|(_, role, _)| role.trained())
        .map(|(_, _, var)| var.as_tensor())
        .collect();
    if head.scale.is_some() != optimizer.state().1.is_some() {
        return Err(foreign());
    }
    if head.buffers != optimizer.counts(head.steps, trained.len()) {
        return Err(Error::corrupt(
            "the checkpoint lacks buffers of the recipe's optimiser (train.optimizer, train.momentum); begin the \
             training without it",
        ));
    }
    let mut buffers = Vec::with_capacity(head.buffers.len());
    for (count, tensor) in head.buffers.iter().zip(trained) {
        buffers.push((0..*count).map(|_| numbers.like(tensor)).collect::<Result<_>>()?);
    }
    if !numbers.0.is_empty() {
        return Err(foreign());
    }
    optimizer.resume(head.steps, head.scale, buffers);
    Ok(head.progress)
}

/// Numbers that are left to read.
struct Numbers<'a>(&'a [u8]);

impl Numbers<'_> {
    /// The next ones, as a tensor of this one's shape on its device.
    fn like(&mut self, tensor: &Tensor) -> Result<Tensor> {
        let length = tensor.elem_count() * size_of::<f32>();
        let (own, rest) = self.0.split_at_checked(length).ok_or_else(foreign)?;
        self.0 = rest;
        Ok(Tensor::from_vec(floats(own).collect(), tensor.shape(), tensor.device())?)
    }
}

pub(super) fn foreign() -> Error {
    Error::corrupt("the checkpoint is of another training")
}
