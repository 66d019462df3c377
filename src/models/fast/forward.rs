//! One node over a run of images, in training and in evaluation.

use super::conv::{Scratch, Source};
use super::norm::Join;
use super::plan::{Kind, Node, Plan};
use super::pool::{Average, Pool};
use super::simd::{self, Pixel, View};

/// What a node reads, for the images of a run.
pub(super) struct Inputs<'a, F> {
    /// `[image, channel, height, width]`.
    pub(super) images: &'a [f32],
    /// The result of an earlier node.
    pub(super) node: F,
}

/// Computes a node into `out`; `done` sees the number and result of each image of a convolution.
pub(super) fn compute<'a, F: Fn(usize) -> View<'a>>(
    plan: &Plan,
    node: &Node,
    inputs: &Inputs<'a, F>,
    weights: &[Pixel],
    out: &mut [Pixel],
    scratch: &mut Scratch,
    done: impl FnMut(usize, &[Pixel]),
) {
    match &node.kind {
        Kind::Conv(conv) => {
            let source = match conv.source {
                None => Source::Images(inputs.images),
                Some(source) => Source::Node((inputs.node)(source)),
            };
            conv.forward(source, weights, out, scratch, done);
        }
        Kind::Pool { source } => {
            let (input, output) = (plan.nodes[*source].size, node.size);
            for (i, out) in out.chunks_exact_mut(output.len()).enumerate() {
                let view = (inputs.node)(*source).image(i, input.len());
                simd::run(Pool { input, output, view, out });
            }
        }
        Kind::Join { left, right } => {
            let (left, right) = ((inputs.node)(*left), (inputs.node)(*right));
            simd::run(Join { plane: node.size.plane(), left, right, out });
        }
    }
}

/// The means over the pixels of the last node, `[image, channel]`.
pub(super) fn average(plan: &Plan, view: View, out: &mut [f32]) {
    let size = plan.output();
    for (i, out) in out.chunks_exact_mut(size.channels).enumerate() {
        simd::run(Average { size, view: view.image(i, size.len()), out });
    }
}
