//! What a step of an optimiser does to a tensor: in one pass on the CPU, by operations elsewhere.
//!
//! Operation by operation a step of SGD passes nine times over fresh memory, which for a net of dense
//! layers costs more than its products. Both forms give the same bits.

use candle_core::{Result, Tensor, Var};
use rayon::prelude::*;

use crate::models::{with_floats, with_floats_mut};

/// Adam's addend below the fraction.
const EPSILON: f32 = 1e-8;

/// Numbers of a task; no result depends on it.
const CHUNK: usize = 1 << 14;

/// How weights and their buffers follow from the gradient.
#[derive(Clone, Copy, Debug)]
pub(super) enum Rule {
    /// `torch.optim.SGD`, with one buffer if there is momentum: decay joins the gradient.
    Sgd { decay: f32, momentum: f32, nesterov: bool, lr: f32 },
    /// `torch.optim.AdamW`, with two buffers: decay shrinks the weight itself.
    Adamw {
        /// What is kept of a weight.
        shrink: f32,
        /// What is kept of each moment, and what is added of the new one.
        moments: [[f32; 2]; 2],
        /// Learning rate over the first moment's bias.
        rate: f32,
        /// One over the root of the second moment's.
        unbias: f32,
    },
}

impl Rule {
    /// Moves `weight` and its buffers along `gradient`.
    pub(super) fn apply(
        self,
        weight: &Var,
        buffers: &mut [Tensor],
        gradient: &Tensor,
    ) -> Result<()> {
        if weight.device().is_cpu() {
            let targets: Vec<&Tensor> = [weight.as_tensor()].into_iter().chain(&*buffers).collect();
            return in_one_pass(&targets, gradient, &|own, gradient| self.numbers(own, gradient));
        }
        weight.set(&self.by_operations(&weight.as_detached_tensor(), buffers, gradient)?)
    }

    /// The new weight, by Candle's operations.
    fn by_operations(
        self,
        weight: &Tensor,
        buffers: &mut [Tensor],
        gradient: &Tensor,
    ) -> Result<Tensor> {
        match (self, buffers) {
            (Self::Sgd { decay, momentum, nesterov, lr }, buffers) => {
                let mut direction = plus(gradient, decay, weight)?;
                if let [buffer] = buffers {
                    *buffer = plus(&direction, momentum, buffer)?;
                    direction =
                        if nesterov { plus(&direction, momentum, buffer)? } else { buffer.clone() };
                }
                plus(weight, -lr, &direction)
            }
            (Self::Adamw { shrink, moments: [one, two], rate, unbias }, [first, second]) => {
                *first = plus(&times(first, one[0])?, one[1], gradient)?;
                *second = plus(&times(second, two[0])?, two[1], &gradient.sqr()?)?;
                let spread = (times(&second.sqrt()?, unbias)? + f64::from(EPSILON))?;
                plus(&times(weight, shrink)?, -rate, &(&*first / spread)?)
            }
            (Self::Adamw { .. }, _) => Ok(weight.clone()),
        }
    }

    /// The same for a piece of weights and buffers.
    fn numbers(self, own: &mut [&mut [f32]], gradient: &[f32]) {
        match (self, own) {
            (Self::Sgd { decay, lr, .. }, [weight]) => {
                weight.iter_mut().zip(gradient).for_each(|(w, g)| *w += -lr * (g + decay * *w));
            }
            (Self::Sgd { decay, momentum, nesterov, lr }, [weight, buffer]) => {
                for ((w, b), g) in weight.iter_mut().zip(buffer.iter_mut()).zip(gradient) {
                    let direction = g + decay * *w;
                    *b = direction + momentum * *b;
                    *w += -lr * if nesterov { direction + momentum * *b } else { *b };
                }
            }
            (
                Self::Adamw { shrink, moments: [one, two], rate, unbias },
                [weight, first, second],
            ) => {
                let moments = first.iter_mut().zip(second.iter_mut());
                for ((w, (m, v)), g) in weight.iter_mut().zip(moments).zip(gradient) {
                    *m = *m * one[0] + one[1] * g;
                    *v = *v * two[0] + two[1] * (g * g);
                    *w = *w * shrink + -rate * (*m / (v.sqrt() * unbias + EPSILON));
                }
            }
            _ => {}
        }
    }
}

