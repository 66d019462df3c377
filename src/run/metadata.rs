//! What is known of the samples beside their scores: columns of the dataset and of joined tables.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, StringArray};
use arrow::datatypes::{Field, Schema};
use arrow::record_batch::RecordBatch;
use polars::prelude::DataFrame;

use super::attempt::Attempt;
use super::rows::{column, ids, labels, places};
use super::task::{INGEST, needs_metadata};
use super::worker::Run;
use crate::error::{Error, ErrorKind, Place, Result};
use crate::recipe::{Join, Recipe};
use crate::selection::{self, Joined};
use crate::storage::{Object, frame, resolve_one};
use crate::{ingest, tables};

/// The cost column that every dataset has: the size of the row.
const BYTES: &str = "bytes";

/// A joined table may take this part of the memory, once as bytes and once as a table.
const MEMORY_PARTS: u64 = 8;

/// The tables that a recipe joins, one object each.
///
/// # Errors
/// `InvalidInput` if an address stands for none or for several; `Unavailable` if it cannot be read.
pub(super) fn join_objects(recipe: &Recipe) -> Result<Vec<Object>> {
    let one = |join: &Join| resolve_one(&join.uri, &recipe.storage).at(|| "[[join]]".to_owned());
    recipe.join.iter().map(one).collect()
}

impl Run {
    /// Gathers what is known of the usable samples and writes it down.
    pub(super) fn metadata(&self, attempt: &mut Attempt) -> Result<String> {
        let samples = attempt.table(INGEST, "samples.parquet", &tables::samples())?;
        let joined = self.gathered(&samples)?;
        let (missing, notes) = (joined.missing, joined.notes);
        let classes: Vec<String> = serde_json::from_slice(&attempt.read(INGEST, "classes.json")?)?;
        let labels = labels(&samples)?;
        let plan = self.selection_plan(&labels, &classes)?;
        let clusters = attempt.frame(INGEST, "samples.parquet")?;
        let terms = self.terms(&classes, Some(joined.table.clone()), clusters);
        selection::check_terms(&ids(&samples)?, &labels, &plan, &terms)?;
        let batch = frame::arrow(joined.table)?;
        attempt.write_table("metadata.parquet", &batch)?;
        attempt.fact("missing", missing);
        let told = [vec![format!("{} columns", batch.num_columns() - 1)], notes].concat();
        Ok(told.join("; "))
    }

    /// The metadata of the samples, from the source and the joined tables.
    pub(super) fn gathered(&self, samples: &RecordBatch) -> Result<Joined> {
        let tables = self.join_tables()?;
        let names = self.dataset_columns(&tables)?;
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let rows = ingest::thin_columns(self.survey()?, &places(samples)?, &names)?;
        let ids = Arc::clone(column(samples, "id")?);
        let bytes = Arc::clone(column(samples, BYTES)?);
        selection::join(self.beside(ids, &rows, bytes)?, &self.recipe.join, tables)
    }

    /// Checks everything about the metadata that needs no decoded sample.
    ///
    /// # Errors
    /// `InvalidRecipe` or `InvalidInput` for whatever would stop the run when it gathers them.
    pub(super) fn check_metadata(&self) -> Result<()> {
        selection::check_scores(&self.recipe.score, &self.recipe.select)?;
        if !needs_metadata(&self.recipe) {
            return Ok(());
        }
        let tables = self.join_tables()?;
        let names = self.dataset_columns(&tables)?;
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let rows = ingest::empty_columns(self.survey()?, &names)?;
        let nothing: ArrayRef = Arc::new(StringArray::from(Vec::<&str>::new()));
        let bytes = arrow::array::new_empty_array(&arrow::datatypes::DataType::Int64);
        let joined =
            selection::join(self.beside(nothing, &rows, bytes)?, &self.recipe.join, tables)?;
        selection::check_columns(&self.recipe.select, &joined.table)
    }

    /// Ids, columns of the dataset and, if they are asked for, the bytes of rows.
    fn beside(&self, ids: ArrayRef, rows: &RecordBatch, bytes: ArrayRef) -> Result<DataFrame> {
        let mut fields = vec![Field::new("id", ids.data_type().clone(), false)];
        let mut columns = vec![ids];
        for (field, values) in rows.schema().fields().iter().zip(rows.columns()) {
            fields.push(Field::clone(field));
            columns.push(Arc::clone(values));
        }
        if selection::named_columns(&self.recipe.select)?.iter().any(|name| name == BYTES) {
            fields.push(Field::new(BYTES, bytes.data_type().clone(), false));
            columns.push(bytes);
        }
        frame::from_arrow(&RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
    }

    /// The columns that the selection names and no joined table has.
    fn dataset_columns(&self, tables: &[DataFrame]) -> Result<Vec<String>> {
        let mut joined = BTreeSet::from([BYTES.to_owned()]);
        for (join, table) in self.recipe.join.iter().zip(tables) {
            joined.extend(selection::joined_columns(join, table)?);
        }
        let schema = &self.survey()?.schema;
        let named = selection::named_columns(&self.recipe.select)?;
        if schema.index_of(BYTES).is_ok() && named.iter().any(|name| name == BYTES) {
            return Err(Error::recipe(format!(
                "[select] names `{BYTES}`, which is the size of a row, but the dataset has a column of that name; rename the column, or give its values in a [[join]] table under another name"
            )));
        }
        let twice = joined.iter().find(|name| *name != BYTES && schema.index_of(name).is_ok());
        if let Some(name) = twice {
            return Err(Error::recipe(format!(
                "the dataset and a [[join]] table have the column `{name}`; rename it, or name the columns to take in `columns`"
            )));
        }
        Ok(named.into_iter().filter(|name| !joined.contains(name)).collect())
    }

    fn join_tables(&self) -> Result<Vec<DataFrame>> {
        let pairs = self.recipe.join.iter().zip(&self.joins);
        pairs.map(|(join, object)| self.join_table(join, object).at(|| join.uri.clone())).collect()
    }

    fn join_table(&self, join: &Join, object: &Object) -> Result<DataFrame> {
        let most = self.memory.bytes / MEMORY_PARTS;
        if object.bytes > most {
            let message = format!(
                "the table has {} bytes; within the memory that is allowed a [[join]] may have {most}: give more --memory, or a smaller table",
                object.bytes
            );
            return Err(Error::new(ErrorKind::LimitExceeded, message));
        }
        match join.format() {
            Some("parquet") => {
                let names = join.columns.as_ref().map(|columns| {
                    columns.iter().chain([&join.on]).map(String::as_str).collect::<Vec<_>>()
                });
                let table =
                    ingest::read_table(object.clone(), names.as_deref(), &self.recipe.data)?;
                frame::from_arrow(&table)
            }
            Some("csv") => frame::decode_csv(&object.read()?, &join.on),
            Some(kind) => frame::decode_json(&object.read()?, kind != "json"),
            None => {
                Err(Error::recipe("a [[join]] ends in .parquet, .csv, .json, .jsonl or .ndjson"))
            }
        }
    }
}
