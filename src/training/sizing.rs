//! What a model needs, before it is built: whether it can work, its parameters, its memory.

use super::inputs::Augment;
use super::predict;
use crate::Result;
use crate::models::{Architecture, Step};
use crate::recipe::{Model, Train};
use crate::samples::Shape;

/// Whether a model can be trained on inputs of `shape` with `classes` classes.
///
/// # Errors
/// `InvalidRecipe` if the architecture cannot take such inputs, a size of it is 0, or image
/// augmentation is asked for features; `InvalidInput` without classes or with empty inputs.
pub fn check(model: &Model, train: &Train, shape: Shape, classes: usize) -> Result<()> {
    Architecture::from(model).steps(shape, classes)?;
    Augment::new(train, shape)?;
    Ok(())
}

/// How many numbers training moves (running statistics are not among them).
///
/// # Errors
/// As for [`check`].
pub fn parameters(model: &Model, shape: Shape, classes: usize) -> Result<usize> {
    let steps = Architecture::from(model).steps(shape, classes)?;
    let trained = steps.iter().flat_map(Step::parameters).filter(|p| p.role.trained());
    Ok(trained.map(|p| p.shape.iter().product::<usize>()).sum())
}

/// About how many bytes training needs beside the samples themselves: weights, optimiser state and
/// everything that a step keeps for the gradient.
///
/// # Errors
/// As for [`check`].
pub fn memory_bytes(model: &Model, shape: Shape, classes: usize, batch: usize) -> Result<u64> {
    let steps = Architecture::from(model).steps(shape, classes)?;
    // A weight, its gradient, up to two moments, and two temporaries of the optimiser.
    let weights = 6 * parameters(model, shape, classes)?;
    let mut plane = match shape {
        Shape::Image { height, width, .. } => (height, width),
        Shape::Features { .. } => (1, 1),
    };
    let (mut channels, mut kept) = (0, shape.len());
    for step in &steps {
        if let Step::Linear { outputs, .. } | Step::Conv { outputs, .. } = step {
            channels = *outputs;
        }
        let (numbers, next) = kept_by(step, plane, channels);
        kept += numbers;
        plane = next;
    }
    let batch = batch.max(predict::BATCH / 2);
    Ok(size_of::<f32>() as u64 * (weights as u64 + batch as u64 * kept as u64))
}

/// Numbers that a step keeps per sample in training, and the plane that it hands on.
fn kept_by(step: &Step, plane: (usize, usize), channels: usize) -> (usize, (usize, usize)) {
    let pixels = plane.0 * plane.1;
    match step {
        Step::Linear { outputs, .. } => (4 * outputs, plane),
        Step::Conv { outputs, .. } => (pixels * 3 * outputs, plane),
        Step::NormRelu { .. } => (4 * channels * pixels, plane),
        Step::Relu => (2 * channels * pixels, plane),
        Step::Pool => (2 * channels * pixels, (plane.0 / 2, plane.1 / 2)),
        Step::Average => (channels, (1, 1)),
    }
}
