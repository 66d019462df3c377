//! A network: named weights and the steps that use them.

use std::collections::BTreeMap;

use candle_core::{Device, Tensor, Var};

use super::body::Body;
use super::ops;
use super::plan::{Architecture, Parameter, Role, Step};
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
/// product, and the sums of a batch norm run over contiguous rows.
pub struct Net {
    steps: Vec<Step>,
    shape: Shape,
    tensors: BTreeMap<String, (Role, Var)>,
    /// Computes all steps but the last, if `fast` does that: on the CPU, for convolution nets.
    body: Option<Body>,
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
    pub(super) fn build(
        architecture: &Architecture,
        shape: Shape,
        classes: usize,
        device: &Device,
        mut values: impl FnMut(&Parameter) -> Result<Vec<f32>>,
    ) -> Result<Self> {
        let steps = architecture.steps(shape, classes)?;
        let mut tensors = BTreeMap::new();
        for p in steps.iter().flat_map(Step::parameters) {
            let var = Var::from_vec(values(&p)?, p.shape.as_slice(), device)?;
            tensors.insert(p.name, (p.role, var));
        }
        let body = if device.is_cpu() { Body::of(&steps, shape)? } else { None };
        Ok(Self { steps, shape, tensors, body })
    }

    /// Logits `[batch, classes]` of inputs `[batch, shape.len()]`. On the CPU the inputs of a
    /// convolution net cannot be tracked, and it holds one forward pass: after another one the
    /// backward pass of the first is an error.
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
        let (head, body) =
            self.steps.split_last().ok_or_else(|| Error::internal("a model without steps"))?;
        let embeddings = match &self.body {
            Some(fast) => fast.forward(self, inputs, pass)?.t()?,
            None => self.walk(body, self.channel_major(inputs)?, pass)?,
        };
        let logits = self.walk(std::slice::from_ref(head), embeddings.clone(), pass)?;
        Ok((logits.t()?, embeddings.t()?))
    }

    fn walk(&self, steps: &[Step], mut x: Tensor, pass: Pass) -> Result<Tensor> {
        for step in steps {
            x = match step {
                Step::Linear { name, .. } => {
                    let weight = self.weight(name, "weight", pass)?;
                    ops::linear(&x, &weight, &self.weight(name, "bias", pass)?)?
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
                Step::Pool => ops::max_pool(&x)?,
                Step::Average => x.flatten_from(2)?.mean(2)?,
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

    fn channel_major(&self, inputs: &Tensor) -> Result<Tensor> {
        match (&self.steps[0], self.shape) {
            (Step::Conv { .. }, Shape::Image { channels, height, width }) => {
                let images = inputs.reshape(((), channels, height, width))?;
                Ok(images.transpose(0, 1)?.contiguous()?)
            }
            _ => Ok(inputs.t()?),
        }
    }

    pub(super) fn var(&self, step: &str, part: &str) -> Result<&Var> {
        let name = format!("{step}.{part}");
        let found = self.tensors.get(&name).map(|(_, var)| var);
        found.ok_or_else(|| Error::internal(format!("the model has no tensor {name}")))
    }

    pub(super) fn weight(&self, step: &str, part: &str, pass: Pass) -> Result<Tensor> {
        let var = self.var(step, part)?;
        Ok(if pass == Pass::Train { var.as_tensor().clone() } else { var.as_detached_tensor() })
    }

    fn norm(&self, x: &Tensor, name: &str, pass: Pass) -> Result<Tensor> {
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
        Ok(ops::norm(x, (&mean, &var), &scale, &offset)?)
    }
}

/// PyTorch's defaults: weights and biases uniform within 1/sqrt(fan_in), which is
/// `kaiming_uniform_(a=sqrt(5))` (`torch.nn.Linear.reset_parameters` and
/// `torch.nn.modules.conv._ConvNd.reset_parameters`); norms start as the identity.
fn initial_values(parameter: &Parameter, seed: &Seed) -> Vec<f32> {
    let count = parameter.shape.iter().product();
    match parameter.role {
        Role::Weight { fan_in } | Role::Bias { fan_in } => {
            let bound = 1.0 / (fan_in as f32).sqrt();
            let mut random = seed.rng();
            (0..count).map(|_| (2.0 * random.unit() - 1.0) * bound).collect()
        }
        Role::Scale | Role::Variance => vec![1.0; count],
        Role::Offset | Role::Mean => vec![0.0; count],
    }
}

#[cfg(test)]
#[path = "net_tests.rs"]
mod tests;
