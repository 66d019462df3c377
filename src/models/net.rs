//! A network: named weights and the steps that use them.

use std::collections::BTreeMap;

use candle_core::backprop::GradStore;
use candle_core::{DType, Device, Tensor, Var};

use super::body::{self, Body};
use super::fast::{Dense, Evaluator, PANEL};
use super::ops;
use super::plan::{Architecture, Parameter, Role, Step};
use super::transformer::{self, Affine, Block};
use crate::recipe::Precision;
use crate::samples::Shape;
use crate::seed::Seed;
use crate::{Error, Result};

/// How a network runs over a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// The weights are tracked for gradients; batch norm uses the statistics of the batch, and its
    /// running ones follow.
    Train,
    /// The same outputs as in `Train`, but nothing is tracked and nothing moves.
    Batch,
    /// Batch norm uses its running statistics: a sample's logits depend on it alone.
    Clean,
}

/// A network with its weights on a device.
///
/// Inside, activations are channel-major: `[features, batch]` or `[channels, batch, height,
/// width]`. A weight in PyTorch's order then multiplies from the left, a convolution is one matrix
/// product, and the sums of a batch norm run over contiguous rows. Tokens of a transformer are
/// `[batch, places, width]`, as its layer norm sums over each token.
pub struct Net {
    steps: Vec<Step>,
    shape: Shape,
    tensors: BTreeMap<String, (Role, Var)>,
    /// Computes all steps but the last, if `fast` does that: on the CPU, for convolution nets, in f32.
    body: Option<Body>,
    /// Computes dense layers with their ReLU, on the CPU, in f32.
    dense: Option<Dense>,
    /// The kind of activations in training; see [`Net::training_in`].
    trained_in: DType,
}

impl Net {
    /// A network with fresh weights, each drawn from its own sub-seed.
    ///
    /// # Errors
    /// `InvalidRecipe` if the architecture cannot take inputs of `shape`.
    pub fn new(
        architecture: &Architecture,
        shape: Shape,
        classes: usize,
        seed: &Seed,
        device: &Device,
    ) -> Result<Self> {
        let fresh = |p: &Parameter| Ok(initial_values(p, &seed.of(&p.name)));
        Self::build(architecture, shape, classes, device, fresh)
    }

    /// A network whose tensors are given one by one by `values`, in PyTorch's order of axes.
    pub(crate) fn build(
        architecture: &Architecture,
        shape: Shape,
        classes: usize,
        device: &Device,
        values: impl FnMut(&Parameter) -> Result<Vec<f32>>,
    ) -> Result<Self> {
        Self::of(architecture.steps(shape, classes)?, shape, device, values)
    }

    /// As [`Net::build`], with steps of any sizes.
    pub(super) fn of(
        steps: Vec<Step>,
        shape: Shape,
        device: &Device,
        mut values: impl FnMut(&Parameter) -> Result<Vec<f32>>,
    ) -> Result<Self> {
        let mut tensors = BTreeMap::new();
        for p in steps.iter().flat_map(Step::parameters) {
            let var = Var::from_vec(values(&p)?, p.shape.as_slice(), device)?;
            tensors.insert(p.name, (p.role, var));
        }
        let body = if device.is_cpu() { Body::of(&steps, shape)? } else { None };
        let dense = device.is_cpu().then(Dense::default);
        Ok(Self { steps, shape, tensors, body, dense, trained_in: DType::F32 })
    }

    /// The same network, whose steps of training compute in these numbers what lies between the inputs and
    /// the last layer. Its tensors, and with them their gradients, stay f32, and so do all other passes.
    #[must_use]
    pub(crate) fn training_in(self, precision: Precision) -> Self {
        let trained_in = match precision {
            Precision::F32 => DType::F32,
            Precision::Bf16 => DType::BF16,
            Precision::F16 => DType::F16,
        };
        Self { trained_in, ..self }
    }

    /// The same network without `fast`.
    #[cfg(test)]
    pub(super) fn plain(self) -> Self {
        Self { body: None, dense: None, ..self }
    }

    /// Logits `[batch, classes]` of inputs `[batch, shape.len()]`. On the CPU the inputs of a
    /// convolution net cannot be tracked, and it holds one forward pass: after another one the
    /// backward pass of the first is an error. Inputs and logits are f32. Gradients by weights are those of
    /// [`Net::backward`].
    ///
    /// # Errors
    /// `Internal` if a tensor operation fails, such as for inputs of another shape.
    pub fn forward(&self, inputs: &Tensor, pass: Pass) -> Result<Tensor> {
        Ok(self.forward_embedding(inputs, pass)?.0)
    }

    /// As [`Net::forward`], with the embeddings `[batch, width]`: what the last layer takes. That of a
    /// linear model is its input.
    ///
    /// # Errors
    /// As [`Net::forward`].
    pub fn forward_embedding(&self, inputs: &Tensor, pass: Pass) -> Result<(Tensor, Tensor)> {
        self.passes(pass)?.outputs(inputs)
    }

