//! Joined tables: what they say about the samples comes beside what the dataset says.

use polars::prelude::*;

use super::beside::examples;
use crate::recipe::{Join, Missing};
use crate::{Error, Result};

const FOUND: &str = "__joined";

/// The samples with the columns of each table.
#[derive(Clone, Debug)]
pub struct Joined {
    /// The columns of the samples, then those of the tables in turn; a row for each sample, in order.
    pub table: DataFrame,
    /// For each table how many samples it has no row for.
    pub missing: Vec<u64>,
    /// The same for people.
    pub notes: Vec<String>,
}

/// Joins `tables`, which the recipe's `joins` describe, to `samples`, which have a string column `id`.
///
/// # Errors
/// `InvalidInput`, at the address of the table, if it lacks a column, has ids twice (it would multiply
/// samples) or null, or lacks samples that it must have; `InvalidRecipe` if a name is there already.
pub fn join(samples: DataFrame, joins: &[Join], tables: Vec<DataFrame>) -> Result<Joined> {
    let mut joined = Joined { table: samples, missing: Vec::new(), notes: Vec::new() };
    for (join, table) in joins.iter().zip(tables) {
        let more = prepared(&joined.table, join, &table)?;
        joined.add(join, more).map_err(|e| e.at(join.uri.clone()))?;
    }
    Ok(joined)
}

impl Joined {
    fn add(&mut self, join: &Join, more: DataFrame) -> Result<()> {
        let options = JoinArgs::new(JoinType::Left);
        let options = JoinArgs { maintain_order: MaintainOrderJoin::Left, ..options };
        let known = more.column("id")?.str()?.get(0).map(str::to_owned);
        let more = more.lazy().with_column(lit(true).alias(FOUND));
        let samples = std::mem::take(&mut self.table).lazy();
        let table = samples.join(more, [col("id")], [col("id")], options).collect()?;
        let found = table.column(FOUND)?.bool()?.iter();
        let ids = table.column("id")?.str()?.iter().map(Option::unwrap_or_default);
        let lost: Vec<&str> =
            ids.zip(found).filter(|(_, f)| f.is_none()).map(|(id, _)| id).collect();
        if let Some(first) = lost.first().filter(|_| lost.len() == table.height()) {
            let theirs = known.map_or("none".to_owned(), |id| format!("such as `{id}`"));
            return Err(Error::input(format!(
                "it has a row for none of the {} samples: its ids in `{}` ({theirs}) are not those of the samples (such as `{first}`)",
                lost.len(),
                join.on
            )));
        }
        if !lost.is_empty() {
            let note =
                format!("it has no row for {} samples, such as {}", lost.len(), examples(&lost));
            if join.missing == Missing::Refuse {
                return Err(Error::input(note + "; add them, or set missing = \"report\""));
            }
            self.notes.push(format!("{}: {note}", join.uri));
        }
        self.missing.push(lost.len() as u64);
        self.table = table.drop(FOUND)?;
        Ok(())
    }
}

/// The columns that a join takes from a table, beside the ids.
///
/// # Errors
/// `InvalidInput`, at the address of the table, if it lacks one of them or the ids.
pub fn joined_columns(join: &Join, table: &DataFrame) -> Result<Vec<String>> {
    let known = || table.get_column_names().into_iter().map(PlSmallStr::as_str);
    let names: Vec<String> = join
        .columns
        .clone()
        .unwrap_or_else(|| known().filter(|name| *name != join.on).map(str::to_owned).collect());
    let lacks = |name: &&String| table.column(name).is_err();
    let lacking = names.iter().chain([&join.on]).find(lacks).cloned();
    let Some(name) = lacking else { return Ok(names) };
    let known: Vec<&str> = known().collect();
    let message = format!("the table has no column `{name}`; its columns are {}", known.join(", "));
    Err(Error::input(message).at(join.uri.clone()))
}

/// The ids and wanted columns of a table, held against what is there already.
fn prepared(samples: &DataFrame, join: &Join, table: &DataFrame) -> Result<DataFrame> {
    let names = joined_columns(join, table)?;
    let taken = |name: &&String| samples.column(name).is_ok() || *name == "label" || *name == "id";
    if let Some(name) = names.iter().find(taken) {
        return Err(Error::recipe(format!(
            "the column `{name}` is there already; rename it, or name the columns to take in `columns`"
        ))
        .at(join.uri.clone()));
    }
    let at = |e: Error| e.at(join.uri.clone());
    let mut columns = vec![unique_ids(table.column(&join.on)?).map_err(at)?];
    for name in &names {
        columns.push(plain(table.column(name)?).map_err(at)?);
    }
    Ok(DataFrame::new(table.height(), columns)?)
}

/// The ids as strings.
fn unique_ids(column: &Column) -> Result<Column> {
    let kind = column.dtype();
    if !kind.is_integer() && *kind != DataType::String {
        return Err(Error::input(format!(
            "its ids in column `{}` are of type {kind}; strings and integers can be used",
            column.name()
        )));
    }
    let ids = column.cast(&DataType::String)?.with_name("id".into());
    if ids.null_count() > 0 {
        return Err(Error::input(format!(
            "{} rows have no id in column `{}`; remove them",
            ids.null_count(),
            column.name()
        )));
    }
    let mut sorted: Vec<&str> = ids.str()?.iter().flatten().collect();
    sorted.sort_unstable();
    let mut twice: Vec<&str> =
        sorted.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0]).collect();
    twice.dedup();
    if twice.is_empty() {
        return Ok(ids);
    }
    Err(Error::input(format!(
        "{} ids have more than one row, such as {}: joining would multiply samples; keep one row for each",
        twice.len(),
        examples(&twice)
    )))
}

/// A column of a type that conditions can read and tables can hold.
fn plain(column: &Column) -> Result<Column> {
    let kind = column.dtype();
    match kind {
        DataType::Null => Ok(column.cast(&DataType::String)?),
        DataType::String | DataType::Boolean | DataType::Date | DataType::Datetime(_, None) => {
            Ok(column.clone())
        }
        _ if kind.is_primitive_numeric() => Ok(column.clone()),
        _ => Err(Error::input(format!(
            "its column `{}` is of type {kind}; strings, numbers, booleans, dates and timestamps without a zone can be used: name the columns to take in `columns`",
            column.name()
        ))),
    }
}
