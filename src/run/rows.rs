//! Reading the run's own tables: columns, ids, labels, kept rows; and vectors of samples.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{Array, AsArray, Int32Array, StringArray};
use arrow::compute::concat_batches;
use arrow::datatypes::{Float64Type, Int32Type, Int64Type};
use arrow::record_batch::RecordBatch;
use bytes::Bytes;

use crate::error::{Error, Result};
use crate::samples::{Inputs, floats};
use crate::shards::Kept;
use crate::storage::{parquet, sha256_hex};

/// SHA-256 over the ids of the kept samples, ascending, one a line: `sort ids | sha256sum`.
pub(super) fn selection_digest(selection: &RecordBatch) -> String {
    let mut lines = String::new();
    for id in kept_ids(selection) {
        lines.push_str(&id);
        lines.push('\n');
    }
    sha256_hex(lines.as_bytes())
}

/// One of our own tables with whatever columns it has.
pub(super) fn decode(bytes: Bytes) -> Result<RecordBatch> {
    let (schema, batches) = parquet::decode(bytes)?;
    Ok(concat_batches(&schema, &batches.collect::<Result<Vec<_>>>()?)?)
}

pub(super) fn kept_ids(selection: &RecordBatch) -> BTreeSet<String> {
    let (ids, kept) = (selection.column(0).as_string::<i32>(), selection.column(6).as_boolean());
    (0..selection.num_rows()).filter(|i| kept.value(*i)).map(|i| ids.value(i).to_owned()).collect()
}

/// The kept rows, ascending by id, with their place in the source and what decided.
pub(super) fn kept_rows(samples: &RecordBatch, selection: &RecordBatch) -> Result<Vec<Kept>> {
    let (id, kept) = (strings(selection, "id")?, column(selection, "kept")?.as_boolean());
    let score = column(selection, "score")?.as_primitive::<Float64Type>();
    let (rank, stage) =
        (column(selection, "rank")?.as_primitive::<Int64Type>(), ints(selection, "stage")?);
    let source = strings(samples, "id")?;
    let (file, group) = (ints(samples, "file")?, ints(samples, "row_group")?);
    let row = column(samples, "row")?.as_primitive::<Int64Type>();
    let bytes = column(samples, "bytes")?.as_primitive::<Int64Type>();
    let mut rows = Vec::new();
    // Both tables ascend by id, and every kept id is a sample.
    let mut at = 0;
    for i in (0..selection.num_rows()).filter(|i| kept.value(*i)) {
        while at < source.len() && source.value(at) != id.value(i) {
            at += 1;
        }
        if at == source.len() {
            return Err(Error::corrupt(format!(
                "the selection keeps `{}`, which is no sample",
                id.value(i)
            )));
        }
        rows.push(Kept {
            id: id.value(i).to_owned(),
            file: file.value(at) as u32,
            row_group: group.value(at) as u32,
            row: row.value(at) as u32,
            bytes: bytes.value(at) as u64,
            score: score.is_valid(i).then(|| score.value(i)),
            rank: rank.is_valid(i).then(|| rank.value(i)),
            stage: stage.is_valid(i).then(|| stage.value(i)),
        });
    }
    Ok(rows)
}

pub(super) fn column<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a Arc<dyn Array>> {
    batch
        .column_by_name(name)
        .ok_or_else(|| Error::corrupt(format!("the table has no column `{name}`")))
}

pub(super) fn strings<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a StringArray> {
    Ok(column(batch, name)?.as_string::<i32>())
}

pub(super) fn ints<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a Int32Array> {
    Ok(column(batch, name)?.as_primitive::<Int32Type>())
}

pub(super) fn labels(batch: &RecordBatch) -> Result<Vec<u32>> {
    Ok(ints(batch, "label")?.values().iter().map(|l| *l as u32).collect())
}

/// The ids of a table in its order.
pub(super) fn ids(batch: &RecordBatch) -> Result<Vec<String>> {
    Ok(strings(batch, "id")?.iter().flatten().map(str::to_owned).collect())
}

/// The texts of a column, where they are.
pub(super) fn texts(batch: &RecordBatch, name: &str) -> Result<Vec<Option<String>>> {
    Ok(strings(batch, name)?.iter().map(|text| text.map(str::to_owned)).collect())
}

/// File, row group and row of each row of a samples or quarantine table.
pub(super) fn places(batch: &RecordBatch) -> Result<Vec<(u32, u32, u32)>> {
    let (file, group) = (ints(batch, "file")?, ints(batch, "row_group")?);
    let row = column(batch, "row")?.as_primitive::<Int64Type>();
    let place = |i: usize| (file.value(i) as u32, group.value(i) as u32, row.value(i) as u32);
    Ok((0..batch.num_rows()).map(place).collect())
}

/// The vectors of some samples, one after another.
pub(super) fn packed(inputs: &Inputs, indices: &[u32]) -> Result<Vec<f32>> {
    let mut buffer = Vec::new();
    let mut all = Vec::with_capacity(indices.len() * inputs.shape().len());
    for index in indices {
        all.extend(floats(inputs.get(*index, &mut buffer)?));
    }
    Ok(all)
}
