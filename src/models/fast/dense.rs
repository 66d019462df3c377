//! Dense layers, each one operation of Candle's autograd.
//!
//! Candle's own product reaches half of the processor's peak, adds the gradient by the weights to a
//! matrix of zeros, and always takes the gradient by the inputs, which for the first layer is a third
//! of the work.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use candle_core::backprop::GradStore;
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};

use super::super::kernels::{Computed, with_floats, with_floats_mut};
use super::buffer::Shelf;
use super::matrix::Panels;

/// What the dense layers of a net share.
#[derive(Default)]
pub(crate) struct Dense(Arc<Shared>);

#[derive(Default)]
struct Shared {
    panels: Shelf<Panels>,
    gradients: Mutex<Vec<Gradient>>,
}

/// The gradient by a layer's weights, whose memory is kept from step to step.
struct Gradient {
    weight: Tensor,
    by_weight: Tensor,
    /// Whether it is that of the last backward pass.
    fresh: bool,
}

impl Dense {
    /// `weight [out, in] * x [in, batch] + bias [out]`, and its positive part if asked for. If they are
    /// variables, the backward pass leaves the gradient by `weight` for [`Dense::add_gradients`].
    ///
    /// # Errors
    /// If a tensor is not f32 on the CPU, or sizes do not go together.
    pub(crate) fn layer(
        &self,
        x: &Tensor,
        [weight, bias]: [&Tensor; 2],
        relu: bool,
    ) -> Result<Tensor> {
        let (outputs, inputs) = weight.dims2()?;
        let shape: Shape = (outputs, x.dim(1)?).into();
        let (rows, turned) = rows(x)?;
        let mut out = vec![0.0; shape.elem_count()];
        with_floats([&rows, weight, bias], |[x, weight, bias]| {
            self.0.in_pool(|panels| {
                if turned {
                    panels.transpose(x, inputs);
                } else {
                    panels.copy(x, shape.dims()[1]);
                }
                let floor = if relu { 0.0 } else { f32::NEG_INFINITY };
                panels.product(weight, &mut out, |row, out| {
                    for y in out {
                        *y = at_least(*y + bias[row], floor);
                    }
                });
            });
        })?;
        let (weight, shared) = (weight.clone(), Arc::clone(&self.0));
        x.apply_op2(bias, Layer { out: Computed::new(out), shape, weight, relu, shared })
    }

    /// Adds the gradients by weights that a backward pass has left. They hold until the next one.
    pub(crate) fn add_gradients(&self, gradients: &mut GradStore) {
        for left in lock(&self.0.gradients).iter_mut().filter(|left| left.fresh) {
            gradients.insert(&left.weight, left.by_weight.clone());
            left.fresh = false;
        }
    }
}

/// The larger; not a number if `value` is not.
fn at_least(value: f32, floor: f32) -> f32 {
    if value <= floor { floor } else { value }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A matrix as it lies in memory, and whether that is its transpose.
fn rows(x: &Tensor) -> Result<(Tensor, bool)> {
    if x.is_contiguous() { Ok((x.clone(), false)) } else { Ok((x.t()?.contiguous()?, true)) }
}

impl Shared {
    /// Works with panels inside of the thread pool, which is entered once instead of for each loop.
    fn in_pool(&self, work: impl FnOnce(&mut Panels) + Send) {
        rayon::scope(|_| self.panels.with(work));
    }

    /// Where the gradient by a weight goes.
    fn gradient(&self, weight: &Tensor) -> Result<Tensor> {
        let mut gradients = lock(&self.gradients);
        if let Some(known) = gradients.iter_mut().find(|known| known.weight.id() == weight.id()) {
            known.fresh = true;
            return Ok(known.by_weight.clone());
        }
        let (weight, by_weight) = (weight.clone(), weight.zeros_like()?);
        gradients.push(Gradient { weight, by_weight: by_weight.clone(), fresh: true });
        Ok(by_weight)
    }
}

/// One layer, already computed: an operation on inputs and bias, whose gradients are small.
struct Layer {
    out: Computed<Vec<f32>>,
    shape: Shape,
    weight: Tensor,
    relu: bool,
    shared: Arc<Shared>,
}

impl CustomOp2 for Layer {
    fn name(&self) -> &'static str {
        "dense"
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        Ok((CpuStorage::F32(self.out.take()?), self.shape.clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        bias: &Tensor,
        result: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (rows, turned) = rows(x)?;
        let (inputs, batch) = x.dims2()?;
        let gradient = gradient.contiguous()?;
        let by_weight = self.shared.gradient(&self.weight)?;
        let mut by_x = vec![0.0; if x.track_op() { x.elem_count() } else { 0 }];
        let mut by_bias = vec![0.0; bias.elem_count()];
        let tensors = [&rows, &self.weight, result, &gradient];
        let mut compute = |[x, weight, result, gradient]: [&[f32]; 4], by_weight: &mut [f32]| {
            let masked = |(y, g): (&f32, &f32)| if self.relu && *y <= 0.0 { 0.0 } else { *g };
            let gradient: Vec<f32> = result.iter().zip(gradient).map(masked).collect();
            for (sum, row) in by_bias.iter_mut().zip(gradient.chunks_exact(batch)) {
                *sum = row.iter().map(|g| f64::from(*g)).sum::<f64>() as f32;
            }
            self.shared.in_pool(|panels| {
                if turned {
                    panels.copy(x, inputs);
                } else {
                    panels.transpose(x, batch);
                }
                panels.product(&gradient, by_weight, |_, _| ());
                if !by_x.is_empty() {
                    panels.copy(weight, inputs);
                    let mut by_rows = vec![0.0; by_x.len()];
                    panels.product(&transposed(&gradient, batch), &mut by_rows, |_, _| ());
                    by_x = transposed(&by_rows, inputs);
                }
            });
        };
        with_floats_mut(&by_weight, |by_weight| {
            with_floats(tensors, |tensors| compute(tensors, by_weight))
        })?;
        let tensor =
            |numbers, like: &Tensor| Tensor::from_vec(numbers, like.shape(), like.device());
        let by_x = if x.track_op() { Some(tensor(by_x, x)?) } else { None };
        Ok((by_x, Some(tensor(by_bias, bias)?)))
    }
}

/// The transpose of a matrix with so many columns.
fn transposed(matrix: &[f32], columns: usize) -> Vec<f32> {
    let rows = matrix.len() / columns;
    let mut out = vec![0.0; matrix.len()];
    for (i, row) in matrix.chunks_exact(columns).enumerate() {
        for (j, number) in row.iter().enumerate() {
            out[j * rows + i] = *number;
        }
    }
    out
}
