//! What an architecture computes, as a list of steps without any weight.

use serde::{Deserialize, Serialize};

use crate::recipe::{Arch, Model};
use crate::samples::Shape;
use crate::{Error, Result};

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
}

impl From<&Model> for Architecture {
    fn from(model: &Model) -> Self {
        match model.arch {
            Arch::Linear => Self::Linear,
            Arch::Mlp => Self::Mlp { hidden: model.hidden.clone() },
            Arch::Convnet => Self::Convnet { width: model.width, blocks: model.blocks },
        }
    }
}

/// One step of a forward pass. `inputs` and `outputs` count features or channels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A fully connected layer.
    Linear { name: String, inputs: usize, outputs: usize },
    /// A 3x3 convolution with padding 1 and no bias, as a norm follows.
    Conv { name: String, inputs: usize, outputs: usize },
    /// Batch norm over images and pixels, then ReLU.
    NormRelu { name: String, channels: usize },
    /// The positive part.
    Relu,
    /// 2x2 max-pooling; an odd last row or column is cropped.
    Pool,
    /// The mean over all pixels of a channel.
    Average,
}

/// What a tensor of a model is for, which decides how it starts and whether it is trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// A matrix or kernel whose outputs sum `fan_in` products.
    Weight { fan_in: usize },
    /// The bias beside such a weight.
    Bias { fan_in: usize },
    /// The factor of a norm.
    Scale,
    /// The offset of a norm.
    Offset,
    /// Running mean of a norm, used in evaluation.
    Mean,
    /// Running variance of a norm, used in evaluation.
    Variance,
}

impl Role {
    /// Whether the optimiser moves it.
    pub(crate) fn trained(self) -> bool {
        !matches!(self, Self::Mean | Self::Variance)
    }

    /// Whether weight decay applies: to matrices and kernels only.
    pub(crate) fn decayed(self) -> bool {
        matches!(self, Self::Weight { .. })
    }
}

/// A named tensor of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Parameter {
    pub(crate) name: String,
    pub(crate) shape: Vec<usize>,
    pub(crate) role: Role,
}

impl Step {
    /// The tensors that this step owns.
    pub(crate) fn parameters(&self) -> Vec<Parameter> {
        let of = |name: &str, part: &str, shape: &[usize], role| Parameter {
            name: format!("{name}.{part}"),
            shape: shape.to_vec(),
            role,
        };
        match self {
            Self::Linear { name, inputs, outputs } => vec![
                of(name, "weight", &[*outputs, *inputs], Role::Weight { fan_in: *inputs }),
                of(name, "bias", &[*outputs], Role::Bias { fan_in: *inputs }),
            ],
            Self::Conv { name, inputs, outputs } => {
                let role = Role::Weight { fan_in: inputs * 9 };
                vec![of(name, "weight", &[*outputs, *inputs, 3, 3], role)]
            }
            Self::NormRelu { name, channels } => vec![
                of(name, "weight", &[*channels], Role::Scale),
                of(name, "bias", &[*channels], Role::Offset),
                of(name, "running_mean", &[*channels], Role::Mean),
                of(name, "running_var", &[*channels], Role::Variance),
            ],
            Self::Relu | Self::Pool | Self::Average => Vec::new(),
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
        match self {
            Self::Linear => Ok(vec![head(shape.len(), classes)]),
            Self::Mlp { hidden } => mlp(hidden, shape.len(), classes),
            Self::Convnet { width, blocks } => convnet(*width, *blocks, shape, classes),
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

fn head(inputs: usize, classes: usize) -> Step {
    Step::Linear { name: "head".to_owned(), inputs, outputs: classes }
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
    steps.push(head(inputs, classes));
    Ok(steps)
}

fn convnet(width: usize, blocks: usize, shape: Shape, classes: usize) -> Result<Vec<Step>> {
    let Shape::Image { channels, height, width: columns } = shape else {
        return Err(Error::recipe(
            "arch = \"convnet\" takes images, but the dataset has features: \
             use \"mlp\" or \"linear\"",
        ));
    };
    let most = height.min(columns).ilog2() as usize + 1;
    if width == 0 || !(1..=most).contains(&blocks) {
        return Err(Error::recipe(format!(
            "model.width must be 1 or more and model.blocks 1 to {most}, as each block but the \
             last halves images of {height}x{columns}"
        )));
    }
    let mut steps = Vec::new();
    let mut inputs = channels;
    for i in 0..blocks {
        let outputs = width << i;
        let name = |part| format!("blocks.{i}.{part}");
        steps.push(Step::Conv { name: name("conv"), inputs, outputs });
        steps.push(Step::NormRelu { name: name("norm"), channels: outputs });
        steps.push(if i + 1 < blocks { Step::Pool } else { Step::Average });
        inputs = outputs;
    }
    steps.push(head(inputs, classes));
    Ok(steps)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GREY: Shape = Shape::Image { channels: 1, height: 28, width: 28 };

    fn names(architecture: &Architecture, shape: Shape) -> Vec<(String, Vec<usize>)> {
        let steps = architecture.steps(shape, 10).unwrap();
        steps.iter().flat_map(Step::parameters).map(|p| (p.name, p.shape)).collect()
    }

    #[test]
    fn an_mlp_chains_its_widths() {
        let mlp = Architecture::Mlp { hidden: vec![5, 3] };
        let expected = [
            ("hidden.0.weight", vec![5, 784]),
            ("hidden.0.bias", vec![5]),
            ("hidden.1.weight", vec![3, 5]),
            ("hidden.1.bias", vec![3]),
            ("head.weight", vec![10, 3]),
            ("head.bias", vec![10]),
        ];
        assert_eq!(names(&mlp, GREY), expected.map(|(n, s)| (n.to_owned(), s)));
    }

    #[test]
    fn a_convnet_doubles_channels_and_does_not_pool_at_the_end() {
        let net = Architecture::Convnet { width: 4, blocks: 3 };
        let steps = net.steps(GREY, 2).unwrap();
        assert_eq!(steps.iter().filter(|s| **s == Step::Pool).count(), 2);
        assert!(names(&net, GREY).contains(&("blocks.2.conv.weight".into(), vec![16, 8, 3, 3])));
    }

    #[test]
    fn refuses_what_cannot_work() {
        let features = Shape::Features { width: 9 };
        for (net, shape) in [
            (Architecture::Convnet { width: 4, blocks: 2 }, features),
            (Architecture::Convnet { width: 4, blocks: 6 }, GREY),
            (Architecture::Convnet { width: 0, blocks: 1 }, GREY),
            (Architecture::Convnet { width: 4, blocks: 0 }, GREY),
            (Architecture::Mlp { hidden: vec![] }, features),
        ] {
            let error = net.steps(shape, 10).unwrap_err();
            assert_eq!(error.kind(), crate::ErrorKind::InvalidRecipe, "{net:?}: {error}");
        }
        assert!(Architecture::Convnet { width: 4, blocks: 5 }.steps(GREY, 10).is_ok());
    }
}
