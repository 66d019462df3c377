//! `[model]` and `[train]`: the scoring model and how it is trained.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The architecture of the scoring model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Model {
    /// `linear` and `mlp` take images and features, the others take images.
    pub arch: Arch,
    /// `mlp`: the width of each hidden layer.
    #[schemars(length(max = 100), inner(range(min = 1, max = 1_000_000)))]
    pub hidden: Vec<usize>,
    /// `convnet` and ResNets: channels of the first block or stage; each doubles them. ResNets usually
    /// have 64.
    #[schemars(range(min = 1, max = 100_000))]
    pub width: usize,
    /// `convnet`: how many blocks (convolution, batch norm, ReLU; all but the last pool 2x2).
    #[schemars(range(min = 1, max = 20))]
    pub blocks: usize,
    /// ResNets: how they begin.
    pub stem: Stem,
    /// `vit_tiny`: the side of a patch in pixels, which divides both sides of the images: 16 for images
    /// of 224x224, 4 for 32x32.
    #[schemars(range(min = 1, max = 100_000))]
    pub patch: usize,
    /// Shift and scale inputs by the mean and deviation of the training samples (per channel for
    /// images, per feature for features).
    pub standardize: bool,
}

impl Default for Model {
    fn default() -> Self {
        Self {
            arch: Arch::Mlp,
            hidden: vec![256],
            width: 16,
            blocks: 3,
            stem: Stem::Cifar,
            patch: 4,
            standardize: true,
        }
    }
}

/// A model architecture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(title = "architecture")]
pub enum Arch {
    /// Softmax regression.
    Linear,
    /// Fully connected layers with ReLU.
    Mlp,
    /// 3x3 convolution blocks with batch norm, global average pooling, one linear layer.
    Convnet,
    /// ResNet-18.
    Resnet18,
    /// ResNet-34.
    Resnet34,
    /// ResNet-50.
    Resnet50,
    /// A vision transformer of 12 blocks, width 192 and 3 heads (DeiT-Tiny).
    VitTiny,
}

/// How a ResNet begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(title = "stem")]
pub enum Stem {
    /// A 3x3 convolution that keeps the size: for small images.
    #[default]
    Cifar,
    /// A 7x7 convolution and a 3x3 max-pooling, each with stride 2, as in torchvision.
    Imagenet,
}

/// How scoring models are trained. The same for every fold and stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Train {
    /// Passes over the training samples.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub epochs: usize,
    /// Samples a step. The last batch of an epoch may be smaller.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub batch_size: usize,
    /// The numbers that a step of training computes with between input and last layer. Weights, optimiser,
    /// statistics of norms, softmax, the last layer and the loss stay `f32`, and all scores come from `f32`.
    /// `bf16` and `f16` are for CUDA devices.
    pub precision: Precision,
    /// Weights that every training from scratch starts from: a `.safetensors` file with the names of
    /// torchvision (ResNets) or timm (`vit_tiny`). Its last layer counts if it is for as many classes.
    /// `${NAME}` takes an environment variable.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub init: Option<String>,
    /// The optimiser.
    pub optimizer: Optimizer,
    /// The highest learning rate.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub lr: f64,
    /// `sgd`: momentum.
    #[schemars(range(min = 0), extend("exclusiveMaximum" = 1))]
    pub momentum: f64,
    /// `sgd`: Nesterov's form of momentum.
    pub nesterov: bool,
    /// Decay of weight matrices and kernels; biases and norms are left alone. Coupled (L2) for
    /// `sgd`, decoupled for `adamw`.
    #[schemars(range(min = 0))]
    pub weight_decay: f64,
    /// How the learning rate moves after the warm-up.
    pub schedule: Schedule,
    /// Epochs over which the learning rate rises linearly to `lr`.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub warmup_epochs: f64,
    /// `step`: epochs at which the learning rate is multiplied by `step_factor`.
    #[schemars(inner(range(min = 1, max = 1_000_000)))]
    pub step_epochs: Vec<usize>,
    /// `step`: the factor.
    #[schemars(range(max = 1), extend("exclusiveMinimum" = 0))]
    pub step_factor: f64,
    /// Flip images left to right at random.
    pub flip: bool,
    /// Pad images by this many pixels and crop at random.
    #[schemars(range(max = 10_000))]
    pub crop: usize,
    /// Keep a checkpoint of each training after every so many epochs, from which a run that was killed
    /// goes on. It changes no result.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub checkpoint_epochs: Option<usize>,
    /// Keep one every so many minutes, in the middle of an epoch too; 0 for never.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub checkpoint_minutes: f64,
}

impl Train {
    /// The same training made longer or shorter by `ratio`, in whole epochs, at least one; its schedule
    /// keeps its shape.
    #[must_use]
    pub fn stretched(&self, ratio: f64) -> Self {
        let mut train = self.clone();
        let scale =
            |epochs: &mut usize| *epochs = ((*epochs as f64 * ratio).round() as usize).max(1);
        scale(&mut train.epochs);
        train.step_epochs.iter_mut().for_each(scale);
        train.warmup_epochs *= ratio;
        train
    }

    /// Whether trainings keep checkpoints.
    pub fn keeps_checkpoints(&self) -> bool {
        self.checkpoint_epochs.is_some() || self.checkpoint_minutes > 0.0
    }
}

impl Default for Train {
    fn default() -> Self {
        Self {
            epochs: 20,
            batch_size: 128,
            precision: Precision::F32,
            init: None,
            optimizer: Optimizer::Sgd,
            lr: 0.05,
            momentum: 0.9,
            nesterov: true,
            weight_decay: 5e-4,
            schedule: Schedule::Cosine,
            warmup_epochs: 1.0,
            step_epochs: Vec::new(),
            step_factor: 0.2,
            flip: false,
            crop: 0,
            checkpoint_epochs: None,
            checkpoint_minutes: 10.0,
        }
    }
}

/// Numbers of a step of training.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(title = "precision")]
pub enum Precision {
    /// 32 bits, 24 of them for digits.
    #[default]
    F32,
    /// 16 bits, 8 of them for digits, with the range of `f32`.
    Bf16,
    /// 16 bits, 11 of them for digits, with a small range: the loss is scaled so that gradients lie in it.
    F16,
}

/// An optimiser.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(title = "optimizer")]
pub enum Optimizer {
    /// Stochastic gradient descent with momentum.
    Sgd,
    /// Adam with decoupled weight decay (beta 0.9 and 0.999, epsilon 1e-8).
    Adamw,
}

/// A learning-rate schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(title = "schedule")]
pub enum Schedule {
    /// `lr` throughout.
    Constant,
    /// Half a cosine from `lr` to 0 over the steps after the warm-up.
    Cosine,
    /// Multiplied by `step_factor` at each of `step_epochs`.
    Step,
}
