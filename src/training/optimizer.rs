//! SGD with momentum and AdamW, with PyTorch's semantics.

use candle_core::backprop::GradStore;
use candle_core::{Tensor, Var};

use super::loss_scale::LossScale;
use super::update::{Rule, times};
use crate::models::Net;
use crate::recipe::{Optimizer as Kind, Train};
use crate::{Error, Result};

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
    scale: Option<LossScale>,
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
            scale: LossScale::new(train),
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

    /// The steps done, the scale of the loss, and the buffers of each trained tensor.
    pub(super) fn state(&self) -> (i32, Option<LossScale>, &[Vec<Tensor>]) {
        (self.steps, self.scale, &self.state)
    }

    /// Goes on from such a state.
    pub(super) fn resume(&mut self, steps: i32, scale: Option<LossScale>, state: Vec<Vec<Tensor>>) {
        (self.steps, self.scale, self.state) = (steps, scale, state);
    }

    /// How many buffers each of `trained` tensors has after so many steps; they are made in the first.
    pub(super) fn counts(&self, steps: i32, trained: usize) -> Vec<usize> {
        vec![self.buffers; if steps == 0 { 0 } else { trained }]
    }

    /// What the gradients of the next step have to be multiplied by; see [`LossScale`].
    pub(super) fn loss_scale(&self) -> f64 {
        self.scale.map_or(1.0, LossScale::factor)
    }

    /// One step at learning rate `lr` by scaled gradients. Where the loss is scaled and they are not finite,
    /// nothing moves but the scale.
    pub(super) fn step(&mut self, net: &Net, gradients: &GradStore, lr: f64) -> Result<()> {
        let inverse = 1.0 / self.loss_scale();
        let moving = moving(net, gradients)?;
        if let Some(scale) = self.scale {
            let finite = are_finite(&moving)?;
            self.scale = Some(scale.after(finite).ok_or_else(overflow)?);
            if !finite {
                return Ok(());
            }
        }
        self.steps += 1;
        for (i, (decayed, var, gradient)) in moving.into_iter().enumerate() {
            let mut gradient = gradient.contiguous()?;
            if self.scale.is_some() {
                gradient = times(&gradient, inverse as f32)?;
            }
            let rule = self.rule(if decayed { self.weight_decay } else { 0.0 }, lr);
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

/// A tensor that moves: whether it decays, and its gradient.
type Moving<'a> = (bool, &'a Var, Tensor);

/// The tensors that move, in name order.
///
/// # Errors
/// `Internal` if one has no gradient: it would stay as it is, and nobody would know.
fn moving<'a>(net: &'a Net, gradients: &GradStore) -> Result<Vec<Moving<'a>>> {
    let trained = net.tensors().filter(|(_, role, _)| role.trained());
    let moving = trained.map(|(name, role, var)| {
        let none = || Error::internal(format!("a backward pass left no gradient by {name}"));
        // A gradient remembers how it was made; kept in the state it would keep all of the step.
        let gradient = gradients.get(var).ok_or_else(none)?.detach();
        Ok((role.decayed(), var, gradient))
    });
    moving.collect()
}

/// Whether all gradients are numbers: 0 times any other is none. The device is asked once.
fn are_finite(moving: &[Moving<'_>]) -> Result<bool> {
    let zeros = moving.iter().map(|(.., gradient)| (gradient * 0.0)?.sum_all());
    let zeros = zeros.collect::<candle_core::Result<Vec<_>>>()?;
    Ok(Tensor::stack(&zeros, 0)?.sum_all()?.to_scalar::<f32>()?.is_finite())
}

fn overflow() -> Error {
    Error::input(
        "training diverged: gradients overflow f16, however little the loss is scaled. Lower train.lr, or \
         set train.precision = \"bf16\"",
    )
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};

    use super::*;
    use crate::models::Architecture;
    use crate::recipe::Precision;
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

    /// As `torch.amp.GradScaler`: a step by gradients that are no numbers is left out.
    #[test]
    fn without_finite_gradients_only_the_scale_moves() {
        let f16 = Train { precision: Precision::F16, ..sgd(false) };
        let net = || {
            let (seed, shape) = (Seed::new(0), Shape::Features { width: 1 });
            Net::new(&Architecture::Linear, shape, 1, &seed, &Device::Cpu).unwrap()
        };
        let (net, fresh, mut optimizer) = (net(), net(), Optimizer::new(&f16));
        let step = |optimizer: &mut Optimizer, slope: f64| {
            let sum = |wanted: &str, slope: f64| {
                let var = net.tensors().find(|(name, ..)| *name == wanted).unwrap().2;
                (var.as_tensor() * slope).unwrap().sum_all().unwrap()
            };
            let loss = (sum("head.weight", slope) + sum("head.bias", 1.0)).unwrap();
            optimizer.step(&net, &loss.backward().unwrap(), 0.1).unwrap();
        };
        let same = || {
            net.tensors().zip(fresh.tensors()).all(|((.., a), (.., b))| {
                let number = |v: &Var| v.flatten_all().unwrap().to_vec1::<f32>().unwrap();
                number(a) == number(b)
            })
        };
        for slope in [f64::INFINITY, f64::NAN] {
            step(&mut optimizer, slope);
            assert!(same(), "{slope}");
            assert!(optimizer.state().0 == 0 && optimizer.state().2.is_empty(), "{slope}");
        }
        assert!((optimizer.loss_scale() - 16_384.0).abs() < f64::EPSILON);
        step(&mut optimizer, 16_384.0);
        assert!(!same() && optimizer.state().0 == 1);
    }

    #[test]
    fn a_missing_gradient_is_named() {
        let (seed, shape) = (Seed::new(0), Shape::Features { width: 1 });
        let net = Net::new(&Architecture::Linear, shape, 1, &seed, &Device::Cpu).unwrap();
        let weight = net.tensors().find(|(name, ..)| *name == "head.weight").unwrap().2;
        let gradients = weight.sum_all().unwrap().backward().unwrap();
        let error = Optimizer::new(&sgd(false)).step(&net, &gradients, 0.1).unwrap_err();
        assert!(error.to_string().contains("no gradient by head.bias"), "{error}");
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
