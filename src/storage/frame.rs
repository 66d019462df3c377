//! The bridge between Arrow and Polars.
//!
//! Tables cross as Arrow IPC bytes: a copy, but no unsafe code, and the tables that cross are thin
//! (ids, labels, scores; never images).

use std::io::Cursor;

use arrow::compute::{cast, concat_batches};
use arrow::datatypes::SchemaRef;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use arrow::record_batch::RecordBatch;
use polars::prelude::{
    CompatLevel, DataFrame, IntoLazy, IpcStreamReader, IpcStreamWriter, LazyFrame, ParquetReader,
    SerReader, SerWriter, UnionArgs, concat,
};

use crate::error::{Error, Result};
use crate::fence::fence;

/// Decodes one of our own Parquet tables for a query.
///
/// # Errors
/// `CorruptData` if the bytes are no Parquet table.
pub fn decode(bytes: &[u8]) -> Result<DataFrame> {
    let undecodable = || Error::corrupt("the table cannot be decoded");
    let frame = fence(|| ParquetReader::new(Cursor::new(bytes)).finish());
    frame.ok_or_else(undecodable)?.map_err(|e| undecodable().because(e))
}

/// Several tables with the same columns, one below the other, as the start of a query.
///
/// # Errors
/// `Internal` if the columns differ.
pub fn stack(frames: Vec<DataFrame>) -> Result<LazyFrame> {
    let frames: Vec<LazyFrame> = frames.into_iter().map(IntoLazy::lazy).collect();
    Ok(concat(frames, UnionArgs::default())?)
}

/// From Arrow to Polars.
///
/// # Errors
/// `Internal` if a column's type has no counterpart.
pub fn from_arrow(batch: &RecordBatch) -> Result<DataFrame> {
    let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema())?;
    writer.write(batch)?;
    let bytes = writer.into_inner()?;
    Ok(IpcStreamReader::new(Cursor::new(bytes)).finish()?)
}

/// From Polars to Arrow: the columns of `schema`, by name, in its order and types.
///
/// # Errors
/// `Internal` if a column is missing, has nulls against the contract, or cannot be cast.
pub fn to_arrow(mut frame: DataFrame, schema: &SchemaRef) -> Result<RecordBatch> {
    let mut bytes = Vec::new();
    IpcStreamWriter::new(&mut bytes).with_compat_level(CompatLevel::oldest()).finish(&mut frame)?;
    let reader = StreamReader::try_new(Cursor::new(bytes), None)?;
    let found = reader.schema();
    let batch = concat_batches(&found, &reader.collect::<Result<Vec<_>, _>>()?)?;
    let columns: Result<Vec<_>> = schema
        .fields()
        .iter()
        .map(|field| {
            let column = batch.column_by_name(field.name());
            let column = column
                .ok_or_else(|| Error::internal(format!("the query gives no `{}`", field.name())))?;
            Ok(cast(column, field.data_type())?)
        })
        .collect();
    Ok(RecordBatch::try_new(SchemaRef::clone(schema), columns?)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables;
    use arrow::array::{Int32Array, StringArray};
    use std::sync::Arc;

    #[test]
    fn tables_cross_both_ways_unchanged() {
        let ids = StringArray::from(vec!["a", "b", "ü"]);
        let folds = Int32Array::from(vec![0, 1, 2]);
        let batch =
            RecordBatch::try_new(tables::folds(), vec![Arc::new(ids), Arc::new(folds)]).unwrap();
        let frame = from_arrow(&batch).unwrap();
        assert_eq!(to_arrow(frame, &tables::folds()).unwrap(), batch);
        let encoded = crate::storage::parquet::encode_table(&batch).unwrap();
        assert_eq!(to_arrow(decode(&encoded).unwrap(), &tables::folds()).unwrap(), batch);
    }

    #[test]
    fn a_null_against_the_contract_is_refused() {
        let folds = Int32Array::from(vec![Some(0), None]);
        let schema = Arc::new(arrow::datatypes::Schema::new(vec![
            arrow::datatypes::Field::new("id", arrow::datatypes::DataType::Utf8, false),
            arrow::datatypes::Field::new("fold", arrow::datatypes::DataType::Int32, true),
        ]));
        let ids = Arc::new(StringArray::from(vec!["a", "b"]));
        let batch = RecordBatch::try_new(schema, vec![ids, Arc::new(folds)]).unwrap();
        assert!(to_arrow(from_arrow(&batch).unwrap(), &tables::folds()).is_err());
    }
}
