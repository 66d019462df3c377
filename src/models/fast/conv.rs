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
use super::gemm::{Product, Tiles, outer};
use super::norm::GradientView;
use super::plan::Conv;
use super::point::{self, PixelRow};
use super::simd::{self, LANES, Pixel, View, blocks};
use super::winograd::{self, FREQUENCIES, TileRow};

/// Tiles of a group: enough to reuse weights from the cache, and few enough to stay there.
const GROUP: Range<usize> = 16..64;

/// Pixels that the tiles of a group may take together: half a megabyte.
const GROUP_PIXELS: usize = 1 << 13;

/// What a convolution reads.
#[derive(Clone, Copy)]
pub(super) enum Source<'a> {
    /// `[image, channel, height, width]`.
    Images(&'a [f32]),
    Node(View<'a>),
}

/// Where its gradient by what it reads goes.
pub(super) enum Target<'a> {
    Nowhere,
    Images(&'a mut [f32]),
    /// Whether to add to what is there.
    Node(&'a mut [Pixel], bool),
}

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
        self.source.is_some() && self.kernel == 3
    }

    fn frequencies(&self) -> usize {
        if self.winograd() { FREQUENCIES } else { 1 }
    }

    /// Taps that are not part of the depth.
    fn taps(&self) -> usize {
        if self.winograd() { 9 } else { 1 }
    }

    /// Input channels of the matrix product.
    fn depth(&self) -> usize {
        self.input.channels * self.kernel * self.kernel / self.taps()
    }

    fn input_blocks(&self) -> usize {
        blocks(self.depth())
    }

    fn output_blocks(&self) -> usize {
        blocks(self.output.channels)
    }

    /// Rows of tiles in an image, and tiles in a row.
    fn grid(&self) -> (usize, usize) {
        if self.winograd() {
            return (self.input.height.div_ceil(4), self.input.width.div_ceil(4));
        }
        (self.output.height, self.output.width)
    }

    /// Pixels that packed weights take; `transposed` for the gradient by inputs.
    fn packed_len(&self, transposed: bool) -> usize {
        let (lanes, depth) = self.lanes_and_depth(transposed);
        blocks(lanes) * self.frequencies() * depth
    }

    fn lanes_and_depth(&self, transposed: bool) -> (usize, usize) {
        let (outputs, inputs) = (self.output.channels, self.depth());
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
        self.output_blocks() * self.input_blocks() * self.taps() * LANES
    }

    /// Sums partial gradients in order, into `[outputs, inputs, taps]`.
    pub(super) fn unpack(&self, partials: &[Buffer], by_theta: &mut [f32]) {
        let (depth, kernel) = (self.depth(), self.taps() * LANES);
        let outputs = by_theta[self.weight()].par_chunks_mut(LANES * depth * self.taps());
        outputs.enumerate().for_each(|(block, out)| {
            let mut sums = vec![[0.0; LANES]; kernel];
            for i in 0..depth {
                if i % LANES == 0 {
                    let start = (block * self.input_blocks() + i / LANES) * kernel;
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
        let (inputs, outputs) = (self.input_blocks(), self.output_blocks());
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

    /// Convolves the images of `source` into `out`; `done` sees each result while it is hot.
    pub(super) fn forward(
        &self,
        source: Source,
        weights: &[Pixel],
        out: &mut [Pixel],
        scratch: &mut Scratch,
        mut done: impl FnMut(usize, &[Pixel]),
    ) {
        let (rows, across) = self.grid();
        let len = self.output.len();
        for (range, group) in self.groups(out.len() / len) {
            self.fit(group, scratch);
            for (i, row) in range.clone().enumerate() {
                self.load(source, row / rows, (row % rows, i * across), group.inputs, scratch);
            }
            simd::run(Product {
                frequencies: self.frequencies(),
                depth: self.depth(),
                x: scratch.inputs.get(),
                x_tiles: group.inputs,
                weights,
                out: scratch.outputs.get_mut(),
                out_tiles: group.outputs,
            });
            for (i, row) in range.enumerate() {
                let image = &mut out[row / rows * len..][..len];
                self.store((row % rows, i * across), group.outputs, scratch, image);
                if row % rows + 1 == rows {
                    done(row / rows, image);
                }
            }
        }
    }

    /// From the gradient by the outputs to that by the inputs, `target`, and by the weights, which
    /// is added to `partial`. `done` sees each image's gradient while it is hot.
    pub(super) fn backward(
        &self,
        (source, gradient): (Source, GradientView),
        weights: &[Pixel],
        (partial, mut target): (&mut [Pixel], Target),
        scratch: &mut Scratch,
        mut done: impl FnMut(usize, &mut [Pixel]),
    ) {
        let (rows, across) = self.grid();
        let images = gradient.gradient.len() / self.output.len();
        for (range, group) in self.groups(images) {
            self.fit(group, scratch);
            for (i, row) in range.clone().enumerate() {
                let place = (row % rows, i * across);
                self.load(source, row / rows, place, group.inputs, scratch);
                let image = gradient.image(row / rows, self.output.len());
                self.load_gradient(image, place, group.outputs, scratch);
            }
            simd::run(WeightGradient { conv: self, group, scratch, out: partial });
            if matches!(target, Target::Nowhere) {
                continue;
            }
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
                let place = (row % rows, i * across);
                self.store_gradient(&mut target, row / rows, place, group.inputs, scratch);
                if let (Target::Node(out, _), true) = (&mut target, row % rows + 1 == rows) {
                    done(row / rows, &mut out[row / rows * self.input.len()..][..self.input.len()]);
                }
            }
        }
    }

    fn tile_row(&self, (row, at): (usize, usize), output: bool) -> TileRow {
        let (size, stride) = if output { (self.output, self.stride) } else { (self.input, 1) };
        TileRow { size, stride, row, across: self.grid().1, at }
    }

    fn pixel_row(&self, (row, at): (usize, usize), output: bool) -> PixelRow {
        let (size, stride) = if output { (self.output, 1) } else { (self.input, self.stride) };
        PixelRow { size, row, across: self.output.width, stride, at }
    }

    fn load(
        &self,
        source: Source,
        image: usize,
        place: (usize, usize),
        tiles: Tiles,
        scratch: &mut Scratch,
    ) {
        let out = scratch.inputs.get_mut();
        match source {
            Source::Images(images) => {
                let len = self.input.channels * self.input.plane();
                let row = self.pixel_row(place, false);
                point::unfold(self, row, &images[image * len..][..len], out, tiles);
            }
            Source::Node(view) => {
                let view = view.image(image, self.input.len());
                if self.winograd() {
                    let (row, strip) = (self.tile_row(place, false), scratch.strip.get_mut());
                    simd::run(winograd::Input { row, view, strip, out, tiles });
                } else {
                    let row = self.pixel_row(place, false);
                    simd::run(point::Input { row, view, out, tiles });
                }
            }
        }
    }

    fn store(&self, place: (usize, usize), tiles: Tiles, scratch: &mut Scratch, out: &mut [Pixel]) {
        let products = scratch.outputs.get();
        if self.winograd() {
            let (row, strip) = (self.tile_row(place, true), scratch.strip.get_mut());
            simd::run(winograd::Output { row, products, tiles, strip, out });
        } else {
            point::output(self.pixel_row(place, true), products, tiles, out);
        }
    }

    fn load_gradient(
        &self,
        gradient: GradientView,
        place: (usize, usize),
        tiles: Tiles,
        scratch: &mut Scratch,
    ) {
        let out = scratch.outputs.get_mut();
        if self.winograd() {
            let (row, strip) = (self.tile_row(place, true), scratch.strip.get_mut());
            simd::run(winograd::OutputGradient { row, gradient, strip, out, tiles });
        } else {
            let row = self.pixel_row(place, true);
            simd::run(point::OutputGradient { row, gradient, out, tiles });
        }
    }

    fn store_gradient(
        &self,
        target: &mut Target,
        image: usize,
        place: (usize, usize),
        tiles: Tiles,
        scratch: &mut Scratch,
    ) {
        let products = scratch.inputs.get();
        match target {
            Target::Nowhere => {}
            Target::Images(out) => {
                let len = self.input.channels * self.input.plane();
                let row = self.pixel_row(place, false);
                point::fold(self, row, products, tiles, &mut out[image * len..][..len]);
            }
            Target::Node(out, add) => {
                let (out, add) = (&mut out[image * self.input.len()..][..self.input.len()], *add);
                if self.winograd() {
                    let (row, strip) = (self.tile_row(place, false), scratch.strip.get_mut());
                    let kernel = winograd::InputGradient { row, products, tiles, strip, out, add };
                    simd::run(kernel);
                } else {
                    point::input_gradient(self.pixel_row(place, false), products, tiles, out, add);
                }
            }
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
        let (taps, inputs) = (self.conv.taps(), self.conv.depth());
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
                let rows = LANES.min(conv.depth() - i * LANES);
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
