//! The folds of a recipe without its run, for models that others train.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array};
use arrow::record_batch::RecordBatch;
use serde::Serialize;

use super::dataset::assign;
use super::memory::Memory;
use super::rows::column;
use super::worker::Run;
use crate::error::{Error, Result};
use crate::ingest;
use crate::recipe::{Mode, Recipe};
use crate::storage::{Dir, NewFile};
use crate::tables;

/// Folds that were written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FoldsOf {
    /// The table, in the contract of [`tables::folds`].
    pub output: String,
    /// Its samples.
    pub samples: u64,
    /// Samples that cannot be used and have no fold.
    pub quarantined: u64,
    /// The samples of each fold.
    pub folds: Vec<u64>,
}

/// Writes the folds that a run of `recipe` would use. Every input is decoded, because samples that
/// cannot be used have no fold; nothing is trained.
///
/// # Errors
/// `InvalidRecipe` in mode `fitting`, which has no folds; whatever would stop a run at its first tasks.
pub fn folds_of(recipe: Recipe, memory: Memory, output: &NewFile) -> Result<FoldsOf> {
    if recipe.mode == Mode::Fitting {
        return Err(Error::recipe("mode `fitting` has no folds: one model trains on everything"));
    }
    // Folds follow from the recipe alone: another run in its `output.uri` is not asked.
    let nowhere = format!("{}/.folds", recipe.output.uri.trim_end_matches('/'));
    let nowhere = Dir::open(&nowhere, &recipe.storage)?;
    let run = Run::on(recipe, nowhere)?.within(memory);
    let loaded = run.loaded()?;
    let (samples, _) = ingest::tables(&loaded, &run.clusters(&loaded)?)?;
    let folds = assign(&samples, &run.recipe, &run.seed)?;
    let mut sizes = vec![0; run.recipe.folds.k];
    for fold in &folds {
        sizes[*fold as usize] += 1;
    }
    let numbers = Int32Array::from_iter_values(folds.iter().map(|fold| *fold as i32));
    let columns: Vec<ArrayRef> = vec![Arc::clone(column(&samples, "id")?), Arc::new(numbers)];
    output.write_table(&RecordBatch::try_new(tables::folds(), columns)?)?;
    Ok(FoldsOf {
        output: output.uri().to_owned(),
        samples: samples.num_rows() as u64,
        quarantined: loaded.quarantine.len() as u64,
        folds: sizes,
    })
}
