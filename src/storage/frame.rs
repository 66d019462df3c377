//! The bridge between Arrow and Polars.
//!
//! Tables cross as Arrow IPC bytes: a copy, but no unsafe code, and the tables that cross are thin
//! (ids, labels, scores; never images).

use std::io::Cursor;
use std::sync::Arc;

use arrow::array::Array;
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType as ArrowType, Field, Schema as ArrowSchema, SchemaRef};
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use arrow::record_batch::RecordBatch;
use polars::prelude::{
    CompatLevel, CsvParseOptions, CsvReadOptions, DataFrame, DataType, IntoLazy, IpcStreamReader,
    IpcStreamWriter, JsonFormat, JsonReader, LazyFrame, ParquetReader, PolarsResult, Schema,
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

/// A foreign table with a row for each line of a CSV text, which begins with the column names. The
/// column `text` is read as it is written, so that the id `007` stays one; the types of the others
/// follow from all of their values.
///
/// # Errors
/// `InvalidInput` if it cannot be read.
pub fn decode_csv(bytes: &[u8], text: &str) -> Result<DataFrame> {
    let texts = Schema::from_iter([(text.into(), DataType::String)]);
    let options = CsvReadOptions::default()
        .with_infer_schema_length(None)
        .with_schema_overwrite(Some(Arc::new(texts)))
        .with_parse_options(CsvParseOptions::default().with_try_parse_dates(true));
    foreign("CSV", || options.into_reader_with_file_handle(Cursor::new(bytes)).finish())
}

/// A foreign table with a row for each object of a JSON array, or of each line.
///
/// # Errors
/// `InvalidInput` if it cannot be read.
pub fn decode_json(bytes: &[u8], by_line: bool) -> Result<DataFrame> {
    let format = if by_line { JsonFormat::JsonLines } else { JsonFormat::Json };
    let reader = || JsonReader::new(Cursor::new(bytes)).with_json_format(format);
    foreign("JSON", || reader().infer_schema_len(None).finish())
}

fn foreign(kind: &str, read: impl FnOnce() -> PolarsResult<DataFrame>) -> Result<DataFrame> {
    let unreadable = || Error::input(format!("the file cannot be read as {kind}"));
    fence(read).ok_or_else(unreadable)?.map_err(|e| unreadable().because(e))
}

/// From Polars to Arrow, with the types that columns have; strings become `Utf8`.
///
/// # Errors
/// `Internal` if a column's type has no counterpart.
pub fn arrow(frame: DataFrame) -> Result<RecordBatch> {
    let batch = crossed(frame)?;
    let plain = |kind: &ArrowType| match kind {
        ArrowType::LargeUtf8 | ArrowType::Utf8View => ArrowType::Utf8,
        other => other.clone(),
    };
    let schema = batch.schema();
    let fields = schema.fields().iter().zip(batch.columns());
    let fields = fields.map(|(field, column)| {
        let nullable = column.null_count() > 0;
        Field::new(field.name(), plain(field.data_type()), nullable)
    });
    let schema = Arc::new(ArrowSchema::new(fields.collect::<Vec<_>>()));
    let columns = batch.columns().iter().zip(schema.fields());
    let columns = columns.map(|(column, field)| cast(column, field.data_type()));
    Ok(RecordBatch::try_new(Arc::clone(&schema), columns.collect::<Result<_, _>>()?)?)
}

/// From Polars to Arrow: the columns of `schema`, by name, in its order and types.
///
/// # Errors
/// `Internal` if a column is missing, has nulls against the contract, or cannot be cast.
pub fn to_arrow(frame: DataFrame, schema: &SchemaRef) -> Result<RecordBatch> {
    let batch = crossed(frame)?;
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

fn crossed(mut frame: DataFrame) -> Result<RecordBatch> {
    let mut bytes = Vec::new();
    IpcStreamWriter::new(&mut bytes).with_compat_level(CompatLevel::oldest()).finish(&mut frame)?;
    let reader = StreamReader::try_new(Cursor::new(bytes), None)?;
    let found = reader.schema();
    Ok(concat_batches(&found, &reader.collect::<Result<Vec<_>, _>>()?)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables;
    use arrow::array::{Int32Array, StringArray};

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
        let schema = Arc::new(ArrowSchema::new(vec![
            Field::new("id", ArrowType::Utf8, false),
            Field::new("fold", ArrowType::Int32, true),
        ]));
        let ids = Arc::new(StringArray::from(vec!["a", "b"]));
        let batch = RecordBatch::try_new(schema, vec![ids, Arc::new(folds)]).unwrap();
        assert!(to_arrow(from_arrow(&batch).unwrap(), &tables::folds()).is_err());
    }
}
