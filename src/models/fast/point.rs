//! 1x1 convolutions, and the unfolding that makes the first convolution one.
//!
//! Images have one or three channels, which would leave most of sixteen lanes empty: unfolded, the
//! taps of the first kernel fill them, whatever its size.

use std::ops::Range;

use pulp::Simd;

use super::plan::Size;
use super::rows::{Input, InputGradient, Output, OutputGradient, Row};
use super::simd::{LANES, Pixel, per_pixel, vectors, vectors_mut};

impl Row {
    /// Where the row starts in a block of the picture.
    fn start(self, block: usize) -> usize {
        block * self.size.plane() + self.index * self.stride * self.size.width
    }

    /// Where its tiles lie in the group.
    fn place(self, block: usize) -> Range<usize> {
        let start = block * self.tiles.count + self.at;
        start..start + self.across
    }
}

/// Picks the inputs of a row.
#[inline(always)]
pub(super) fn input<S: Simd>(simd: S, task: &mut Input) {
    let (per, row) = (per_pixel::<S>(), task.row);
    for block in 0..row.tiles.blocks {
        let x = vectors::<S>(&task.view.pixels[row.start(block)..]);
        let out = vectors_mut::<S>(&mut task.out[row.place(block)]);
        for v in 0..per {
            let affine = task.view.affine.vector(simd, block, v);
            for c in 0..row.across {
                out[c * per + v] = affine.of(simd, x[c * row.stride * per + v]);
            }
        }
    }
}

/// Puts the products of a row where they belong.
#[inline(always)]
pub(super) fn output<S: Simd>(_: S, task: &mut Output) {
    let row = task.row;
    for block in 0..row.tiles.blocks {
        let products = &task.products[row.place(block)];
        task.out[row.start(block)..][..row.across].copy_from_slice(products);
    }
}

/// The gradient by the outputs of a row.
#[inline(always)]
pub(super) fn output_gradient<S: Simd>(simd: S, task: &mut OutputGradient) {
    let (per, row) = (per_pixel::<S>(), task.row);
    for block in 0..row.tiles.blocks {
        let (gradient, y) = task.gradient.row::<S>(row.start(block), row.across);
        let out = vectors_mut::<S>(&mut task.out[row.place(block)]);
        for v in 0..per {
            let norm = task.gradient.vector::<S>(block, v);
            for i in (v..out.len()).step_by(per) {
                out[i] = norm.of(simd, gradient[i], y[i]);
            }
        }
    }
}

/// Puts the gradients by inputs of a row where they belong; inputs between strides have none.
#[inline(always)]
pub(super) fn input_gradient<S: Simd>(_: S, task: &mut InputGradient) {
    let row = task.row;
    let rows = row.stride.min(row.size.height - row.index * row.stride);
    for block in 0..row.tiles.blocks {
        let products = &task.products[row.place(block)];
        let out = &mut task.out[row.start(block)..][..rows * row.size.width];
        if !task.add {
            out.fill([0.0; LANES]);
        }
        for (out, product) in out.iter_mut().step_by(row.stride).zip(products) {
            out.iter_mut().zip(product).for_each(|(out, product)| *out += product);
        }
    }
}

/// A first convolution's kernel over images of size `input`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unfold {
    pub(super) input: Size,
    pub(super) output: Size,
    pub(super) kernel: usize,
    pub(super) stride: usize,
}

impl Unfold {
    /// Unfolds an image `[channel, height, width]`: `[tap of channel]` per output pixel.
    pub(super) fn run(self, image: &[f32], out: &mut [Pixel]) {
        let Self { input, output, kernel, .. } = self;
        out.fill([0.0; LANES]);
        for q in 0..output.channels {
            let (channel, tap) = (q / (kernel * kernel), q % (kernel * kernel));
            let block = &mut out[q / LANES * output.plane()..][..output.plane()];
            let (rows, top) = self.inside(tap / kernel, input.height, output.height);
            let (columns, left) = self.inside(tap % kernel, input.width, output.width);
            for (i, row) in rows.enumerate() {
                let start = channel * input.plane() + (top + i * self.stride) * input.width + left;
                let out = &mut block[row * output.width..][columns.clone()];
                for (out, x) in out.iter_mut().zip(image[start..].iter().step_by(self.stride)) {
                    out[q % LANES] = *x;
                }
            }
        }
    }

    /// Along one axis, the outputs for which a tap falls into the image, and where it first does.
    fn inside(self, tap: usize, input: usize, output: usize) -> (Range<usize>, usize) {
        let padding = self.kernel / 2;
        let first = padding.saturating_sub(tap).div_ceil(self.stride);
        let end = (input + padding).saturating_sub(tap).div_ceil(self.stride).min(output);
        let place = (first * self.stride + tap).saturating_sub(padding);
        // `start` of an empty range may lie beyond the image.
        if first < end { (first..end, place) } else { (0..0, 0) }
    }
}
