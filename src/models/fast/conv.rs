//! Convolutions of a run of images, forward and backward.
//!
//! Whatever the kernel, inputs are brought into tiles, tiles are multiplied with weights, products
//! are brought into outputs; see `winograd` and `point` for the two kinds. Work goes in groups of
//! rows of tiles: as many rows, across images if these are small, as the second-level cache holds
//! beside the weights.

use std::ops::Range;

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::buffer::Buffer;
use super::gemm::{Product, outer};
use super::norm::GradientView;
use super::plan::Conv;
use super::rows::{Input, InputGradient, Output, OutputGradient, Row, Tiles};
use super::simd::{self, LANES, Pixel, View, blocks};
use super::stem::{self, Stem};
use super::winograd::{self, FREQUENCIES};

/// Tiles of a group: enough to reuse weights from the cache, and few enough to stay there.
const GROUP: Range<usize> = 16..64;

/// Pixels that the tiles of a group may take together: half a megabyte.
const GROUP_PIXELS: usize = 1 << 13;

/// Working memory of a task.
#[derive(Default)]
pub(super) struct Scratch {
    inputs: Buffer,
    outputs: Buffer,
    strip: Buffer,
    products: Buffer,
}

/// The group that is worked on.
#[derive(Clone, Copy)]
struct Group {
    inputs: Tiles,
    outputs: Tiles,
}

impl Conv {
    fn winograd(&self) -> bool {
        self.kernel == 3
    }

    fn frequencies(&self) -> usize {
        if self.winograd() { FREQUENCIES } else { 1 }
    }

    fn taps(&self) -> usize {
        self.kernel * self.kernel
    }

    /// Rows of tiles in an image, and tiles in a row.
    fn grid(&self) -> (usize, usize) {
        if self.winograd() {
            return (self.input.height.div_ceil(4), self.input.width.div_ceil(4));
        }
        (self.output.height, self.output.width)
    }

    /// Pixels that packed weights take; `transposed` for the gradient by inputs.
    pub(super) fn packed_len(&self, transposed: bool) -> usize {
        let (lanes, depth) = self.lanes_and_depth(transposed);
        blocks(lanes) * self.frequencies() * depth
    }

    fn lanes_and_depth(&self, transposed: bool) -> (usize, usize) {
        let (outputs, inputs) = (self.output.channels, self.input.channels);
        if transposed { (inputs, outputs) } else { (outputs, inputs) }
    }

    /// Brings weights `[outputs, inputs, taps]` into the order of the product:
    /// `[block][frequency][channel]`.
    pub(super) fn pack(&self, theta: &[f32], transposed: bool, out: &mut Buffer) {
        let weights = &theta[self.weight()];
        let (_, depth) = self.lanes_and_depth(transposed);
        let len = self.packed_len(transposed);
        out.fit(len);
        let blocks = out.get_mut()[..len].par_chunks_mut(self.frequencies() * depth).enumerate();
        blocks.for_each(|(block, out)| {
            simd::run(Pack { conv: self, weights, transposed, block, out });
        });
    }

    /// Pixels that a gradient by the weights takes, `[output block][input block][tap][input]`.
    pub(super) fn partial_len(&self) -> usize {
        blocks(self.output.channels) * blocks(self.input.channels) * self.taps() * LANES
    }

    /// Sums partial gradients in order, into `[outputs, inputs, taps]`.
    pub(super) fn unpack(&self, partials: &[Buffer], by_theta: &mut [f32]) {
        let (depth, kernel) = (self.input.channels, self.taps() * LANES);
        let outputs = by_theta[self.weight()].par_chunks_mut(LANES * depth * self.taps());
        outputs.enumerate().for_each(|(block, out)| {
            let mut sums = vec![[0.0; LANES]; kernel];
            for i in 0..depth {
                if i % LANES == 0 {
                    let start = (block * blocks(self.input.channels) + i / LANES) * kernel;
                    total(
                        partials.iter().map(|partial| &partial.get()[start..][..kernel]),
                        &mut sums,
                    );
                }
                for (lane, out) in out.chunks_exact_mut(depth * self.taps()).enumerate() {
                    let out = &mut out[i * self.taps()..][..self.taps()];
                    for (tap, out) in out.iter_mut().enumerate() {
                        *out = sums[tap * LANES + i % LANES][lane];
                    }
                }
            }
        });
    }

