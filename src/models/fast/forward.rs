//! One node over a run of images, in training and in evaluation.

use super::conv::Scratch;
use super::plan::{Kind, Node, Plan};
use super::pool::{Average, Join, Pool};
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
    node: &Node,
    inputs: &Inputs<'a, F>,
    weights: &[Pixel],
    out: &mut [Pixel],
    scratch: &mut Scratch,
    done: impl FnMut(usize, &[Pixel]),
) {
    let view = &inputs.node;
    let images = out.chunks_exact_mut(node.size.len());
    match &node.kind {
        Kind::Images(stem) => {
            let inputs = inputs.images.chunks_exact(stem.image_len());
            images.zip(inputs).for_each(|(out, image)| stem.border(image, out));
        }
        Kind::Conv(conv) => conv.forward(view(conv.source), weights, out, scratch, done),
        Kind::Pool { source, input, kernel } => {
            let (input, output) = (*input, node.size);
            for (i, out) in images.enumerate() {
                let view = view(*source).image(i, input.len());
                match kernel {
                    2 => simd::run(Pool::<2> { input, output, view, out }),
                    _ => simd::run(Pool::<3> { input, output, view, out }),
                }
            }
        }
        Kind::Join { left, right } => {
            let (left, right) = (view(*left), view(*right));
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
