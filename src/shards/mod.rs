//! The coreset as files: which row goes into which shard, the shards' bytes, the view and the card.
//!
//! - `cut`: parts of bounded, even size.
//! - `spill`: reads the kept rows of the source once, for all shards.
//! - `rows`: every column as it is in the source.
//! - `encode`: writes one shard.
//! - `compare`: the proof that a shard equals its source.
//! - `card`, `features`, `yaml`: the dataset card and what it says about the columns.
//!
//! This room reads the source and writes to what it is given; the run room puts that into a store.

mod card;
mod compare;
mod cut;
mod encode;
mod features;
mod rows;
mod spill;
mod yaml;

pub use card::{CardInfo, ClassCount, card};
pub use compare::compare;
pub use encode::{encode_memory, encode_shard};
pub use spill::{Room, Spill, lane_memory};

use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, Int64Array, StringArray};
use arrow::record_batch::RecordBatch;

use crate::error::{Error, Result};
use crate::seed::Seed;
use crate::tables;

/// One kept row: where it is in the source and what the selection says about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Kept {
    /// The sample's id.
    pub id: String,
    /// Index of the source file.
    pub file: u32,
    /// Index of the row group in its file.
    pub row_group: u32,
    /// Index of the row in its row group.
    pub row: u32,
    /// Uncompressed bytes of the row, all columns together. Sizes of shards and row groups are sums
    /// of these.
    pub bytes: u64,
    /// The score that decided.
    pub score: Option<f64>,
    /// The rank in the stage of entry, from 1.
    pub rank: Option<i64>,
    /// The stage of entry, from 1.
    pub stage: Option<i32>,
}

/// Distributes the kept rows over shards of at most `shard_bytes` (a larger row is a shard of its
/// own), evenly filled. Rows are shuffled by a keyed hash of their id, so that the result depends on
/// the seed and the ids but not on the order of `kept`, and every shard is a random sample.
pub fn layout(kept: Vec<Kept>, shard_bytes: u64, seed: &Seed) -> Vec<Vec<Kept>> {
    let seed = seed.of("shard");
    let mut keyed: Vec<(u64, Kept)> = kept.into_iter().map(|k| (seed.hash(&k.id), k)).collect();
    keyed.sort_unstable_by(|(a, x), (b, y)| (a, &x.id).cmp(&(b, &y.id)));
    let bytes: Vec<u64> = keyed.iter().map(|(_, row)| row.bytes).collect();
    let mut rows = keyed.into_iter().map(|(_, row)| row);
    let lengths = cut::even_parts(&bytes, shard_bytes).into_iter();
    lengths.map(|length| rows.by_ref().take(length).collect()).collect()
}

/// The name of shard `index` (from 0) of `count`, below the coreset's directory, in the form that
/// Hugging Face tools look for.
pub fn shard_name(split: &str, index: usize, count: usize) -> String {
    format!("data/{split}-{index:05}-of-{count:05}.parquet")
}

/// The view of the shards, [`tables::view`]: every kept row in the order of the shards. `files` are
/// the addresses of the source files.
///
/// # Errors
/// `Internal` if a row names a file that is not there.
pub fn view(shards: &[Vec<Kept>], files: &[String]) -> Result<RecordBatch> {
    let rows = || shards.iter().flatten();
    let uri = |row: &Kept| {
        let uri = files.get(row.file as usize);
        uri.ok_or_else(|| Error::internal(format!("sample `{}` is in no source file", row.id)))
    };
    let uris: Vec<&String> = rows().map(uri).collect::<Result<_>>()?;
    let numbers = shards.iter().enumerate().flat_map(|(i, shard)| shard.iter().map(move |_| i));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values(rows().map(|r| &r.id))),
        Arc::new(StringArray::from_iter_values(uris)),
        Arc::new(Int32Array::from_iter_values(rows().map(|r| r.row_group as i32))),
        Arc::new(Int64Array::from_iter_values(rows().map(|r| i64::from(r.row)))),
        Arc::new(Int32Array::from_iter_values(numbers.map(|i| i as i32))),
    ];
    Ok(RecordBatch::try_new(tables::view(), columns)?)
}

#[cfg(test)]
mod tests;
