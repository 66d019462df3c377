//! The tables of a loaded dataset.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, Int64Array, StringArray};
use arrow::record_batch::RecordBatch;

use super::load::Loaded;
use super::survey::Row;
use crate::error::Result;
use crate::tables;

/// The tables [`tables::samples`] and [`tables::quarantine`] of a loaded dataset; `clusters` names the
/// cluster of duplicates of each sample that is not alone.
///
/// # Errors
/// `Internal` if a table breaks its contract.
pub fn tables(loaded: &Loaded, clusters: &[Option<String>]) -> Result<(RecordBatch, RecordBatch)> {
    Ok((samples(loaded, clusters)?, quarantine(loaded)?))
}

fn samples(loaded: &Loaded, clusters: &[Option<String>]) -> Result<RecordBatch> {
    let rows: Vec<&Row> = loaded.rows.iter().collect();
    let [id, file, row_group, row] = places(&rows);
    let label: Int32Array = rows.iter().map(|r| Some(r.label as i32)).collect();
    let bytes: Int64Array = loaded.bytes.iter().map(|&b| Some(b as i64)).collect();
    let group: StringArray = rows.iter().map(|r| r.group.as_deref()).collect();
    let content = StringArray::from_iter_values(loaded.contents.iter().map(ToString::to_string));
    let cluster: StringArray = clusters.iter().map(Option::as_deref).collect();
    let columns = vec![
        id,
        Arc::new(label),
        file,
        row_group,
        row,
        Arc::new(bytes),
        Arc::new(group),
        Arc::new(content),
        Arc::new(cluster),
    ];
    Ok(RecordBatch::try_new(tables::samples(), columns)?)
}

fn quarantine(loaded: &Loaded) -> Result<RecordBatch> {
    let rows: Vec<&Row> = loaded.quarantine.iter().map(|q| &q.row).collect();
    let [id, file, row_group, row] = places(&rows);
    let reason: StringArray = loaded.quarantine.iter().map(|q| Some(q.reason.as_str())).collect();
    let columns = vec![id, file, row_group, row, Arc::new(reason)];
    Ok(RecordBatch::try_new(tables::quarantine(), columns)?)
}

/// The columns `id`, `file`, `row_group` and `row`.
fn places(rows: &[&Row]) -> [ArrayRef; 4] {
    let numbers = |of: fn(&Row) -> u32| -> Int32Array {
        rows.iter().map(|row| Some(of(row) as i32)).collect()
    };
    let id: StringArray = rows.iter().map(|r| Some(r.id.as_str())).collect();
    let row: Int64Array = rows.iter().map(|r| Some(i64::from(r.row))).collect();
    let (file, row_group) = (numbers(|r| r.file), numbers(|r| r.row_group));
    [Arc::new(id), Arc::new(file), Arc::new(row_group), Arc::new(row)]
}
