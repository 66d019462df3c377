//! What a model needs, before it is built: whether it can work, its parameters, its checkpoint.

use super::augment::Augment;
use super::optimizer::Optimizer;
use crate::models::{self, Architecture, Step};
use crate::recipe::{Arch, Model, Train};
use crate::samples::Shape;
use crate::{Error, ErrorKind, Result};

/// The most parameters of a model: 8 GiB of weights, and six times that in training. A scoring
/// model is small; what is larger is a slip in the recipe.
const MAX_PARAMETERS: u128 = 1 << 31;

/// Whether a model can be trained on inputs of `shape` with `classes` classes.
///
/// # Errors
/// `InvalidRecipe` if the architecture cannot take such inputs, a size of it is 0, or image
/// augmentation is asked for features; `InvalidInput` without classes or with empty inputs;
/// `LimitExceeded` if the model has more than 2^31 parameters.
pub fn check(model: &Model, train: &Train, shape: Shape, classes: usize) -> Result<()> {
    parameters(model, shape, classes)?;
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
    let count = trained.map(|p| numbers(&p.shape)).fold(0, u128::saturating_add);
    if count > MAX_PARAMETERS {
        return Err(too_large(model.arch, shape, count));
    }
    Ok(count as usize)
}

/// How many numbers the embedding of a sample has.
///
/// # Errors
/// As for [`check`].
pub fn embedding_width(model: &Model, shape: Shape, classes: usize) -> Result<usize> {
    Ok(models::embedding_width(&Architecture::from(model).steps(shape, classes)?))
}

fn numbers(shape: &[usize]) -> u128 {
    shape.iter().fold(1, |product, side| product.saturating_mul(*side as u128))
}

fn too_large(arch: Arch, shape: Shape, count: u128) -> Error {
    let lower = match (arch, shape) {
        (Arch::Mlp, Shape::Image { .. }) => "model.hidden or data.resize",
        (Arch::Mlp, Shape::Features { .. }) => "model.hidden",
        (Arch::Convnet, _) => "model.width or model.blocks",
        (Arch::Resnet18 | Arch::Resnet34 | Arch::Resnet50, _) => "model.width",
        (Arch::VitTiny, _) | (Arch::Linear, Shape::Image { .. }) => "data.resize",
        (Arch::Linear, Shape::Features { .. }) => "the number of columns in data.features",
    };
    Error::new(
        ErrorKind::LimitExceeded,
        format!(
            "the model has {count} parameters, but at most {MAX_PARAMETERS} work; lower {lower}"
        ),
    )
}

/// About how many bytes the state of a training has between two steps.
///
/// # Errors
/// As for [`check`].
pub fn checkpoint_bytes(model: &Model, train: &Train, shape: Shape, classes: usize) -> Result<u64> {
    let trained = parameters(model, shape, classes)?;
    let steps = Architecture::from(model).steps(shape, classes)?;
    let running = steps.iter().flat_map(Step::parameters).filter(|p| !p.role.trained());
    let running: u128 = running.map(|p| numbers(&p.shape)).sum();
    let all = trained * (1 + Optimizer::buffers(train)) + running as usize;
    Ok((all * size_of::<f32>()) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::Outputs;
    use crate::training::{host_bytes, memory_bytes};

    #[test]
    fn a_model_beyond_the_limit_is_refused_with_its_size() {
        let image = Shape::Image { channels: 3, height: 1 << 15, width: 1 << 15 };
        let features = Shape::Features { width: 10 };
        let mlp = |hidden: &[usize]| Model { hidden: hidden.to_vec(), ..Model::default() };
        let convnet = Model { arch: Arch::Convnet, width: 100_000, blocks: 16, ..mlp(&[]) };
        for (model, shape, says) in [
            (mlp(&[2_000_000_000]), features, "has 28000000003 parameters"),
            (mlp(&[4_611_686_018_427_387_904]), features, "lower model.hidden"),
            (mlp(&[usize::MAX; 3]), image, "lower model.hidden or data.resize"),
            (convnet, image, "lower model.width or model.blocks"),
            (Model { arch: Arch::Linear, ..mlp(&[]) }, image, "lower data.resize"),
        ] {
            let error = check(&model, &Train::default(), shape, 3).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::LimitExceeded);
            assert!(error.to_string().contains(says), "{error}");
            let train = &Train::default();
            let watched = (Outputs::Clean, true);
            assert!(memory_bytes(&model, train, watched, shape, 3).is_err());
            assert!(host_bytes(&model, train, shape, 3).is_err());
        }
    }

    #[test]
    fn memory_beyond_64_bits_is_the_largest_number() {
        let image = Shape::Image { channels: 3, height: 1 << 20, width: 1 << 20 };
        let model = Model { arch: Arch::Convnet, width: 4096, blocks: 2, ..Model::default() };
        let train = Train { batch_size: usize::MAX, ..Train::default() };
        let watched = (Outputs::Clean, true);
        assert_eq!(memory_bytes(&model, &train, watched, image, 3).unwrap(), u64::MAX);
        assert_eq!(host_bytes(&model, &train, image, 3).unwrap(), u64::MAX);
    }
}
