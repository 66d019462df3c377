//! 1x1 convolutions: their tiles are pixels.

use std::ops::Range;

use pulp::Simd;

use super::rows::{Input, InputGradient, Output, OutputGradient, Row};
use super::simd::{LANES, per_pixel, vectors, vectors_mut};

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
