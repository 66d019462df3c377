//! SGD with momentum and AdamW, with PyTorch's semantics.

use candle_core::Tensor;
use candle_core::backprop::GradStore;

use crate::Result;
use crate::models::Net;
use crate::recipe::{Optimizer as Kind, Train};

const BETA1: f64 = 0.9;
const BETA2: f64 = 0.999;
const EPSILON: f64 = 1e-8;

/// Moves the trained tensors of a net along their gradients.
pub(super) struct Optimizer {
    kind: Kind,
    momentum: f64,
    nesterov: bool,
    weight_decay: f64,
    steps: i32,
    /// Per trained tensor in name order: the momentum buffer, or Adam's two moments.
    state: Vec<Vec<Tensor>>,
}

impl Optimizer {
    pub(super) fn new(train: &Train) -> Self {
        Self {
            kind: train.optimizer,
            momentum: train.momentum,
            nesterov: train.nesterov,
            weight_decay: train.weight_decay,
            steps: 0,
            state: Vec::new(),
        }
    }

    /// One step at learning rate `lr`.
    pub(super) fn step(&mut self, net: &Net, gradients: &GradStore, lr: f64) -> Result<()> {
        self.steps += 1;
        let trained = net.tensors().filter(|(_, role, _)| role.trained());
        for (i, (_, role, var)) in trained.enumerate() {
            let Some(gradient) = gradients.get(var) else { continue };
            let decay = if role.decayed() { self.weight_decay } else { 0.0 };
            let weight = var.as_detached_tensor();
            self.state.resize(self.state.len().max(i + 1), Vec::new());
            var.set(&match self.kind {
                Kind::Sgd => self.sgd(i, &weight, gradient, decay, lr)?,
                Kind::Adamw => self.adamw(i, &weight, gradient, decay, lr)?,
            })?;
        }
        Ok(())
    }

    /// `torch.optim.SGD`: decay joins the gradient; the first momentum buffer is the gradient.
    fn sgd(
        &mut self,
        index: usize,
        weight: &Tensor,
        gradient: &Tensor,
        decay: f64,
        lr: f64,
    ) -> Result<Tensor> {
        let mut direction = plus(gradient, decay, weight)?;
        if self.momentum != 0.0 {
            let buffer = match self.state[index].first() {
                Some(old) => plus(&direction, self.momentum, old)?,
                None => direction.clone(),
            };
            direction =
                if self.nesterov { plus(&direction, self.momentum, &buffer)? } else { buffer.clone() };
            self.state[index] = vec![buffer];
        }
        plus(weight, -lr, &direction)
    }

    /// `torch.optim.AdamW`: decay shrinks the weight itself; both moments are bias-corrected.
    fn adamw(
        &mut self,
        index: usize,
        weight: &Tensor,
        gradient: &Tensor,
        decay: f64,
        lr: f64,
    ) -> Result<Tensor> {
        let moment = |old: Option<&Tensor>, beta: f64, new: &Tensor| match old {
            Some(old) => plus(&times(old, beta)?, 1.0 - beta, new),
            None => times(new, 1.0 - beta),
        };
        let first = moment(self.state[index].first(), BETA1, gradient)?;
        let second = moment(self.state[index].get(1), BETA2, &gradient.sqr()?)?;
        let rate = lr / (1.0 - BETA1.powi(self.steps));
        let spread = times(&second.sqrt()?, 1.0 / (1.0 - BETA2.powi(self.steps)).sqrt())?;
        let update = (&first / (spread + EPSILON)?)?;
        self.state[index] = vec![first, second];
        plus(&times(weight, 1.0 - lr * decay)?, -rate, &update)
    }
}

/// `a + factor * b`.
fn plus(a: &Tensor, factor: f64, b: &Tensor) -> Result<Tensor> {
    if factor == 0.0 {
        return Ok(a.clone());
    }
    Ok((a + times(b, factor)?)?)
}

/// `factor * a`: a broadcast product is vectorised in Candle, its `affine` is not.
fn times(a: &Tensor, factor: f64) -> Result<Tensor> {
    Ok(a.broadcast_mul(&Tensor::new(factor as f32, a.device())?)?)
}
