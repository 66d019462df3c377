//! CPU kernels behind `ops`, as custom operations of Candle's autograd.
//!
//! Work is split by channel or image, never by thread, and every sum has one fixed order: results
//! have the same bits for any number of threads.

use candle_core::{CpuStorage, CustomOp1, CustomOp3, Layout, Result, Shape, Storage, Tensor, bail};
use rayon::prelude::*;

use super::ops::{EPSILON, Moments};

type Gradients3 = (Option<Tensor>, Option<Tensor>, Option<Tensor>);

/// `weight * constant`, a matrix product that keeps no gradient for its right side.
pub(super) struct TimesConstant(pub(super) Tensor);

impl CustomOp1 for TimesConstant {
    fn name(&self) -> &'static str {
        "times-constant"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let weight = Tensor::from_slice(floats(storage, layout)?, layout.shape(), self.0.device())?;
        let out = weight.matmul(&self.0)?;
        Ok((CpuStorage::F32(out.flatten_all()?.to_vec1()?), out.shape().clone()))
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        grad.matmul(&self.0.t()?).map(Some)
    }
}

/// 2x2 max-pooling of `[channels, batch, h, w]`. Of equal maxima the first gets the gradient, as
/// in PyTorch.
pub(super) struct MaxPool;

impl CustomOp1 for MaxPool {
    fn name(&self) -> &'static str {
        "max-pool-2x2"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (channels, batch, height, width) = layout.shape().dims4()?;
        let (down, across) = (height / 2, width / 2);
        let x = floats(storage, layout)?;
        let mut out = vec![0_f32; channels * batch * down * across];
        let planes = out.par_chunks_mut(down * across).zip(x.par_chunks(height * width));
        planes.for_each(|(out, x)| {
            for (out, rows) in out.chunks_mut(across).zip(x.chunks(2 * width)) {
                let (upper, lower) = rows.split_at(width);
                let pairs = upper.chunks_exact(2).zip(lower.chunks_exact(2));
                for (out, (u, l)) in out.iter_mut().zip(pairs) {
                    *out = largest([u[0], u[1], l[0], l[1]]);
                }
            }
        });
        Ok((CpuStorage::F32(out), (channels, batch, down, across).into()))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let (_, _, height, width) = x.dims4()?;
        let (down, across) = (height / 2, width / 2);
        let mut out = vec![0_f32; x.elem_count()];
        with_floats([x, grad], |[x, grad]| {
            let planes = x.par_chunks(height * width).zip(grad.par_chunks(down * across));
            out.par_chunks_mut(height * width).zip(planes).for_each(|(out, (x, grad))| {
                for (i, gradient) in grad.iter().enumerate() {
                    let corner = i / across * 2 * width + i % across * 2;
                    let window = [corner, corner + 1, corner + width, corner + width + 1];
                    let top = largest(window.map(|p| x[p]));
                    if let Some(place) = window.into_iter().find(|p| x[*p] >= top) {
                        out[place] = *gradient;
                    }
                }
            });
        })?;
        Tensor::from_vec(out, x.shape(), x.device()).map(Some)
    }
}

/// The largest of four; not a number if one of them is not, so that divergence shows.
fn largest(values: [f32; 4]) -> f32 {
    values.into_iter().fold(f32::NEG_INFINITY, |a, b| if b > a || b.is_nan() { b } else { a })
}

/// Batch norm and ReLU in one pass: `max(0, (x - mean) * inverse * scale + offset)` per channel,
/// where `inverse = 1 / sqrt(variance + epsilon)`.
pub(super) struct NormRelu {
    mean: Vec<f32>,
    inverse: Vec<f32>,
    unbiased_var: Vec<f32>,
}

impl NormRelu {
    /// By the statistics of the batch `x [channels, ...]` itself, on which the gradient relies.
    pub(super) fn of(x: &Tensor) -> Result<Self> {
        let len = x.elem_count() / x.dim(0)?;
        let moments = with_floats([x], |[x]| x.par_chunks(len).map(moments).collect::<Vec<_>>())?;
        let correction = len as f64 / (len as f64 - 1.0).max(1.0);
        Ok(Self {
            mean: moments.iter().map(|(mean, _)| *mean as f32).collect(),
            inverse: moments.iter().map(|(_, var)| inverse_root(*var)).collect(),
            unbiased_var: moments.iter().map(|(_, var)| (var * correction) as f32).collect(),
        })
    }

    /// By given statistics.
    pub(super) fn by(mean: &Tensor, var: &Tensor) -> Result<Self> {
        let unbiased_var = var.to_vec1::<f32>()?;
        let inverse = unbiased_var.iter().map(|v| inverse_root(f64::from(*v))).collect();
        Ok(Self { mean: mean.to_vec1()?, inverse, unbiased_var })
    }

    /// What running statistics follow.
    pub(super) fn moments(&self) -> Result<Moments> {
        let tensor = |v: &Vec<f32>| Tensor::new(v.as_slice(), &candle_core::Device::Cpu);
        Ok(Moments { mean: tensor(&self.mean)?, unbiased_var: tensor(&self.unbiased_var)? })
    }
}

