//! The backbone as one operation of Candle's autograd.
//!
//! One operation per layer would cost a pass over fresh memory for each gradient and lose the
//! fusions: a prototype with the same kernels reached under half of the speed. Candle keeps the head, the
//! loss and the optimiser. Candle would also add the gradient by theta to a vector of zeros and cut it
//! into copies, so it stays here until somebody takes it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use candle_core::{CpuStorage, CustomOp1, DType, Device, Layout, Result, Shape, Tensor, Var, bail};

use super::super::kernels::{Computed, with_floats};
use super::plan::Plan;
use super::train::Trainer;

/// A net in training. Its buffers hold one forward pass, that of the last call.
pub(crate) struct Backbone {
    features: usize,
    /// What the operation is one on: a number that nothing depends on.
    anchor: Var,
    state: Arc<Mutex<State>>,
}

struct State {
    trainer: Trainer,
    /// Counts forward passes.
    generation: u64,
    /// The gradient by theta.
    gradient: Option<Vec<f32>>,
}

impl Backbone {
    /// A net that has not run yet.
    ///
    /// # Errors
    /// None on the CPU, but Candle says that there may be.
    pub(crate) fn new(plan: Plan) -> Result<Self> {
        let features = plan.features();
        let state = State { trainer: Trainer::new(plan), generation: 0, gradient: None };
        let anchor = Var::zeros((), DType::F32, &Device::Cpu)?;
        Ok(Self { features, anchor, state: Arc::new(Mutex::new(state)) })
    }

    /// Features `[batch, channels]` of `x [batch, channels, height, width]` and the batch's means and
    /// unbiased variances. If features are tracked, a backward pass before the next call leaves the
    /// gradient by `theta` for [`Backbone::take_gradient`].
    ///
    /// # Errors
    /// If a tensor is not contiguous f32 on the CPU, or of another size than the plan says, or if
    /// `x` wants a gradient.
    pub(crate) fn forward(
        &self,
        x: &Tensor,
        theta: &Tensor,
        tracked: bool,
    ) -> Result<(Tensor, Vec<f32>)> {
        if x.track_op() {
            bail!("the fast path has no gradient by images");
        }
        let mut state = lock(&self.state);
        state.generation += 1;
        state.gradient = None;
        let generation = state.generation;
        let trainer = &mut state.trainer;
        // Entered once, the thread pool need not be woken for each node.
        let (features, statistics) =
            with_floats([x, theta], |[x, theta]| rayon::scope(|_| trainer.forward(x, theta)))??;
        drop(state);
        let shape = (features.len() / self.features, self.features).into();
        let (state, theta) = (Arc::clone(&self.state), theta.clone());
        let step = Step { features: Computed::new(features), shape, theta, generation, state };
        let anchor =
            if tracked { self.anchor.as_tensor() } else { &self.anchor.as_detached_tensor() };
        Ok((anchor.apply_op1(step)?, statistics))
    }

    /// The gradient by theta that the last backward pass has left.
    pub(crate) fn take_gradient(&self) -> Option<Vec<f32>> {
        lock(&self.state).gradient.take()
    }
}

/// One forward pass, already computed.
struct Step {
    features: Computed<Vec<f32>>,
    shape: Shape,
    theta: Tensor,
    generation: u64,
    state: Arc<Mutex<State>>,
}

impl CustomOp1 for Step {
    fn name(&self) -> &'static str {
        "backbone"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        Ok((CpuStorage::F32(self.features.take()?), self.shape.clone()))
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let mut state = lock(&self.state);
        if state.generation != self.generation {
            bail!("the net ran forward again before this backward pass, which needs its buffers");
        }
        let gradient = gradient.contiguous()?;
        let trainer = &mut state.trainer;
        let by_theta = with_floats([&self.theta, &gradient], |[theta, gradient]| {
            rayon::scope(|_| trainer.backward(theta, gradient))
        })??;
        state.gradient = Some(by_theta);
        Ok(None)
    }
}

/// A panic of another holder leaves buffers that the next forward pass overwrites.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
