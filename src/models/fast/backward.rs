//! The backward pass of a training step.
//!
//! A node's gradient lies in a buffer that is free again once the node is done. Whoever completes a
//! gradient masks it with ReLU and takes the sums of its norm image by image, while it is in the
//! cache; the norm's own gradient is then applied when the gradient is read.

use rayon::prelude::*;

use super::buffer::Buffer;
use super::norm::{GradientSums, GradientView, Mask};
use super::plan::{Conv, Kind, Role};
use super::pool::{PoolGradient, average_gradient};
use super::simd::{self, LANES, Pixel, View, blocks};
use super::train::{Kept, Memory};

/// The state of a backward pass.
pub(super) struct Backward<'a> {
    kept: &'a Kept,
    memory: &'a mut Memory,
    theta: &'a [f32],
    by_theta: Vec<f32>,
    gradients: Vec<Gradient>,
}

/// The gradient by a node's result as its readers see it, masked when complete.
#[derive(Default)]
struct Gradient {
    buffer: Option<Buffer>,
    /// `[image, norm, 2, channels]`, for the norms whose gradient this is.
    sums: Vec<f64>,
}

impl<'a> Backward<'a> {
    pub(super) fn new(kept: &'a Kept, memory: &'a mut Memory, theta: &'a [f32]) -> Self {
        let gradients = kept.states.iter().map(|_| Gradient::default()).collect();
        Self { kept, memory, theta, by_theta: vec![0.0; theta.len()], gradients }
    }

    /// The gradient by theta.
    pub(super) fn run(mut self, by_features: &[f32]) -> Vec<f32> {
        self.average(by_features);
        for (i, node) in self.kept.plan.nodes.iter().enumerate().rev() {
            match &node.kind {
                Kind::Conv(conv) => self.conv(i, conv),
                Kind::Pool { source, kernel, .. } => self.pool(i, *source, *kernel),
                // A join's gradient is that of both its sides, and nobody wants that of images.
                Kind::Join { .. } | Kind::Images(_) => {}
            }
        }
        self.by_theta
    }

    fn average(&mut self, by_features: &[f32]) {
        let (kept, last, size) = (self.kept, self.gradients.len() - 1, self.kept.plan.output());
        let mut buffer = self.buffer(kept.images * size.len());
        let mut sums = vec![0.0; kept.images * kept.sums_len(last)];
        let images = kept.split(last, &mut buffer, &mut sums).into_par_iter();
        images.zip(by_features.par_chunks(size.channels)).enumerate().for_each(
            |(i, ((out, sums), by_features))| {
                average_gradient(size, by_features, out);
                kept.complete(last, i, out, sums);
            },
        );
        self.gradients[last] = Gradient { buffer: Some(buffer), sums };
    }

    fn pool(&mut self, node: usize, source: usize, kernel: usize) {
        let kept = self.kept;
        let (input, output) = (kept.plan.nodes[source].size, kept.plan.nodes[node].size);
        let Some(own) = self.gradients[node].buffer.take() else { return };
        let mut buffer = self.buffer(kept.images * input.len());
        let mut sums = vec![0.0; kept.images * kept.sums_len(source)];
        let images = kept.split(source, &mut buffer, &mut sums).into_par_iter();
        images.zip(own.get().par_chunks_exact(output.len())).enumerate().for_each(
            |(i, ((out, sums), gradient))| {
                let view = kept.image(source, i);
                match kernel {
                    2 => simd::run(PoolGradient::<2> { input, output, view, gradient, out }),
                    _ => simd::run(PoolGradient::<3> { input, output, view, gradient, out }),
                }
                kept.complete(source, i, out, sums);
            },
        );
        self.gradients[source] = Gradient { buffer: Some(buffer), sums };
        self.memory.spare.push(own);
    }

    fn conv(&mut self, i: usize, conv: &Conv) {
        let (kept, source) = (self.kept, conv.source);
        let slot = conv.joins.unwrap_or(i);
        let (Some(norm), Some(own)) = (&kept.states[i].norm, self.gradients[slot].buffer.take())
        else {
            return;
        };
        let totals = kept.totals(slot, i, &self.gradients[slot].sums);
        let affine = norm.gradient(conv, self.theta, &totals, &mut self.by_theta);
        let mut target = self.target(conv);
        let sums_len = if conv.role == Role::Shortcut { 0 } else { kept.sums_len(source) };
        let mut sums = vec![0.0; kept.images * sums_len];

        conv.pack(self.theta, true, &mut self.memory.packed);
        self.memory.partials.resize_with(kept.runs(), Buffer::default);
        let Memory { packed, partials, scratch, .. } = &mut *self.memory;
        let targets = targets(kept, conv, &mut target);
        let sums_of_runs = split(&mut sums, kept.run() * sums_len, kept.runs());
        let runs = partials.par_iter_mut().zip(targets).zip(sums_of_runs).enumerate();
        runs.for_each(|(run, ((partial, target), sums))| {
            let gradient = GradientView {
                gradient: kept.part(i, run, &own),
                y: kept.part(i, run, &kept.states[i].out),
                affine: &affine,
            };
            partial.fit(conv.partial_len());
            let partial = &mut partial.get_mut()[..conv.partial_len()];
            partial.fill([0.0; LANES]);
            let done = |image: usize, out: &mut [Pixel]| {
                if conv.role != Role::Shortcut {
                    let sums = &mut sums[image * sums_len..][..sums_len];
                    kept.complete(source, run * kept.run() + image, out, sums);
                }
            };
            scratch.with(|scratch| {
                let from = (kept.view(source, run), gradient);
                conv.backward(from, packed.get(), (partial, target), scratch, done);
            });
        });
        conv.unpack(partials, &mut self.by_theta);
        self.gradients[source] = Gradient { buffer: target.map(|(buffer, _)| buffer), sums };
        self.release(conv, slot, own);
    }

