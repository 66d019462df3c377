//! Foreign Parquet files as one table with the columns that are needed, batch by batch.

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, LargeListArray, LargeStringArray};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType, Field, FieldRef, Int64Type, SchemaRef};
use arrow::record_batch::RecordBatch;

use crate::error::{Error, Place, Result};
use crate::ingest::{TEXT_TYPES, cast_exactly, holds_texts, texts};
use crate::recipe::Storage;
use crate::storage::parquet::{Columns, Limits, ParquetFile};
use crate::storage::resolve;

/// One or more files of one table.
pub(super) struct Table {
    files: Vec<ParquetFile>,
    what: &'static str,
}

/// What a column may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Ids and names: strings and integers.
    Text,
    /// Integers.
    Integer,
    /// Numbers.
    Number,
    /// Lists of numbers.
    Numbers,
    /// Anything but bytes, lists and structs.
    Flat,
}

impl Kind {
    fn holds(self, kind: &DataType) -> bool {
        use DataType::{FixedSizeList, LargeList, List};
        match self {
            Self::Text => holds_texts(kind),
            Self::Integer => kind.is_integer(),
            Self::Number => kind.is_numeric(),
            Self::Flat => !kind.is_nested() && !kind.is_binary(),
            Self::Numbers => match kind {
                List(item) | LargeList(item) | FixedSizeList(item, _) => {
                    item.data_type().is_numeric()
                }
                _ => false,
            },
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Text => TEXT_TYPES,
            Self::Integer => "integers",
            Self::Number => "numbers",
            Self::Numbers => "lists of numbers",
            Self::Flat => "texts, numbers, truth values or times",
        }
    }
}

impl Table {
    /// Opens what the addresses stand for; `what` names the table in messages.
    ///
    /// # Errors
    /// `InvalidInput` if there is nothing or a file is no Parquet file.
    pub(super) fn open(uris: &[String], what: &'static str, storage: &Storage) -> Result<Self> {
        let objects = resolve(uris, storage).at(|| format!("the {what} table"))?;
        let open = |object| ParquetFile::open(object, Limits::USUAL);
        let files = objects.into_iter().map(open).collect::<Result<_>>();
        Ok(Self { files: files.at(|| format!("the {what} table"))?, what })
    }

    /// The files.
    pub(super) fn files(&self) -> &[ParquetFile] {
        &self.files
    }

    /// Whether a file has the column.
    pub(super) fn has(&self, name: &str) -> bool {
        self.files.iter().any(|file| file.schema().field_with_name(name).is_ok())
    }

    /// The columns of all files that hold values of this kind, in the order of the first.
    pub(super) fn columns_of(&self, kind: Kind) -> Vec<String> {
        let Some(first) = self.files.first() else { return Vec::new() };
        let fits = |file: &ParquetFile, name: &str| {
            file.schema().field_with_name(name).is_ok_and(|field| kind.holds(field.data_type()))
        };
        let names = first.schema().fields().iter().map(|field| field.name().clone());
        names.filter(|name| self.files.iter().all(|file| fits(file, name))).collect()
    }

    /// Whether the column holds integers.
    pub(super) fn is_integer(&self, name: &str) -> bool {
        let integer = |file: &ParquetFile| {
            file.schema().field_with_name(name).is_ok_and(|field| field.data_type().is_integer())
        };
        self.files.iter().all(integer)
    }

    /// Holds every file to having the column, with values of this kind.
    ///
    /// # Errors
    /// `InvalidInput` naming file and column.
    pub(super) fn need(&self, name: &str, kind: Kind) -> Result<()> {
        self.files.iter().try_for_each(|file| {
            let place = || format!("the {} table, {}", self.what, file.object().uri);
            let Ok(field) = file.schema().field_with_name(name) else {
                let fields = file.schema().fields().iter();
                let there: Vec<&str> = fields.map(|field| field.name().as_str()).collect();
                let there = there.join("`, `");
                let message = format!("there is no column `{name}`; it has `{there}`");
                return Err(Error::input(message).at(place()));
            };
            if kind.holds(field.data_type()) {
                return Ok(());
            }
            let (found, wanted) = (field.data_type(), kind.name());
            let message = format!("the column `{name}` is {found}, but must hold {wanted}");
            Err(Error::input(message).at(place()))
        })
    }

    /// Hands over all rows of these columns, batch by batch, with the number of the first row.
    ///
    /// # Errors
    /// Those of reading, and whatever `take` returns.
    pub(super) fn each(
        &self,
        columns: &[&str],
        mut take: impl FnMut(u64, &RecordBatch) -> Result<()>,
    ) -> Result<()> {
        let mut first = 0;
        for file in &self.files {
            for group in 0..file.row_groups().len() {
                for batch in file.batches(group, Columns::Named(columns), None)? {
                    let batch = batch?;
                    let place = || format!("the {} table, {}", self.what, file.object().uri);
                    take(first, &batch).at(place)?;
                    first += batch.num_rows() as u64;
                }
            }
        }
        Ok(())
    }
}

fn column<'b>(batch: &'b RecordBatch, name: &str) -> Result<&'b ArrayRef> {
    let missing = || Error::internal(format!("the column `{name}` was not read"));
    batch.column_by_name(name).ok_or_else(missing)
}

/// A column without nulls as texts; `first` is the number of the batch's first row.
pub(super) fn text(batch: &RecordBatch, name: &str, first: u64) -> Result<LargeStringArray> {
    let values = texts(column(batch, name)?)?;
    no_nulls(&values, name, first)?;
    Ok(values)
}

/// A column of integers without nulls.
pub(super) fn integers(batch: &RecordBatch, name: &str, first: u64) -> Result<Int64Array> {
    let values = cast_exactly(column(batch, name)?, &DataType::Int64)?;
    no_nulls(&values, name, first)?;
    Ok(values.as_primitive::<Int64Type>().clone())
}

/// A column of lists of numbers, as 32-bit floats; what does not fit one is infinite or null.
pub(super) fn numbers(batch: &RecordBatch, name: &str) -> Result<LargeListArray> {
    let item = Field::new("item", DataType::Float32, true);
    let lists = cast(column(batch, name)?, &DataType::LargeList(item.into()))?;
    Ok(lists.as_list::<i64>().clone())
}

fn no_nulls(values: &dyn Array, name: &str, first: u64) -> Result<()> {
    match (0..values.len()).find(|row| values.is_null(*row)) {
        None => Ok(()),
        Some(row) => {
            Err(Error::input(format!("row {} has no `{name}` (null)", first + row as u64)))
        }
    }
}

/// The table at `uri` in the columns and types of `schema`; other columns are left out.
///
/// # Errors
/// `InvalidInput` if it cannot be read, lacks a column, or a value does not fit.
pub fn read_as(
    uri: &str,
    what: &'static str,
    schema: &SchemaRef,
    storage: &Storage,
) -> Result<RecordBatch> {
    let table = Table::open(&[uri.to_owned()], what, storage)?;
    let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    for field in schema.fields() {
        if !table.has(field.name()) {
            let message = format!("the {what} table {uri} has no column `{}`", field.name());
            return Err(Error::input(message));
        }
    }
    let mut batches = Vec::new();
    table.each(&names, |_, batch| {
        let exactly =
            |field: &FieldRef| cast_exactly(column(batch, field.name())?, field.data_type());
        let columns = schema.fields().iter().map(exactly).collect::<Result<Vec<_>>>()?;
        batches.push(RecordBatch::try_new(SchemaRef::clone(schema), columns)?);
        Ok(())
    })?;
    Ok(concat_batches(schema, &batches)?)
}
