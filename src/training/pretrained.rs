//! Trainings that start from weights that others trained.

use super::scaling::scaling;
use crate::Result;
use crate::models::{self, Architecture, Checkpoint, ModelCard};
use crate::recipe::Model;
use crate::samples::{Samples, Shape};
use crate::seed::Seed;

/// What a training on `members` starts from, if the weights of a safetensors file are given; its last
/// layer is fresh, drawn from the seed of the training, where the file's is not for these classes.
///
/// # Errors
/// `InvalidInput` if the weights are not those of the model.
pub fn pretrained(
    weights: &[u8],
    model: &Model,
    samples: &Samples,
    members: &[u32],
    seed: &Seed,
) -> Result<Checkpoint> {
    let scaling = scaling(model, &samples.inputs, members)?;
    let (shape, classes) = (samples.inputs.shape(), samples.classes.len());
    let card = ModelCard::new(Architecture::from(model), shape, classes, scaling);
    models::pretrained(weights, card, &seed.of("init"))
}

/// The tensors of the last layer that start fresh all the same.
///
/// # Errors
/// As [`pretrained`].
pub fn fresh_tensors(
    weights: &[u8],
    model: &Model,
    shape: Shape,
    classes: usize,
) -> Result<Vec<String>> {
    models::fresh_tensors(weights, &Architecture::from(model), shape, classes)
}
