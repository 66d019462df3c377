//! The only room that talks to object stores and the only one that reads or writes Parquet bytes.
//!
//! - `location`: from an address to a [`Dir`] (the run directory) or to [`Object`]s (the input).
//! - `parquet`: reads columns, row groups and rows of an [`Object`]; encodes tables.
//! - `upload`: an object that is written piece by piece.
//! - `scratch`: files for what does not fit in memory.
//! - `frame`: the bridge to Polars.
//! - `commit`: the protocol that makes a run directory trustworthy.
//!
//! The surface is synchronous: callers are worker threads that compute, and concurrency of I/O is
//! this room's own business. Call it outside of an async runtime.

mod commit;
pub mod frame;
mod location;
pub mod parquet;
mod scratch;
mod upload;

pub(crate) use commit::FORMAT;
pub use commit::{Input, Ledger, Output, OutputWriter, Record, Recorded, attempt_id, sha256_hex};
pub use location::{Dir, Object, Written, read_text, resolve};
pub use scratch::{Scratch, machine_memory};
pub use upload::{Sum, Upload};

use std::future::Future;
use std::sync::OnceLock;

use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

use crate::error::{Error, ErrorKind, Result};

/// Runs a store operation to its end on the I/O runtime.
fn wait<T>(operation: impl Future<Output = T>) -> Result<T> {
    Ok(runtime()?.block_on(operation))
}

/// Begins a store operation; the I/O threads go on with it while the caller computes.
fn begin<T: Send + 'static>(
    operation: impl Future<Output = T> + Send + 'static,
) -> Result<JoinHandle<T>> {
    Ok(runtime()?.spawn(operation))
}

fn runtime() -> Result<&'static Runtime> {
    static RUNTIME: OnceLock<std::io::Result<Runtime>> = OnceLock::new();
    let runtime = RUNTIME
        .get_or_init(|| Builder::new_multi_thread().worker_threads(2).thread_name("io").build());
    runtime.as_ref().map_err(|e| {
        let message = format!("cannot start the I/O threads ({e}); raise the limit of processes");
        Error::new(ErrorKind::Unavailable, message)
    })
}
