//! Row groups as streams of small batches: what is in memory is a few windows of the file, a page
//! of each column and a batch, however large the row group is.

use std::iter::Enumerate;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};

use ::parquet::arrow::ProjectionMask;
use ::parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use ::parquet::file::metadata::{ColumnChunkMetaData, RowGroupMetaData};
use arrow::record_batch::RecordBatch;
use rayon::iter::{IndexedParallelIterator, IntoParallelIterator, ParallelIterator};

use super::windows::Windows;
use super::{BATCH_ROWS, Columns, ParquetFile, selection};
use crate::error::{Error, Place, Result};

/// The bytes that a batch of average rows may have.
const STREAM_BYTES: u64 = 8 << 20;

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
    /// Begins to read. A decoder that panics on damaged data gives an error instead.
    ///
    /// # Errors
    /// `InvalidInput` naming file and row group if the data cannot be decoded or a column is missing.
    pub fn open(&self) -> Result<Batches> {
        let place = format!("{}, row group {}", self.file.object.uri, self.row_group);
        let reader = guarded(|| self.reader()).at(|| place.clone())?;
        Ok(Batches { reader, place })
    }

    fn reader(&self) -> Result<ParquetRecordBatchReader> {
        let metadata = self.file.metadata.clone();
        let schema = metadata.parquet_schema();
        let mask = match self.columns {
            Columns::All => ProjectionMask::all(),
            Columns::Named(names) => ProjectionMask::roots(schema, self.file.roots(names)?),
        };
        let group = self.file.group(self.row_group)?;
        let chunks = chunks(group, &mask);
        let rows =
            stream_rows(group.num_rows(), chunks.iter().map(|c| c.uncompressed_size()).sum());
        let places = chunks.iter().map(|chunk| place(chunk)).collect::<Result<_>>()?;
        let windows = Windows::new(&self.file.object, places)?;
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(windows, metadata)
            .with_row_groups(vec![self.row_group])
            .with_projection(mask)
            .with_batch_size(rows);
        let builder = match &self.rows {
            Some(rows) => builder.with_row_selection(selection(rows)),
            None => builder,
        };
        Ok(builder.build()?)
    }
}

impl ParquetFile {
    fn group(&self, row_group: usize) -> Result<&RowGroupMetaData> {
        let missing = || Error::corrupt(format!("there is no row group {row_group}"));
        self.metadata.metadata().row_groups().get(row_group).ok_or_else(missing)
    }

    /// About how many bytes one stream of `columns` takes, for the largest of the row groups.
    ///
    /// # Errors
    /// `InvalidInput` if a column is missing.
    pub fn stream_memory(&self, columns: Columns<'_>) -> Result<u64> {
        let schema = self.metadata.parquet_schema();
        let mask = match columns {
            Columns::All => ProjectionMask::all(),
            Columns::Named(names) => ProjectionMask::roots(schema, self.roots(names)?),
        };
        let groups = self.metadata.metadata().row_groups().iter();
        Ok(groups.map(|group| group_memory(group, &chunks(group, &mask))).max().unwrap_or(0))
    }
}

fn group_memory(group: &RowGroupMetaData, chunks: &[&ColumnChunkMetaData]) -> u64 {
    let positive = |number: i64| number.max(0) as u64;
    let sizes: Vec<u64> = chunks.iter().map(|c| positive(c.compressed_size())).collect();
    let rows = positive(group.num_rows()).max(1);
    let page = |chunk: &&ColumnChunkMetaData| {
        let bytes = positive(chunk.uncompressed_size());
        bytes.min(PAGE_BYTES.max(bytes / rows * BATCH_ROWS as u64))
    };
    let pages: u64 = chunks.iter().map(page).sum();
    let bytes: i64 = chunks.iter().map(|c| c.uncompressed_size()).sum();
    let batch = positive(bytes) / rows * stream_rows(group.num_rows(), bytes) as u64;
    Windows::memory(&sizes) + pages + 2 * batch
}

fn chunks<'g>(group: &'g RowGroupMetaData, mask: &ProjectionMask) -> Vec<&'g ColumnChunkMetaData> {
    let all = group.columns().iter().enumerate();
    all.filter(|(leaf, _)| mask.leaf_included(*leaf)).map(|(_, chunk)| chunk).collect()
}

fn place(chunk: &ColumnChunkMetaData) -> Result<Range<u64>> {
    let (start, length) = chunk.byte_range();
    let end = start.checked_add(length);
    let end = end.ok_or_else(|| Error::input("a column lies beyond the end of the file"))?;
    Ok(start..end)
}

fn stream_rows(rows: i64, bytes: i64) -> usize {
    let row = (bytes.max(0) / rows.max(1)).max(1) as u64;
    ((STREAM_BYTES / row) as usize).clamp(1, BATCH_ROWS)
}

/// The batches of one row group, one after another.
pub struct Batches {
    reader: ParquetRecordBatchReader,
    place: String,
}

impl Iterator for Batches {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = guarded(|| Ok(self.reader.next().transpose()?));
        next.at(|| self.place.clone()).transpose()
    }
}

fn guarded<T>(read: impl FnOnce() -> Result<T>) -> Result<T> {
    let damaged = "the Parquet decoder failed: the file is damaged; write it again";
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| Err(Error::input(damaged)))
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
