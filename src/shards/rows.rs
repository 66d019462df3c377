//! Rows of the source on their way into a shard: nothing about them changes.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::compute::{CastOptions, can_cast_types, cast_with_options, interleave_record_batch};
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;

use crate::error::{Error, Result};
use crate::storage::parquet::ParquetFile;

/// The rows of one row group of a shard, in memory.
pub(super) struct Rows {
    schema: SchemaRef,
    /// Their columns have the types of the schema, but for dictionaries and views, see [`plain`].
    batches: Vec<RecordBatch>,
    /// For each kept row its batch, and its row in that batch.
    places: Vec<(usize, usize)>,
}

impl Rows {
    /// Rows that lie in `batches` at these places.
    pub(super) fn new(
        schema: &SchemaRef,
        batches: Vec<RecordBatch>,
        places: Vec<(usize, usize)>,
    ) -> Self {
        Self { schema: Arc::clone(schema), batches, places }
    }

    /// A range of the kept rows, in their order.
    ///
    /// # Errors
    /// `InvalidInput` if they do not fit one batch, or their distinct values a dictionary.
    pub(super) fn batch(&self, range: Range<usize>) -> Result<RecordBatch> {
        // Only the batches in use, of which there may be few among many.
        let mut used: Vec<usize> = self.places[range.clone()].iter().map(|p| p.0).collect();
        used.sort_unstable();
        used.dedup();
        let batches: Vec<&RecordBatch> = used.iter().map(|&b| &self.batches[b]).collect();
        let find = |&(batch, row): &(usize, usize)| (used.partition_point(|&b| b < batch), row);
        let places: Vec<_> = self.places[range].iter().map(find).collect();
        if batches.is_empty() {
            return Ok(RecordBatch::new_empty(Arc::clone(&self.schema)));
        }
        self.packed(&interleave_record_batch(&batches, &places)?)
    }

    /// The rows with the dictionaries of the schema, each holding the distinct values once.
    fn packed(&self, rows: &RecordBatch) -> Result<RecordBatch> {
        let pack = |(column, field): (&ArrayRef, &FieldRef)| {
            convert(column, field.data_type()).map_err(|e| {
                Error::input(format!(
                    "{} rows of the column `{}` have more distinct values than {} can number; \
                     write the source with wider dictionary keys or without dictionaries",
                    rows.num_rows(),
                    field.name(),
                    field.data_type()
                ))
                .because(e)
            })
        };
        let columns = rows.columns().iter().zip(self.schema.fields()).map(pack);
        let columns = columns.collect::<Result<_>>()?;
        Ok(RecordBatch::try_new(Arc::clone(&self.schema), columns)?)
    }
}

/// The schema with the types of [`plain`].
pub(super) fn plain_schema(schema: &Schema) -> SchemaRef {
    let fields: Fields = schema.fields().iter().map(plain_field).collect();
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}

fn plain_field(field: &FieldRef) -> FieldRef {
    Arc::new(Field::clone(field).with_data_type(plain(field.data_type())))
}

/// The type without dictionaries and views. Every row group has its own dictionaries, and joined as
/// they are they outgrow the type of their keys though the distinct values fit. A part of a view
/// column holds on to the buffers of the whole.
fn plain(kind: &DataType) -> DataType {
    use DataType::{Dictionary, FixedSizeList, LargeList, List, Map, Struct};
    match kind {
        Dictionary(_, value) if can_cast_types(value, kind) => DataType::clone(value),
        DataType::Utf8View => DataType::LargeUtf8,
        DataType::BinaryView => DataType::LargeBinary,
        List(item) => List(plain_field(item)),
        LargeList(item) => LargeList(plain_field(item)),
        FixedSizeList(item, length) => FixedSizeList(plain_field(item), *length),
        Struct(fields) => Struct(fields.iter().map(plain_field).collect()),
        Map(entries, sorted) => Map(plain_field(entries), *sorted),
        other => other.clone(),
    }
}

/// The same values as another type, which differs in nothing but dictionaries, nullability and
/// metadata of nested fields.
fn convert(column: &ArrayRef, kind: &DataType) -> Result<ArrayRef, ArrowError> {
    // Not `safe`, which would turn a value that does not fit into null.
    cast_with_options(column, kind, &CastOptions { safe: false, ..CastOptions::default() })
}

/// Brings the batches of one file to the schema of all.
pub(super) struct Conform {
    schema: SchemaRef,
    /// The positions of the schema's columns in the file.
    columns: Vec<usize>,
}

impl Conform {
    /// For batches of `file`.
    ///
    /// # Errors
    /// `InvalidInput` if the file has other columns.
    pub(super) fn new(file: &ParquetFile, schema: &SchemaRef) -> Result<Self> {
        Ok(Self { schema: Arc::clone(schema), columns: order(file, schema)? })
    }

    /// Files agree in everything but the nullability and metadata of nested fields.
    pub(super) fn batch(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let convert =
            |(&i, field): (&usize, &FieldRef)| convert(batch.column(i), field.data_type());
        let columns = self.columns.iter().zip(self.schema.fields()).map(convert);
        let columns = columns.collect::<Result<_, _>>()?;
        Ok(RecordBatch::try_new(Arc::clone(&self.schema), columns)?)
    }
}

/// The positions of the schema's columns in this file, which may have another order but neither
/// other columns nor other types.
fn order(file: &ParquetFile, schema: &SchemaRef) -> Result<Vec<usize>> {
    let found = file.schema().fields();
    if found.len() != schema.fields().len() {
        let (found, wanted) = (found.len(), schema.fields().len());
        return Err(Error::input(format!("it has {found} columns, the first file has {wanted}")));
    }
    let position = |name: &str| {
        let mut places = (0..found.len()).filter(|&i| found[i].name() == name);
        match (places.next(), places.next()) {
            (Some(place), None) => Ok(place),
            (None, _) => Err(Error::input(format!("it has no column `{name}`"))),
            _ => Err(Error::input(format!("it has several columns named `{name}`"))),
        }
    };
    schema.fields().iter().map(|field| position(field.name())).collect()
}
