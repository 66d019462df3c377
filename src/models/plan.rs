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
    /// ResNet-18 of He et al. 2016 for small images: the first convolution is 3x3 and keeps the
    /// size, and no pooling follows it.
    Resnet18 {
        /// Channels of the first stage; each of the other three doubles them.
        width: usize,
    },
    /// ResNet-34, likewise.
    Resnet34 {
        /// Channels of the first stage; each of the other three doubles them.
        width: usize,
    },
}

impl From<&Model> for Architecture {
    fn from(model: &Model) -> Self {
        match model.arch {
            Arch::Linear => Self::Linear,
            Arch::Mlp => Self::Mlp { hidden: model.hidden.clone() },
            Arch::Convnet => Self::Convnet { width: model.width, blocks: model.blocks },
            Arch::Resnet18 => Self::Resnet18 { width: model.width },
            Arch::Resnet34 => Self::Resnet34 { width: model.width },
        }
    }
}

/// One step of a forward pass. `inputs` and `outputs` count features or channels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A fully connected layer.
    Linear { name: String, inputs: usize, outputs: usize },
    /// A convolution with padding `kernel / 2` and no bias, as a norm follows.
    Conv { name: String, inputs: usize, outputs: usize, kernel: usize, stride: usize },
    /// Batch norm over images and pixels, then ReLU if asked for.
    Norm { name: String, channels: usize, relu: bool },
    /// The positive part.
    Relu,
    /// 2x2 max-pooling; an odd last row or column is cropped.
    Pool,
    /// The mean over all pixels of a channel.
    Average,
    /// `relu(body(x) + shortcut(x))`; without steps the shortcut is the identity.
    Residual { body: Vec<Step>, shortcut: Vec<Step> },
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
            Self::Conv { name, inputs, outputs, kernel, .. } => {
                let role = Role::Weight { fan_in: inputs * kernel * kernel };
                vec![of(name, "weight", &[*outputs, *inputs, *kernel, *kernel], role)]
            }
            Self::Norm { name, channels, .. } => vec![
                of(name, "weight", &[*channels], Role::Scale),
                of(name, "bias", &[*channels], Role::Offset),
                of(name, "running_mean", &[*channels], Role::Mean),
                of(name, "running_var", &[*channels], Role::Variance),
            ],
            Self::Residual { body, shortcut } => {
                body.iter().chain(shortcut).flat_map(Self::parameters).collect()
            }
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
            Self::Linear => Ok(vec![head("head", shape.len(), classes)]),
            Self::Mlp { hidden } => mlp(hidden, shape.len(), classes),
            Self::Convnet { width, blocks } => convnet(*width, *blocks, shape, classes),
            Self::Resnet18 { width } => resnet(*width, [2, 2, 2, 2], shape, classes),
            Self::Resnet34 { width } => resnet(*width, [3, 4, 6, 3], shape, classes),
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

fn convnet(width: usize, blocks: usize, shape: Shape, classes: usize) -> Result<Vec<Step>> {
    let Shape::Image { channels, height, width: columns } = shape else {
        return Err(not_images("a convnet"));
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
        steps.extend(conv_norm(name("conv"), name("norm"), [inputs, outputs], [3, 1], true));
        steps.push(if i + 1 < blocks { Step::Pool } else { Step::Average });
        inputs = outputs;
    }
    steps.push(head("head", inputs, classes));
    Ok(steps)
}

/// A ResNet of basic blocks with the names of torchvision.
fn resnet(width: usize, depths: [usize; 4], shape: Shape, classes: usize) -> Result<Vec<Step>> {
    let Shape::Image { channels, .. } = shape else { return Err(not_images("a ResNet")) };
    if width == 0 {
        return Err(Error::recipe("model.width must be 1 or more"));
    }
    let mut steps =
        Vec::from(conv_norm("conv1".into(), "bn1".into(), [channels, width], [3, 1], true));
    let mut inputs = width;
    for (stage, depth) in depths.into_iter().enumerate() {
        for block in 0..depth {
            let outputs = width << stage;
            let stride = if stage > 0 && block == 0 { 2 } else { 1 };
            let name = format!("layer{}.{block}", stage + 1);
            steps.push(basic_block(&name, [inputs, outputs], stride));
            inputs = outputs;
        }
    }
    steps.push(Step::Average);
    steps.push(head("fc", inputs, classes));
    Ok(steps)
}