/// `a + factor * b`.
fn plus(a: &Tensor, factor: f32, b: &Tensor) -> Result<Tensor> {
    a + times(b, factor)?
}

/// `factor * a`: a broadcast product is vectorised in Candle, its `affine` is not.
pub(super) fn times(a: &Tensor, factor: f32) -> Result<Tensor> {
    a.broadcast_mul(&Tensor::new(factor, a.device())?)
}

/// What is done to a piece of each target, given that of the gradient.
type OnPiece<'a> = &'a (dyn Fn(&mut [&mut [f32]], &[f32]) + Sync);

/// Changes tensors of the gradient's size piece by piece.
fn in_one_pass(targets: &[&Tensor], gradient: &Tensor, change: OnPiece) -> Result<()> {
    lend(targets, Vec::new(), &mut |targets| {
        with_floats([gradient], |[gradient]| {
            let pieces = gradient.chunks(CHUNK).map(|piece| (Vec::new(), piece));
            let mut pieces: Vec<(Vec<&mut [f32]>, &[f32])> = pieces.collect();
            for target in targets {
                let parts = pieces.iter_mut().zip(target.chunks_mut(CHUNK));
                parts.for_each(|((own, _), part)| own.push(part));
            }
            pieces.into_par_iter().for_each(|(mut own, gradient)| change(&mut own, gradient));
        })
    })
}

/// Lends the numbers of several tensors at once.
fn lend(
    tensors: &[&Tensor],
    lent: Vec<&mut [f32]>,
    f: &mut dyn FnMut(Vec<&mut [f32]>) -> Result<()>,
) -> Result<()> {
    let Some((tensor, rest)) = tensors.split_first() else { return f(lent) };
    with_floats_mut(tensor, move |own| {
        let mut lent = lent;
        lent.push(own);
        lend(rest, lent, f)
    })
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    fn numbers(salt: usize) -> Tensor {
        let number = |i: usize| ((i * 7919 + salt * 104_729) % 2003) as f32 / 1001.5 - 0.9998;
        Tensor::from_vec((0..40_000).map(number).collect(), (200, 200), &Device::Cpu).unwrap()
    }

    #[test]
    fn one_pass_and_operations_have_the_same_bits() {
        let sgd = |momentum, nesterov| Rule::Sgd { decay: 0.1, momentum, nesterov, lr: 0.3 };
        let moments = [[0.9, 0.1], [0.999, 0.001]];
        let adamw = Rule::Adamw { shrink: 0.95, moments, rate: 0.2, unbias: 3.0 };
        for (rule, count) in
            [(sgd(0.0, false), 0), (sgd(0.9, false), 1), (sgd(0.9, true), 1), (adamw, 2)]
        {
            // Moments of squares are not negative.
            let buffers = || (0..count).map(|i| numbers(i).sqr().unwrap()).collect::<Vec<_>>();
            let (mut ours, mut theirs) = (buffers(), buffers());
            let weight = Var::from_tensor(&numbers(7)).unwrap();
            let expected = rule.by_operations(&numbers(7), &mut theirs, &numbers(8)).unwrap();
            rule.apply(&weight, &mut ours, &numbers(8)).unwrap();
            let bits = |t: &Tensor| -> Vec<u32> {
                let values = t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
                values.into_iter().map(f32::to_bits).collect()
            };
            assert!(bits(&weight) == bits(&expected), "{rule:?}");
            assert!(ours.iter().map(bits).eq(theirs.iter().map(bits)), "{rule:?}");
        }
    }
}
