//! Between pictures and the tiles in which they are multiplied, one row of tiles at a time.
//!
//! Each direction is one kernel with two forms: Winograd's for 3x3 convolutions (`winograd`), and
//! picking pixels for 1x1 convolutions (`point`), whose "tile" is one output pixel.

use pulp::{Simd, WithSimd};

use super::norm::GradientView;
use super::plan::Size;
use super::simd::{Pixel, View};
use super::{point, winograd};

/// How the tiles of a group lie: `[frequency][block][tile]`.
#[derive(Clone, Copy)]
pub(super) struct Tiles {
    pub(super) blocks: usize,
    pub(super) count: usize,
}

impl Tiles {
    /// Pixels from one frequency to the next: odd, as 36 lines that are a power of two apart would
    /// share one set of the first-level cache.
    pub(super) fn step(self) -> usize {
        (self.blocks * self.count) | 1
    }
}

/// A row of tiles of one image, and where its tiles lie in the group.
#[derive(Clone, Copy)]
pub(super) struct Row {
    pub(super) winograd: bool,
    /// The size of the picture that is read or written, inputs or outputs.
    pub(super) size: Size,
    /// What lies between pixels of the picture in a 1x1 convolution, or between the outputs that
    /// are kept in a 3x3 convolution.
    pub(super) stride: usize,
    /// Which row of tiles of the image.
    pub(super) index: usize,
    /// Tiles in a row.
    pub(super) across: usize,
    /// The place of the first in the group.
    pub(super) at: usize,
    pub(super) tiles: Tiles,
}

/// Inputs, as their readers see them, to tiles.
pub(super) struct Input<'a> {
    pub(super) row: Row,
    pub(super) view: View<'a>,
    pub(super) strip: &'a mut [Pixel],
    pub(super) out: &'a mut [Pixel],
}

/// Products to outputs.
pub(super) struct Output<'a> {
    pub(super) row: Row,
    pub(super) products: &'a [Pixel],
    pub(super) strip: &'a mut [Pixel],
    pub(super) out: &'a mut [Pixel],
}

/// The gradient by outputs to tiles: the adjoint of [`Output`].
pub(super) struct OutputGradient<'a> {
    pub(super) row: Row,
    pub(super) gradient: GradientView<'a>,
    pub(super) strip: &'a mut [Pixel],
    pub(super) out: &'a mut [Pixel],
}

/// Products to the gradient by inputs: the adjoint of [`Input`].
pub(super) struct InputGradient<'a> {
    pub(super) row: Row,
    pub(super) products: &'a [Pixel],
    pub(super) strip: &'a mut [Pixel],
    pub(super) out: &'a mut [Pixel],
    /// Whether `out` holds a gradient to add to.
    pub(super) add: bool,
}

macro_rules! kernel {
    ($kernel:ident, $function:ident) => {
        impl WithSimd for $kernel<'_> {
            type Output = ();

            #[inline(always)]
            fn with_simd<S: Simd>(mut self, simd: S) {
                if self.row.winograd {
                    winograd::$function(simd, &mut self);
                } else {
                    point::$function(simd, &mut self);
                }
            }
        }
    };
}

kernel!(Input, input);
kernel!(Output, output);
kernel!(OutputGradient, output_gradient);
kernel!(InputGradient, input_gradient);