    /// Groups of rows of tiles of `images` images.
    fn groups(&self, images: usize) -> impl Iterator<Item = (Range<usize>, Group)> + use<> {
        let (inputs, outputs) = (blocks(self.input.channels), blocks(self.output.channels));
        let (rows, across) = self.grid();
        let fit = GROUP_PIXELS / (self.frequencies() * (inputs + outputs));
        let size = (fit.clamp(GROUP.start, GROUP.end) / across).max(1);
        (0..images * rows).step_by(size).map(move |start| {
            let group = start..(start + size).min(images * rows);
            let count = group.len() * across;
            let tiles = |blocks| Tiles { blocks, count };
            (group, Group { inputs: tiles(inputs), outputs: tiles(outputs) })
        })
    }

    /// Makes room for a group.
    fn fit(&self, group: Group, scratch: &mut Scratch) {
        scratch.inputs.fit(self.frequencies() * group.inputs.step());
        scratch.outputs.fit(self.frequencies() * group.outputs.step());
        scratch.strip.fit(6 * (4 * self.grid().1 + 2));
        scratch.products.fit(self.frequencies() * LANES);
    }

    /// A row of tiles of a run of images, the `i`th of a group: its image and the rest.
    fn row(&self, row: usize, i: usize, group: Group, output: bool) -> (usize, Row) {
        let (rows, across) = self.grid();
        let (size, tiles) =
            if output { (self.output, group.outputs) } else { (self.input, group.inputs) };
        let winograd = self.winograd();
        let stride = if output == winograd { self.stride } else { 1 };
        let at = i * across;
        (row / rows, Row { winograd, size, stride, index: row % rows, across, at, tiles })
    }

    fn is_last(&self, row: Row) -> bool {
        row.index + 1 == self.grid().0
    }

    /// Brings the inputs of a group into tiles.
    fn load(&self, x: View, range: Range<usize>, group: Group, scratch: &mut Scratch) {
        for (i, row) in range.enumerate() {
            let (image, row) = self.row(row, i, group, false);
            let view = x.image(image, self.input.len());
            let (strip, out) = (scratch.strip.get_mut(), scratch.inputs.get_mut());
            simd::run(Input { row, view, strip, out });
        }
    }

    /// Convolves a run of images into `out`; `done` sees each result while it is hot.
    pub(super) fn forward(
        &self,
        x: View,
        weights: &[Pixel],
        out: &mut [Pixel],
        scratch: &mut Scratch,
        mut done: impl FnMut(usize, &[Pixel]),
    ) {
        let len = self.output.len();
        if let Some(stem) = &self.stem {
            let images = x.pixels.chunks_exact(stem.bordered_len()).zip(out.chunks_exact_mut(len));
            for (i, (image, out)) in images.enumerate() {
                simd::run(stem::Forward { stem, image, weights, out });
                done(i, out);
            }
            return;
        }
        for (range, group) in self.groups(out.len() / len) {
            self.fit(group, scratch);
            self.load(x, range.clone(), group, scratch);
            simd::run(Product {
                frequencies: self.frequencies(),
                depth: self.input.channels,
                x: scratch.inputs.get(),
                x_tiles: group.inputs,
                weights,
                out: scratch.outputs.get_mut(),
                out_tiles: group.outputs,
            });
            for (i, row) in range.enumerate() {
                let (image, row) = self.row(row, i, group, true);
                let out = &mut out[image * len..][..len];
                let (products, strip) = (scratch.outputs.get(), scratch.strip.get_mut());
                simd::run(Output { row, products, strip, out });
                if self.is_last(row) {
                    done(image, out);
                }
            }
        }
    }

    /// From the gradient by the outputs of a run of images to that by the weights, which is added
    /// to `partial`, and to that by the inputs, if there is a `target` for it; `target.1` says
    /// whether to add. `done` sees each image's result while it is hot.
    pub(super) fn backward(
        &self,
        (x, gradient): (View, GradientView),
        weights: &[Pixel],
        (partial, mut target): (&mut [Pixel], Option<(&mut [Pixel], bool)>),
        scratch: &mut Scratch,
        mut done: impl FnMut(usize, &mut [Pixel]),
    ) {
        if let Some(stem) = &self.stem {
            return self.stem_backward(stem, x.pixels, gradient, partial, scratch);
        }
        let (len, out_len) = (self.input.len(), self.output.len());
        for (range, group) in self.groups(gradient.gradient.len() / out_len) {
            self.fit(group, scratch);
            self.load(x, range.clone(), group, scratch);
            for (i, row) in range.clone().enumerate() {
                let (image, row) = self.row(row, i, group, true);
                let gradient = gradient.image(image, out_len);
                let (strip, out) = (scratch.strip.get_mut(), scratch.outputs.get_mut());
                simd::run(OutputGradient { row, gradient, strip, out });
            }
            simd::run(WeightGradient { conv: self, group, scratch, out: partial });
            let Some((target, add)) = &mut target else { continue };
            simd::run(Product {
                frequencies: self.frequencies(),
                depth: self.output.channels,
                x: scratch.outputs.get(),
                x_tiles: group.outputs,
                weights,
                out: scratch.inputs.get_mut(),
                out_tiles: group.inputs,
            });
            for (i, row) in range.enumerate() {
                let (image, row) = self.row(row, i, group, false);
                let out = &mut target[image * len..][..len];
                let (products, strip) = (scratch.inputs.get(), scratch.strip.get_mut());
                simd::run(InputGradient { row, products, strip, out, add: *add });
                if self.is_last(row) {
                    done(image, out);
                }
            }
        }
    }
}

