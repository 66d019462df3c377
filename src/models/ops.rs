//! The arithmetic of the steps, on channel-major activations.
//!
//! Everything is made of Candle's own differentiable operations, but for one: [`Unfold`]. Candle's
//! CPU convolution has a backward pass of scalar loops, so on the CPU a convolution is a matrix
//! product over unfolded patches. CUDA takes Candle's convolution.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, Var, bail};
use rayon::prelude::*;

/// Added to variances, as in PyTorch's `BatchNorm2d`.
const EPSILON: f64 = 1e-5;

/// The share of the batch in running statistics, as in PyTorch's `BatchNorm2d`.
const MOMENTUM: f64 = 0.1;

/// `weight [out, in] * x [in, batch] + bias [out]`.
pub(super) fn linear(x: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Tensor> {
    weight.matmul(x)?.broadcast_add(&bias.unsqueeze(1)?)
}

/// A 3x3 convolution with padding 1: `x [in, batch, h, w]`, `weight [out, in, 3, 3]`, result
/// `[out, batch, h, w]`.
pub(super) fn conv(x: &Tensor, weight: &Tensor) -> Result<Tensor> {
    if !x.device().is_cpu() {
        let batch_major = x.transpose(0, 1)?.contiguous()?;
        return batch_major.conv2d(weight, 1, 1, 1, 1)?.transpose(0, 1)?.contiguous();
    }
    let (_, batch, height, width) = x.dims4()?;
    let patches = x.contiguous()?.apply_op1(Unfold)?;
    weight.flatten_from(1)?.matmul(&patches)?.reshape(((), batch, height, width))
}

/// 2x2 max-pooling; an odd last row or column is cropped. The gradient of Candle 0.11's own
/// `max_pool2d` is a quarter of the right one.
pub(super) fn max_pool(x: &Tensor) -> Result<Tensor> {
    let (channels, batch, height, width) = x.dims4()?;
    let (h, w) = (height / 2, width / 2);
    let x = x.narrow(2, 0, 2 * h)?.narrow(3, 0, 2 * w)?;
    let windows = x.contiguous()?.reshape((channels, batch, h, 2, w, 2))?;
    windows.max(5)?.max(3)
}

/// Batch norm by the statistics of the batch. Returns the result and, per channel, the mean and
/// the unbiased variance, which running statistics follow.
pub(super) fn norm(x: &Tensor, scale: &Tensor, offset: &Tensor) -> Result<(Tensor, Tensor, Tensor)> {
    let rows = x.flatten_from(1)?;
    let count = rows.dim(1)? as f64;
    let mean = rows.mean_keepdim(1)?;
    let centred = rows.broadcast_sub(&mean)?;
    let var = centred.sqr()?.mean_keepdim(1)?;
    let factor = scale.unsqueeze(1)?.div(&(&var + EPSILON)?.sqrt()?)?;
    let out = centred.broadcast_mul(&factor)?.broadcast_add(&offset.unsqueeze(1)?)?;
    let unbiased = (var.detach().squeeze(1)? * (count / (count - 1.0).max(1.0)))?;
    Ok((out.reshape(x.shape())?, mean.detach().squeeze(1)?, unbiased))
}

/// Batch norm by given `(mean, variance)` per channel.
pub(super) fn norm_by(
    x: &Tensor,
    (mean, var): (&Tensor, &Tensor),
    scale: &Tensor,
    offset: &Tensor,
) -> Result<Tensor> {
    let factor = scale.div(&(var + EPSILON)?.sqrt()?)?;
    let shift = (offset - mean.mul(&factor)?)?;
    let rows = x.flatten_from(1)?.broadcast_mul(&factor.unsqueeze(1)?)?;
    rows.broadcast_add(&shift.unsqueeze(1)?)?.reshape(x.shape())
}

/// Moves a running statistic towards that of a batch.
pub(super) fn follow(running: &Var, batch: &Tensor) -> Result<()> {
    let kept = (running.as_detached_tensor() * (1.0 - MOMENTUM))?;
    running.set(&(kept + (batch * MOMENTUM)?)?)
}

/// Unfolds `[channels, batch, h, w]` into the 3x3 patches around each pixel, zero outside the
/// image: `[channels * 9, batch * h * w]`. Its gradient folds patches back by summation.
struct Unfold;

/// The gradient of [`Unfold`]: sums patches into `[channels, batch, h, w]`.
struct Fold([usize; 4]);

impl CustomOp1 for Unfold {
    fn name(&self) -> &'static str {
        "unfold-3x3"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (channels, batch, height, width) = layout.shape().dims4()?;
        let x = contiguous(storage, layout)?;
        let plane = batch * height * width;
        let mut out = vec![0_f32; channels * 9 * plane];
        out.par_chunks_mut(plane).enumerate().for_each(|(row, out)| {
            let x = &x[row / 9 * plane..][..plane];
            let shift = Shift::new(row % 9, height, width);
            for (out, x) in out.chunks_mut(height * width).zip(x.chunks(height * width)) {
                shift.rows().for_each(|(o, i)| out[o].copy_from_slice(&x[i]));
            }
        });
        Ok((CpuStorage::F32(out), (channels * 9, plane).into()))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let (channels, batch, height, width) = x.dims4()?;
        let fold = Fold([channels, batch, height, width]);
        grad.contiguous()?.apply_op1_no_bwd(&fold).map(Some)
    }
}

impl CustomOp1 for Fold {
    fn name(&self) -> &'static str {
        "fold-3x3"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let [channels, batch, height, width] = self.0;
        let patches = contiguous(storage, layout)?;
        let (plane, image) = (batch * height * width, height * width);
        let mut out = vec![0_f32; channels * plane];
        out.par_chunks_mut(image).enumerate().for_each(|(index, out)| {
            let (channel, sample) = (index / batch, index % batch);
            for tap in 0..9 {
                let patch = &patches[(channel * 9 + tap) * plane + sample * image..][..image];
                let shift = Shift::new(tap, height, width);
                shift.rows().for_each(|(o, i)| add(&mut out[i], &patch[o]));
            }
        });
        Ok((CpuStorage::F32(out), self.0.as_slice().into()))
    }
}

/// One of the nine places of a 3x3 kernel: patch pixel `(y, x)` is image pixel `(y + dy, x + dx)`.
struct Shift {
    dy: isize,
    dx: isize,
    height: usize,
    width: usize,
}

impl Shift {
    fn new(tap: usize, height: usize, width: usize) -> Self {
        Self { dy: tap as isize / 3 - 1, dx: tap as isize % 3 - 1, height, width }
    }

    /// For each row inside the image: the range in the patch plane and that in the image plane.
    fn rows(&self) -> impl Iterator<Item = (std::ops::Range<usize>, std::ops::Range<usize>)> {
        let (width, dy, dx) = (self.width, self.dy, self.dx);
        let ys = usize::from(dy < 0)..self.height - usize::from(dy > 0);
        let (left, right) = (usize::from(dx < 0), usize::from(dx > 0));
        ys.filter(move |_| width > left + right || dx == 0).map(move |y| {
            let out = y * width + left..(y + 1) * width - right;
            let offset = dy * width as isize + dx;
            let into = |i: usize| i.wrapping_add_signed(offset);
            (out.clone(), into(out.start)..into(out.end))
        })
    }
}

fn add(out: &mut [f32], more: &[f32]) {
    for (out, more) in out.iter_mut().zip(more) {
        *out += more;
    }
}

fn contiguous<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    let Some((start, end)) = layout.contiguous_offsets() else {
        bail!("the operation needs a contiguous tensor");
    };
    Ok(&storage.as_slice::<f32>()?[start..end])
}
