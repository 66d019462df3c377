//! The stored scores of a run's stage 1, to ask what if: nothing is trained.

use arrow::record_batch::RecordBatch;

use super::identity::RunFile;
use super::status::open;
use super::task::{INGEST, METADATA, Task, models, needs_metadata};
use super::worker::Run;
use crate::error::{Error, ErrorKind, Result};
use crate::external::{Scores, Selected};
use crate::recipe::{Override, Recipe, Storage};
use crate::storage::{Ledger, NewFile, frame, parquet};
use crate::{selection, tables};

/// The scores of stage 1 with all that decided beside them.
pub(super) struct Stored {
    pub(super) file: RunFile,
    ledger: Ledger,
    pub(super) samples: RecordBatch,
    pub(super) scores: Scores,
}

impl Stored {
    /// Reads what the run in `uri` has stored.
    ///
    /// # Errors
    /// `InvalidInput` if no run began there or a model of stage 1 has not scored yet.
    pub(super) fn read(uri: &str, storage: &Storage) -> Result<Self> {
        let (file, ledger) = open(uri, storage)?;
        let output = |task: &str, name: &str| output(&ledger, uri, task, name);
        let mut tables = Vec::new();
        for model in 0..models(&file.recipe, 1) {
            let task = Task::Score { stage: 1, model }.to_string();
            tables.push(frame::decode(&output(&task, "scores.parquet")?)?);
        }
        let samples = output(INGEST, "samples.parquet")?;
        let clusters = frame::decode(&samples)?;
        let samples = parquet::decode_table(samples, &tables::samples())?;
        let classes = serde_json::from_slice(&output(INGEST, "classes.json")?)?;
        let scores = Scores::of_run(tables, classes, clusters)?;
        Ok(Self { file, ledger, samples, scores })
    }

    /// The same with the columns that a recipe names: those that the run has stored, or, for other
    /// columns, from the source and the joined tables once more.
    ///
    /// # Errors
    /// `InvalidRecipe` for a column that nobody has; `Conflict` if the source has changed since the run.
    pub(super) fn beside(self, recipe: &Recipe, storage: &Storage) -> Result<Self> {
        if !needs_metadata(recipe) {
            return Ok(self);
        }
        let named = selection::named_columns(&recipe.select)?;
        let own = &self.file.recipe;
        let stored = match self.ledger.find(METADATA)? {
            Some(record) if selection::named_columns(&own.select)? == named => Some(record),
            _ => None,
        };
        let metadata = if let Some(record) = stored {
            frame::decode(&self.ledger.output(&record, "metadata.parquet")?.0)?
        } else {
            let mut recipe = recipe.clone();
            recipe.storage = storage.over(&recipe.storage);
            let run = Run::on(recipe, self.ledger.dir().clone())?;
            // Rows are found by their places, which hold for the input of the run alone.
            if let Some(change) = run.file.input_changes(&self.file).first() {
                return Err(Error::new(ErrorKind::Conflict, change));
            }
            run.gathered(&self.samples)?.table
        };
        Ok(Self { scores: self.scores.with(metadata), ..self })
    }
}

fn output(ledger: &Ledger, uri: &str, task: &str, name: &str) -> Result<bytes::Bytes> {
    let record = ledger.find(task)?.ok_or_else(|| {
        Error::input(format!("{uri}: stage 1 has not scored yet: `{task}` is not done"))
    })?;
    Ok(ledger.output(&record, name)?.0)
}

/// Selects again from the stored scores of stage 1 of the run in `uri`, in one step, with changes to
/// its recipe; writes the selection table to `output`, if there is one.
///
/// # Errors
/// `InvalidRecipe` for a wrong change; `InvalidInput` if there are no scores.
pub fn select_again(
    uri: &str,
    changes: &[Override],
    storage: &Storage,
    output: Option<&NewFile>,
) -> Result<Selected> {
    let stored = Stored::read(uri, storage)?;
    let recipe = stored.file.recipe.in_one_step(changes)?;
    let stored = stored.beside(&recipe, storage)?;
    let mut selected = stored.scores.select_into(&recipe, output)?;
    selected.note = one_step(&stored.file.recipe);
    Ok(selected)
}

/// What sets a selection in one step apart from that of the run, if anything does.
pub(super) fn one_step(run: &Recipe) -> Option<String> {
    let stages = super::task::stages(run);
    (stages > 1).then(|| {
        format!(
            "selected in one step from the scores of stage 1; the run itself selects in {stages} stages, and models of later stages rescore what is left, so its own selection differs"
        )
    })
}
