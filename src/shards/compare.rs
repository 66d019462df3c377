//! The proof that a shard is a copy: every row equals its source row in every column.

use std::sync::Arc;

use arrow::array::Array;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use bytes::Bytes;

use super::Kept;
use super::encode::{score_fields, shard_schema, with_scores};
use super::rows::Rows;
use crate::error::{Error, Result};
use crate::storage::parquet::{self, ParquetFile};

/// Proves that the shard with these bytes holds exactly `rows`, in this order, and that each equals
/// its row in the source in every column; score columns, if there are any, equal those of `rows`.
/// The schemas must be equal too, with all metadata.
///
/// # Errors
/// `CorruptData` naming the first sample and column that differ, or what differs in the schema;
/// `InvalidInput` if the source cannot be read.
pub fn compare(
    files: &[ParquetFile],
    schema: &SchemaRef,
    rows: &[Kept],
    shard: Bytes,
) -> Result<()> {
    let undecodable = |e: Error| Error::corrupt("the shard cannot be decoded").because(e);
    let (found, batches) = parquet::decode(shard).map_err(undecodable)?;
    let scores = found.fields().len() == schema.fields().len() + score_fields().len();
    let target = shard_schema(schema, scores)?;
    same_schema(&found, &target)?;
    let source = Rows::read(files, schema, rows)?;
    let mut start = 0;
    for batch in batches {
        let batch = batch.map_err(undecodable)?;
        let end = start + batch.num_rows();
        let Some(kept) = rows.get(start..end) else { return Err(wrong_count(end, rows.len())) };
        let source = source.batch(start..end)?;
        let wanted = if scores { with_scores(&source, kept, &target)? } else { source };
        same_rows(&batch, &wanted, kept)?;
        start = end;
    }
    if start == rows.len() { Ok(()) } else { Err(wrong_count(start, rows.len())) }
}

fn wrong_count(found: usize, wanted: usize) -> Error {
    Error::corrupt(format!("the shard has {found} rows or more, it should have {wanted}"))
}

fn same_schema(found: &Schema, wanted: &Schema) -> Result<()> {
    if found.metadata() != wanted.metadata() {
        return Err(Error::corrupt("the shard's schema metadata is not the source's"));
    }
    let differ = found.fields().iter().zip(wanted.fields()).find(|(a, b)| a != b);
    if let Some((found, wanted)) = differ {
        return Err(Error::corrupt(format!("the shard has the column {found}, not {wanted}")));
    }
    if found.fields().len() != wanted.fields().len() {
        let (found, wanted) = (found.fields().len(), wanted.fields().len());
        return Err(Error::corrupt(format!("the shard has {found} columns, not {wanted}")));
    }
    Ok(())
}

fn same_rows(found: &RecordBatch, wanted: &RecordBatch, rows: &[Kept]) -> Result<()> {
    let same = |(a, b): (&Arc<dyn Array>, &Arc<dyn Array>)| a == b;
    if found.columns().iter().zip(wanted.columns()).all(same) {
        return Ok(());
    }
    for (i, row) in rows.iter().enumerate() {
        let (found, wanted) = (found.slice(i, 1), wanted.slice(i, 1));
        let differ = found.columns().iter().zip(wanted.columns()).position(|pair| !same(pair));
        if let Some(column) = differ {
            return Err(differs(&row.id, wanted.schema_ref().field(column).name()));
        }
    }
    Err(Error::internal("a shard differs from its source, but no row does"))
}

fn differs(id: &str, column: &str) -> Error {
    Error::corrupt(format!("sample `{id}` differs from its source in column `{column}`"))
}
