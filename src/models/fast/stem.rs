//! The first convolution, straight from the images.
//!
//! Images have one or three channels, which would leave most of sixteen lanes empty, and to unfold
//! them into the taps of the kernel would move nine times as many numbers. So they are kept as they
//! came, with a border of zeros, and each tap is a place in them from which a row is read.

use pulp::{Simd, WithSimd};

use super::norm::GradientView;
use super::plan::Size;
use super::simd::{LANES, Pixel, blocks, per_pixel, vectors, vectors_mut};

/// A first convolution's kernel over images.
#[derive(Clone, Debug)]
pub(super) struct Stem {
    input: Size,
    output: Size,
    kernel: usize,
    stride: usize,
    /// Of each tap of each channel, where the first output finds it in a bordered image.
    places: Vec<usize>,
}

impl Stem {
    pub(super) fn new(input: Size, output: Size, kernel: usize, stride: usize) -> Self {
        let mut stem = Self { input, output, kernel, stride, places: Vec::new() };
        let Size { height, width, .. } = stem.bordered();
        let place = |q: usize| {
            let (channel, tap) = (q / (kernel * kernel), q % (kernel * kernel));
            (channel * height + tap / kernel) * width + tap % kernel
        };
        stem.places = (0..input.channels * kernel * kernel).map(place).collect();
        stem
    }

    /// Taps of all channels.
    pub(super) fn taps(&self) -> usize {
        self.places.len()
    }

    /// Numbers of an image `[channel, height, width]`.
    pub(super) fn image_len(&self) -> usize {
        self.input.channels * self.input.plane()
    }

    /// An image as far as taps reach.
    fn bordered(&self) -> Size {
        let along = |outputs: usize| (outputs - 1) * self.stride + self.kernel;
        let (height, width) = (along(self.output.height), along(self.output.width));
        Size { channels: self.input.channels, height, width }
    }

    /// Pixels that a bordered image takes, sixteen of its numbers in each.
    pub(super) fn bordered_len(&self) -> usize {
        let bordered = self.bordered();
        (bordered.channels * bordered.plane()).div_ceil(LANES)
    }

    /// Puts a border around an image `[channel, height, width]`.
    pub(super) fn border(&self, image: &[f32], out: &mut [Pixel]) {
        let (bordered, before) = (self.bordered(), self.kernel / 2);
        out.fill([0.0; LANES]);
        let planes = out.as_flattened_mut().chunks_mut(bordered.plane());
        for (image, out) in image.chunks_exact(self.input.plane()).zip(planes) {
            let rows = out.chunks_exact_mut(bordered.width).skip(before);
            for (row, out) in image.chunks_exact(self.input.width).zip(rows) {
                let len = row.len().min(bordered.width - before);
                out[before..][..len].copy_from_slice(&row[..len]);
            }
        }
    }

    /// Where a row of outputs begins to read, beside the places of taps.
    fn row(&self, y: usize) -> usize {
        y * self.stride * self.bordered().width
    }
}

/// Convolves one bordered image.
pub(super) struct Forward<'a> {
    pub(super) stem: &'a Stem,
    pub(super) image: &'a [Pixel],
    /// `[block][tap]`.
    pub(super) weights: &'a [Pixel],
    pub(super) out: &'a mut [Pixel],
}

impl WithSimd for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match per_pixel::<S>() {
            1 => self.blocked::<S, 1, 16>(simd),
            2 => self.blocked::<S, 2, 6>(simd),
            4 => self.blocked::<S, 4, 6>(simd),
            _ => self.blocked::<S, 16, 1>(simd),
        }
    }
}

impl Forward<'_> {
    #[inline(always)]
    fn blocked<S: Simd, const V: usize, const P: usize>(self, simd: S) {
        let Self { stem, image, weights, out } = self;
        let Size { width, .. } = stem.output;
        let weights = weights.chunks_exact(stem.taps());
        for (out, weights) in out.chunks_exact_mut(stem.output.plane()).zip(weights) {
            for (y, out) in out.chunks_exact_mut(width).enumerate() {
                let image = &image.as_flattened()[stem.row(y)..];
                let mut at = sweep::<S, V, P>(simd, stem, image, weights, out, 0);
                if P > 8 {
                    at = sweep::<S, V, 8>(simd, stem, image, weights, out, at);
                }
                if P > 4 {
                    at = sweep::<S, V, 4>(simd, stem, image, weights, out, at);
                }
                sweep::<S, V, 1>(simd, stem, image, weights, out, at);
            }
        }
    }
}

