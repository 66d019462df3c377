//! The arithmetic of the steps, on channel-major activations.
//!
//! Each operation is written once with Candle's own differentiable operations, in `reference`: that
//! is what CUDA runs, and what the tests hold the CPU kernels against. On the CPU the reference is
//! slow where it matters (scalar loops in the backward pass of a convolution, a pass over memory
//! for every elementary operation), so there the operations come from `conv` and `kernels`.

use candle_core::{Result, Tensor, Var};

use super::conv::Conv;
use super::kernels;

/// Added to variances, as in PyTorch's `BatchNorm2d`.
pub(super) const EPSILON: f64 = 1e-5;

/// The share of the batch in running statistics, as in PyTorch's `BatchNorm2d`.
const MOMENTUM: f64 = 0.1;

/// What running statistics follow: per channel, the mean and unbiased variance of a batch.
pub(super) struct Moments {
    pub(super) mean: Tensor,
    pub(super) unbiased_var: Tensor,
}

/// `weight [out, in] * x [in, batch] + bias [out]`.
pub(super) fn linear(x: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Tensor> {
    product(weight, x)?.broadcast_add(&bias.unsqueeze(1)?)
}

/// A 3x3 convolution with padding 1: `x [in, batch, h, w]`, `weight [out, in, 3, 3]`, result
/// `[out, batch, h, w]`.
pub(super) fn conv(x: &Tensor, weight: &Tensor) -> Result<Tensor> {
    if !x.device().is_cpu() {
        return reference::conv(x, weight);
    }
    x.apply_op2(weight, Conv)
}

/// `weight * x`. Candle computes the gradient by `x` even where nobody wants it, which for the
/// first layer is a third of the work.
fn product(weight: &Tensor, x: &Tensor) -> Result<Tensor> {
    if x.device().is_cpu() && !x.track_op() {
        return weight.apply_op1(kernels::TimesConstant(x.clone()));
    }
    weight.matmul(x)
}

/// 2x2 max-pooling of `[channels, batch, h, w]`; an odd last row or column is cropped.
pub(super) fn max_pool(x: &Tensor) -> Result<Tensor> {
    if !x.device().is_cpu() {
        return reference::max_pool(x);
    }
    x.apply_op1(kernels::MaxPool)
}

/// Batch norm by the statistics of the batch, then ReLU.
pub(super) fn norm_relu(x: &Tensor, scale: &Tensor, offset: &Tensor) -> Result<(Tensor, Moments)> {
    if !x.device().is_cpu() {
        return reference::norm_relu(x, scale, offset);
    }
    let norm = kernels::NormRelu::of(x)?;
    let moments = norm.moments()?;
    Ok((x.apply_op3(scale, offset, norm)?, moments))
}

/// Batch norm by given `(mean, variance)` per channel, then ReLU. Not differentiable on the CPU.
pub(super) fn norm_relu_by(
    x: &Tensor,
    (mean, var): (&Tensor, &Tensor),
    scale: &Tensor,
    offset: &Tensor,
) -> Result<Tensor> {
    if !x.device().is_cpu() {
        return reference::norm_by(x, (mean, var), scale, offset)?.relu();
    }
    x.apply_op3_no_bwd(scale, offset, &kernels::NormRelu::by(mean, var)?)
}

/// Moves a running statistic towards that of a batch.
pub(super) fn follow(running: &Var, batch: &Tensor) -> Result<()> {
    let kept = (running.as_detached_tensor() * (1.0 - MOMENTUM))?;
    running.set(&(kept + (batch * MOMENTUM)?)?)
}

/// The operations in terms of Candle's own.
mod reference {
    use candle_core::{Result, Tensor};

    use super::{EPSILON, Moments};

    pub(super) fn conv(x: &Tensor, weight: &Tensor) -> Result<Tensor> {
        let batch_major = x.transpose(0, 1)?.contiguous()?;
        batch_major.conv2d(weight, 1, 1, 1, 1)?.transpose(0, 1)?.contiguous()
    }

    /// The gradient of Candle 0.11's own `max_pool2d` is a quarter of the right one.
    pub(super) fn max_pool(x: &Tensor) -> Result<Tensor> {
        let (channels, batch, height, width) = x.dims4()?;
        let (h, w) = (height / 2, width / 2);
        let x = x.narrow(2, 0, 2 * h)?.narrow(3, 0, 2 * w)?;
        let windows = x.contiguous()?.reshape((channels, batch, h, 2, w, 2))?;
        windows.max(5)?.max(3)
    }

    pub(super) fn norm_relu(
        x: &Tensor,
        scale: &Tensor,
        offset: &Tensor,
    ) -> Result<(Tensor, Moments)> {
        let rows = x.flatten_from(1)?;
        let count = rows.dim(1)? as f64;
        let mean = rows.mean_keepdim(1)?.squeeze(1)?;
        let var = rows.broadcast_sub(&mean.unsqueeze(1)?)?.sqr()?.mean_keepdim(1)?.squeeze(1)?;
        let out = norm_by(x, (&mean, &var), scale, offset)?.relu()?;
        let unbiased_var = (var.detach() * (count / (count - 1.0).max(1.0)))?;
        Ok((out, Moments { mean: mean.detach(), unbiased_var }))
    }

    pub(super) fn norm_by(
        x: &Tensor,
        (mean, var): (&Tensor, &Tensor),
        scale: &Tensor,
        offset: &Tensor,
    ) -> Result<Tensor> {
        let factor = scale.div(&(var + EPSILON)?.sqrt()?)?;
        let centred = x.flatten_from(1)?.broadcast_sub(&mean.unsqueeze(1)?)?;
        let rows = centred.broadcast_mul(&factor.unsqueeze(1)?)?;
        rows.broadcast_add(&offset.unsqueeze(1)?)?.reshape(x.shape())
    }
}

#[cfg(test)]
#[path = "ops_tests.rs"]
mod tests;
