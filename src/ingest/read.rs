//! Reading foreign bytes: a decoder that panics on damaged data gives an error instead.

use std::panic::{AssertUnwindSafe, catch_unwind};

use arrow::record_batch::RecordBatch;

use crate::error::{Error, Result};
use crate::storage::Object;
use crate::storage::parquet::{Batches, Columns, ParquetFile, Request};

/// Opens a file.
pub(super) fn open(object: Object) -> Result<ParquetFile> {
    let uri = object.uri.clone();
    guarded(|| ParquetFile::open(object), || uri)
}

/// Reads `columns` of one row group, and of its rows only `rows` (ascending), if given.
pub(super) fn read(
    file: &ParquetFile,
    row_group: usize,
    columns: Columns<'_>,
    rows: Option<&[u32]>,
) -> Result<Vec<RecordBatch>> {
    let place = || format!("{}, row group {row_group}", file.object().uri);
    guarded(|| file.read(row_group, columns, rows), place)
}

/// Begins to read one row group batch by batch; as [`read`].
pub(super) fn stream<'a>(
    file: &'a ParquetFile,
    row_group: usize,
    columns: Columns<'a>,
    rows: &[u32],
) -> Result<Batches> {
    Request { file, row_group, columns, rows: Some(rows.to_vec()) }.open()
}

fn guarded<T>(read: impl FnOnce() -> Result<T>, place: impl FnOnce() -> String) -> Result<T> {
    let damaged = "the Parquet decoder failed: the file is damaged; write it again";
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| Err(Error::input(damaged).at(place())))
}
