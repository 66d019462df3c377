//! 1x1 convolutions, and the first convolution of any kernel size as one over unfolded images.
//!
//! They are a matrix product over pixels, so a "tile" is one output pixel and there is one
//! frequency. Images have one or three channels, which would leave most of sixteen lanes empty:
//! unfolded, the taps of the kernel fill them.

use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::gemm::Tiles;
use super::norm::GradientView;
use super::plan::{Conv, Size};
use super::simd::{LANES, Pixel, View, per_pixel, vectors, vectors_mut};

/// One row of output pixels of one image.
#[derive(Clone, Copy)]
pub(super) struct PixelRow {
    /// The size of the picture that is read or written.
    pub(super) size: Size,
    /// The output row.
    pub(super) row: usize,
    /// Outputs in a row.
    pub(super) across: usize,
    /// 1 where outputs are read or written.
    pub(super) stride: usize,
    /// The place of the first in the group.
    pub(super) at: usize,
}

impl PixelRow {
    /// Where the row starts in the picture.
    fn start(self, block: usize) -> usize {
        block * self.size.plane() + self.row * self.stride * self.size.width
    }
}

/// Picks the inputs of a row.
pub(super) struct Input<'a> {
    pub(super) row: PixelRow,
    pub(super) view: View<'a>,
    pub(super) out: &'a mut [Pixel],
    pub(super) tiles: Tiles,
}

impl WithSimd for Input<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (per, PixelRow { across, stride, at, .. }) = (per_pixel::<S>(), self.row);
        for block in 0..self.tiles.blocks {
            let x = vectors::<S>(&self.view.pixels[self.row.start(block)..]);
            let out = &mut self.out[block * self.tiles.count + at..][..across];
            let out = vectors_mut::<S>(out);
            for v in 0..per {
                let affine = self.view.affine.vector(simd, block, v);
                for c in 0..across {
                    out[c * per + v] = affine.of(simd, x[c * stride * per + v]);
                }
            }
        }
    }
}

/// The gradient by the outputs of a row.
pub(super) struct OutputGradient<'a> {
    pub(super) row: PixelRow,
    pub(super) gradient: GradientView<'a>,
    pub(super) out: &'a mut [Pixel],
    pub(super) tiles: Tiles,
}

impl WithSimd for OutputGradient<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (per, PixelRow { across, at, .. }) = (per_pixel::<S>(), self.row);
        for block in 0..self.tiles.blocks {
            let (gradient, y) = self.gradient.row::<S>(self.row.start(block), across);
            let out = &mut self.out[block * self.tiles.count + at..][..across];
            let out = vectors_mut::<S>(out);
            for v in 0..per {
                let norm = self.gradient.vector::<S>(block, v);
                for i in (v..out.len()).step_by(per) {
                    out[i] = norm.of(simd, gradient[i], y[i]);
                }
            }
        }
    }
}

/// Puts the products of a row where they belong.
pub(super) fn output(row: PixelRow, products: &[Pixel], tiles: Tiles, out: &mut [Pixel]) {
    for block in 0..tiles.blocks {
        let products = &products[block * tiles.count + row.at..][..row.across];
        out[row.start(block)..][..row.across].copy_from_slice(products);
    }
}

/// Puts the gradients by inputs of a row where they belong; inputs between strides have none.
pub(super) fn input_gradient(
    row: PixelRow,
    products: &[Pixel],
    tiles: Tiles,
    out: &mut [Pixel],
    add: bool,
) {
    let rows = row.stride.min(row.size.height - row.row * row.stride);
    for block in 0..tiles.blocks {
        let products = &products[block * tiles.count + row.at..][..row.across];
        let out = &mut out[row.start(block)..][..rows * row.size.width];
        if !add {
            out.fill([0.0; LANES]);
        }
        for (out, product) in out.iter_mut().step_by(row.stride).zip(products) {
            out.iter_mut().zip(product).for_each(|(out, product)| *out += product);
        }
    }
}

/// For each tap of the first convolution that falls into the image at an output row: its channel
/// when unfolded, the outputs of the row, and the place of the first one's input in the image.
fn taps(conv: &Conv, row: usize) -> impl Iterator<Item = (usize, Range<usize>, usize)> {
    let Conv { input, output, kernel, stride, .. } = *conv;
    (0..input.channels * kernel * kernel).filter_map(move |q| {
        let (channel, tap) = (q / (kernel * kernel), q % (kernel * kernel));
        let y = (row * stride + tap / kernel).checked_sub(kernel / 2)?;
        let (left, right) = (kernel / 2, input.width + kernel / 2);
        let first = left.saturating_sub(tap % kernel).div_ceil(stride);
        let end = right.saturating_sub(tap % kernel).div_ceil(stride).min(output.width);
        (y < input.height && first < end).then(|| {
            let start = channel * input.plane() + y * input.width;
            (q, first..end, start + first * stride + tap % kernel - left)
        })
    })
}

/// Unfolds a row of an image `[channels, height, width]`: `[tap of channel]` per output pixel.
pub(super) fn unfold(conv: &Conv, row: PixelRow, image: &[f32], out: &mut [Pixel], tiles: Tiles) {
    for block in 0..tiles.blocks {
        out[block * tiles.count + row.at..][..row.across].fill([0.0; LANES]);
    }
    for (q, outputs, place) in taps(conv, row.row) {
        let out = &mut out[q / LANES * tiles.count + row.at..][outputs];
        for (out, x) in out.iter_mut().zip(image[place..].iter().step_by(conv.stride)) {
            out[q % LANES] = *x;
        }
    }
}

/// The adjoint of [`unfold`]: adds to the gradient by the image.
pub(super) fn fold(
    conv: &Conv,
    row: PixelRow,
    products: &[Pixel],
    tiles: Tiles,
    image: &mut [f32],
) {
    for (q, outputs, place) in taps(conv, row.row) {
        let products = &products[q / LANES * tiles.count + row.at..][outputs];
        for (x, product) in image[place..].iter_mut().step_by(conv.stride).zip(products) {
            *x += product[q % LANES];
        }
    }
}
