//! Evaluation: norms by their running statistics, so that images do not depend on each other.
//!
//! A few images then go through the whole net at once and their activations stay in the cache,
//! where training has to finish a layer for the whole batch before the next can begin.

use candle_core::{Result, bail};
use rayon::prelude::*;

use super::buffer::{Buffer, Shelf};
use super::conv::Scratch;
use super::forward::{Inputs, average, compute};
use super::norm::Norm;
use super::plan::{Kind, Node, Plan};
use super::simd::{Affine, Pixel, View, blocks};

/// Images that go through the net at once.
const RUN: usize = 16;

/// A net with weights that do not change, ready to be evaluated.
pub(crate) struct Evaluator {
    plan: Plan,
    nodes: Vec<(Buffer, Affine)>,
    /// The place of each node's result among as few buffers as do.
    places: Vec<usize>,
    memory: Shelf<(Scratch, Vec<Buffer>)>,
}

impl Evaluator {
    /// With running means and variances in the order of the plan.
    ///
    /// # Errors
    /// If theta or the statistics have another size than the plan says.
    pub(crate) fn new(plan: &Plan, theta: &[f32], statistics: &[f32]) -> Result<Self> {
        if theta.len() != plan.theta_len() || statistics.len() != plan.statistics_len() {
            bail!("weights or statistics of another net than the plan's");
        }
        let node = |node: &Node| {
            let Kind::Conv(conv) = &node.kind else {
                return (Buffer::default(), Affine::identity(blocks(node.size.channels)));
            };
            let mut packed = Buffer::default();
            conv.pack(theta, false, &mut packed);
            (packed, Norm::running(&statistics[conv.statistics.clone()]).affine(conv, theta))
        };
        let nodes = plan.nodes.iter().map(node).collect();
        let (plan, places) = (plan.clone(), places(plan));
        Ok(Self { plan, nodes, places, memory: Shelf::default() })
    }

    /// Features `[batch, channels]` of images `x [batch, channels, height, width]`.
    ///
    /// # Errors
    /// If `x` does not hold whole images, or none.
    pub(crate) fn features(&self, x: &[f32]) -> Result<Vec<f32>> {
        let (len, features) = (self.plan.image_len(), self.plan.features());
        let mut out = vec![0.0; self.plan.count(x)? * features];
        let runs = out.par_chunks_mut(RUN * features).zip(x.par_chunks(RUN * len));
        runs.for_each(|(out, x)| self.memory.with(|memory| self.run(x, out, memory)));
        Ok(out)
    }

    fn run(&self, x: &[f32], out: &mut [f32], (scratch, buffers): &mut (Scratch, Vec<Buffer>)) {
        let images = x.len() / self.plan.image_len();
        let needed = self.places.iter().max().map_or(0, |most| most + 1);
        buffers.resize_with(needed, Buffer::default);
        for (i, node) in self.plan.nodes.iter().enumerate() {
            let mut own = std::mem::take(&mut buffers[self.places[i]]);
            own.fit(images * node.size.len());
            let inputs = &Inputs { images: x, node: |source| self.view(buffers, source, images) };
            let (weights, result) = (self.nodes[i].0.get(), own.get_mut());
            let result = &mut result[..images * node.size.len()];
            compute(node, inputs, weights, result, scratch, |_, _| ());
            buffers[self.places[i]] = own;
        }
        average(&self.plan, self.view(buffers, self.plan.nodes.len() - 1, images), out);
    }

    fn view<'a>(&'a self, buffers: &'a [Buffer], node: usize, images: usize) -> View<'a> {
        let len = images * self.plan.nodes[node].size.len();
        View { pixels: &buffers[self.places[node]].get()[..len], affine: &self.nodes[node].1 }
    }
}

impl Plan {
    /// Bytes that evaluation holds beside theta: packed weights, and for each thread the results of a run
    /// of images.
    pub(crate) fn evaluation_bytes(&self) -> usize {
        let packed: usize = self.convs().map(|conv| conv.packed_len(false)).sum();
        let places = places(self);
        let largest = |place: usize| {
            let nodes = self.nodes.iter().zip(&places).filter(|(_, own)| **own == place);
            nodes.map(|(node, _)| node.size.len()).max().unwrap_or(0)
        };
        let results: usize = (0..places.len()).map(largest).sum();
        let results = results.saturating_mul(RUN * rayon::current_num_threads());
        results.saturating_add(packed).saturating_mul(size_of::<Pixel>())
    }
}

/// A buffer for each node's result: one that nobody reads any more, or a new one.
fn places(plan: &Plan) -> Vec<usize> {
    let mut places: Vec<usize> = Vec::new();
    for i in 0..plan.nodes.len() {
        let read_later = |node: usize| plan.nodes[i..].iter().any(|later| later.reads(node));
        let taken = (0..i).filter(|node| read_later(*node)).map(|node| places[node]);
        let taken: Vec<usize> = taken.collect();
        places.push((0..i).find(|place| !taken.contains(place)).unwrap_or(i));
    }
    places
}
