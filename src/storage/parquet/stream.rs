//! Row groups as streams of small batches: what is in memory is a few windows of the file, a page
//! of each column and a batch, however large the row group is.

use std::iter::Enumerate;
use std::sync::{Mutex, PoisonError};

use ::parquet::arrow::ProjectionMask;
use ::parquet::file::metadata::RowGroupMetaData;
use rayon::iter::{IndexedParallelIterator, IntoParallelIterator, ParallelIterator};

use super::windows::Windows;
use super::{BATCH_ROWS, Batches, Chunk, Columns, ParquetFile, batch_rows};
use crate::error::Result;

/// Pages are about as large as writers make them by default, or as the values that they write at
/// once, which are some hundred.
const PAGE_BYTES: u64 = 1 << 20;

/// What to read of one row group.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// The file.
    pub file: &'a ParquetFile,
    /// The row group.
    pub row_group: usize,
    /// The columns.
    pub columns: Columns<'a>,
    /// The rows, ascending; all if not given.
    pub rows: Option<Vec<u32>>,
}

impl Request<'_> {
    /// Begins to read.
    ///
    /// # Errors
    /// As [`ParquetFile::batches`].
    pub fn open(&self) -> Result<Batches> {
        self.file.batches(self.row_group, self.columns, self.rows.as_deref())
    }
}

impl ParquetFile {
    /// About how many bytes one stream of `columns` takes, for the largest of the row groups.
    ///
    /// # Errors
    /// `InvalidInput` if a column is missing or does not lie in the file.
    pub fn stream_memory(&self, columns: Columns<'_>) -> Result<u64> {
        let roots = self.roots(columns)?;
        let mask = ProjectionMask::roots(self.metadata.parquet_schema(), roots);
        let groups = self.metadata.metadata().row_groups().iter();
        let memory = groups.map(|group| Ok(group_memory(group, &self.chunks(group, &mask)?)));
        Ok(memory.collect::<Result<Vec<_>>>()?.into_iter().max().unwrap_or(0))
    }
}

/// Windows of the columns, a page of each, and a batch as it is decoded and as it is given on.
fn group_memory(group: &RowGroupMetaData, chunks: &[Chunk]) -> u64 {
    let rows = group.num_rows().max(1) as u64;
    let page = |chunk: &Chunk| {
        let bytes = chunk.decoded_bytes();
        bytes.min(PAGE_BYTES.max(bytes / rows * BATCH_ROWS as u64))
    };
    let sizes: Vec<u64> = chunks.iter().map(|c| c.range().end - c.range().start).collect();
    let bytes: u64 = chunks.iter().map(Chunk::decoded_bytes).sum();
    let batch = bytes / rows * batch_rows(group, chunks) as u64;
    Windows::memory(&sizes) + chunks.iter().map(page).sum::<u64>() + 2 * batch
}

/// Reads row groups in order, at most `lanes` at once, and hands each to `work` with its number.
/// While a lane works on one row group, the first bytes of its next one are fetched.
///
/// # Errors
/// Of several errors the first in the order of the requests.
pub fn read_groups<T: Send>(
    requests: &[Request<'_>],
    lanes: usize,
    work: impl Fn(usize, Batches) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    let queue = Mutex::new(requests.iter().enumerate());
    let done = Mutex::new(Vec::with_capacity(requests.len()));
    (0..lanes.max(1)).into_par_iter().with_max_len(1).for_each(|_| {
        let mut next = open_next(&queue);
        while let Some((number, opened)) = next {
            next = open_next(&queue);
            let result = opened.and_then(|batches| work(number, batches));
            if result.is_err() {
                // What comes later in the order cannot be the first error.
                lock(&queue).by_ref().for_each(drop);
            }
            lock(&done).push((number, result));
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(number, _)| *number);
    done.into_iter().map(|(_, result)| result).collect()
}

type Queue<'a, 'r> = Mutex<Enumerate<std::slice::Iter<'a, Request<'r>>>>;

fn open_next(queue: &Queue<'_, '_>) -> Option<(usize, Result<Batches>)> {
    let next = lock(queue).next();
    next.map(|(number, request)| (number, request.open()))
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