    /// The network ready for one pass after another, between which nobody moves its weights: on the CPU those of
    /// a convolution net are laid out for clean passes once, and not for each.
    ///
    /// # Errors
    /// `Internal` if a tensor cannot be read.
    pub fn passes(&self, pass: Pass) -> Result<Passes<'_>> {
        let body = self.body.as_ref().filter(|_| pass == Pass::Clean);
        let evaluator = body.map(|body| body.evaluator(self)).transpose()?;
        Ok(Passes { net: self, pass, evaluator })
    }

    /// The gradients of a scalar that follows from the outputs of the last forward pass, which was in
    /// training mode, by all trained tensors.
    ///
    /// # Errors
    /// `Internal` if a tensor operation fails, or the net ran forward again since.
    pub fn backward(&self, scalar: &Tensor) -> Result<GradStore> {
        let mut gradients = scalar.backward()?;
        // What is trained in fewer bits goes by Candle's operations.
        if let Some(body) = self.body.as_ref().filter(|_| self.trained_in == DType::F32) {
            body.add_gradients(self, &mut gradients)?;
        }
        if let Some(dense) = &self.dense {
            dense.add_gradients(&mut gradients);
        }
        Ok(gradients)
    }

    /// How many samples, `most` or fewer, a pass of evaluation is fastest with. Where a dense layer on the CPU
    /// comes first it takes inputs that stay in the second-level cache between those that gather and the layer.
    pub(crate) fn evaluated_at_once(&self, most: usize) -> usize {
        /// Numbers that a second-level cache holds beside weights.
        const CACHED: usize = 1 << 18;
        match (&self.dense, &self.steps[..]) {
            (Some(_), [Step::Linear { .. }, ..]) => {
                let fits = CACHED / self.shape.len() / PANEL * PANEL;
                fits.clamp(PANEL, most.max(PANEL))
            }
            _ => most,
        }
    }

    fn walk(&self, mut steps: &[Step], mut x: Tensor, pass: Pass) -> Result<Tensor> {
        while let [step, rest @ ..] = steps {
            steps = rest;
            x = match step {
                Step::Linear { name, .. } => {
                    let [weight, bias] = self.affine(name, pass)?;
                    let dense = self.dense.as_ref().filter(|_| x.dtype() == DType::F32);
                    if let Some(dense) = dense {
                        let relu = matches!(steps, [Step::Relu, ..]);
                        steps = &steps[usize::from(relu)..];
                        dense.layer(&x, [&weight, &bias], relu)?
                    } else {
                        ops::linear(&x, &weight, &bias)?
                    }
                }
                Step::Conv { name, stride, .. } => {
                    ops::conv(&x, &self.weight(name, "weight", pass)?, *stride)?
                }
                Step::Norm { name, relu, .. } => {
                    let out = self.norm(&x, name, pass)?;
                    if *relu { out.relu()? } else { out }
                }
                Step::Residual { body, shortcut } => {
                    let sum = self.walk(body, x.clone(), pass)? + self.walk(shortcut, x, pass)?;
                    sum?.relu()?
                }
                Step::Relu => x.relu()?,
                Step::Pool { kernel } => ops::max_pool(&x, *kernel)?,
                Step::Average => ops::average(&x)?,
                Step::Tokens { .. } => self.tokens(&x, pass)?,
                Step::Block { name, heads, .. } => {
                    transformer::block(&x, &self.block(name, pass)?, *heads)?
                }
                Step::ClassToken { name, .. } => {
                    transformer::class_token(&x, &self.affine(name, pass)?)?.t()?
                }
            };
        }
        Ok(x)
    }

    /// All tensors with their roles, by name: trained ones and running statistics.
    pub(crate) fn tensors(&self) -> impl Iterator<Item = (&str, Role, &Var)> {
        self.tensors.iter().map(|(name, (role, var))| (name.as_str(), *role, var))
    }

    /// Whether every number of every tensor is finite.
    pub(crate) fn is_finite(&self) -> Result<bool> {
        for (_, var) in self.tensors.values() {
            let values = var.flatten_all()?.to_vec1::<f32>()?;
            if values.iter().any(|v| !v.is_finite()) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// What the first step reads.
    fn first(&self, inputs: &Tensor) -> Result<Tensor> {
        let images = |channels, height, width| inputs.reshape(((), channels, height, width));
        match (&self.steps[0], self.shape) {
            (Step::Conv { .. }, Shape::Image { channels, height, width }) => {
                Ok(images(channels, height, width)?.transpose(0, 1)?.contiguous()?)
            }
            (Step::Tokens { .. }, Shape::Image { channels, height, width }) => {
                Ok(images(channels, height, width)?)
            }
            _ => Ok(inputs.t()?),
        }
    }

    fn named(&self, name: &str) -> Result<&Var> {
        let found = self.tensors.get(name).map(|(_, var)| var);
        found.ok_or_else(|| Error::internal(format!("the model has no tensor {name}")))
    }

    pub(super) fn var(&self, step: &str, part: &str) -> Result<&Var> {
        self.named(&format!("{step}.{part}"))
    }

    pub(super) fn weight(&self, step: &str, part: &str, pass: Pass) -> Result<Tensor> {
        Ok(tracked(self.var(step, part)?, pass))
    }

    fn affine(&self, step: &str, pass: Pass) -> Result<Affine> {
        Ok([self.weight(step, "weight", pass)?, self.weight(step, "bias", pass)?])
    }

    fn tokens(&self, images: &Tensor, pass: Pass) -> Result<Tensor> {
        let patches = self.affine("patch_embed.proj", pass)?;
        let [class, positions] = ["cls_token", "pos_embed"].map(|name| self.named(name));
        let (class, positions) = (tracked(class?, pass), tracked(positions?, pass));
        Ok(transformer::tokens(images, &patches, &class, &positions)?)
    }

    fn block(&self, name: &str, pass: Pass) -> Result<Block> {
        let of = |part: &str| self.affine(&format!("{name}.{part}"), pass);
        Ok(Block {
            norm1: of("norm1")?,
            qkv: of("attn.qkv")?,
            proj: of("attn.proj")?,
            norm2: of("norm2")?,
            fc1: of("mlp.fc1")?,
            fc2: of("mlp.fc2")?,
        })
    }

    fn norm(&self, x: &Tensor, name: &str, pass: Pass) -> Result<Tensor> {
        let (kind, x) = (x.dtype(), &ops::wide(x)?);
        let scale = self.weight(name, "weight", pass)?;
        let offset = self.weight(name, "bias", pass)?;
        let running = (self.var(name, "running_mean")?, self.var(name, "running_var")?);
        let (mean, var) = match pass {
            Pass::Clean => (running.0.as_detached_tensor(), running.1.as_detached_tensor()),
            Pass::Train | Pass::Batch => ops::moments(x)?,
        };
        if pass == Pass::Train {
            ops::follow(running.0, &mean.detach())?;
            ops::follow(running.1, &ops::unbiased(&var, x.elem_count() / x.dim(0)?)?)?;
        }
        Ok(ops::norm(x, (&mean, &var), &scale, &offset)?.to_dtype(kind)?)
    }
}

/// A network and how it runs; see [`Net::passes`].
pub struct Passes<'a> {
    net: &'a Net,
    pass: Pass,
    /// What clean passes of a convolution net take from the fast path.
    evaluator: Option<Evaluator>,
}

