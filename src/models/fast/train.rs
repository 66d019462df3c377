//! The forward pass of a training step, by the statistics of the batch.
//!
//! Node by node, each in parallel over a constant number of runs of images. What is kept for the
//! backward pass is the raw result of every node and a few numbers per channel; normalised values
//! are recomputed by whoever reads them.

use candle_core::{Result, bail};
use rayon::prelude::*;

use super::backward::Backward;
use super::buffer::{Buffer, Shelf};
use super::conv::Scratch;
use super::forward::{Inputs, average, compute};
use super::norm::{Moments, Norm};
use super::plan::{Conv, Kind, Node, Plan};
use super::simd::{self, Affine, LANES, Pixel, View, blocks};

/// Runs of images. Weight gradients are summed per run and then over runs, so this number is part
/// of the result and must not depend on the machine.
pub(super) const RUNS: usize = 8;

/// A net in training, with its buffers.
pub(super) struct Trainer {
    kept: Kept,
    memory: Memory,
}

/// What the forward pass leaves for the backward pass.
pub(super) struct Kept {
    pub(super) plan: Plan,
    pub(super) states: Vec<State>,
    pub(super) images: usize,
}

/// What it leaves of a node.
pub(super) struct State {
    pub(super) out: Buffer,
    pub(super) affine: Affine,
    pub(super) norm: Option<Norm>,
}

/// Buffers whose content means nothing from one node to the next.
#[derive(Default)]
pub(super) struct Memory {
    pub(super) packed: Buffer,
    pub(super) partials: Vec<Buffer>,
    pub(super) spare: Vec<Buffer>,
    pub(super) scratch: Shelf<Scratch>,
}

impl Trainer {
    pub(super) fn new(plan: Plan) -> Self {
        let state = |node: &Node| {
            let affine = Affine::identity(blocks(node.size.channels));
            State { out: Buffer::default(), affine, norm: None }
        };
        let states = plan.nodes.iter().map(state).collect();
        Self { kept: Kept { plan, states, images: 0 }, memory: Memory::default() }
    }

    /// Features `[batch, channels]` of images `x`, and the batch's means and unbiased variances in
    /// the order of the plan.
    ///
    /// # Errors
    /// If images or theta have another size than the plan says.
    pub(super) fn forward(&mut self, x: &[f32], theta: &[f32]) -> Result<(Vec<f32>, Vec<f32>)> {
        self.kept.plan.check(theta)?;
        self.kept.images = self.kept.plan.count(x)?;
        for node in 0..self.kept.states.len() {
            self.node(node, x, theta);
        }
        let kept = &self.kept;
        let mut features = vec![0.0; kept.images * kept.plan.features()];
        let runs = features.par_chunks_mut(kept.run() * kept.plan.features()).enumerate();
        runs.for_each(|(run, out)| {
            average(&kept.plan, kept.view(kept.states.len() - 1, run), out);
        });
        let norms = kept.plan.convs().zip(kept.states.iter().filter_map(|s| s.norm.as_ref()));
        let statistics = norms.flat_map(|(conv, norm)| norm.statistics(conv.output.channels));
        Ok((features, statistics.collect()))
    }

