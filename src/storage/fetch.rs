//! Ranged reads of one input object, always of the version that the run has looked at.

use std::ops::Range;

use ::parquet::errors::{ParquetError, Result};
use ::parquet::file::metadata::FooterTail;
use bytes::Bytes;
use object_store::{GetOptions, ObjectStore};

use super::object::Object;

/// The bytes at the end of a file that are fetched first; most footers fit.
const TAIL_BYTES: u64 = 64 << 10;

/// The largest footer: one of this size takes about a gigabyte in memory.
const MAX_FOOTER: u64 = 64 << 20;

/// The length of the footer and `PAR1` end a file.
const END_BYTES: u64 = 8;

/// Reads a range of the version of the object that the run has looked at, and of no other.
///
/// # Errors
/// If it cannot be read, is another version by now, or gives fewer bytes than were asked for.
pub(super) async fn get(object: &Object, range: Range<u64>) -> Result<Bytes> {
    let wanted = range.end.saturating_sub(range.start);
    let options = GetOptions::new().with_range(Some(range)).with_if_match(object.etag.clone());
    let got = async { object.store.get_opts(&object.path, options).await?.bytes().await };
    let bytes = got.await.map_err(external)?;
    if bytes.len() as u64 == wanted {
        Ok(bytes)
    } else {
        let (found, uri) = (bytes.len(), &object.uri);
        Err(ParquetError::EOF(format!("{uri} gave {found} of {wanted} bytes; run again")))
    }
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
