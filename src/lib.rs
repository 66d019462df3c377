//! Prune training datasets: score every sample with models that never saw it, and keep the
//! samples that a model learns most from.
//!
//! The method is UNSEEN (Xu et al., AAAI 2026): split the data into K folds, train one model on
//! each, let it score all others, keep the top; then train on what is kept, score the rest, add the
//! top, until the wanted size is reached.
//!
//! ```
//! use unseen::{recipe, run};
//!
//! # let place = tempfile::tempdir().unwrap();
//! # let output = place.path().join("run").to_str().unwrap().to_owned();
//! let text = format!(r#"
//!     [data]
//!     uri = "data/fashion_mnist_6k.parquet"
//!     filter = "split = 'train' AND label < 3"
//!     image = "image"
//!     [model]
//!     arch = "linear"
//!     [train]
//!     epochs = 2
//!     [select]
//!     by = "margin"
//!     keep = 0.4
//!     [output]
//!     uri = "{output}"
//! "#);
//! let recipe = recipe::parse(&text, "example.toml", &[])?;
//! let summary = run::Run::new(recipe)?.execute(&run::Silent)?;
//! assert_eq!((summary.usable, summary.kept), (1500, 600));
//! assert!(run::verify(&output, &recipe::Storage::default())?.passed);
//! # Ok::<(), unseen::Error>(())
//! ```
//!
//! # Map
//!
//! [`recipe`] says what to do, [`run`] does it, [`report`] shows it and [`records`] tells other tools. Between them: [`ingest`] decodes foreign Parquet,
//! [`folds`] splits, [`models`] and [`training`] make predictions, [`scoring`] turns those into
//! scores, [`selection`] decides (Polars queries), [`lazy`] offers all that to anyone's queries, [`shards`] cuts the coreset, [`storage`] is the only room that reads and writes,
//! [`tables`] are the contracts. [`external`] takes predictions and score tables from anywhere, without a run.
//!
//! # Features
//!
//! - `train` (default): Candle models. Without it tables can be read, verified and selected from.
//! - `cuda`: CUDA devices; needs the CUDA toolkit to build, hence off. `cudnn`: their convolutions by cuDNN.
//!
//! # Promises
//!
//! Same input, recipe and seed: same bytes, on any number of CPU threads and after any kill. No
//! sample is dropped without a row that says why. Not promised: equal bytes across CPU and CUDA, or
//! across machines whose floating-point units round differently.

// Tests make and break files as they please.
#![cfg_attr(test, allow(clippy::disallowed_methods))]

pub mod cli;
mod distance;
pub mod error;
pub mod evaluation;
pub mod external;
mod fence;
pub mod folds;
pub mod ingest;
pub mod lazy;
#[cfg(feature = "train")]
pub mod models;
pub mod recipe;
pub mod records;
pub mod report;
pub mod run;
pub mod samples;
pub mod scoring;
pub mod secret;
pub mod seed;
pub mod selection;
pub mod shards;
mod sql;
pub mod storage;
pub mod tables;
#[cfg(feature = "train")]
pub mod training;

pub use error::{Error, ErrorKind, Result};
pub use lazy::prelude;
