//! Prune training datasets: score every sample with models that never saw it, and keep the
//! samples that a model learns most from.

pub mod error;
pub mod folds;
#[cfg(feature = "train")]
pub mod models;
pub mod recipe;
pub mod samples;
pub mod scoring;
pub mod seed;
pub mod selection;
pub mod shards;
pub mod tables;
#[cfg(feature = "train")]
pub mod training;

pub use error::{Error, ErrorKind, Result};
pub mod storage;
