//! The outputs of a finished model, without gradients: clean, or as training sees them.

use candle_core::Tensor;

use super::batches;
use super::inputs::{Augment, Gather};
use crate::models::{Checkpoint, Pass, open};
use crate::recipe::Train;
use crate::samples::Samples;
use crate::seed::Seed;
use crate::{Error, Result};

/// Samples per forward pass. A constant, so that logits have the same bytes for every recipe.
pub(super) const BATCH: usize = 256;

/// Takes the indices of a batch and its row-major logits `[batch, classes]`.
pub type Sink<'a> = dyn FnMut(&[u32], &[f32]) -> Result<()> + 'a;

/// Which outputs of a model are wanted.
#[derive(Clone, Copy, Debug)]
pub enum View<'a> {
    /// No augmentation, running statistics in batch norm: a sample's logits depend on it alone.
    Clean,
    /// Batch norm by the statistics of each batch, and one augmented view of each sample.
    Training {
        /// Says how images are augmented.
        train: &'a Train,
        /// Decides the views, each by this seed and the index of its sample.
        seed: &'a Seed,
    },
}

/// Runs a model over `indices` in their order and hands logits to `sink` batch by batch.
///
/// # Errors
/// `InvalidInput` if the model was trained for inputs of another shape; `InvalidRecipe` for an
/// augmentation that the inputs cannot have; `CorruptData` for an unusable checkpoint;
/// `DeviceUnavailable`; and whatever `sink` returns.
pub fn predict(
    checkpoint: &Checkpoint,
    samples: &Samples,
    indices: &[u32],
    device: &str,
    view: View<'_>,
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
    let (pass, augment, cut): (_, _, Vec<&[u32]>) = match view {
        View::Clean => (Pass::Clean, None, indices.chunks(BATCH).collect()),
        View::Training { train, seed } => {
            let augment = Augment::new(train, samples.inputs.shape())?;
            let cut = batches::cut(indices, BATCH).collect();
            (Pass::Batch, augment.map(|augment| (augment, seed)), cut)
        }
    };
    gather.ahead(cut.into_iter(), augment, |batch, values| {
        let inputs = Tensor::from_vec(values, (batch.len(), ()), &device)?;
        let logits = net.forward(&inputs, pass)?.contiguous()?.flatten_all()?;
        sink(batch, &logits.to_vec1()?)
    })
}
