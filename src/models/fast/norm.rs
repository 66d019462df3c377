//! Batch norm: sums per image while it is in the cache, and what they come down to.
//!
//! An image's sums are f32 over short runs of pixels and f64 over those; images are summed in f64
//! and in order, so no result depends on who computed which image. Variances are taken around each
//! image's own mean, hence a mean far above the deviation costs no digits. The normalised values
//! themselves are never stored: readers of a convolution's result apply [`Affine`] to it, readers of
//! its gradient [`GradientAffine`].

use pulp::{Simd, WithSimd};

use super::plan::{Conv, Size};
use super::simd::{Affine, LANES, Pixel, View, blocks, per_pixel, vectors, vectors_mut};

/// Added to variances, as in PyTorch's `BatchNorm2d`.
const EPSILON: f64 = 1e-5;

/// Pixels that are summed in f32.
const RUN: usize = 64;

/// Sums `term(vector, v)` over all vectors of `len` pixels, per channel.
#[inline(always)]
fn sum<S: Simd>(simd: S, len: usize, term: impl Fn(usize, usize) -> S::f32s) -> [f64; LANES] {
    let per = per_pixel::<S>();
    let mut total = [0.0; LANES];
    for start in (0..len).step_by(RUN) {
        let run = RUN.min(len - start);
        let mut sums = [0.0; LANES];
        for v in 0..per {
            // Four sums at once, as an addition takes as long as four may start.
            let mut four = [simd.splat_f32s(0.0); 4];
            for i in 0..run / 4 {
                for (j, sum) in four.iter_mut().enumerate() {
                    *sum = simd.add_f32s(*sum, term((start + 4 * i + j) * per + v, v));
                }
            }
            for i in run / 4 * 4..run {
                four[0] = simd.add_f32s(four[0], term((start + i) * per + v, v));
            }
            let [a, b, c, d] = four;
            let all = simd.add_f32s(simd.add_f32s(a, b), simd.add_f32s(c, d));
            vectors_mut::<S>(std::slice::from_mut(&mut sums))[v] = all;
        }
        total.iter_mut().zip(sums).for_each(|(total, sum)| *total += f64::from(sum));
    }
    total
}

/// Mean and sum of squared deviations of one image, per channel: into `out [2, channels]`.
pub(super) struct Moments<'a> {
    pub(super) size: Size,
    pub(super) image: &'a [Pixel],
    pub(super) out: &'a mut [f64],
}

impl WithSimd for Moments<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let len = self.size.plane();
        let (means, squares) = self.out.split_at_mut(self.out.len() / 2);
        for (block, plane) in self.image.chunks_exact(len).enumerate() {
            let plane = vectors::<S>(plane);
            let total = sum(simd, len, |i, _| plane[i]);
            let mean = [total.map(|total| (total / len as f64) as f32)];
            let mean = vectors::<S>(&mean);
            let square = sum(simd, len, |i, v| {
                let x = simd.sub_f32s(plane[i], mean[v]);
                simd.mul_f32s(x, x)
            });
            let at = block * LANES..(block + 1) * LANES;
            means[at.clone()].copy_from_slice(&total.map(|total| total / len as f64));
            squares[at].copy_from_slice(&square);
        }
    }
}

/// Sets a gradient to zero where ReLU did.
pub(super) struct Mask<'a> {
    pub(super) size: Size,
    /// What went into ReLU, so that the view is its result.
    pub(super) view: View<'a>,
    pub(super) gradient: &'a mut [Pixel],
}

impl WithSimd for Mask<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (zero, per, len) = (simd.splat_f32s(0.0), per_pixel::<S>(), self.size.plane());
        let planes = self.gradient.chunks_exact_mut(len).zip(self.view.pixels.chunks_exact(len));
        for (block, (gradient, view)) in planes.enumerate() {
            let (gradient, view) = (vectors_mut::<S>(gradient), vectors::<S>(view));
            for v in 0..per {
                let affine = self.view.affine.vector(simd, block, v);
                for (g, x) in
                    gradient[v..].iter_mut().step_by(per).zip(view[v..].iter().step_by(per))
                {
                    let off = simd.less_than_or_equal_f32s(affine.of(simd, *x), zero);
                    *g = simd.select_f32s(off, zero, *g);
                }
            }
        }
    }
}

