//! Scoring models: what they compute, their weights, and how they are stored.
//!
//! `plan` turns a recipe into a list of steps, which is all that is known of an architecture;
//! `net` holds the weights and walks the steps; `ops` computes them, on the CPU with the help of
//! `conv` and `kernels`; `checkpoint` stores them. Nothing outside `ops` knows how a convolution is
//! computed, and only `device` knows which devices exist.

mod checkpoint;
mod conv;
mod device;
mod kernels;
mod net;
mod ops;
mod plan;

pub use checkpoint::{Checkpoint, ModelCard, Scaling};
pub use device::open;
pub use net::{Net, Pass};
pub use plan::Architecture;
pub(crate) use plan::{Step, embedding_width};
