//! Scoring models: what they compute, their weights, and how they are stored.
//!
//! `plan` turns a recipe into a list of steps, which is all that is known of an architecture;
//! `net` holds the weights and walks the steps; `ops`, with `conv`, and `transformer` compute them. On the CPU
//! dense layers go to `fast` instead, and convolution nets through `body`, which computes the same several
//! times as fast. `checkpoint` stores the weights, `pretrained` takes those of others, and only `device` knows which devices exist.

mod body;
mod checkpoint;
mod conv;
mod device;
mod fast;
mod kernels;
mod net;
mod ops;
mod plan;
mod pretrained;
mod transformer;

pub(crate) use body::body_bytes;
pub use checkpoint::{Checkpoint, ModelCard, Scaling};
pub use device::{devices, open};
pub(crate) use device::{full, is_full};
pub(crate) use kernels::{with_floats, with_floats_mut};
pub use net::{Net, Pass, Passes};
pub use plan::Architecture;
pub(crate) use plan::{Step, embedding_width};
pub(crate) use pretrained::{fresh_tensors, pretrained};

#[cfg(test)]
pub(crate) mod golden_tests;