/// Sums of an image's gradient, and of its product with the deviations: into `out [2, channels]`.
pub(super) struct GradientSums<'a> {
    pub(super) size: Size,
    pub(super) gradient: &'a [Pixel],
    pub(super) y: &'a [Pixel],
    pub(super) mean: &'a [Pixel],
    pub(super) out: &'a mut [f64],
}

impl WithSimd for GradientSums<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let len = self.size.plane();
        let (plain, products) = self.out.split_at_mut(self.out.len() / 2);
        let planes = self.gradient.chunks_exact(len).zip(self.y.chunks_exact(len));
        for (block, (gradient, y)) in planes.enumerate() {
            let (gradient, y) = (vectors::<S>(gradient), vectors::<S>(y));
            let mean = vectors::<S>(&self.mean[block..=block]);
            let at = block * LANES..(block + 1) * LANES;
            plain[at.clone()].copy_from_slice(&sum(simd, len, |i, _| gradient[i]));
            let product =
                |i: usize, v: usize| simd.mul_f32s(gradient[i], simd.sub_f32s(y[i], mean[v]));
            products[at].copy_from_slice(&sum(simd, len, product));
        }
    }
}

/// The state of a batch norm within a step.
pub(super) struct Norm {
    count: f64,
    mean: Vec<f64>,
    variance: Vec<f64>,
    /// The mean as the kernels want it.
    pub(super) centre: Vec<Pixel>,
}

impl Norm {
    /// From each image's [`Moments`], over `plane` pixels each.
    pub(super) fn of(moments: &[f64], images: usize, plane: usize) -> Self {
        let channels = moments.len() / images / 2;
        let (n, count) = (plane as f64, (plane * images) as f64);
        let each =
            |c: usize| moments.chunks_exact(2 * channels).map(move |m| (m[c], m[channels + c]));
        let mean: Vec<f64> = (0..channels)
            .map(|c| each(c).map(|(mean, _)| mean).sum::<f64>() / images as f64)
            .collect();
        let square = |c: usize, mean: f64| {
            each(c).map(|(m, square)| square + n * (m - mean) * (m - mean)).sum::<f64>()
        };
        let variance = mean.iter().enumerate().map(|(c, mean)| square(c, *mean) / count).collect();
        let centre = pixels(mean.iter().map(|mean| *mean as f32));
        Self { count, mean, variance, centre }
    }

    /// From running statistics: the means, then the variances.
    pub(super) fn running(statistics: &[f32]) -> Self {
        let (mean, variance) = statistics.split_at(statistics.len() / 2);
        let wide = |v: &[f32]| v.iter().map(|v| f64::from(*v)).collect();
        let centre = pixels(mean.iter().copied());
        Self { count: 1.0, mean: wide(mean), variance: wide(variance), centre }
    }

    fn inverse(&self, c: usize) -> f64 {
        1.0 / (self.variance[c] + EPSILON).sqrt()
    }

    /// What readers of the convolution's result apply.
    pub(super) fn affine(&self, conv: &Conv, theta: &[f32]) -> Affine {
        let (scale, offset) = (&theta[conv.scale()], &theta[conv.offset()]);
        let factors: Vec<f64> =
            scale.iter().enumerate().map(|(c, s)| f64::from(*s) * self.inverse(c)).collect();
        let shifts = factors.iter().zip(&self.mean).zip(offset);
        let shifts =
            shifts.map(|((factor, mean), offset)| (f64::from(*offset) - mean * factor) as f32);
        Affine {
            shift: pixels(shifts),
            scale: pixels(factors.iter().map(|factor| *factor as f32)),
            floor: if conv.relu { 0.0 } else { f32::NEG_INFINITY },
        }
    }

