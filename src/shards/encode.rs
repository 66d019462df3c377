//! The bytes of one shard, after the conventions of Hugging Face datasets: blobs plain and
//! uncompressed, everything else with Snappy and dictionaries, row groups of bounded size.

use std::io::Write;
use std::ops::Range;
use std::sync::Arc;

use ::parquet::arrow::ArrowSchemaConverter;
use ::parquet::basic::{Compression, Encoding, Type};
use ::parquet::file::properties::{CdcOptions, EnabledStatistics, WriterProperties};
use ::parquet::schema::types::ColumnDescriptor;
use arrow::array::{ArrayRef, Float64Array, Int32Array, Int64Array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;

use super::Kept;
use super::cut::even_parts;
use super::spill::Spill;
use crate::error::{Error, Result};
use crate::recipe;
use crate::storage::parquet;

/// Limits of one batch on its way to the encoder. Arrow's 32-bit offsets end at 2 GiB.
const BATCH_BYTES: u64 = 64 << 20;
const BATCH_ROWS: usize = 1000;

/// The key under which `datasets` notes that pages were cut by content.
const CDC_KEY: &str = "content_defined_chunking";

/// Writes shard `index` of `spill` to `out`, row group by row group: every column of the source with
/// its type, values and metadata, and with `scores` the columns `unseen_score`, `unseen_rank` and
/// `unseen_stage`. The same rows give the same bytes. Memory: one row group, as Arrow and encoded.
///
/// # Errors
/// `InvalidInput` if the source has one of those names already; whatever `out` returns.
pub fn encode_shard<W: Write + Send>(
    spill: &Spill,
    index: usize,
    scores: bool,
    out: W,
) -> Result<W> {
    let target = shard_schema(spill.schema(), scores)?;
    let properties = properties(&target)?;
    let kept = spill.kept(index)?;
    let groups = spill.parts(index)?.iter().enumerate().map(|(number, part)| {
        let (rows, target) = (spill.rows(index, number)?, Arc::clone(&target));
        Ok(batches(kept, part.clone()).into_iter().map(move |range| {
            let batch = rows.batch(range.start - part.start..range.end - part.start)?;
            if scores { with_scores(&batch, &kept[range], &target) } else { Ok(batch) }
        }))
    });
    parquet::encode(out, &target, groups, properties)
}

/// About how many bytes it takes to encode a row group, if all kept rows together have `kept` bytes
/// and are some of `rows`: the row group as Arrow and encoded, and two batches.
pub fn encode_memory(spec: &recipe::Output, kept: u64, rows: u64) -> u64 {
    // The bytes that a file states are those of its encoding; decoded they may be more.
    let group = spec.row_group_bytes.0.min(kept.saturating_mul(2));
    let batch = group.min(BATCH_BYTES).min(kept / rows.max(1) * 2 * BATCH_ROWS as u64);
    2 * (group + batch)
}

/// The schema of a shard: the source's, and the score columns if asked for.
pub(super) fn shard_schema(source: &SchemaRef, scores: bool) -> Result<SchemaRef> {
    if !scores {
        return Ok(Arc::clone(source));
    }
    let extra = score_fields();
    if let Some(taken) = extra.iter().find(|f| source.index_of(f.name()).is_ok()) {
        return Err(Error::input(format!(
            "the source has a column `{}` already; set output.scores = false or rename it",
            taken.name()
        )));
    }
    // The Hugging Face metadata need not name them: `datasets` takes their types from Arrow.
    let fields: Vec<_> = source.fields().iter().cloned().chain(extra.map(Arc::new)).collect();
    Ok(Arc::new(Schema::new_with_metadata(fields, source.metadata().clone())))
}

pub(super) fn score_fields() -> [Field; 3] {
    [
        Field::new("unseen_score", DataType::Float64, true),
        Field::new("unseen_rank", DataType::Int64, true),
        Field::new("unseen_stage", DataType::Int32, true),
    ]
}

/// Appends the score columns to rows of the source.
pub(super) fn with_scores(
    batch: &RecordBatch,
    rows: &[Kept],
    target: &SchemaRef,
) -> Result<RecordBatch> {
    let mut columns = batch.columns().to_vec();
    let extra: [ArrayRef; 3] = [
        Arc::new(rows.iter().map(|r| r.score).collect::<Float64Array>()),
        Arc::new(rows.iter().map(|r| r.rank).collect::<Int64Array>()),
        Arc::new(rows.iter().map(|r| r.stage).collect::<Int32Array>()),
    ];
    columns.extend(extra);
    Ok(RecordBatch::try_new(Arc::clone(target), columns)?)
}

/// Cuts a range of rows into even parts of at most `bound` bytes.
pub(super) fn parts(rows: &[Kept], range: Range<usize>, bound: u64) -> Vec<Range<usize>> {
    let bytes: Vec<u64> = rows[range.clone()].iter().map(|r| r.bytes).collect();
    let mut start = range.start;
    let next = |length: usize| {
        start += length;
        start - length..start
    };
    even_parts(&bytes, bound).into_iter().map(next).collect()
}

/// Cuts a row group into batches that fit Arrow's offsets.
pub(super) fn batches(rows: &[Kept], group: Range<usize>) -> Vec<Range<usize>> {
    let parts = parts(rows, group, BATCH_BYTES).into_iter();
    let short = |part: Range<usize>| {
        let end = part.end;
        part.step_by(BATCH_ROWS).map(move |start| start..end.min(start + BATCH_ROWS))
    };
    parts.flat_map(short).collect()
}

fn properties(schema: &Schema) -> Result<WriterProperties> {
    let mut builder = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_max_row_group_row_count(None)
        .set_created_by(concat!("unseen ", env!("CARGO_PKG_VERSION")).to_owned());
    if schema.metadata().contains_key(CDC_KEY) {
        // The key is copied from the source; cutting pages in the same way keeps it true.
        builder = builder.set_content_defined_chunking(Some(CdcOptions::default()));
    }
    for leaf in ArrowSchemaConverter::new().convert(schema)?.columns().iter().filter(|l| is_blob(l))
    {
        let path = leaf.path();
        builder = builder
            .set_column_encoding(path.clone(), Encoding::PLAIN)
            .set_column_compression(path.clone(), Compression::UNCOMPRESSED)
            .set_column_dictionary_enabled(path.clone(), false)
            .set_column_statistics_enabled(path.clone(), EnabledStatistics::None);
    }
    Ok(builder.build())
}

/// Whether a column holds opaque bytes, such as the `bytes` of an image: they are compressed
/// already, and statistics of megabytes would bloat the footer.
fn is_blob(leaf: &ColumnDescriptor) -> bool {
    leaf.physical_type() == Type::BYTE_ARRAY && leaf.logical_type_ref().is_none()
}
