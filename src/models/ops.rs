//! The arithmetic of the steps, on channel-major activations, by Candle's own differentiable
//! operations.
//!
//! This is what nets run on CUDA. On the CPU convolution nets and dense layers run in `fast`, which the
//! tests hold against these operations.
//!
//! Parameters are f32. Each operation takes them as numbers of the kind that its activations have, bf16
//! or f16 as well, and sums what many samples add to one number in f32, forward and backward.

use candle_core::{DType, Result, Tensor, Var, bail};

use super::conv::convolution;

/// Added to variances, as in PyTorch's `BatchNorm2d`.
const EPSILON: f64 = 1e-5;

/// The share of the batch in running statistics, as in PyTorch's `BatchNorm2d`.
const MOMENTUM: f64 = 0.1;

/// `weight [out, in] * x [in, batch] + bias [out]`.
pub(super) fn linear(x: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Tensor> {
    let out = weight.to_dtype(x.dtype())?.matmul(x)?;
    &out + spread(&bias.unsqueeze(1)?, &out)?
}

/// An f32 parameter repeated to the shape of `x`, as numbers of its kind. Its gradient is widened before
/// it is summed: Candle sums numbers of 16 bits in 16 bits.
pub(super) fn spread(parameter: &Tensor, x: &Tensor) -> Result<Tensor> {
    parameter.broadcast_as(x.shape())?.to_dtype(x.dtype())
}

/// The numbers of `x` in 32 bits.
pub(super) fn wide(x: &Tensor) -> Result<Tensor> {
    x.to_dtype(DType::F32)
}

/// A convolution with padding `kernel / 2`: `x [in, batch, h, w]`, `weight [out, in, kernel,
/// kernel]`, result `[out, batch, h / stride, w / stride]`, rounded up. Candle's convolutions on the CPU
/// know no bf16: there the same numbers go in as f32.
pub(super) fn conv(x: &Tensor, weight: &Tensor, stride: usize) -> Result<Tensor> {
    let kind = x.dtype();
    let weight = weight.to_dtype(kind)?;
    if x.device().is_cpu() && kind != DType::F32 {
        return conv(&wide(x)?, &wide(&weight)?, stride)?.to_dtype(kind);
    }
    let batch_major = x.transpose(0, 1)?.contiguous()?;
    convolution(&batch_major, &weight, stride)?.transpose(0, 1)?.contiguous()
}

/// Max-pooling of `[channels, batch, h, w]` with stride 2: 2x2, where an odd last row or column is
/// cropped, or 3x3 with a border of one pixel. Of equal maxima the first gets the gradient, as in
/// PyTorch. The gradient of Candle 0.11's own `max_pool2d` is `1 / kernel^2` of the right one, and that
/// of its `max` goes to all equal maxima, which even areas of an image have.
pub(super) fn max_pool(x: &Tensor, kernel: usize) -> Result<Tensor> {
    let taps = |x: &Tensor, axis| {
        let x = bordered(x, axis, kernel)?;
        (0..kernel).map(|tap| every_second(&x, axis, tap, kernel)).collect::<Result<Vec<_>>>()
    };
    let mut top: Option<Tensor> = None;
    for row in taps(x, 2)? {
        for next in taps(&row, 3)? {
            top = Some(match top {
                Some(top) => next.le(&top)?.where_cond(&top, &next)?,
                None => next,
            });
        }
    }
    top.map_or_else(|| bail!("a window without pixels"), Ok)
}

/// `x` with minus infinity around it on one axis, and as long as windows need.
fn bordered(x: &Tensor, axis: usize, kernel: usize) -> Result<Tensor> {
    let (before, len) = ((kernel - 1) / 2, x.dim(axis)?);
    let outputs = (len + 2 * before - kernel) / 2 + 1;
    let wanted = 2 * (outputs + before);
    let border = |count: usize| {
        let mut shape = x.dims().to_vec();
        shape[axis] = count;
        Tensor::full(f32::NEG_INFINITY, shape, x.device())?.to_dtype(x.dtype())
    };
    let x = x.narrow(axis, 0, len.min(wanted - before))?;
    let mut parts = vec![x.clone()];
    if before > 0 {
        parts.insert(0, border(before)?);
    }
    if before + x.dim(axis)? < wanted {
        parts.push(border(wanted - before - x.dim(axis)?)?);
    }
    Tensor::cat(&parts, axis)?.contiguous()
}

/// The pixels of a bordered axis that a tap of the window reads.
fn every_second(x: &Tensor, axis: usize, tap: usize, kernel: usize) -> Result<Tensor> {
    let pairs = x.dim(axis)? / 2;
    let mut shape = x.dims().to_vec();
    shape.splice(axis..=axis, [pairs, 2]);
    let outputs = pairs - (kernel - 1) / 2;
    let x = x.reshape(shape)?.narrow(axis, tap / 2, outputs)?;
    x.narrow(axis + 1, tap % 2, 1)?.squeeze(axis + 1)?.contiguous()
}

/// Mean and population variance of each channel of `x`, which is f32; differentiable.
pub(super) fn moments(x: &Tensor) -> Result<(Tensor, Tensor)> {
    let rows = x.flatten_from(1)?;
    let mean = rows.mean_keepdim(1)?;
    let var = rows.broadcast_sub(&mean)?.sqr()?.mean_keepdim(1)?;
    Ok((mean.squeeze(1)?, var.squeeze(1)?))
}

/// The variance over `count` numbers as running statistics follow it.
pub(super) fn unbiased(var: &Tensor, count: usize) -> Result<Tensor> {
    let count = count as f64;
    var.detach() * (count / (count - 1.0).max(1.0))
}

/// Batch norm of `x [channels, ...]`, which is f32, by given `(mean, variance)` per channel.
pub(super) fn norm(
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

/// The mean over each channel's pixels in f32, `[channels, batch]`.
pub(super) fn average(x: &Tensor) -> Result<Tensor> {
    wide(x)?.flatten_from(2)?.mean(2)
}

/// Moves a running statistic towards that of a batch.
pub(super) fn follow(running: &Var, batch: &Tensor) -> Result<()> {
    let kept = (running.as_detached_tensor() * (1.0 - MOMENTUM))?;
    running.set(&(kept + (batch * MOMENTUM)?)?)
}

#[cfg(test)]
#[path = "ops_tests.rs"]
mod tests;
