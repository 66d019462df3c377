//! Score tables of any origin in the columns of ours.

use std::ops::RangeInclusive;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Int32Array, LargeListArray, LargeStringArray, StringArray,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Int32Type, Schema};
use arrow::record_batch::RecordBatch;

use super::table::{Kind, Table, integers, numbers, text};
use crate::error::{Error, Result};
use crate::recipe::{Average, By, Recipe};
use crate::storage::parquet::ParquetFile;
use crate::tables;

/// Which columns a foreign score table has, and what they become.
pub(super) struct Layout {
    optional: Vec<&'static str>,
    numbers: Vec<String>,
    probabilities: bool,
}

/// Integer columns that have a meaning of their own, and what they are where there is none.
const OPTIONAL: [(&str, Option<i32>); 4] =
    [("fold", None), ("model", Some(0)), ("stage", Some(1)), ("predicted", None)];

impl Layout {
    /// Holds the table to what is needed: `id`, `label`, and the score that decides, or the
    /// probabilities that it is computed from.
    pub(super) fn new(table: &Table, recipe: &Recipe) -> Result<Self> {
        table.need("id", Kind::Text)?;
        table.need("label", Kind::Integer)?;
        let probabilities = recipe.score.average == Average::Probabilities;
        if probabilities {
            table.need("probabilities", Kind::Numbers)?;
        } else if let By::Method(method) = recipe.select.by {
            table.need(method.name(), Kind::Number)?;
        }
        same_outputs(table)?;
        let optional: Vec<&str> =
            OPTIONAL.into_iter().map(|(name, _)| name).filter(|name| table.has(name)).collect();
        optional.iter().try_for_each(|name| table.need(name, Kind::Integer))?;
        let known = |name: &str| {
            ["id", "label"].contains(&name) || OPTIONAL.iter().any(|(known, _)| *known == name)
        };
        let numbers = table.columns_of(Kind::Number).into_iter().filter(|name| !known(name));
        Ok(Self { optional, numbers: numbers.collect(), probabilities })
    }

    /// The columns to read.
    pub(super) fn columns(&self) -> Vec<&str> {
        let mut columns = vec!["id", "label"];
        columns.extend(&self.optional);
        columns.extend(self.numbers.iter().map(String::as_str));
        columns.extend(self.probabilities.then_some("probabilities"));
        columns
    }

    /// A batch with the columns of a score table of ours, as far as it has them.
    pub(super) fn batch(&self, batch: &RecordBatch, first: u64) -> Result<RecordBatch> {
        let ids = text(batch, "id", first)?;
        let labels = numbered(batch, "label", first, 0..=MOST_LABEL)?;
        let mut columns: Vec<(String, ArrayRef)> = vec![
            ("id".to_owned(), Arc::new(StringArray::from_iter_values(ids.iter().flatten()))),
            ("label".to_owned(), Arc::new(labels)),
        ];
        for (name, otherwise) in OPTIONAL {
            let values: Int32Array = match batch.column_by_name(name) {
                Some(_) if name == "stage" => numbered(batch, name, first, 1..=i32::MAX)?,
                Some(_) if name == "model" => numbered(batch, name, first, 0..=i32::MAX)?,
                Some(values) => cast(values, &DataType::Int32)?.as_primitive::<Int32Type>().clone(),
                None if name == "predicted" => continue,
                None => (0..batch.num_rows()).map(|_| otherwise).collect(),
            };
            columns.push((name.to_owned(), Arc::new(values)));
        }
        for name in &self.numbers {
            let values = cast(&batch[name.as_str()], &DataType::Float64)?;
            columns.push((name.clone(), values));
        }
        if self.probabilities {
            let lists = numbers(batch, "probabilities")?;
            let width = width(&lists, &ids)?;
            let item = Arc::new(Field::new("item", DataType::Float32, true));
            let lists = cast(&lists, &DataType::FixedSizeList(item, width))?;
            columns.push(("probabilities".to_owned(), lists));
        }
        let field = |(name, values): &(String, ArrayRef)| {
            Field::new(name.as_str(), values.data_type().clone(), true)
        };
        let schema = Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()));
        Ok(RecordBatch::try_new(schema, columns.into_iter().map(|(_, values)| values).collect())?)
    }
}

/// How many numbers each list has.
fn width(lists: &LargeListArray, ids: &LargeStringArray) -> Result<i32> {
    let width = if lists.is_empty() { 1 } else { lists.value_length(0) };
    let other = (0..lists.len()).find(|row| lists.value_length(*row) != width);
    other.map_or(Ok(width as i32), |row| {
        Err(Error::input(format!(
            "sample `{}` has {} probabilities, but `{}` has {width}",
            ids.value(row),
            lists.value_length(row),
            ids.value(0)
        )))
    })
}

/// The highest label: every class up to it has a name and a count.
const MOST_LABEL: i32 = 1_000_000;

/// A column of integers without nulls, each of them `allowed`.
fn numbered(
    batch: &RecordBatch,
    name: &str,
    first: u64,
    allowed: RangeInclusive<i32>,
) -> Result<Int32Array> {
    let values = integers(batch, name, first)?;
    let fits = |value: &i64| i32::try_from(*value).is_ok_and(|value| allowed.contains(&value));
    if let Some(row) = values.values().iter().position(|value| !fits(value)) {
        let ids = text(batch, "id", first)?;
        let (value, id) = (values.value(row), ids.value(row));
        return Err(Error::input(format!(
            "sample `{id}` has the {name} {value}, which is not from {} to {}",
            allowed.start(),
            allowed.end()
        )));
    }
    Ok(values.values().iter().map(|value| Some(*value as i32)).collect())
}

/// Scores of clean outputs and of outputs in training mode must not be mixed.
fn same_outputs(table: &Table) -> Result<()> {
    let of = |file: &ParquetFile| file.schema().metadata().get(tables::OUTPUTS).cloned();
    let mut found = table.files().iter().map(|file| (of(file), file.object().uri.as_str()));
    let Some((first, one)) = found.next() else { return Ok(()) };
    match found.find(|(outputs, _)| *outputs != first) {
        None => Ok(()),
        Some((outputs, other)) => {
            let name = |outputs: &Option<String>| outputs.clone().unwrap_or("unknown".to_owned());
            Err(Error::input(format!(
                "{one} holds scores of {} outputs and {other} of {} outputs; scores of both kinds must not be mixed",
                name(&first),
                name(&outputs)
            )))
        }
    }
}
