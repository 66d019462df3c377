//! Training scoring models and running them over samples.
//!
//! Both are pure functions of the samples, the recipe and a seed: on the CPU the same job gives
//! the same bytes for any number of threads. `scaling` and `augment` say what becomes of inputs,
//! `inputs` gathers them, `batches` orders, `optimizer`, `update` and `schedule` move the weights, `epochs` is
//! the loop, `snapshot` stops it between two steps, `predict` is the pass of a model, `memory` says what all
//! that takes.

mod augment;
mod batches;
mod epochs;
mod full;
mod inputs;
mod loss;
mod loss_scale;
mod memory;
mod optimizer;
mod predict;
mod pretrained;
mod scaling;
mod schedule;
mod sizing;
mod snapshot;
mod update;

pub use batches::steps_per_epoch;
pub use epochs::{EpochReport, Follow, Job, OnEpoch, Trained, Training, train};
pub use memory::{host_bytes, memory_bytes};
pub use predict::{Batch, Predictor, Request, Sink, View, predict};
pub use pretrained::{fresh_tensors, pretrained};
pub use sizing::{check, checkpoint_bytes, embedding_width, parameters};
pub use snapshot::Moment;

#[cfg(all(test, feature = "cuda"))]
mod cuda_tests;
#[cfg(test)]
mod embedding_tests;
#[cfg(test)]
mod golden_tests;
#[cfg(test)]
mod memory_tests;
#[cfg(test)]
mod precision_tests;
#[cfg(test)]
mod snapshot_tests;
#[cfg(test)]
mod tests;
