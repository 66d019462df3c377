//! What an architecture computes, as a list of steps without any weight.

mod convnet;
mod resnet;
mod steps;
mod vit;

use serde::{Deserialize, Serialize};

use crate::recipe::{Arch, Model, Stem};
use crate::samples::Shape;
use crate::{Error, Result};
use convnet::convnet;
use resnet::Resnet;
pub(crate) use steps::{Parameter, Role, Step};
pub(super) use vit::Vit;

/// An architecture with the sizes that matter to it, and no others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "arch", deny_unknown_fields)]
pub enum Architecture {
    /// Softmax regression.
    Linear,
    /// Fully connected layers with ReLU.
    Mlp {
        /// The width of each hidden layer.
        hidden: Vec<usize>,
    },
    /// 3x3 convolution blocks with batch norm and ReLU, global average pooling, one linear layer.
    Convnet {
        /// Channels of the first block; each block doubles them.
        width: usize,
        /// How many blocks; all but the last pool 2x2.
        blocks: usize,
    },
    /// ResNet-18 of He et al., CVPR 2016, as in torchvision.
    Resnet18 {
        /// Channels of the first stage; each of the other three doubles them.
        width: usize,
        /// How it begins.
        #[serde(default)]
        stem: Stem,
    },
    /// ResNet-34, likewise.
    Resnet34 {
        /// Channels of the first stage; each of the other three doubles them.
        width: usize,
        /// How it begins.
        #[serde(default)]
        stem: Stem,
    },
    /// ResNet-50, likewise: blocks of three convolutions, whose outputs have four times the channels.
    Resnet50 {
        /// Channels of the first stage, less the factor four; each of the other three doubles them.
        width: usize,
        /// How it begins.
        #[serde(default)]
        stem: Stem,
    },
    /// The vision transformer DeiT-Tiny of Touvron et al., ICML 2021, as in timm.
    VitTiny {
        /// The side of a patch in pixels.
        patch: usize,
    },
}

impl From<&Model> for Architecture {
    fn from(model: &Model) -> Self {
        let (width, stem) = (model.width, model.stem);
        match model.arch {
            Arch::Linear => Self::Linear,
            Arch::Mlp => Self::Mlp { hidden: model.hidden.clone() },
            Arch::Convnet => Self::Convnet { width, blocks: model.blocks },
            Arch::Resnet18 => Self::Resnet18 { width, stem },
            Arch::Resnet34 => Self::Resnet34 { width, stem },
            Arch::Resnet50 => Self::Resnet50 { width, stem },
            Arch::VitTiny => Self::VitTiny { patch: model.patch },
        }
    }
}

impl Architecture {
    /// The steps from an input of `shape` to one logit per class.
    ///
    /// # Errors
    /// `InvalidRecipe` if the architecture cannot take such inputs or a size of it is 0.
    pub(crate) fn steps(&self, shape: Shape, classes: usize) -> Result<Vec<Step>> {
        if classes == 0 || shape.is_empty() {
            return Err(Error::input("the dataset has no class or its inputs are empty"));
        }
        let resnet = |width, stem, depths, bottleneck| {
            Resnet { width, stem, depths, bottleneck }.steps(shape, classes)
        };
        match *self {
            Self::Linear => Ok(vec![head("head", shape.len(), classes)]),
            Self::Mlp { ref hidden } => mlp(hidden, shape.len(), classes),
            Self::Convnet { width, blocks } => convnet(width, blocks, shape, classes),
            Self::Resnet18 { width, stem } => resnet(width, stem, [2, 2, 2, 2], false),
            Self::Resnet34 { width, stem } => resnet(width, stem, [3, 4, 6, 3], false),
            Self::Resnet50 { width, stem } => resnet(width, stem, [3, 4, 6, 3], true),
            Self::VitTiny { patch } => Vit::tiny(patch).steps(shape, classes),
        }
    }
}

/// How many numbers the embedding of a sample has: what the last of `steps` takes.
pub(crate) fn embedding_width(steps: &[Step]) -> usize {
    match steps.last() {
        Some(Step::Linear { inputs, .. }) => *inputs,
        _ => 0,
    }
}

fn head(name: &str, inputs: usize, classes: usize) -> Step {
    Step::Linear { name: name.to_owned(), inputs, outputs: classes }
}

fn mlp(hidden: &[usize], mut inputs: usize, classes: usize) -> Result<Vec<Step>> {
    if hidden.is_empty() || hidden.contains(&0) {
        return Err(Error::recipe(
            "model.hidden needs the width of at least one layer, each 1 or more; \
             a model without hidden layers is arch = \"linear\"",
        ));
    }
    let mut steps = Vec::new();
    for (i, &outputs) in hidden.iter().enumerate() {
        steps.push(Step::Linear { name: format!("hidden.{i}"), inputs, outputs });
        steps.push(Step::Relu);
        inputs = outputs;
    }
    steps.push(head("head", inputs, classes));
    Ok(steps)
}

fn not_images(arch: &str) -> Error {
    Error::recipe(format!(
        "{arch} takes images, but the dataset has features: use \"mlp\" or \"linear\""
    ))
}

#[cfg(test)]
mod tests;
