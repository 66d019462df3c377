//! Convolution nets and dense layers on the CPU, several times as fast as operation by operation.
//!
//! The cost of the method is one full training per fold, so training speed decides whether anyone
//! runs it. Operation by operation, a convolution net spends most of its time moving activations
//! through memory. Here the whole backbone is one operation of Candle's autograd ([`Backbone`]), with
//! an executor and buffers of its own; the plain operations stay as the reference, and as the path of
//! other nets and devices.
//!
//! What it rests on, from the inside out:
//!
//! - `simd`: sixteen channels of a pixel lie together, `[image][block][pixel][16]`; kernels are
//!   generic over the width of vectors and safe.
//! - `gemm`: two register-blocked products, at over nine tenths of the processor's peak.
//! - `rows`, `winograd`, `point`: how 3x3 and 1x1 convolutions become such products; `conv` drives
//!   both through groups of rows that fit the second-level cache. `stem` is the first convolution.
//! - `norm`, `pool`: the rest. Batch norm and ReLU are never computed for their own sake but applied
//!   whenever a convolution's result is read, forward and backward.
//! - `plan`: which nets there are; `forward`, `train`, `backward` and `evaluate` walk them.
//! - `matrix`, `dense`: products of matrices, and the layers that are nothing else.
//!
//! Results have the same bits on any number of threads: batches are cut into a constant number of
//! runs, and every sum has one order.

#![allow(
    clippy::inline_always,
    reason = "a function that is not inlined into its kernel is compiled without wide instructions"
)]
#![allow(
    clippy::needless_range_loop,
    reason = "loops over ranges of known length unroll early enough for arrays to become registers"
)]
#![allow(clippy::many_single_char_names, reason = "transforms are formulas")]

mod backward;
mod buffer;
mod conv;
mod dense;
mod evaluate;
mod forward;
mod gemm;
mod matrix;
mod norm;
mod op;
mod plan;
mod point;
mod pool;
mod rows;
mod simd;
mod stem;
mod train;
mod winograd;

pub(crate) use dense::Dense;
pub(crate) use evaluate::Evaluator;
pub(crate) use matrix::PANEL;
pub(crate) use op::Backbone;
pub(crate) use plan::{Layer, Plan, Size};

#[cfg(test)]
mod dense_tests;
#[cfg(test)]
mod op_tests;
#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;
