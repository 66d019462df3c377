//! The outputs of a model, without gradients: clean, or as training sees them.

use candle_core::{Device, Tensor};

use super::augment::Augment;
use super::inputs::Gather;
use super::{batches, full};
use crate::models::{Checkpoint, Net, Pass, Passes, open};
use crate::recipe::Train;
use crate::samples::Samples;
use crate::seed::Seed;
use crate::{Error, Result};

/// Samples per forward pass at most; exactly so many where outputs depend on it, so that logits have the same
/// bytes for every recipe.
pub(super) const BATCH: usize = 256;

/// What is wanted of a model.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Indices of the samples, in the order in which their outputs are wanted.
    pub indices: &'a [u32],
    /// Which outputs.
    pub view: View<'a>,
    /// Whether embeddings are wanted beside logits.
    pub embeddings: bool,
}

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

/// The outputs of a model for some samples.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    /// The indices of the samples.
    pub indices: &'a [u32],
    /// Row-major logits `[batch, classes]`.
    pub logits: &'a [f32],
    /// Row-major embeddings `[batch, width]`, which the last layer takes; `None` if nobody asked.
    pub embeddings: Option<&'a [f32]>,
}

/// Takes the outputs batch by batch.
pub type Sink<'a> = dyn FnMut(&Batch<'_>) -> Result<()> + 'a;

/// Runs a model over samples in the order of the request and hands its outputs to `sink` batch by
/// batch. On a device whose memory is full batches of clean outputs are halved until they fit.
///
/// # Errors
/// `InvalidInput` if the model was trained for inputs of another shape; `InvalidRecipe` for an
/// augmentation that the inputs cannot have; `CorruptData` for an unusable checkpoint;
/// `DeviceUnavailable`; `LimitExceeded` if the memory of the device is full; and whatever `sink` returns.
pub fn predict(
    checkpoint: &Checkpoint,
    samples: &Samples,
    device: &str,
    request: &Request<'_>,
    sink: &mut Sink<'_>,
) -> Result<()> {
    let (trained, given) = (checkpoint.card.input, samples.inputs.shape());
    if trained != given {
        return Err(Error::input(format!("the model was trained for {trained}, not for {given}")));
    }
    let device = open(device)?;
    let net = &checkpoint.net(&device).map_err(|e| full::in_net(e, &device))?;
    let gather = &Gather::new(&samples.inputs, &checkpoint.card.scaling);
    Predictor { net, gather, samples, device: &device }.predict(request, sink)
}

/// A model as it is now, also in the midst of its training, which looking at it does not change.
pub struct Predictor<'a> {
    pub(super) net: &'a Net,
    pub(super) gather: &'a Gather<'a>,
    pub(super) samples: &'a Samples,
    pub(super) device: &'a Device,
}

impl Predictor<'_> {
    /// As the function [`predict`].
    ///
    /// # Errors
    /// As the function [`predict`].
    pub fn predict(&self, request: &Request<'_>, sink: &mut Sink<'_>) -> Result<()> {
        let indices = request.indices;
        if indices.iter().any(|i| *i as usize >= self.samples.len()) {
            return Err(Error::internal("the index of a sample to score is out of range"));
        }
        let (pass, augment, cut): (_, _, Vec<&[u32]>) = match request.view {
            View::Clean => {
                let batch = self.net.evaluated_at_once(BATCH);
                (Pass::Clean, None, indices.chunks(batch).collect())
            }
            View::Training { train, seed } => {
                let augment = Augment::new(train, self.samples.inputs.shape())?;
                let cut = batches::cut(indices, BATCH).collect();
                (Pass::Batch, augment.map(|augment| (augment, seed)), cut)
            }
        };
        let (mut most, passes) = (usize::MAX, self.net.passes(pass)?);
        self.gather.ahead(cut.into_iter(), augment, |indices, values| {
            let mut whole = Some(values);
            let mut hand = |part: &[u32]| {
                let values = whole.take().filter(|_| part.len() == indices.len());
                let values = values.map_or_else(|| self.gather.batch(part, None), Ok)?;
                self.hand(part, values, &passes, request.embeddings, sink)
            };
            // The statistics of a batch need all of it at once.
            let handed = match pass {
                Pass::Batch => hand(indices),
                _ => full::in_parts(indices, &mut most, hand),
            };
            handed.map_err(|e| full::in_outputs(e, self.device, indices.len().min(most)))
        })
    }

    /// Computes the outputs of a batch and hands them on.
    fn hand(
        &self,
        indices: &[u32],
        values: Vec<f32>,
        passes: &Passes<'_>,
        embeddings: bool,
        sink: &mut Sink<'_>,
    ) -> Result<()> {
        let inputs = Tensor::from_vec(values, (indices.len(), ()), self.device)?;
        let (logits, embedded) = passes.outputs(&inputs)?;
        let logits = &row_major(&logits)?;
        let embeddings = embeddings.then(|| row_major(&embedded)).transpose()?;
        sink(&Batch { indices, logits, embeddings: embeddings.as_deref() })
    }
}

fn row_major(rows: &Tensor) -> Result<Vec<f32>> {
    Ok(rows.contiguous()?.flatten_all()?.to_vec1()?)
}