impl Conv {
    /// The gradient by the weights of the first convolution; nobody wants that by images.
    fn stem_backward(
        &self,
        stem: &Stem,
        images: &[Pixel],
        gradient: GradientView,
        out: &mut [Pixel],
        scratch: &mut Scratch,
    ) {
        scratch.strip.fit(self.output.width);
        for (i, image) in images.chunks_exact(stem.bordered_len()).enumerate() {
            let gradient = gradient.image(i, self.output.len());
            let strip = scratch.strip.get_mut();
            simd::run(stem::Gradient { stem, image, outputs: gradient, strip, out });
        }
    }
}

/// Sums slices in order.
fn total<'a>(parts: impl Iterator<Item = &'a [Pixel]>, sums: &mut [Pixel]) {
    sums.fill([0.0; LANES]);
    for part in parts {
        let numbers = sums.as_flattened_mut().iter_mut().zip(part.as_flattened());
        numbers.for_each(|(sum, number)| *sum += number);
    }
}

/// Packs the weights of sixteen lanes, for all channels they are multiplied with.
struct Pack<'a> {
    conv: &'a Conv,
    weights: &'a [f32],
    transposed: bool,
    block: usize,
    out: &'a mut [Pixel],
}

impl WithSimd for Pack<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (taps, inputs) = (self.conv.taps(), self.conv.input.channels);
        let (lanes, depth) = self.conv.lanes_and_depth(self.transposed);
        let here = LANES.min(lanes - self.block * LANES);
        // Lanes beyond the last channel stay zero.
        let mut kernel = [[0.0; LANES]; 9];
        let mut transformed = [[0.0; LANES]; FREQUENCIES];
        for channel in 0..depth {
            for lane in 0..here {
                let other = self.block * LANES + lane;
                let (o, i) = if self.transposed { (channel, other) } else { (other, channel) };
                let weights = &self.weights[(o * inputs + i) * taps..][..taps];
                kernel.iter_mut().zip(weights).for_each(|(tap, weight)| tap[lane] = *weight);
            }
            if self.conv.winograd() {
                winograd::weights(simd, &kernel, &mut transformed);
                for (f, weight) in transformed.iter().enumerate() {
                    self.out[f * depth + channel] = *weight;
                }
            } else {
                self.out[channel] = kernel[0];
            }
        }
    }
}

/// Adds a group's gradient by the weights.
struct WeightGradient<'a> {
    conv: &'a Conv,
    group: Group,
    scratch: &'a mut Scratch,
    out: &'a mut [Pixel],
}

impl WithSimd for WeightGradient<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { conv, group: Group { inputs, outputs }, scratch, out } = self;
        let products = &mut scratch.products.get_mut()[..conv.frequencies() * LANES];
        let mut kernels = out.chunks_exact_mut(conv.taps() * LANES);
        for o in 0..outputs.blocks {
            let gradient = &scratch.outputs.get()[o * outputs.count..];
            for (i, out) in (0..inputs.blocks).zip(&mut kernels) {
                let x = &scratch.inputs.get()[i * inputs.count..];
                let rows = LANES.min(conv.input.channels - i * LANES);
                for (f, products) in products.chunks_exact_mut(LANES).enumerate() {
                    let x = &x[f * inputs.step()..][..inputs.count];
                    let gradient = &gradient[f * outputs.step()..][..outputs.count];
                    outer(simd, x, gradient, rows, products);
                }
                if conv.winograd() {
                    winograd::weight_gradient(simd, products, out);
                } else {
                    for (out, product) in out.iter_mut().zip(products.iter()) {
                        out.iter_mut().zip(product).for_each(|(out, product)| *out += product);
                    }
                }
            }
        }
    }
}
