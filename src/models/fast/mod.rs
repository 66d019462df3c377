//! Convolution nets on the CPU, several times as fast as layer by layer.
mod backward;
mod buffer;
mod conv;
mod evaluate;
mod forward;
mod gemm;
mod norm;
mod op;
mod plan;
mod point;
mod pool;
mod simd;
mod train;
mod winograd;

pub(crate) use evaluate::Evaluator;
pub(crate) use op::Backbone;
pub(crate) use plan::{Layer, Plan, Size};

#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;
