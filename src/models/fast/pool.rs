//! Max-pooling, joins and the last average.

use pulp::{Simd, WithSimd};

use super::plan::Size;
use super::simd::{AffineVector, LANES, Pixel, View, at_least, per_pixel, vectors, vectors_mut};

/// The larger; not a number if either is not.
#[inline(always)]
fn larger<S: Simd>(simd: S, a: S::f32s, b: S::f32s) -> S::f32s {
    let larger = simd.select_f32s(simd.less_than_or_equal_f32s(b, a), a, b);
    simd.select_f32s(simd.less_than_or_equal_f32s(a, a), larger, a)
}

/// The pixels along one axis that a window with stride 2 reads. Outside of the image it is the
/// nearest pixel, which is in the window too and changes no maximum.
#[inline(always)]
fn along<const KERNEL: usize>(at: usize, len: usize) -> [usize; KERNEL] {
    let mut pixels = [0; KERNEL];
    for tap in 0..KERNEL {
        pixels[tap] = (2 * at + tap).saturating_sub((KERNEL - 1) / 2).min(len - 1);
    }
    pixels
}

/// One vector of the pixels of a window. Their values are read at once and without a closure, which
/// would be compiled without wide instructions.
struct Window<S: Simd, const KERNEL: usize> {
    places: [[usize; KERNEL]; KERNEL],
    values: [[S::f32s; KERNEL]; KERNEL],
}

impl<S: Simd, const KERNEL: usize> Window<S, KERNEL> {
    /// Vector `v` of the window of output `(y, x)` over a picture of size `input`.
    #[inline(always)]
    fn read(
        simd: S,
        (y, x): (usize, usize),
        input: Size,
        (plane, affine, v): (&[S::f32s], &AffineVector<S>, usize),
    ) -> Self {
        let (rows, columns) = (along::<KERNEL>(y, input.height), along::<KERNEL>(x, input.width));
        let mut places = [[0; KERNEL]; KERNEL];
        let mut values = [[simd.splat_f32s(0.0); KERNEL]; KERNEL];
        for r in 0..KERNEL {
            for c in 0..KERNEL {
                places[r][c] = (rows[r] * input.width + columns[c]) * per_pixel::<S>() + v;
                values[r][c] = affine.of(simd, plane[places[r][c]]);
            }
        }
        Self { places, values }
    }

    /// The largest; not a number if one is not.
    #[inline(always)]
    fn largest(&self, simd: S) -> S::f32s {
        let mut top = self.values[0][0];
        for r in 0..KERNEL {
            for c in 0..KERNEL {
                top = larger(simd, top, self.values[r][c]);
            }
        }
        top
    }
}

/// Pools one image.
pub(super) struct Pool<'a, const KERNEL: usize> {
    pub(super) input: Size,
    pub(super) output: Size,
    pub(super) view: View<'a>,
    pub(super) out: &'a mut [Pixel],
}

impl<const KERNEL: usize> WithSimd for Pool<'_, KERNEL> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (per, width) = (per_pixel::<S>(), self.output.width);
        let planes = self.view.pixels.chunks_exact(self.input.plane());
        let outs = self.out.chunks_exact_mut(self.output.plane());
        for (block, (plane, out)) in planes.zip(outs).enumerate() {
            let (plane, out) = (vectors::<S>(plane), vectors_mut::<S>(out));
            for v in 0..per {
                let affine = self.view.affine.vector(simd, block, v);
                for (y, out) in out.chunks_exact_mut(width * per).enumerate() {
                    for x in 0..width {
                        let from = (plane, &affine, v);
                        let window = Window::<S, KERNEL>::read(simd, (y, x), self.input, from);
                        out[x * per + v] = window.largest(simd);
                    }
                }
            }
        }
    }
}

/// The gradient of one image by the inputs: of equal maxima the first gets it, as in PyTorch;
/// inputs that were cropped get none.
pub(super) struct PoolGradient<'a, const KERNEL: usize> {
    pub(super) input: Size,
    pub(super) output: Size,
    pub(super) view: View<'a>,
    pub(super) gradient: &'a [Pixel],
    pub(super) out: &'a mut [Pixel],
}

