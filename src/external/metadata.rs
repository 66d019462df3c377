//! What is known of samples beside their scores, from a table of any format.

use arrow::compute::concat_batches;
use polars::prelude::*;

use super::table::{Kind, Table};
use crate::error::{Error, Place, Result};
use crate::recipe::{Join, Missing, Storage};
use crate::selection;
use crate::storage::{frame, resolve_one};

/// The columns `names` of the table at `uri`, in Parquet, CSV or JSON, for the samples `ids`, which are
/// ascending: `id`, then they.
///
/// # Errors
/// `InvalidInput` if it cannot be read, lacks a column or a sample, or has an id twice or null.
pub(super) fn read(
    uri: &str,
    names: Vec<String>,
    ids: &[&str],
    storage: &Storage,
) -> Result<DataFrame> {
    let join = Join {
        uri: uri.to_owned(),
        on: "id".to_owned(),
        columns: Some(names),
        missing: Missing::Report,
    };
    let table = decoded(&join, storage).at(|| format!("the metadata table, {uri}"))?;
    let joined = selection::join(df!("id" => ids)?, &[join], vec![table])?;
    match joined.notes.into_iter().next() {
        None => Ok(joined.table),
        Some(note) => Err(Error::input(note + "; every scored sample needs one")),
    }
}

fn decoded(join: &Join, storage: &Storage) -> Result<DataFrame> {
    let bytes = || resolve_one(&join.uri, storage)?.read();
    match join.format() {
        Some("csv") => frame::decode_csv(&bytes()?, &join.on),
        Some(kind @ ("json" | "jsonl" | "ndjson")) => frame::decode_json(&bytes()?, kind != "json"),
        _ => parquet(join, storage),
    }
}

/// The ids and the wanted columns of one Parquet table, which may be several files.
fn parquet(join: &Join, storage: &Storage) -> Result<DataFrame> {
    let table = Table::open(std::slice::from_ref(&join.uri), "metadata", storage)?;
    table.need(&join.on, Kind::Text)?;
    let names = join.columns.iter().flatten();
    names.clone().try_for_each(|name| table.need(name, Kind::Flat))?;
    let columns: Vec<&str> = names.chain([&join.on]).map(String::as_str).collect();
    let mut batches = Vec::new();
    table.each(&columns, |_, batch| {
        batches.push(batch.clone());
        Ok(())
    })?;
    let Some(first) = batches.first() else {
        return Err(Error::input("the metadata table has no rows"));
    };
    frame::from_arrow(&concat_batches(&first.schema(), &batches)?)
}
