//! The backbone as one operation of Candle's autograd.
//!
//! One operation per layer would cost a pass over fresh memory for each gradient and lose the
//! fusions: a prototype with the same kernels reached under half of the speed. Candle keeps the head, the
//! loss and the optimiser.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, bail};

use super::super::kernels::with_floats;
use super::plan::Plan;
use super::train::Trainer;

/// A net in training. Its buffers hold one forward pass, that of the last call.
pub(crate) struct Backbone {
    features: usize,
    state: Arc<Mutex<State>>,
}

struct State {
    trainer: Trainer,
    /// Counts forward passes.
    generation: u64,
}

impl Backbone {
    pub(crate) fn new(plan: Plan) -> Self {
        let features = plan.features();
        let state = State { trainer: Trainer::new(plan), generation: 0 };
        Self { features, state: Arc::new(Mutex::new(state)) }
    }

    /// Features `[batch, channels]` of `x [batch, channels, height, width]`, differentiable by
    /// `theta` until the next call, and the batch's means and unbiased variances.
    ///
    /// # Errors
    /// If a tensor is not contiguous f32 on the CPU, or of another size than the plan says, or if
    /// `x` wants a gradient.
    pub(crate) fn forward(&self, x: &Tensor, theta: &Tensor) -> Result<(Tensor, Vec<f32>)> {
        if x.track_op() {
            bail!("the fast path has no gradient by images");
        }
        let mut state = lock(&self.state);
        state.generation += 1;
        let generation = state.generation;
        let (features, statistics) =
            with_floats([x, theta], |[x, theta]| state.trainer.forward(x, theta))??;
        drop(state);
        let shape = (features.len() / self.features, self.features).into();
        let state = Arc::clone(&self.state);
        let step = Step { features: Mutex::new(features), shape, generation, state };
        Ok((theta.apply_op1(step)?, statistics))
    }
}

/// One forward pass, already computed: an operation on theta, as images have no gradient.
struct Step {
    features: Mutex<Vec<f32>>,
    shape: Shape,
    generation: u64,
    state: Arc<Mutex<State>>,
}

impl CustomOp1 for Step {
    fn name(&self) -> &'static str {
        "backbone"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        let features = std::mem::take(&mut *lock(&self.features));
        Ok((CpuStorage::F32(features), self.shape.clone()))
    }

    fn bwd(&self, theta: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let mut state = lock(&self.state);
        if state.generation != self.generation {
            bail!("the net ran forward again before this backward pass, which needs its buffers");
        }
        let gradient = gradient.contiguous()?;
        let by_theta = with_floats([theta, &gradient], |[theta, gradient]| {
            state.trainer.backward(theta, gradient)
        })??;
        Tensor::from_vec(by_theta, theta.shape(), theta.device()).map(Some)
    }
}

/// A panic of another holder leaves buffers that the next forward pass overwrites.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
