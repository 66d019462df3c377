//! Prune training datasets: score every sample with models that never saw it, and keep the
//! samples that a model learns most from.

// Tests make and break files as they please.
#![cfg_attr(test, allow(clippy::disallowed_methods))]

pub mod cli;
pub mod error;
pub mod folds;
pub mod ingest;
#[cfg(feature = "train")]
pub mod models;
pub mod recipe;
pub mod run;
pub mod samples;
pub mod scoring;
pub mod seed;
pub mod selection;
pub mod shards;
pub mod storage;
pub mod tables;
#[cfg(feature = "train")]
pub mod training;

pub use error::{Error, ErrorKind, Result};
pub use selection::prelude;