    fn node(&mut self, i: usize, x: &[f32], theta: &[f32]) {
        let mut out = std::mem::take(&mut self.kept.states[i].out);
        let (kept, Memory { packed, scratch, .. }) = (&self.kept, &mut self.memory);
        let node = &kept.plan.nodes[i];
        let (len, padded) = (node.size.len(), 2 * blocks(node.size.channels) * LANES);
        out.fit(kept.images * len);
        if let Kind::Conv(conv) = &node.kind {
            conv.pack(theta, false, packed);
        }
        let mut moments = vec![0.0; kept.images * padded];
        let outs = out.get_mut()[..kept.images * len].par_chunks_mut(kept.run() * len);
        let runs = outs.zip(moments.par_chunks_mut(kept.run() * padded)).enumerate();
        runs.for_each(|(run, (out, moments))| {
            let images = &x[run * kept.run() * kept.plan.image_len()..];
            let inputs = &Inputs { images, node: |source| kept.view(source, run) };
            let done = |i: usize, image: &[Pixel]| {
                let out = &mut moments[i * padded..][..padded];
                simd::run(Moments { size: node.size, image, out });
            };
            scratch.with(|s| compute(node, inputs, packed.get(), out, s, done));
        });
        if let Kind::Conv(conv) = &node.kind {
            let norm = Norm::of(&moments, kept.images, node.size.plane());
            let affine = norm.affine(conv, theta);
            self.kept.states[i] = State { out, affine, norm: Some(norm) };
        } else {
            self.kept.states[i].out = out;
        }
    }

    /// From the gradient by the features of the last forward pass to that by theta.
    ///
    /// # Errors
    /// If a size differs from that of the last forward pass.
    pub(super) fn backward(&mut self, theta: &[f32], by_features: &[f32]) -> Result<Vec<f32>> {
        let Kept { plan, images, .. } = &self.kept;
        plan.check(theta)?;
        if *images == 0 || by_features.len() != images * plan.features() {
            bail!("the gradient is of another batch than the last forward pass");
        }
        Ok(Backward::new(&self.kept, &mut self.memory, theta).run(by_features))
    }

    /// The bytes of its buffers.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        let Memory { packed, partials, spare, .. } = &self.memory;
        let results = self.kept.states.iter().map(|state| &state.out);
        let buffers = results.chain([packed]).chain(partials).chain(spare);
        buffers.map(|buffer| buffer.len() * size_of::<Pixel>()).sum()
    }
}

impl Plan {
    /// Bytes that training with batches of `images` holds beside theta and its gradient: results of
    /// nodes, the gradients of two that are alive at a time, packed weights and partial gradients
    /// of the largest convolutions. Working memory, some megabytes per thread, is not counted.
    pub(crate) fn training_bytes(&self, images: usize) -> usize {
        // The first node is the images, of which there is no gradient.
        let largest = self.nodes.iter().skip(1).map(|node| node.size.len()).max();
        let partial = self.convs().map(Conv::partial_len).max();
        let gradients = images.saturating_mul(2 * largest.unwrap_or(0));
        let gradients = gradients.saturating_add(RUNS.min(images) * partial.unwrap_or(0));
        self.forward_bytes(images).saturating_add(gradients.saturating_mul(size_of::<Pixel>()))
    }

    /// The part of them that the forward pass alone needs.
    pub(crate) fn forward_bytes(&self, images: usize) -> usize {
        let results: usize = self.nodes.iter().map(|node| node.size.len()).sum();
        let packed = self.convs().map(|c| c.packed_len(false).max(c.packed_len(true))).max();
        let pixels = images.saturating_mul(results).saturating_add(packed.unwrap_or(0));
        pixels.saturating_mul(size_of::<Pixel>())
    }
}

impl Kept {
    /// Images of a run, except that the last may have fewer.
    pub(super) fn run(&self) -> usize {
        self.images.div_ceil(RUNS)
    }

    pub(super) fn runs(&self) -> usize {
        self.images.div_ceil(self.run())
    }

    /// A node's result as its readers see it, for one run of images.
    pub(super) fn view(&self, node: usize, run: usize) -> View<'_> {
        let State { out, affine, .. } = &self.states[node];
        View { pixels: self.part(node, run, out), affine }
    }

    /// What belongs to one run of images in a buffer of a node's size.
    pub(super) fn part<'a>(&self, node: usize, run: usize, buffer: &'a Buffer) -> &'a [Pixel] {
        let len = self.plan.nodes[node].size.len();
        let images = run * self.run()..self.images.min((run + 1) * self.run());
        &buffer.get()[images.start * len..images.end * len]
    }
}