    /// The buffer for the gradient by what a convolution reads, and whether to add to it; none for
    /// images.
    fn target(&mut self, conv: &Conv) -> Option<(Buffer, bool)> {
        if let Kind::Images(_) = self.kept.plan.nodes[conv.source].kind {
            return None;
        }
        let begun = match conv.role {
            Role::Body { join, identity: true } => join,
            _ => conv.source,
        };
        Some(match self.gradients[begun].buffer.take() {
            Some(buffer) => (buffer, true),
            None => (self.buffer(self.kept.images * conv.input.len()), false),
        })
    }

    /// Keeps a gradient that others will read, or that becomes part of another.
    fn release(&mut self, conv: &Conv, slot: usize, own: Buffer) {
        if conv.joins.is_some() {
            self.gradients[slot].buffer = Some(own);
        } else {
            self.memory.spare.push(own);
        }
        if let Role::Body { join, identity: false } = conv.role {
            self.memory.spare.extend(self.gradients[join].buffer.take());
        }
    }

    /// A buffer of `len` pixels at least, with anything in it: the smallest spare one, or a new one
    /// in the place of one that is too small, so that their number stays that of live gradients.
    fn buffer(&mut self, len: usize) -> Buffer {
        let spare = &mut self.memory.spare;
        let fits = (0..spare.len()).filter(|i| spare[*i].len() >= len);
        if let Some(i) = fits.min_by_key(|i| spare[*i].len()) {
            return spare.swap_remove(i);
        }
        spare.pop();
        Buffer::new(len)
    }
}

/// The part of a target that belongs to each run.
fn targets<'a>(
    kept: &Kept,
    conv: &Conv,
    target: &'a mut Option<(Buffer, bool)>,
) -> Vec<Option<(&'a mut [Pixel], bool)>> {
    let Some((buffer, add)) = target else { return (0..kept.runs()).map(|_| None).collect() };
    let parts = split(buffer.get_mut(), kept.run() * conv.input.len(), kept.runs());
    parts.into_iter().map(|part| Some((part, *add))).collect()
}

/// `parts` pieces of `len`, the last of which may be shorter or longer.
fn split<T>(mut all: &mut [T], len: usize, parts: usize) -> Vec<&mut [T]> {
    let mut pieces = Vec::with_capacity(parts);
    for _ in 1..parts {
        let (piece, rest) = all.split_at_mut(len);
        pieces.push(piece);
        all = rest;
    }
    pieces.push(all);
    pieces
}

impl Kept {
    /// One image of a node's result as its readers see it.
    fn image(&self, node: usize, image: usize) -> View<'_> {
        let view = View { pixels: self.states[node].out.get(), affine: &self.states[node].affine };
        view.image(image, self.plan.nodes[node].size.len())
    }

    /// The convolutions by whose norm's result a node's gradient is the gradient.
    fn norms(&self, node: usize) -> impl Iterator<Item = usize> {
        let [left, right] = match self.plan.nodes[node].kind {
            Kind::Conv(_) => [Some(node), None],
            Kind::Join { left, right } => [Some(left), Some(right)],
            Kind::Pool { .. } | Kind::Images(_) => [None, None],
        };
        let joins = move |i: &usize| match &self.plan.nodes[*i].kind {
            Kind::Conv(conv) => conv.joins.unwrap_or(*i) == node,
            _ => false,
        };
        left.into_iter().chain(right).filter(joins)
    }

    /// Sums that one image has in a node's gradient.
    fn sums_len(&self, node: usize) -> usize {
        self.norms(node).count() * 2 * blocks(self.plan.nodes[node].size.channels) * LANES
    }

    /// Masks an image's complete gradient by a node, and takes the sums for its norms.
    fn complete(&self, node: usize, image: usize, gradient: &mut [Pixel], sums: &mut [f64]) {
        let size = self.plan.nodes[node].size;
        let masked = match &self.plan.nodes[node].kind {
            Kind::Conv(conv) => conv.relu,
            Kind::Join { .. } => true,
            Kind::Pool { .. } | Kind::Images(_) => false,
        };
        if masked {
            simd::run(Mask { size, view: self.image(node, image), gradient });
        }
        let each = 2 * blocks(size.channels) * LANES;
        for (conv, out) in self.norms(node).zip(sums.chunks_exact_mut(each)) {
            if let Some(norm) = &self.states[conv].norm {
                let (y, mean) = (self.image(conv, image).pixels, &norm.centre);
                simd::run(GradientSums { size, gradient, y, mean, out });
            }
        }
    }

    /// A convolution's sums over all images, in order, out of those of the gradient `slot`.
    fn totals(&self, slot: usize, conv: usize, sums: &[f64]) -> Vec<f64> {
        let each = 2 * blocks(self.plan.nodes[conv].size.channels) * LANES;
        let mut totals = vec![0.0; each];
        let place = self.norms(slot).take_while(|i| *i != conv).count() * each;
        for image in sums.chunks_exact(self.sums_len(slot)) {
            totals.iter_mut().zip(&image[place..]).for_each(|(total, sum)| *total += sum);
        }
        totals
    }

    /// A gradient by a node, image by image with its sums.
    fn split<'a>(
        &self,
        node: usize,
        buffer: &'a mut Buffer,
        sums: &'a mut [f64],
    ) -> Vec<(&'a mut [Pixel], &'a mut [f64])> {
        let buffers = split(buffer.get_mut(), self.plan.nodes[node].size.len(), self.images);
        buffers.into_iter().zip(split(sums, self.sums_len(node), self.images)).collect()
    }
}
