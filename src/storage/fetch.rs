//! Ranged reads of one input object, always of the version that the run has looked at.

use std::ops::Range;

use ::parquet::errors::{ParquetError, Result};
use ::parquet::file::metadata::FooterTail;
use ::parquet::file::reader::{ChunkReader, Length};
use bytes::buf::Reader;
use bytes::{Buf, Bytes};
use object_store::{GetOptions, OBJECT_STORE_COALESCE_DEFAULT, ObjectStore, coalesce_ranges};

use super::location::Object;
use super::wait;

/// The bytes at the end of a file that are fetched first; most footers fit.
const TAIL_BYTES: u64 = 64 << 10;

/// The largest footer: one of this size takes about a gigabyte in memory.
const MAX_FOOTER: u64 = 64 << 20;

/// The length of the footer and `PAR1` end a file.
const END_BYTES: u64 = 8;

/// Reads a range of the version of the object that the run has looked at, and of no other.
async fn get(object: &Object, range: Range<u64>) -> Result<Bytes> {
    let options = GetOptions::new().with_range(Some(range)).with_if_match(object.etag.clone());
    let got = async { object.store.get_opts(&object.path, options).await?.bytes().await };
    got.await.map_err(external)
}

fn external(e: object_store::Error) -> ParquetError {
    ParquetError::External(match e {
        object_store::Error::Precondition { .. } => {
            "the file was written again after the run had looked at it; start a new run".into()
        }
        other => Box::new(other),
    })
}

/// The footer's bytes, without the end of the file.
pub(super) async fn footer(object: &Object) -> Result<Bytes> {
    let size = object.bytes;
    let damaged = |what: &str| ParquetError::EOF(what.to_owned());
    let tail = get(object, size.saturating_sub(TAIL_BYTES)..size).await?;
    let Some((rest, end)) = tail.split_last_chunk::<{ END_BYTES as usize }>() else {
        return Err(damaged("it is too short"));
    };
    let end = FooterTail::try_new(end)?;
    if end.is_encrypted_footer() {
        return Err(ParquetError::NYI("its footer is encrypted".to_owned()));
    }
    let length = end.metadata_length() as u64;
    if length.saturating_add(END_BYTES) > size {
        return Err(damaged("its footer is longer than the file"));
    }
    if length > MAX_FOOTER {
        return Err(ParquetError::NYI(format!("its footer has more than {MAX_FOOTER} bytes")));
    }
    match (rest.len() as u64).checked_sub(length) {
        Some(before) => Ok(tail.slice(before as usize..rest.len())),
        None => get(object, size - END_BYTES - length..size - END_BYTES).await,
    }
}

/// Column chunks in memory, as a file that has nothing else.
pub(super) struct Fetched {
    chunks: Vec<(Range<u64>, Bytes)>,
}

impl Fetched {
    /// Fetches these ranges.
    ///
    /// # Errors
    /// `InvalidInput` if the object is another one by now or cannot be read.
    pub(super) fn new(object: &Object, ranges: Vec<Range<u64>>) -> crate::error::Result<Self> {
        let fetch = coalesce_ranges(&ranges, |r| get(object, r), OBJECT_STORE_COALESCE_DEFAULT);
        let bytes = wait(fetch)??;
        Ok(Self { chunks: ranges.into_iter().zip(bytes).collect() })
    }
}

impl Length for Fetched {
    fn len(&self) -> u64 {
        self.chunks.iter().map(|(range, _)| range.end).max().unwrap_or(0)
    }
}

impl ChunkReader for Fetched {
    type T = Reader<Bytes>;

    fn get_read(&self, start: u64) -> Result<Reader<Bytes>> {
        let found = self.chunks.iter().find(|(range, _)| range.contains(&start));
        let bytes = found.map(|(range, bytes)| bytes.slice((start - range.start) as usize..));
        Ok(bytes.unwrap_or_default().reader())
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        let outside = || ParquetError::EOF("a page lies outside of its column".to_owned());
        let found = self.chunks.iter().find(|(range, _)| range.contains(&start));
        let (range, bytes) = found.ok_or_else(outside)?;
        let from = (start - range.start) as usize;
        let to = from.checked_add(length).filter(|to| *to <= bytes.len());
        Ok(bytes.slice(from..to.ok_or_else(outside)?))
    }
}