impl Passes<'_> {
    /// As [`Net::forward_embedding`].
    ///
    /// # Errors
    /// As [`Net::forward`].
    pub fn outputs(&self, inputs: &Tensor) -> Result<(Tensor, Tensor)> {
        let Self { net, pass, evaluator } = self;
        let (head, steps) =
            net.steps.split_last().ok_or_else(|| Error::internal("a model without steps"))?;
        let narrow = *pass == Pass::Train && !steps.is_empty();
        let kind = if narrow { net.trained_in } else { DType::F32 };
        let embeddings = match (evaluator, &net.body) {
            (Some(evaluator), _) => body::features(evaluator, inputs)?.t()?,
            (None, Some(body)) if kind == DType::F32 => body.forward(net, inputs, *pass)?.t()?,
            _ => ops::wide(&net.walk(steps, net.first(inputs)?.to_dtype(kind)?, *pass)?)?,
        };
        let logits = net.walk(std::slice::from_ref(head), embeddings.clone(), *pass)?;
        Ok((logits.t()?, embeddings.t()?))
    }
}

/// The tensor of a variable, with its gradient wanted or not.
fn tracked(var: &Var, pass: Pass) -> Tensor {
    if pass == Pass::Train { var.as_tensor().clone() } else { var.as_detached_tensor() }
}

/// PyTorch's defaults: weights and biases uniform within 1/sqrt(fan_in), which is
/// `kaiming_uniform_(a=sqrt(5))` (`torch.nn.Linear.reset_parameters` and
/// `torch.nn.modules.conv._ConvNd.reset_parameters`); norms start as the identity. Projections and
/// tokens of transformers are normal with deviation 0.02, as in DeiT and timm.
pub(super) fn initial_values(parameter: &Parameter, seed: &Seed) -> Vec<f32> {
    let count = parameter.shape.iter().product();
    let mut random = seed.rng();
    match parameter.role {
        Role::Weight { fan_in } | Role::Bias { fan_in } => {
            let bound = 1.0 / (fan_in as f32).sqrt();
            (0..count).map(|_| (2.0 * random.unit() - 1.0) * bound).collect()
        }
        // Twelve uniform numbers sum to nearly a normal one of variance 1, the same on every machine.
        Role::Projection | Role::Token => {
            let mut normal = || (0..12).map(|_| random.unit()).sum::<f32>() - 6.0;
            (0..count).map(|_| 0.02 * normal()).collect()
        }
        Role::Scale | Role::Variance => vec![1.0; count],
        Role::Offset | Role::Mean => vec![0.0; count],
    }
}

#[cfg(test)]
#[path = "net_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "half_tests.rs"]
mod half_tests;

#[cfg(all(test, feature = "cuda"))]
#[path = "cuda_tests.rs"]
mod cuda_tests;
