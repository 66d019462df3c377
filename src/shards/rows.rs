//! The kept rows of the source: only their bytes are fetched, and nothing about them changes.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::compute::{CastOptions, can_cast_types, cast_with_options, interleave_record_batch};
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use rayon::prelude::*;

use super::Kept;
use crate::error::{Error, Place, Result};
use crate::storage::parquet::{Columns, ParquetFile};

/// The rows of one shard, in memory.
pub(super) struct Rows {
    schema: SchemaRef,
    /// Their columns have the types of the schema, but for dictionaries, see [`plain`].
    batches: Vec<RecordBatch>,
    /// For each kept row its batch, and its row in that batch.
    places: Vec<(usize, usize)>,
}

/// The kept rows in one row group: the row in the group, the position among all kept rows.
type Wanted = Vec<(u32, usize)>;

impl Rows {
    /// Reads all columns of the kept rows, each row group once.
    ///
    /// # Errors
    /// `InvalidInput` if a file cannot be read or has other columns than `schema`, `CorruptData` if
    /// a row is named twice or is not in its file.
    pub(super) fn read(files: &[ParquetFile], schema: &SchemaRef, rows: &[Kept]) -> Result<Self> {
        let groups: Vec<_> = by_group(rows).into_iter().collect();
        let plain = plain_schema(schema);
        let read = |((file, group), wanted): &((u32, u32), Wanted)| {
            let found = files.get(*file as usize);
            let found = found.ok_or_else(|| Error::corrupt(format!("there is no file {file}")))?;
            read_group(found, &plain, *group, wanted)
        };
        let read: Vec<Vec<RecordBatch>> = groups.par_iter().map(read).collect::<Result<_>>()?;
        let mut places = vec![(0, 0); rows.len()];
        let mut first = 0;
        for ((_, wanted), batches) in groups.iter().zip(&read) {
            let rows = batches.iter().enumerate();
            let rows = rows.flat_map(|(b, batch)| (0..batch.num_rows()).map(move |r| (b, r)));
            for ((batch, row), (_, position)) in rows.zip(wanted) {
                places[*position] = (first + batch, row);
            }
            first += batches.len();
        }
        let batches = read.into_iter().flatten().collect();
        Ok(Self { schema: Arc::clone(schema), batches, places })
    }

    /// A range of the kept rows, in their order.
    ///
    /// # Errors
    /// `InvalidInput` if they do not fit one batch, or their distinct values a dictionary.
    pub(super) fn batch(&self, range: Range<usize>) -> Result<RecordBatch> {
        // Only the batches in use: a view column would gather the buffers of all others.
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
fn plain_schema(schema: &Schema) -> SchemaRef {
    let fields: Fields = schema.fields().iter().map(plain_field).collect();
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}

fn plain_field(field: &FieldRef) -> FieldRef {
    Arc::new(Field::clone(field).with_data_type(plain(field.data_type())))
}

/// The type without dictionaries. Every row group has its own, and joined as they are they outgrow
/// the type of their keys though the distinct values fit.
fn plain(kind: &DataType) -> DataType {
    use DataType::{Dictionary, FixedSizeList, LargeList, List, Map, Struct};
    match kind {
        Dictionary(_, value) if can_cast_types(value, kind) => DataType::clone(value),
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

fn by_group(rows: &[Kept]) -> BTreeMap<(u32, u32), Wanted> {
    let mut groups: BTreeMap<(u32, u32), Wanted> = BTreeMap::new();
    for (position, row) in rows.iter().enumerate() {
        groups.entry((row.file, row.row_group)).or_default().push((row.row, position));
    }
    for wanted in groups.values_mut() {
        wanted.sort_unstable();
    }
    groups
}

fn read_group(
    file: &ParquetFile,
    schema: &SchemaRef,
    group: u32,
    wanted: &Wanted,
) -> Result<Vec<RecordBatch>> {
    let place = || format!("{}, row group {group}", file.object().uri);
    let rows: Vec<u32> = wanted.iter().map(|(row, _)| *row).collect();
    let size = file.row_groups().get(group as usize).map_or(0, |g| g.rows);
    if rows.last().is_some_and(|&last| u64::from(last) >= size) {
        return Err(Error::corrupt(format!("the group has {size} rows, one more is wanted")))
            .at(place);
    }
    if rows.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(Error::corrupt("a row is wanted twice")).at(place);
    }
    let columns = order(file, schema).at(place)?;
    let batches = file.read(group as usize, Columns::All, Some(&rows))?;
    // Files agree in everything but the nullability and metadata of nested fields.
    let conform = |batch: RecordBatch| {
        let convert =
            |(&i, field): (&usize, &FieldRef)| convert(batch.column(i), field.data_type());
        let columns = columns.iter().zip(schema.fields()).map(convert);
        Ok(RecordBatch::try_new(Arc::clone(schema), columns.collect::<Result<_, _>>()?)?)
    };
    batches.into_iter().map(conform).collect::<Result<_>>().at(place)
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
