//! The clean evaluation pass: no augmentation, no gradients, running statistics in batch norm.

use candle_core::Tensor;

use super::inputs::Gather;
use crate::models::{Checkpoint, open};
use crate::samples::Samples;
use crate::{Error, Result};

/// Samples per forward pass. A constant, so that logits have the same bytes for every recipe.
pub(super) const BATCH: usize = 256;

/// Takes the indices of a batch and its row-major logits `[batch, classes]`.
pub type Sink<'a> = dyn FnMut(&[u32], &[f32]) -> Result<()> + 'a;

/// Runs a model over `indices` in their order and hands logits to `sink` batch by batch.
///
/// # Errors
/// `InvalidInput` if the model was trained for inputs of another shape; `CorruptData` for an
/// unusable checkpoint; `DeviceUnavailable`; and whatever `sink` returns.
pub fn predict(
    checkpoint: &Checkpoint,
    samples: &Samples,
    indices: &[u32],
    device: &str,
    sink: &mut Sink<'_>,
) -> Result<()> {
    if checkpoint.card.input != samples.inputs.shape() {
        return Err(Error::input("the model was trained for inputs of another shape"));
    }
    if indices.iter().any(|i| *i as usize >= samples.len()) {
        return Err(Error::internal("the index of a sample to score is out of range"));
    }
    let device = open(device)?;
    let net = checkpoint.net(&device)?;
    let gather = Gather::new(&samples.inputs, &checkpoint.card.scaling);
    gather.ahead(indices.chunks(BATCH), None, |batch, values| {
        let inputs = Tensor::from_vec(values, (batch.len(), ()), &device)?;
        let logits = net.forward(&inputs, false)?.contiguous()?.flatten_all()?;
        sink(batch, &logits.to_vec1()?)
    })
}