/// Two 3x3 convolutions beside a shortcut, which is a 1x1 convolution where the size changes.
fn basic_block(name: &str, [inputs, outputs]: [usize; 2], stride: usize) -> Step {
    let of = |part: &str| format!("{name}.{part}");
    let first = conv_norm(of("conv1"), of("bn1"), [inputs, outputs], [3, stride], true);
    let second = conv_norm(of("conv2"), of("bn2"), [outputs, outputs], [3, 1], false);
    let mut shortcut = Vec::new();
    if stride != 1 || inputs != outputs {
        let (conv, norm) = (of("downsample.0"), of("downsample.1"));
        shortcut.extend(conv_norm(conv, norm, [inputs, outputs], [1, stride], false));
    }
    Step::Residual { body: [first, second].concat(), shortcut }
}

fn conv_norm(
    conv: String,
    norm: String,
    [inputs, outputs]: [usize; 2],
    [kernel, stride]: [usize; 2],
    relu: bool,
) -> [Step; 2] {
    let conv = Step::Conv { name: conv, inputs, outputs, kernel, stride };
    [conv, Step::Norm { name: norm, channels: outputs, relu }]
}

fn not_images(arch: &str) -> Error {
    Error::recipe(format!(
        "{arch} takes images, but the dataset has features: use \"mlp\" or \"linear\""
    ))
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

    /// Counts of torchvision's models at width 64 with 10 classes, less the stem: 3x3 here, 7x7 there.
    #[test]
    fn resnets_have_the_names_and_numbers_of_torchvision() {
        let colour = Shape::Image { channels: 3, height: 32, width: 32 };
        for (net, torchvision) in [
            (Architecture::Resnet18 { width: 64 }, 11_181_642),
            (Architecture::Resnet34 { width: 64 }, 21_289_802),
        ] {
            let parameters = net.steps(colour, 10).unwrap();
            let parameters = parameters.iter().flat_map(Step::parameters);
            let trained = parameters.filter(|p| p.role.trained());
            let count: usize = trained.map(|p| p.shape.iter().product::<usize>()).sum();
            assert_eq!(count, torchvision - 64 * 3 * (49 - 9));
            for (name, shape) in [
                ("conv1.weight", vec![64, 3, 3, 3]),
                ("bn1.running_mean", vec![64]),
                ("layer1.0.conv1.weight", vec![64, 64, 3, 3]),
                ("layer2.0.downsample.0.weight", vec![128, 64, 1, 1]),
                ("layer2.0.downsample.1.bias", vec![128]),
                ("layer4.1.bn2.running_var", vec![512]),
                ("fc.weight", vec![10, 512]),
            ] {
                assert!(names(&net, colour).contains(&(name.to_owned(), shape)), "{name}");
            }
        }
    }

    #[test]
    fn refuses_what_cannot_work() {
        let features = Shape::Features { width: 9 };
        for (net, shape) in [
            (Architecture::Convnet { width: 4, blocks: 2 }, features),
            (Architecture::Convnet { width: 4, blocks: 6 }, GREY),
            (Architecture::Convnet { width: 0, blocks: 1 }, GREY),
            (Architecture::Convnet { width: 4, blocks: 0 }, GREY),
            (Architecture::Resnet18 { width: 4 }, features),
            (Architecture::Resnet34 { width: 0 }, GREY),
            (Architecture::Mlp { hidden: vec![] }, features),
        ] {
            let error = net.steps(shape, 10).unwrap_err();
            assert_eq!(error.kind(), crate::ErrorKind::InvalidRecipe, "{net:?}: {error}");
        }
        assert!(Architecture::Convnet { width: 4, blocks: 5 }.steps(GREY, 10).is_ok());
    }
}
