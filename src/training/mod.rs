//! Training scoring models and running them over samples.
//!
//! Both are pure functions of the samples, the recipe and a seed: on the CPU the same job gives
//! the same bytes for any number of threads. `inputs` scales and augments, `batches` orders,
//! `optimizer`, `update` and `schedule` move the weights, `epochs` is the loop, `snapshot`
//! stops it between two steps, `predict` is the pass of a model.

mod batches;
mod epochs;
mod full;
mod inputs;
mod loss;
mod loss_scale;
mod optimizer;
mod predict;
mod pretrained;
mod schedule;
mod sizing;
mod snapshot;
mod update;

pub use batches::steps_per_epoch;
pub use epochs::{EpochReport, Follow, Job, OnEpoch, Trained, Training, train};
pub use predict::{Batch, Predictor, Request, Sink, View, predict};
pub use pretrained::{fresh_tensors, pretrained};
pub use sizing::{check, checkpoint_bytes, embedding_width, host_bytes, memory_bytes, parameters};
pub use snapshot::Moment;

#[cfg(all(test, feature = "cuda"))]
mod cuda_tests;
#[cfg(test)]
mod embedding_tests;
#[cfg(test)]
mod golden_tests;
#[cfg(test)]
mod precision_tests;
#[cfg(test)]
mod snapshot_tests;
#[cfg(test)]
mod tests;
