//! Thin columns of the dataset and of joined Parquet tables, in types that queries can read.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, UInt32Array};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::{Field, Schema};
use arrow::record_batch::RecordBatch;
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};

use super::filter::{PORTABLE, as_portable, portable};
use super::schema::unknown;
use super::survey::Survey;
use crate::error::{Error, Result};
use crate::recipe::Data;
use crate::storage::Object;
use crate::storage::parquet::{Columns, Limits, ParquetFile};

/// The columns `names` of the dataset without a row, for checks.
///
/// # Errors
/// `InvalidRecipe` if one is missing or of a type that queries cannot read.
pub fn empty_columns(survey: &Survey, names: &[&str]) -> Result<RecordBatch> {
    let mut fields = Vec::new();
    for name in names {
        let field = survey.schema.field_with_name(name).map_err(|_| {
            let message =
                format!("select names the column `{name}`, {}", unknown(&survey.schema, name));
            Error::recipe(message)
        })?;
        let kind = portable(field.data_type()).ok_or_else(|| unfit(field))?;
        fields.push(Field::new(*name, kind, true));
    }
    Ok(RecordBatch::new_empty(Arc::new(Schema::new(fields))))
}

/// The columns `names` of the rows at `places` (file, row group, row), in that order; without a name,
/// no row.
///
/// # Errors
/// As [`empty_columns`]; `InvalidInput` or `Unavailable` if the source cannot be read.
pub fn thin_columns(
    survey: &Survey,
    places: &[(u32, u32, u32)],
    names: &[&str],
) -> Result<RecordBatch> {
    let empty = empty_columns(survey, names)?;
    // A filter on the label alone names no column, and a batch of none cannot be read.
    if names.is_empty() {
        return Ok(empty);
    }
    let mut groups: BTreeMap<(u32, u32), Vec<(u32, u32)>> = BTreeMap::new();
    for (at, (file, group, row)) in (0..).zip(places) {
        groups.entry((*file, *group)).or_default().push((*row, at));
    }
    for rows in groups.values_mut() {
        rows.sort_unstable();
    }
    let groups: Vec<_> = groups.into_iter().collect();
    let read: Vec<Result<RecordBatch>> = groups
        .par_iter()
        .map(|((file, group), rows)| {
            let rows: Vec<u32> = rows.iter().map(|(row, _)| *row).collect();
            let parquet = &survey.parquet[*file as usize];
            let batches = parquet.read(*group as usize, Columns::Named(names), Some(&rows))?;
            portable_batch(&batches, names)
        })
        .collect();
    let read = read.into_iter().collect::<Result<Vec<_>>>()?;
    let all = concat_batches(&empty.schema(), &read)?;
    // Where each place went.
    let mut order = vec![0; places.len()];
    let wanted = groups.iter().flat_map(|(_, rows)| rows);
    for (row, (_, at)) in (0..).zip(wanted) {
        order[*at as usize] = row;
    }
    Ok(take_record_batch(&all, &UInt32Array::from(order))?)
}

/// The columns `names`, or all, of a Parquet table.
///
/// # Errors
/// `InvalidInput` if it cannot be read, or has a column that is missing or of a type that queries cannot
/// read.
pub fn read_table(object: Object, names: Option<&[&str]>, data: &Data) -> Result<RecordBatch> {
    let parquet = ParquetFile::open(object, Limits::new(data))?;
    let schema = Arc::clone(parquet.schema());
    let all: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    let names = names.unwrap_or(&all);
    for name in names {
        let field = schema.field_with_name(name).map_err(|_| {
            Error::input(format!("it is asked for the column `{name}`, {}", unknown(&schema, name)))
        })?;
        portable(field.data_type()).ok_or_else(|| unfit(field))?;
    }
    let mut batches = Vec::new();
    for group in 0..parquet.row_groups().len() {
        let read = parquet.read(group, Columns::Named(names), None)?;
        batches.push(portable_batch(&read, names)?);
    }
    let fields = names.iter().map(|name| {
        let kind = schema.field_with_name(name).ok().and_then(|f| portable(f.data_type()));
        Field::new(*name, kind.unwrap_or(arrow::datatypes::DataType::Null), true)
    });
    Ok(concat_batches(&Arc::new(Schema::new(fields.collect::<Vec<_>>())), &batches)?)
}

fn portable_batch(batches: &[RecordBatch], names: &[&str]) -> Result<RecordBatch> {
    let nothing = || Error::internal("a row group without a batch");
    let first = batches.first().ok_or_else(nothing)?;
    let batch = concat_batches(&first.schema(), batches)?;
    let mut columns: Vec<(Field, ArrayRef)> = Vec::new();
    for name in names {
        let missing = || Error::internal(format!("the column `{name}` was not read"));
        let column = batch.column_by_name(name).ok_or_else(missing)?;
        let values = as_portable(column)?.ok_or_else(missing)?;
        columns.push((Field::new(*name, values.data_type().clone(), true), values));
    }
    let (fields, arrays): (Vec<Field>, Vec<ArrayRef>) = columns.into_iter().unzip();
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)?)
}

fn unfit(field: &Field) -> Error {
    Error::recipe(format!(
        "the column `{}` of type {} cannot be used beside scores; {PORTABLE} can",
        field.name(),
        field.data_type()
    ))
}
