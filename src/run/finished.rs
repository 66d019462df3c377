//! A finished run, as other tools are told of it.

use arrow::datatypes::SchemaRef;

use super::identity::RunFile;
use super::manifest::{MANIFEST, Manifest, Published};
use super::status::open;
use super::summary::Summary;
use crate::error::{Error, Result};
use crate::recipe::{Form, Storage};
use crate::storage::Dir;
use crate::storage::parquet::{Limits, ParquetFile};
use crate::tables;

/// A finished run.
#[derive(Clone, Debug)]
pub struct Finished {
    /// The run directory.
    pub uri: String,
    /// What it was begun with.
    pub file: RunFile,
    /// What it published.
    pub manifest: Manifest,
    /// What came out.
    pub summary: Summary,
    /// The files with the coreset, among those of the manifest: its shards, or the view.
    pub data: Vec<Published>,
    /// Their columns.
    pub columns: SchemaRef,
    /// When the manifest was written, by the clock of the store, in seconds since 1970.
    pub written: i64,
}

/// Reads a finished run.
///
/// # Errors
/// `InvalidInput` if there is none; `CorruptData` if a table is not what its record says.
pub fn finished(uri: &str, storage: &Storage) -> Result<Finished> {
    let (file, ledger) = open(uri, storage)?;
    let dir = ledger.dir();
    let unfinished = || {
        let message = "the run is not finished; give its `unseen run` command again first";
        Error::input(message).at(uri)
    };
    let manifest = Manifest::find(dir)?.ok_or_else(unfinished)?;
    let copy = file.recipe.output.form == Form::Copy;
    let place = if copy { "coreset/data/" } else { "coreset/_view/" };
    let data = manifest.files.iter().filter(|file| file.path.starts_with(place));
    let data: Vec<Published> = data.cloned().collect();
    let columns = match data.first() {
        Some(shard) if copy => {
            let shard = dir.object(&shard.path)?;
            SchemaRef::clone(ParquetFile::open(shard, Limits::OURS)?.schema())
        }
        _ => tables::view(),
    };
    Ok(Finished {
        uri: uri.trim_end_matches('/').to_owned(),
        summary: Summary::read(&ledger, &file.recipe)?,
        written: written(dir)?,
        file,
        manifest,
        data,
        columns,
    })
}

/// When the manifest was written.
fn written(dir: &Dir) -> Result<i64> {
    let all = dir.listed("")?;
    let manifest = all.iter().find(|object| object.path == MANIFEST);
    let gone = || Error::corrupt(format!("{} is gone", dir.uri_of(MANIFEST)));
    manifest.map(|object| object.written).ok_or_else(gone)
}
