//! `data.filter`: a Polars SQL condition on single rows.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema};
use arrow::record_batch::RecordBatch;

use super::column::plain;
use super::schema::unknown;
use crate::error::{Error, Result};
use crate::sql::Condition;
use crate::storage::frame;

const KEY: &str = "data.filter";

/// Checks that `sql` is a condition on single rows, and names the columns it reads, ascending.
///
/// # Errors
/// `InvalidRecipe` if it is not.
pub fn check_filter(sql: &str) -> Result<Vec<String>> {
    Ok(Condition::parse(KEY, sql)?.columns)
}

/// A parsed condition.
pub(super) struct Filter(Condition);

impl Filter {
    pub(super) fn parse(sql: &str) -> Result<Self> {
        Condition::parse(KEY, sql).map(Self)
    }

    /// The columns it reads, ascending.
    pub(super) fn columns(&self) -> &[String] {
        &self.0.columns
    }

    /// Holds the condition against the columns and types there are, before any row is read.
    pub(super) fn check(&self, schema: &Schema) -> Result<()> {
        for name in self.columns() {
            let field = schema.field_with_name(name).map_err(|_| {
                self.0.wrong(&format!("names the column `{name}`, {}", unknown(schema, name)))
            })?;
            if portable(field.data_type()).is_none() {
                return Err(self.0.wrong(&format!(
                    "reads the column `{name}` of type {}; {PORTABLE} can be used",
                    field.data_type()
                )));
            }
        }
        let empty = RecordBatch::new_empty(Arc::new(schema.clone()));
        self.rows(&empty).map(|_| ())
    }

    /// The rows of `batch` for which the condition is true (null counts as false), ascending.
    pub(super) fn rows(&self, batch: &RecordBatch) -> Result<Vec<u32>> {
        let holds = self.0.holds(frame::from_arrow(&self.project(batch)?)?)?;
        Ok(holds.into_iter().zip(0_u32..).filter_map(|(holds, row)| holds.then_some(row)).collect())
    }

    fn project(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let mut columns: Vec<(Field, ArrayRef)> = Vec::new();
        for name in self.columns() {
            let missing = || Error::internal(format!("the filter's column `{name}` was not read"));
            let array = batch.column_by_name(name).ok_or_else(missing)?;
            let values = as_portable(array)?.ok_or_else(missing)?;
            columns.push((Field::new(name, values.data_type().clone(), true), values));
        }
        let (fields, arrays): (Vec<Field>, Vec<ArrayRef>) = columns.into_iter().unzip();
        Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)?)
    }
}

/// The types that conditions can read, in words.
pub(super) const PORTABLE: &str = "strings, numbers, booleans, dates and timestamps without a zone";

/// The column in the type in which it crosses into Polars; `None` if it cannot.
pub(super) fn as_portable(array: &ArrayRef) -> Result<Option<ArrayRef>> {
    let Some(kind) = portable(array.data_type()) else { return Ok(None) };
    Ok(Some(cast(&cast(array, plain(array.data_type()))?, &kind)?))
}

/// The type in which a column crosses into Polars, which is built for few types.
pub(super) fn portable(kind: &DataType) -> Option<DataType> {
    use DataType as D;
    Some(match plain(kind) {
        D::Int8 | D::Int16 | D::Int32 => D::Int32,
        D::UInt8 | D::UInt16 | D::UInt32 => D::UInt32,
        D::Float16 | D::Float32 => D::Float32,
        D::Utf8 | D::LargeUtf8 | D::Utf8View => D::LargeUtf8,
        same @ (D::Int64
        | D::UInt64
        | D::Float64
        | D::Boolean
        | D::Date32
        | D::Timestamp(_, None)) => same.clone(),
        _ => return None,
    })
}
