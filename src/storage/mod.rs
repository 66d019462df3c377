//! The only room that talks to object stores and the only one that reads or writes Parquet bytes.
//!
//! - `store`, `aws`, `profile`: from an address to a store, with settings and credentials.
//! - `patient`: the guard around every store: no operation waits for ever.
//! - `location`: a [`Dir`] (the run directory). `object`: [`Object`]s (the input).
//! - `links`: keeps what is written inside of a directory.
//! - `parquet`: reads columns, row groups and rows of an [`Object`]; encodes tables.
//! - `fetch`: the ranged reads under it. `foreign`: how far their bytes are believed.
//! - `size`: the bytes of rows.
//! - `upload`: an object that is written piece by piece. `new_file`: one at an address of its own.
//! - `scratch`: files for what does not fit in memory.
//! - `frame`: the bridge to Polars.
//! - `sealed`: JSON documents with a checksum inside.
//! - `commit`: the protocol that makes a run directory trustworthy. `checkpoint`: tasks half done.
//! - `doctor`: whether a store does what a run needs. `litter`: half-written local files.
//! - `claim`, `process`: who works on which task. `crash`: where tests let a process die.
//!
//! The surface is synchronous: callers are worker threads that compute, and concurrency of I/O is
//! this room's own business. Call it outside of an async runtime.

#[cfg(feature = "s3")]
mod aws;
mod checkpoint;
pub mod claim;
mod commit;
pub mod crash;
pub mod doctor;
mod fetch;
mod foreign;
pub mod frame;
mod links;
mod litter;
mod location;
mod new_file;
mod object;
pub mod parquet;
mod patient;
pub mod process;
#[cfg(feature = "s3")]
mod profile;
mod scratch;
mod sealed;
mod size;
mod store;
mod upload;

pub use checkpoint::CHECKPOINTS;
pub use commit::{
    FORMAT, Input, Ledger, Output, OutputWriter, Record, Recorded, attempt_id, sha256_hex,
};
pub use location::{Dir, Listed, Written};
pub use new_file::NewFile;
pub use object::{Object, read_text, resolve, resolve_one};
pub use scratch::{Scratch, machine_memory};
pub(crate) use sealed::{checksum_schema, seal, unseal};
pub use size::Sizes;
pub use upload::{Sum, Upload};

use std::future::Future;
use std::sync::OnceLock;

use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

use crate::error::{Error, ErrorKind, Result};

/// The target of log lines about requests that are made again.
pub const RETRIES: &str = "object_store::client";

/// Runs a store operation to its end on the I/O runtime.
fn wait<T>(operation: impl Future<Output = T>) -> Result<T> {
    Ok(runtime()?.block_on(operation))
}

/// The threads that do I/O, for all stores.
fn runtime() -> Result<&'static Runtime> {
    static RUNTIME: OnceLock<std::io::Result<Runtime>> = OnceLock::new();
    let runtime = RUNTIME.get_or_init(|| {
        Builder::new_multi_thread().worker_threads(2).thread_name("io").enable_all().build()
    });
    runtime.as_ref().map_err(|e| {
        let message = format!("cannot start the I/O threads ({e}); raise the limit of processes");
        Error::new(ErrorKind::Unavailable, message)
    })
}

/// Begins a store operation; the I/O threads go on with it while the caller computes.
fn begin<T: Send + 'static>(
    operation: impl Future<Output = T> + Send + 'static,
) -> Result<JoinHandle<T>> {
    Ok(runtime()?.spawn(operation))
}
