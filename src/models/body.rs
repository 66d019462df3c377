//! The body of a convolution net on the CPU: from named tensors to `fast` and back.

use candle_core::backprop::GradStore;
use candle_core::{Device, Tensor, Var};

use super::fast::{Backbone, Evaluator, Layer, Plan, Size};
use super::kernels::with_floats;
use super::net::{Net, Pass};
use super::ops;
use super::plan::Step;
use crate::samples::Shape;
use crate::{Error, Result};

/// All of a convolution net but its head.
pub(super) struct Body {
    plan: Plan,
    backbone: Backbone,
    /// The names of each convolution of the plan and of its norm.
    names: Vec<[String; 2]>,
}

impl Body {
    /// `None` if the steps are not those of a convolution net.
    pub(super) fn of(steps: &[Step], shape: Shape) -> Result<Option<Self>> {
        let Some((plan, names)) = plan(steps, shape)? else { return Ok(None) };
        Ok(Some(Self { backbone: Backbone::new(plan.clone())?, plan, names }))
    }

    /// The net as it is now, for clean passes over any number of batches.
    pub(super) fn evaluator(&self, net: &Net) -> Result<Evaluator> {
        let (theta, running) = (self.theta(net)?.to_vec1()?, self.running(net)?.to_vec1()?);
        Ok(Evaluator::new(&self.plan, &theta, &running)?)
    }

    /// Embeddings `[batch, width]` of inputs `[batch, shape.len()]`, in a pass that looks at the whole batch.
    pub(super) fn forward(&self, net: &Net, inputs: &Tensor, pass: Pass) -> Result<Tensor> {
        let (x, theta) = (inputs.contiguous()?, self.theta(net)?);
        let (features, statistics) = self.backbone.forward(&x, &theta, pass == Pass::Train)?;
        if pass == Pass::Train {
            self.follow(net, &statistics)?;
        }
        Ok(features)
    }

    /// Adds the gradients by all trained tensors that the last backward pass has left.
    ///
    /// # Errors
    /// `Internal` if it has left none.
    pub(super) fn add_gradients(&self, net: &Net, gradients: &mut GradStore) -> Result<()> {
        let by_theta = self.backbone.take_gradient().ok_or_else(|| {
            let [first, _] = &self.names[0];
            Error::internal(format!("a backward pass left no gradient by {first}.weight"))
        })?;
        let len = by_theta.len();
        let (by_theta, mut start) = (Tensor::from_vec(by_theta, len, &Device::Cpu)?, 0);
        for var in self.trained(net) {
            let var = var?;
            let own = by_theta.narrow(0, start, var.elem_count())?.reshape(var.shape())?;
            gradients.insert(var, own);
            start += var.elem_count();
        }
        Ok(())
    }

    /// All trained numbers, without their gradients.
    fn theta(&self, net: &Net) -> Result<Tensor> {
        let parts = self.trained(net).map(|var| Ok(var?.as_detached_tensor().flatten_all()?));
        Ok(Tensor::cat(&parts.collect::<Result<Vec<_>>>()?, 0)?)
    }

    /// All trained tensors in the order of the plan.
    fn trained<'a>(&'a self, net: &'a Net) -> impl Iterator<Item = Result<&'a Var>> {
        let parts =
            |[conv, norm]: &'a [String; 2]| [(conv, "weight"), (norm, "weight"), (norm, "bias")];
        self.names.iter().flat_map(parts).map(move |(step, part)| net.var(step, part))
    }

    /// All running statistics in the order of the plan.
    fn running(&self, net: &Net) -> Result<Tensor> {
        let mut parts = Vec::new();
        for [_, norm] in &self.names {
            for part in ["running_mean", "running_var"] {
                parts.push(net.var(norm, part)?.as_detached_tensor());
            }
        }
        Ok(Tensor::cat(&parts, 0)?)
    }

    fn follow(&self, net: &Net, statistics: &[f32]) -> Result<()> {
        for ([_, norm], conv) in self.names.iter().zip(self.plan.convs()) {
            let both = &statistics[conv.statistics.clone()];
            let (means, variances) = both.split_at(both.len() / 2);
            for (part, batch) in [("running_mean", means), ("running_var", variances)] {
                let running = net.var(norm, part)?;
                ops::follow(running, &Tensor::new(batch, running.device())?)?;
            }
        }
        Ok(())
    }
}

/// Embeddings `[batch, width]` of inputs `[batch, shape.len()]`, each by itself.
pub(super) fn features(evaluator: &Evaluator, inputs: &Tensor) -> Result<Tensor> {
    let features = with_floats([&inputs.contiguous()?], |[x]| evaluator.features(x))??;
    Ok(Tensor::from_vec(features, (inputs.dim(0)?, ()), inputs.device())?)
}

/// Bytes that the body of a convolution net holds on the CPU for a pass over `batch` images, beside its
/// tensors; `None` for other nets.
///
/// # Errors
/// `Internal` if the steps are of no net.
pub(crate) fn body_bytes(
    steps: &[Step],
    shape: Shape,
    pass: Pass,
    batch: usize,
) -> Result<Option<usize>> {
    let Some((plan, _)) = plan(steps, shape)? else { return Ok(None) };
    Ok(Some(match pass {
        Pass::Train => plan.training_bytes(batch),
        Pass::Batch => plan.forward_bytes(batch),
        Pass::Clean => plan.evaluation_bytes(),
    }))
}

fn plan(steps: &[Step], shape: Shape) -> Result<Option<(Plan, Vec<[String; 2]>)>> {
    let Shape::Image { channels, height, width } = shape else { return Ok(None) };
    let Some((_, body)) = steps.split_last() else { return Ok(None) };
    let mut names = Vec::new();
    match layers(body, &mut names) {
        Some(layers) if !layers.is_empty() => {
            let plan = Plan::new(Size { channels, height, width }, &layers)?;
            Ok(Some((plan, names)))
        }
        _ => Ok(None),
    }
}

/// The steps as layers, adding the names of each convolution and its norm; `None` if a step is of
/// another net.
fn layers(mut steps: &[Step], names: &mut Vec<[String; 2]>) -> Option<Vec<Layer>> {
    let mut found = Vec::new();
    loop {
        let layer;
        (layer, steps) = match steps {
            [
                Step::Conv { name, outputs, kernel, stride, .. },
                Step::Norm { name: norm, relu, .. },
                rest @ ..,
            ] => {
                names.push([name.clone(), norm.clone()]);
                let (outputs, kernel, stride, relu) = (*outputs, *kernel, *stride, *relu);
                (Layer::Conv { outputs, kernel, stride, relu }, rest)
            }
            [Step::Pool { kernel }, rest @ ..] => (Layer::Pool { kernel: *kernel }, rest),
            [Step::Residual { body, shortcut }, rest @ ..] => {
                let body = layers(body, names)?;
                (Layer::Residual { body, shortcut: layers(shortcut, names)? }, rest)
            }
            [] | [Step::Average] => return Some(found),
            _ => return None,
        };
        found.push(layer);
    }
}