/// Computes `P` outputs of a row at a time from output `at` on; returns the first one left over.
#[inline(always)]
fn sweep<S: Simd, const V: usize, const P: usize>(
    simd: S,
    stem: &Stem,
    image: &[f32],
    weights: &[Pixel],
    out: &mut [Pixel],
    mut at: usize,
) -> usize {
    let stride = stem.stride;
    while at + P <= out.len() {
        let mut sums = [[simd.splat_f32s(0.0); V]; P];
        for (place, weight) in stem.places.iter().zip(weights) {
            let x = &image[place + at * stride..][..=(P - 1) * stride];
            let weight = vectors::<S>(std::slice::from_ref(weight));
            for p in 0..P {
                let x = simd.splat_f32s(x[p * stride]);
                for v in 0..V {
                    sums[p][v] = simd.mul_add_e_f32s(x, weight[v], sums[p][v]);
                }
            }
        }
        let out = vectors_mut::<S>(&mut out[at..][..P]);
        for p in 0..P {
            for v in 0..V {
                out[p * V + v] = sums[p][v];
            }
        }
        at += P;
    }
    at
}

/// Adds one image's gradient by the weights.
pub(super) struct Gradient<'a> {
    pub(super) stem: &'a Stem,
    pub(super) image: &'a [Pixel],
    pub(super) outputs: GradientView<'a>,
    /// A row of outputs.
    pub(super) strip: &'a mut [Pixel],
    /// `[block][tap]`, with taps up to a multiple of sixteen.
    pub(super) out: &'a mut [Pixel],
}

impl WithSimd for Gradient<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match per_pixel::<S>() {
            1 => self.blocked::<S, 1, 9>(simd),
            2 => self.blocked::<S, 2, 6>(simd),
            4 => self.blocked::<S, 4, 6>(simd),
            _ => self.blocked::<S, 16, 1>(simd),
        }
    }
}

impl Gradient<'_> {
    #[inline(always)]
    fn blocked<S: Simd, const V: usize, const R: usize>(self, simd: S) {
        let Self { stem, image, outputs, strip, out } = self;
        let Size { height, width, .. } = stem.output;
        let strip = &mut vectors_mut::<S>(strip)[..width * V];
        let outs = out.chunks_exact_mut(blocks(stem.taps()) * LANES);
        for (block, out) in outs.enumerate() {
            for y in 0..height {
                let start = (block * height + y) * width;
                let (g, raw) = outputs.row::<S>(start, width);
                for v in 0..V {
                    let norm = outputs.vector::<S>(block, v);
                    for i in (v..strip.len()).step_by(V) {
                        strip[i] = norm.of(simd, g[i], raw[i]);
                    }
                }
                let image = &image.as_flattened()[stem.row(y)..];
                let at = taps::<S, V, R>(simd, stem, image, strip, out, 0);
                taps::<S, V, 1>(simd, stem, image, strip, out, at);
            }
        }
    }
}

/// Adds a row's gradient by `R` taps at a time from tap `at` on; returns the first one left over.
#[inline(always)]
fn taps<S: Simd, const V: usize, const R: usize>(
    simd: S,
    stem: &Stem,
    image: &[f32],
    gradient: &[S::f32s],
    out: &mut [Pixel],
    mut at: usize,
) -> usize {
    let stride = stem.stride;
    while at + R <= stem.taps() {
        let mut rows = [&image[..0]; R];
        for r in 0..R {
            rows[r] = &image[stem.places[at + r]..][..=(stem.output.width - 1) * stride];
        }
        let mut sums = [[simd.splat_f32s(0.0); V]; R];
        for (i, gradient) in gradient.chunks_exact(V).enumerate() {
            for r in 0..R {
                let x = simd.splat_f32s(rows[r][i * stride]);
                for v in 0..V {
                    sums[r][v] = simd.mul_add_e_f32s(x, gradient[v], sums[r][v]);
                }
            }
        }
        let out = vectors_mut::<S>(&mut out[at..][..R]);
        for r in 0..R {
            for v in 0..V {
                out[r * V + v] = simd.add_f32s(out[r * V + v], sums[r][v]);
            }
        }
        at += R;
    }
    at
}
