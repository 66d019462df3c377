//! SGD with momentum and AdamW, with PyTorch's semantics.

use candle_core::Tensor;
use candle_core::backprop::GradStore;

use super::update::Rule;
use crate::Result;
use crate::models::Net;
use crate::recipe::{Optimizer as Kind, Train};

const BETA1: f64 = 0.9;
const BETA2: f64 = 0.999;

/// Moves the trained tensors of a net along their gradients.
pub(super) struct Optimizer {
    kind: Kind,
    momentum: f64,
    nesterov: bool,
    weight_decay: f64,
    /// Buffers of each trained tensor.
    buffers: usize,
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
            buffers: Self::buffers(train),
            steps: 0,
            state: Vec::new(),
        }
    }

    /// How many buffers the recipe's optimiser has for a trained tensor.
    pub(super) fn buffers(train: &Train) -> usize {
        match train.optimizer {
            Kind::Sgd => usize::from(train.momentum != 0.0),
            Kind::Adamw => 2,
        }
    }

    /// The steps done, and the buffers of each trained tensor.
    pub(super) fn state(&self) -> (i32, &[Vec<Tensor>]) {
        (self.steps, &self.state)
    }

    /// Goes on from such a state.
    pub(super) fn resume(&mut self, steps: i32, state: Vec<Vec<Tensor>>) {
        (self.steps, self.state) = (steps, state);
    }

    /// One step at learning rate `lr`.
    pub(super) fn step(&mut self, net: &Net, gradients: &GradStore, lr: f64) -> Result<()> {
        self.steps += 1;
        let trained = net.tensors().filter(|(_, role, _)| role.trained());
        for (i, (_, role, var)) in trained.enumerate() {
            let Some(gradient) = gradients.get(var) else { continue };
            // A gradient remembers how it was made; kept in the state it would keep all of the step.
            let gradient = gradient.detach().contiguous()?;
            let decay = if role.decayed() { self.weight_decay } else { 0.0 };
            let rule = self.rule(decay, lr);
            self.make_buffers(i, var)?;
            rule.apply(var, &mut self.state[i], &gradient)?;
        }
        Ok(())
    }

    /// What this step does to tensors with so much weight decay.
    fn rule(&self, decay: f64, lr: f64) -> Rule {
        match self.kind {
            Kind::Sgd => Rule::Sgd {
                decay: decay as f32,
                momentum: self.momentum as f32,
                nesterov: self.nesterov,
                lr: lr as f32,
            },
            Kind::Adamw => Rule::Adamw {
                shrink: (1.0 - lr * decay) as f32,
                moments: [BETA1, BETA2].map(|beta| [beta as f32, (1.0 - beta) as f32]),
                rate: (lr / (1.0 - BETA1.powi(self.steps))) as f32,
                unbias: (1.0 / (1.0 - BETA2.powi(self.steps)).sqrt()) as f32,
            },
        }
    }

    /// Makes the buffers of a tensor. They start at 0, with which SGD's first one becomes the gradient.
    fn make_buffers(&mut self, index: usize, weight: &Tensor) -> Result<()> {
        self.state.resize(self.state.len().max(index + 1), Vec::new());
        while self.state[index].len() < self.buffers {
            self.state[index].push(weight.zeros_like()?);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};

    use super::*;
    use crate::models::Architecture;
    use crate::samples::Shape;
    use crate::seed::Seed;

    /// Weight and bias of a linear model 1 -> 1 that starts at (1, 1), after each step with the
    /// loss `w^2 + 3 b`, whose gradient is (2 w, 3).
    fn path(train: &Train, rates: &[f64]) -> Vec<(f64, f64)> {
        let seed = Seed::new(0);
        let shape = Shape::Features { width: 1 };
        let net = Net::new(&Architecture::Linear, shape, 1, &seed, &Device::Cpu).unwrap();
        let var = |wanted: &str| -> Var {
            net.tensors().find(|(name, ..)| *name == wanted).unwrap().2.clone()
        };
        let (w, b) = (var("head.weight"), var("head.bias"));
        w.set(&w.ones_like().unwrap()).unwrap();
        b.set(&b.ones_like().unwrap()).unwrap();
        let mut optimizer = Optimizer::new(train);
        let value = |v: &Var| f64::from(v.flatten_all().unwrap().to_vec1::<f32>().unwrap()[0]);
        let step = |lr: &f64| {
            let loss = w.sqr().unwrap().flatten_all().unwrap() + (b.as_tensor() * 3.0).unwrap();
            let gradients = loss.unwrap().sum_all().unwrap().backward().unwrap();
            optimizer.step(&net, &gradients, *lr).unwrap();
            (value(&w), value(&b))
        };
        rates.iter().map(step).collect()
    }

    fn close(ours: &[(f64, f64)], wanted: &[(f64, f64)]) {
        assert_eq!(ours.len(), wanted.len());
        for (a, b) in ours.iter().zip(wanted) {
            assert!((a.0 - b.0).abs() < 1e-5 && (a.1 - b.1).abs() < 1e-5, "{ours:?} {wanted:?}");
        }
    }

    fn sgd(nesterov: bool) -> Train {
        Train { momentum: 0.5, nesterov, weight_decay: 0.1, ..Train::default() }
    }

    /// Step 1: g = 2 + 0.1, buffer = g, w = 1 - 0.1 g = 0.79. Step 2: g = 2.1 * 0.79 = 1.659,
    /// buffer = 0.5 * 2.1 + 1.659 = 2.709, w = 0.79 - 0.2 * 2.709 = 0.2482. The bias has no decay:
    /// 1 - 0.1 * 3, then minus 0.2 * (1.5 + 3).
    #[test]
    fn momentum_starts_at_the_gradient_and_biases_do_not_decay() {
        close(&path(&sgd(false), &[0.1, 0.2]), &[(0.79, 0.7), (0.2482, -0.2)]);
    }

    /// Nesterov adds half the buffer to g: step 1 moves by 0.1 (2.1 + 1.05) and 0.1 (3 + 1.5);
    /// then g = 2.1 * 0.685 = 1.4385, buffer = 1.05 + 1.4385 = 2.4885, move 0.2 (g + 1.24425).
    #[test]
    fn nesterov_looks_ahead() {
        let second = 0.685 - 0.2 * (1.4385 + 1.24425);
        close(&path(&sgd(true), &[0.1, 0.2]), &[(0.685, 0.55), (second, 0.55 - 0.2 * 5.25)]);
    }

    #[test]
    fn without_momentum_it_is_plain_descent() {
        let plain = Train { momentum: 0.0, nesterov: false, weight_decay: 0.0, ..Train::default() };
        close(&path(&plain, &[0.1, 0.1]), &[(0.8, 0.7), (0.64, 0.4)]);
    }

    /// The formulas of `torch.optim.AdamW`, in f64.
    #[test]
    fn adamw_follows_pytorch() {
        let train = Train { optimizer: Kind::Adamw, weight_decay: 0.5, ..Train::default() };
        let rates = [0.1, 0.1, 0.05];
        let adam = |decay: f64, gradient: &dyn Fn(f64) -> f64| {
            let (mut weight, mut first, mut second) = (1.0_f64, 0.0, 0.0);
            let step = |(i, lr): (usize, &f64)| {
                let (slope, t) = (gradient(weight), i as i32 + 1);
                weight *= 1.0 - lr * decay;
                first = 0.9 * first + 0.1 * slope;
                second = 0.999 * second + 0.001 * slope * slope;
                let mean = first / (1.0 - 0.9_f64.powi(t));
                let spread = (second / (1.0 - 0.999_f64.powi(t))).sqrt();
                weight -= lr * mean / (spread + 1e-8);
                weight
            };
            rates.iter().enumerate().map(step).collect::<Vec<f64>>()
        };
        let wanted = adam(0.5, &|w| 2.0 * w).into_iter().zip(adam(0.0, &|_| 3.0));
        close(&path(&train, &rates), &wanted.collect::<Vec<_>>());
    }
}
