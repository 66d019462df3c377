//! The proof that a shard is a copy: every row equals its source row in every column.

use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Schema};
use arrow::record_batch::RecordBatch;

use super::Kept;
use super::encode::{batches, score_fields, shard_schema, with_scores};
use super::spill::Spill;
use crate::error::{Error, Result};
use crate::storage::Object;
use crate::storage::parquet::{Columns, Limits, ParquetFile, Request};

/// Proves that `shard` holds exactly the rows of shard `index` of `spill`, in their order, and that
/// each equals its row in the source in every column; score columns, if there are any, equal those of
/// the kept rows. The schemas must be equal too, with all metadata. Memory: one row group of the
/// source's rows and a few batches of the shard.
///
/// The rows of the source come the way they came when the shard was written; the column `id`, if there
/// is one, is held against the selection besides, so that a row in a wrong place cannot pass.
///
/// # Errors
/// `CorruptData` naming the first sample and column that differ, or what differs in the schema.
pub fn compare(spill: &Spill, index: usize, shard: Object, id: Option<&str>) -> Result<()> {
    let undecodable = |e: Error| Error::corrupt("the shard cannot be decoded").because(e);
    let shard = ParquetFile::open(shard, Limits::OURS).map_err(undecodable)?;
    let schema = spill.schema();
    let scores = shard.schema().fields().len() == schema.fields().len() + score_fields().len();
    let target = shard_schema(schema, scores)?;
    same_schema(shard.schema(), &target)?;
    let kept = spill.kept(index)?;
    let found: u64 = shard.row_groups().iter().map(|group| group.rows).sum();
    if found != kept.len() as u64 {
        let message = format!("the shard has {found} rows, it should have {}", kept.len());
        return Err(Error::corrupt(message));
    }
    let mut found = Found::new(&shard);
    for (number, part) in spill.parts(index)?.iter().enumerate() {
        let source = spill.rows(index, number)?;
        for mut range in batches(kept, part.clone()) {
            while !range.is_empty() {
                let batch = found.next(range.len()).map_err(undecodable)?;
                let now = range.start..range.start + batch.num_rows();
                let source = source.batch(now.start - part.start..now.end - part.start)?;
                let kept = &kept[now.clone()];
                let wanted = if scores { with_scores(&source, kept, &target)? } else { source };
                same_rows(&batch, &wanted, kept)?;
                id.map_or(Ok(()), |id| same_ids(&batch, id, kept))?;
                range.start = now.end;
            }
        }
    }
    Ok(())
}

/// The rows of a shard, some at a time.
struct Found<'a> {
    batches: Box<dyn Iterator<Item = Result<RecordBatch>> + 'a>,
    rest: Option<RecordBatch>,
}

impl<'a> Found<'a> {
    fn new(shard: &'a ParquetFile) -> Self {
        let open = |row_group| {
            Request { file: shard, row_group, columns: Columns::All, rows: None }.open()
        };
        let groups = (0..shard.row_groups().len()).map(open);
        let batches = groups.flat_map(|opened| match opened {
            Ok(batches) => Box::new(batches) as Box<dyn Iterator<Item = _>>,
            Err(e) => Box::new(std::iter::once(Err(e))),
        });
        Self { batches: Box::new(batches), rest: None }
    }

    /// The next rows, at least one and at most `most`.
    fn next(&mut self, most: usize) -> Result<RecordBatch> {
        let batch = match self.rest.take() {
            Some(batch) => batch,
            None => self.batches.next().ok_or_else(|| Error::corrupt("it ends too early"))??,
        };
        let now = most.min(batch.num_rows());
        if now < batch.num_rows() {
            self.rest = Some(batch.slice(now, batch.num_rows() - now));
        }
        Ok(batch.slice(0, now))
    }
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

/// The rows are those of `rows`, by what their own column says.
fn same_ids(found: &RecordBatch, column: &str, rows: &[Kept]) -> Result<()> {
    let missing = || Error::corrupt(format!("the shard has no column `{column}`"));
    let ids = cast(found.column_by_name(column).ok_or_else(missing)?, &DataType::Utf8)?;
    let ids = ids.as_string::<i32>();
    match rows.iter().zip(ids).find(|(row, id)| Some(row.id.as_str()) != *id) {
        Some((row, found)) => Err(Error::corrupt(format!(
            "in the place of sample `{}` is the row `{}`",
            row.id,
            found.unwrap_or("null")
        ))),
        None => Ok(()),
    }
}

fn differs(id: &str, column: &str) -> Error {
    Error::corrupt(format!("sample `{id}` differs from its source in column `{column}`"))
}
