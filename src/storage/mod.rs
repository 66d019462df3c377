//! The only room that talks to object stores and the only one that reads or writes Parquet bytes.
//!
//! - `location`: from an address to a [`Dir`] (the run directory) or to [`Object`]s (the input).
//! - `links`: keeps what is written inside of a directory.
//! - `parquet`: reads columns, row groups and rows of an [`Object`]; encodes tables.
//! - `fetch`: the ranged reads under it. `foreign`: how far their bytes are believed.
//! - `size`: the bytes of rows.
//! - `frame`: the bridge to Polars.
//! - `sealed`: JSON documents with a checksum inside.
//! - `commit`: the protocol that makes a run directory trustworthy.
//!
//! The surface is synchronous: callers are worker threads that compute, and concurrency of I/O is
//! this room's own business. Call it outside of an async runtime.

mod commit;
mod fetch;
mod foreign;
pub mod frame;
mod links;
mod location;
pub mod parquet;
mod sealed;
mod size;

pub(crate) use commit::FORMAT;
pub use commit::{Input, Ledger, Output, Record, Recorded, attempt_id, sha256_hex};
pub use location::{Dir, Object, Written, read_text, resolve};
pub(crate) use sealed::{checksum_schema, seal, unseal};
pub use size::row_bytes;

use std::future::Future;
use std::sync::OnceLock;

use tokio::runtime::{Builder, Runtime};

use crate::error::{Error, ErrorKind, Result};

/// Runs a store operation to its end on the I/O runtime.
fn wait<T>(operation: impl Future<Output = T>) -> Result<T> {
    static RUNTIME: OnceLock<std::io::Result<Runtime>> = OnceLock::new();
    let runtime = RUNTIME
        .get_or_init(|| Builder::new_multi_thread().worker_threads(2).thread_name("io").build());
    match runtime {
        Ok(runtime) => Ok(runtime.block_on(operation)),
        Err(e) => Err(Error::new(
            ErrorKind::Unavailable,
            format!("cannot start the I/O threads ({e}); raise the limit of processes"),
        )),
    }
}