impl CustomOp3 for NormRelu {
    fn name(&self) -> &'static str {
        "norm-relu"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        scale: &CpuStorage,
        scale_layout: &Layout,
        offset: &CpuStorage,
        offset_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (x, shape) = (floats(x, x_layout)?, x_layout.shape());
        let (scale, offset) = (floats(scale, scale_layout)?, floats(offset, offset_layout)?);
        let len = shape.elem_count() / scale.len().max(1);
        let mut out = vec![0_f32; x.len()];
        out.par_chunks_mut(len).zip(x.par_chunks(len)).enumerate().for_each(|(c, (out, x))| {
            let (mean, factor, offset) = (self.mean[c], self.inverse[c] * scale[c], offset[c]);
            for (out, x) in out.iter_mut().zip(x) {
                let y = (x - mean) * factor + offset;
                *out = if y <= 0.0 { 0.0 } else { y };
            }
        });
        Ok((CpuStorage::F32(out), shape.clone()))
    }

    /// With `g` the gradient where the result is positive, `n` values per channel and
    /// `h = (x - mean) * inverse`: by the offset sum(g), by the scale sum(g h), and by x
    /// `scale * inverse * (g - sum(g) / n - h sum(g h) / n)` (Ioffe & Szegedy 2015, section 3).
    fn bwd(
        &self,
        x: &Tensor,
        scale: &Tensor,
        _: &Tensor,
        result: &Tensor,
        grad: &Tensor,
    ) -> Result<Gradients3> {
        let (channels, len) = (x.dim(0)?, x.elem_count() / x.dim(0)?);
        let mut out = vec![0_f32; x.elem_count()];
        let sums = with_floats([x, scale, result, grad], |[x, scale, result, grad]| {
            let rows = x.par_chunks(len).zip(result.par_chunks(len)).zip(grad.par_chunks(len));
            let rows = out.par_chunks_mut(len).zip(rows).enumerate();
            rows.map(|(c, (out, ((x, y), grad)))| {
                let (mean, inverse) = (self.mean[c], self.inverse[c]);
                norm_relu_gradient(out, x, y, grad, (mean, inverse, scale[c]))
            })
            .collect::<Vec<_>>()
        })?;
        let (by_offset, by_scale): (Vec<f32>, Vec<f32>) = sums.into_iter().unzip();
        let vector = |v: Vec<f32>| Tensor::from_vec(v, channels, x.device()).map(Some);
        let by_x = Tensor::from_vec(out, x.shape(), x.device())?;
        Ok((Some(by_x), vector(by_scale)?, vector(by_offset)?))
    }
}

/// The gradient of one channel by x, into `out`; returns those by offset and by scale.
fn norm_relu_gradient(
    out: &mut [f32],
    x: &[f32],
    y: &[f32],
    grad: &[f32],
    (mean, inverse, scale): (f32, f32, f32),
) -> (f32, f32) {
    for (out, (y, g)) in out.iter_mut().zip(y.iter().zip(grad)) {
        *out = if *y > 0.0 { *g } else { 0.0 };
    }
    let sum = sum_by(out, x, |g, _| g);
    let sum_h = sum_by(out, x, |g, x| g * (x - mean)) * f64::from(inverse);
    let n = x.len() as f64;
    let (shift, slope) = ((sum / n) as f32, (sum_h / n) as f32 * inverse);
    let factor = scale * inverse;
    for (out, x) in out.iter_mut().zip(x) {
        *out = factor * (*out - shift - (x - mean) * slope);
    }
    (sum as f32, sum_h as f32)
}

fn inverse_root(var: f64) -> f32 {
    (1.0 / (var + EPSILON).sqrt()) as f32
}

/// Mean and population variance, in two passes so that a large mean costs no digits.
fn moments(x: &[f32]) -> (f64, f64) {
    let n = x.len() as f64;
    let mean = sum_by(x, x, |x, _| x) / n;
    let centre = mean as f32;
    (mean, sum_by(x, x, |x, _| (x - centre) * (x - centre)) / n)
}

/// Sums `f(a, b)`: eight interleaved f32 sums over 512 terms, which processors add at once, and
/// f64 over those.
fn sum_by(a: &[f32], b: &[f32], f: impl Fn(f32, f32) -> f32) -> f64 {
    let mut total = 0.0;
    for (a, b) in a.chunks(512).zip(b.chunks(512)) {
        let mut lanes = [0_f32; 8];
        let (wide_a, rest_a) = a.as_chunks::<8>();
        let (wide_b, rest_b) = b.as_chunks::<8>();
        for (a, b) in wide_a.iter().zip(wide_b) {
            for ((lane, a), b) in lanes.iter_mut().zip(a).zip(b) {
                *lane += f(*a, *b);
            }
        }
        let rest: f32 = rest_a.iter().zip(rest_b).map(|(a, b)| f(*a, *b)).sum();
        total += f64::from(lanes.iter().sum::<f32>() + rest);
    }
    total
}

/// Lends the numbers of contiguous CPU tensors.
pub(super) fn with_floats<const N: usize, R>(
    tensors: [&Tensor; N],
    f: impl FnOnce([&[f32]; N]) -> R,
) -> Result<R> {
    let guards = tensors.map(Tensor::storage_and_layout);
    let mut slices: [&[f32]; N] = [&[]; N];
    for (slice, (storage, layout)) in slices.iter_mut().zip(&guards) {
        let Storage::Cpu(storage) = &**storage else { bail!("the kernel needs CPU tensors") };
        *slice = floats(storage, layout)?;
    }
    Ok(f(slices))
}

pub(super) fn floats<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    let Some((start, end)) = layout.contiguous_offsets() else {
        bail!("the kernel needs contiguous tensors");
    };
    Ok(&storage.as_slice::<f32>()?[start..end])
}