    /// Means and unbiased variances, which running statistics follow.
    pub(super) fn statistics(&self, channels: usize) -> impl Iterator<Item = f32> {
        let correction = self.count / (self.count - 1.0).max(1.0);
        let variances = self.variance.iter().take(channels).map(move |v| (v * correction) as f32);
        self.mean.iter().take(channels).map(|mean| *mean as f32).chain(variances)
    }

    /// What readers of the gradient apply, and the gradients of factors and offsets, into
    /// `by_theta`: with `s` and `p` the totals of [`GradientSums`] over the batch,
    /// `scale * inverse * (g - s / n - (y - mean) * inverse^2 * p / n)` (Ioffe & Szegedy 2015,
    /// section 3).
    pub(super) fn gradient(
        &self,
        conv: &Conv,
        theta: &[f32],
        totals: &[f64],
        by_theta: &mut [f32],
    ) -> GradientAffine {
        let (sums, products) = totals.split_at(totals.len() / 2);
        let mut out = [Vec::new(), Vec::new(), Vec::new()];
        for (c, scale) in theta[conv.scale()].iter().enumerate() {
            let (plain, product, inverse) = (sums[c], products[c], self.inverse(c));
            by_theta[conv.scale().start + c] = (product * inverse) as f32;
            by_theta[conv.offset().start + c] = plain as f32;
            let factor = f64::from(*scale) * inverse;
            let slope = -factor * inverse * inverse * product / self.count;
            let offset = -factor * plain / self.count - slope * self.mean[c];
            for (out, value) in out.iter_mut().zip([factor, slope, offset]) {
                out.push(value as f32);
            }
        }
        let [by_gradient, by_y, offset] = out.map(|values| pixels(values.into_iter()));
        GradientAffine { by_gradient, by_y, offset }
    }
}

/// Values per channel as pixels, with zeros behind the last.
fn pixels(values: impl Iterator<Item = f32>) -> Vec<Pixel> {
    let values: Vec<f32> = values.collect();
    let mut pixels = vec![[0.0; LANES]; blocks(values.len())];
    pixels.as_flattened_mut()[..values.len()].copy_from_slice(&values);
    pixels
}

/// The gradient by a convolution's result `y`, from that by the norm's: `a g + b y + c`.
pub(super) struct GradientAffine {
    by_gradient: Vec<Pixel>,
    by_y: Vec<Pixel>,
    offset: Vec<Pixel>,
}

/// Stored gradients together with what makes them gradients by the convolution's result.
#[derive(Clone, Copy)]
pub(super) struct GradientView<'a> {
    pub(super) gradient: &'a [Pixel],
    pub(super) y: &'a [Pixel],
    pub(super) affine: &'a GradientAffine,
}

impl<'a> GradientView<'a> {
    /// The part of one image of `len` pixels.
    pub(super) fn image(self, i: usize, len: usize) -> Self {
        let part = i * len..(i + 1) * len;
        Self { gradient: &self.gradient[part.clone()], y: &self.y[part], ..self }
    }

    #[inline(always)]
    pub(super) fn row<S: Simd>(self, start: usize, len: usize) -> (&'a [S::f32s], &'a [S::f32s]) {
        (vectors::<S>(&self.gradient[start..][..len]), vectors::<S>(&self.y[start..][..len]))
    }

    #[inline(always)]
    pub(super) fn vector<S: Simd>(self, block: usize, v: usize) -> GradientVector<S> {
        let at = |p: &[Pixel]| vectors::<S>(&p[block..=block])[v];
        let GradientAffine { by_gradient, by_y, offset } = self.affine;
        GradientVector { by_gradient: at(by_gradient), by_y: at(by_y), offset: at(offset) }
    }
}

#[derive(Clone, Copy)]
pub(super) struct GradientVector<S: Simd> {
    by_gradient: S::f32s,
    by_y: S::f32s,
    offset: S::f32s,
}

impl<S: Simd> GradientVector<S> {
    #[inline(always)]
    pub(super) fn of(&self, simd: S, gradient: S::f32s, y: S::f32s) -> S::f32s {
        let rest = simd.mul_add_e_f32s(self.by_y, y, self.offset);
        simd.mul_add_e_f32s(self.by_gradient, gradient, rest)
    }
}
