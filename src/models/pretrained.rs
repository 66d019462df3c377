//! Weights that others trained, as the start of a net: a safetensors file with the names of
//! torchvision or timm.

use candle_core::Device;
use safetensors::SafeTensors;

use super::checkpoint::{Checkpoint, ModelCard, values};
use super::net::{Net, initial_values};
use super::plan::{Architecture, Parameter, Step};
use crate::samples::Shape;
use crate::seed::Seed;
use crate::{Error, Result};

/// Unknown tensors that an error names.
const NAMED: usize = 3;

/// A model with the weights of a file, except that its last layer is fresh, drawn from `seed`, where the
/// file has it for another number of classes or not at all.
///
/// # Errors
/// As [`fresh_tensors`].
pub(crate) fn pretrained(weights: &[u8], card: ModelCard, seed: &Seed) -> Result<Checkpoint> {
    let fresh = fresh_tensors(weights, &card.model, card.input, card.classes)?;
    let stored = read(weights)?;
    let net = Net::build(&card.model, card.input, card.classes, &Device::Cpu, |p| {
        if fresh.contains(&p.name) {
            Ok(initial_values(p, &seed.of(&p.name)))
        } else {
            values(&stored, p)
        }
    })?;
    Checkpoint::of(&net, card)
}

/// The tensors of the last layer that the file does not give to a model of `architecture` for
/// `classes` classes.
///
/// # Errors
/// `InvalidInput` if the bytes are no safetensors document, or if another tensor is missing, unknown, or
/// of another shape or type.
pub(crate) fn fresh_tensors(
    weights: &[u8],
    architecture: &Architecture,
    shape: Shape,
    classes: usize,
) -> Result<Vec<String>> {
    let stored = read(weights)?;
    let steps = architecture.steps(shape, classes)?;
    let head = steps.last().map(Step::parameters).unwrap_or_default();
    let fresh: Vec<String> =
        head.into_iter().filter(|p| !given(&stored, p)).map(|p| p.name).collect();
    let mut unknown: Vec<&str> = stored.names();
    for parameter in steps.iter().flat_map(Step::parameters) {
        unknown.retain(|name| *name != parameter.name);
        if !fresh.contains(&parameter.name) {
            values(&stored, &parameter).map_err(|e| unfit().because(e))?;
        }
    }
    // PyTorch counts the batches that a norm has seen, for norms of another kind than ours.
    unknown.retain(|name| !name.ends_with(".num_batches_tracked"));
    if unknown.is_empty() {
        return Ok(fresh);
    }
    unknown.sort_unstable();
    let named = unknown.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
    let what = format!("{} tensors are not the model's, such as {named}", unknown.len());
    Err(unfit().because(Error::input(what)))
}

fn read(weights: &[u8]) -> Result<SafeTensors<'_>> {
    let wrong = |e| Error::input("the weights are no safetensors document").because(e);
    SafeTensors::deserialize(weights).map_err(wrong)
}

/// Whether the file has a tensor of this name and shape.
fn given(stored: &SafeTensors<'_>, parameter: &Parameter) -> bool {
    stored.tensor(&parameter.name).is_ok_and(|view| view.shape() == parameter.shape)
}

fn unfit() -> Error {
    Error::input(
        "the weights are not those of the model that the recipe describes by model.arch, \
         model.width, model.stem and model.patch",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::Scaling;
    use crate::recipe::Stem;

    const SHAPE: Shape = Shape::Image { channels: 3, height: 16, width: 16 };

    fn resnet(width: usize) -> Architecture {
        Architecture::Resnet18 { width, stem: Stem::Imagenet }
    }

    fn stored(classes: usize) -> Vec<u8> {
        let net = Net::new(&resnet(2), SHAPE, classes, &Seed::new(1), &Device::Cpu).unwrap();
        Checkpoint::of(&net, card(classes)).unwrap().weights
    }

    fn card(classes: usize) -> ModelCard {
        ModelCard::new(resnet(2), SHAPE, classes, Scaling::identity(SHAPE))
    }

    #[test]
    fn a_head_for_other_classes_is_fresh_and_the_rest_is_given() {
        let weights = stored(7);
        assert!(fresh_tensors(&weights, &resnet(2), SHAPE, 7).unwrap().is_empty());
        assert_eq!(pretrained(&weights, card(7), &Seed::new(2)).unwrap().weights, weights);
        let fresh = fresh_tensors(&weights, &resnet(2), SHAPE, 3).unwrap();
        assert_eq!(fresh, ["fc.weight", "fc.bias"]);
        let begun = pretrained(&weights, card(3), &Seed::new(2)).unwrap();
        let (ours, theirs) = (read(&begun.weights).unwrap(), read(&weights).unwrap());
        for name in theirs.names() {
            let (ours, theirs) = (ours.tensor(name).unwrap(), theirs.tensor(name).unwrap());
            assert_eq!(ours.data() == theirs.data(), !name.starts_with("fc."), "{name}");
        }
        assert_eq!(pretrained(&weights, card(3), &Seed::new(2)).unwrap(), begun);
        assert_ne!(pretrained(&weights, card(3), &Seed::new(3)).unwrap(), begun);
    }

    #[test]
    fn weights_of_another_model_are_refused_by_tensor() {
        let weights = stored(7);
        let error = |architecture: &Architecture, weights: &[u8]| {
            fresh_tensors(weights, architecture, SHAPE, 7).unwrap_err().to_string()
        };
        let cifar = Architecture::Resnet18 { width: 2, stem: Stem::Cifar };
        for (architecture, says) in [
            (&cifar, "conv1.weight is F32 [2, 3, 7, 7], but the model needs F32 [2, 3, 3, 3]"),
            (&resnet(4), "conv1.weight is F32 [2, 3, 7, 7]"),
            (&Architecture::Linear, "102 tensors are not the model's, such as bn1.bias"),
            (&Architecture::Resnet34 { width: 2, stem: Stem::Imagenet }, "no tensor layer1.2"),
            (&Architecture::VitTiny { patch: 4 }, "no tensor cls_token"),
        ] {
            let error = error(architecture, &weights);
            assert!(error.contains(says) && error.contains("model.stem"), "{error}");
        }
        assert!(error(&resnet(2), b"not weights").contains("no safetensors document"));
    }
}