impl<const KERNEL: usize> WithSimd for PoolGradient<'_, KERNEL> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (zero, per, width) = (simd.splat_f32s(0.0), per_pixel::<S>(), self.output.width);
        // Windows of 2x2 do not overlap, and cover all but what is cropped.
        let (apart, Size { height, width: columns, .. }) = (KERNEL == 2, self.input);
        if !apart || (height | columns) % 2 == 1 {
            vectors_mut::<S>(self.out).fill(zero);
        }
        let planes = self.view.pixels.chunks_exact(self.input.plane());
        let gradients = self.gradient.chunks_exact(self.output.plane());
        let outs = self.out.chunks_exact_mut(self.input.plane());
        for (block, (out, (plane, gradient))) in outs.zip(planes.zip(gradients)).enumerate() {
            let (plane, gradient) = (vectors::<S>(plane), vectors::<S>(gradient));
            let out = vectors_mut::<S>(out);
            for v in 0..per {
                let affine = self.view.affine.vector(simd, block, v);
                for (y, gradient) in gradient.chunks_exact(width * per).enumerate() {
                    for x in 0..width {
                        let from = (plane, &affine, v);
                        let window = Window::<S, KERNEL>::read(simd, (y, x), self.input, from);
                        let top = window.largest(simd);
                        let mut rest = gradient[x * per + v];
                        for r in 0..KERNEL {
                            for c in 0..KERNEL {
                                let out = &mut out[window.places[r][c]];
                                let first = simd.less_than_or_equal_f32s(top, window.values[r][c]);
                                let share = simd.select_f32s(first, rest, zero);
                                *out = if apart { share } else { simd.add_f32s(*out, share) };
                                rest = simd.select_f32s(first, zero, rest);
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The mean of each channel of one image.
pub(super) struct Average<'a> {
    pub(super) size: Size,
    pub(super) view: View<'a>,
    pub(super) out: &'a mut [f32],
}

impl WithSimd for Average<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (per, len) = (per_pixel::<S>(), self.size.plane());
        for (block, out) in self.out.chunks_mut(LANES).enumerate() {
            let plane = vectors::<S>(&self.view.pixels[block * len..][..len]);
            let mut mean = [0.0; LANES];
            for v in 0..per {
                let affine = self.view.affine.vector(simd, block, v);
                let mut sum = simd.splat_f32s(0.0);
                for x in plane[v..].iter().step_by(per) {
                    sum = simd.add_f32s(sum, affine.of(simd, *x));
                }
                let mean = vectors_mut::<S>(std::slice::from_mut(&mut mean));
                mean[v] = simd.mul_f32s(sum, simd.splat_f32s(1.0 / len as f32));
            }
            out.copy_from_slice(&mean[..out.len()]);
        }
    }
}

/// Spreads the gradient by one image's means over its pixels.
pub(super) fn average_gradient(size: Size, gradient: &[f32], out: &mut [Pixel]) {
    let share = 1.0 / size.plane() as f32;
    let channels = gradient.chunks(LANES);
    for (gradient, out) in channels.zip(out.chunks_exact_mut(size.plane())) {
        let mut pixel = [0.0; LANES];
        pixel.iter_mut().zip(gradient).for_each(|(pixel, gradient)| *pixel = gradient * share);
        out.fill(pixel);
    }
}

/// `relu(left + right)`, both as their readers see them.
pub(super) struct Join<'a> {
    pub(super) plane: usize,
    pub(super) left: View<'a>,
    pub(super) right: View<'a>,
    pub(super) out: &'a mut [Pixel],
}

impl WithSimd for Join<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (zero, per) = (simd.splat_f32s(0.0), per_pixel::<S>());
        let sides = self
            .left
            .pixels
            .chunks_exact(self.plane)
            .zip(self.right.pixels.chunks_exact(self.plane));
        let blocks = self.left.affine.scale.len();
        for (i, (out, (left, right))) in
            self.out.chunks_exact_mut(self.plane).zip(sides).enumerate()
        {
            let (left, right) = (vectors::<S>(left), vectors::<S>(right));
            let out = vectors_mut::<S>(out);
            for v in 0..per {
                let a = self.left.affine.vector(simd, i % blocks, v);
                let b = self.right.affine.vector(simd, i % blocks, v);
                for p in (v..out.len()).step_by(per) {
                    let sum = simd.add_f32s(a.of(simd, left[p]), b.of(simd, right[p]));
                    out[p] = at_least(simd, sum, zero);
                }
            }
        }
    }
}
