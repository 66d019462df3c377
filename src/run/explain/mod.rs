//! Why one sample was kept or not, from the tables of its run.
//!
//! - `types`: what is told. `words`: the reason as a sentence. `cells`: the quotas and the budget.

mod cells;
mod types;
mod words;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Float32Type, Float64Type, Int64Type, SchemaRef};

use super::identity::RunFile;
use super::rows::{column, decode, ints, places, strings};
use super::status::open;
use super::task::{CORESET, FOLDS, INGEST, Task, models, stages};
use crate::error::{Error, Place, Result};
use crate::recipe::{FitOn, Form, Mode, Storage, near};
use crate::storage::{Ledger, parquet};
use crate::{shards, tables};
pub use types::{Class, Cluster, Explanation, ModelOf, QuotaCell, SourceRow, StageOf};

/// Explains the sample `id` of the run in `uri`, finished or under way.
///
/// # Errors
/// `InvalidInput` if no run began there, nothing is decoded yet, or there is no such sample: then it
/// names the ids that are most like it.
pub fn explain(uri: &str, id: &str, storage: &Storage) -> Result<Explanation> {
    let (file, ledger) = open(uri, storage)?;
    let told = Told { file: &file, ledger: &ledger, uri, id };
    let (Some(samples), Some(quarantine)) = (
        told.table(INGEST, "samples.parquet", &tables::samples())?,
        told.table(INGEST, "quarantine.parquet", &tables::quarantine())?,
    ) else {
        let message = format!("{uri}: no sample is decoded yet; the task `ingest` comes first");
        return Err(Error::input(message));
    };
    if let Some(at) = told.row(&samples)? {
        return told.sample(&samples, at);
    }
    match told.row(&quarantine)? {
        Some(at) => told.quarantined(&quarantine, at),
        None => Err(told.unknown(&samples, &quarantine)?),
    }
}

/// The run that is asked, and about whom.
struct Told<'a> {
    file: &'a RunFile,
    ledger: &'a Ledger,
    uri: &'a str,
    id: &'a str,
}

impl Told<'_> {
    /// An output of a task, if that is done.
    fn table(&self, task: &str, name: &str, schema: &SchemaRef) -> Result<Option<RecordBatch>> {
        let Some(record) = self.ledger.find(task)? else { return Ok(None) };
        let bytes = self.ledger.output(&record, name)?.0;
        parquet::decode_table(bytes, schema).map(Some).at(|| format!("{name} of {task}"))
    }

    /// The scores of one model, with all their columns, if it has scored.
    fn scores(&self, stage: usize, model: usize) -> Result<Option<RecordBatch>> {
        let task = Task::Score { stage, model }.to_string();
        let Some(record) = self.ledger.find(&task)? else { return Ok(None) };
        decode(self.ledger.output(&record, "scores.parquet")?.0).map(Some).at(|| task)
    }

    /// The row of the sample in a table that ascends by id.
    fn row(&self, table: &RecordBatch) -> Result<Option<usize>> {
        let ids = strings(table, "id")?;
        let (mut from, mut to) = (0, ids.len());
        while from < to {
            let middle = from.midpoint(to);
            if ids.value(middle) < self.id { from = middle + 1 } else { to = middle }
        }
        Ok((from < ids.len() && ids.value(from) == self.id).then_some(from))
    }

    fn sample(&self, samples: &RecordBatch, at: usize) -> Result<Explanation> {
        let states = self.states()?;
        let last = match self.table(CORESET, "selection.parquet", &tables::selection())? {
            Some(outcome) => Some(outcome),
            None => states.last().cloned(),
        };
        let decided = self.ledger.find(CORESET)?.is_some();
        let mut told = Explanation {
            uri: self.uri.to_owned(),
            id: self.id.to_owned(),
            kept: None,
            reason: None,
            why: String::new(),
            source: self.source(samples, at)?,
            shard: self.shard()?,
            class: Some(self.class(samples, at, last.as_ref())?),
            fold: self.fold()?,
            cluster: cluster(samples, at, last.as_ref())?,
            cells: Vec::new(),
            cost: None,
            stages: self.stages(&states)?,
        };
        if let Some(selection) = &last {
            (told.cells, told.cost) = self.beside(selection)?;
        }
        if let Some(selection) = &last
            && let Some(row) = self.row(selection)?
        {
            let kept = column(selection, "kept")?.as_boolean().value(row);
            told.reason = Some(strings(selection, "reason")?.value(row).to_owned());
            // What is in stays in; what is not yet in may come in later.
            told.kept = (kept || decided).then_some(kept);
        }
        told.why = words::why(&told, &self.file.recipe.select, decided);
        Ok(told)
    }

    fn quarantined(&self, quarantine: &RecordBatch, at: usize) -> Result<Explanation> {
        let reason = strings(quarantine, "reason")?.value(at);
        Ok(Explanation {
            uri: self.uri.to_owned(),
            id: self.id.to_owned(),
            kept: Some(false),
            reason: Some(format!("quarantined: {reason}")),
            why: format!("It cannot be used: {reason}. No model saw it and none scored it."),
            source: self.source(quarantine, at)?,
            shard: None,
            class: None,
            fold: None,
            cluster: None,
            cells: Vec::new(),
            cost: None,
            stages: Vec::new(),
        })
    }

    fn unknown(&self, samples: &RecordBatch, quarantine: &RecordBatch) -> Result<Error> {
        let (usable, bad) = (strings(samples, "id")?, strings(quarantine, "id")?);
        let alike = near(self.id, usable.iter().chain(bad).flatten(), 3);
        let hint = if alike.is_empty() {
            format!("it has {} samples", usable.len())
        } else {
            format!("did you mean `{}`?", alike.join("`, `"))
        };
        let filter = match &self.file.recipe.data.filter {
            Some(filter) => format!(" (rows that `{filter}` leaves out are no samples)"),
            None => String::new(),
        };
        let message = format!("{} has no sample `{}`{filter}; {hint}", self.uri, self.id);
        Ok(Error::input(message))
    }

    fn source(&self, table: &RecordBatch, at: usize) -> Result<SourceRow> {
        let (file, row_group, row) = places(table)?[at];
        let object = self.file.input.get(file as usize);
        let object = object.ok_or_else(|| Error::corrupt(format!("there is no file {file}")))?;
        let bytes = table.column_by_name("bytes").map(AsArray::as_primitive::<Int64Type>);
        let bytes = bytes.map(|bytes| bytes.value(at) as u64);
        Ok(SourceRow { file: object.uri.clone(), row_group, row, bytes })
    }

    fn shard(&self) -> Result<Option<String>> {
        let output = &self.file.recipe.output;
        let Some(record) = self.ledger.find(CORESET)? else { return Ok(None) };
        if output.form == Form::View {
            return Ok(None);
        }
        let bytes = self.ledger.output(&record, "view.parquet")?.0;
        let view = parquet::decode_table(bytes, &tables::view())?;
        let at = strings(&view, "id")?.iter().position(|id| id == Some(self.id));
        let count = record.facts.get("shards").and_then(serde_json::Value::as_u64).unwrap_or(0);
        let shard = ints(&view, "shard")?;
        let name = |at| shards::shard_name(&output.split, shard.value(at) as usize, count as usize);
        Ok(at.map(|at| format!("coreset/{}", name(at))))
    }

    fn classes(&self) -> Result<Vec<String>> {
        let bytes = self.ledger.output(&self.ledger.get(INGEST)?, "classes.json")?.0;
        Ok(serde_json::from_slice(&bytes)?)
    }

    fn class(
        &self,
        samples: &RecordBatch,
        at: usize,
        selection: Option<&RecordBatch>,
    ) -> Result<Class> {
        let labels = ints(samples, "label")?;
        let label = labels.value(at);
        let samples = labels.values().iter().filter(|other| **other == label).count() as u64;
        let mut kept = 0;
        if let Some(selection) = selection {
            let (labels, chosen) = (ints(selection, "label")?, column(selection, "kept")?);
            let both = labels.iter().zip(chosen.as_boolean());
            kept = both.filter(|both| *both == (Some(label), Some(true))).count() as u64;
        }
        let name = self.classes()?.get(label as usize).cloned().unwrap_or_default();
        Ok(Class { label, name, samples, kept })
    }

    fn fold(&self) -> Result<Option<i32>> {
        let Some(folds) = self.table(FOLDS, "folds.parquet", &tables::folds())? else {
            return Ok(None);
        };
        let fold = ints(&folds, "fold")?;
        Ok(self.row(&folds)?.map(|at| fold.value(at)))
    }

    /// The selections after each stage that has selected.
    fn states(&self) -> Result<Vec<RecordBatch>> {
        let mut states = Vec::new();
        for stage in 1..=stages(&self.file.recipe) {
            let task = Task::Select { stage }.to_string();
            if let Some(record) = self.ledger.find(&task)? {
                states.push(decode(self.ledger.output(&record, "selection.parquet")?.0)?);
            }
        }
        Ok(states)
    }

    fn stages(&self, states: &[RecordBatch]) -> Result<Vec<StageOf>> {
        let recipe = &self.file.recipe;
        let classes = self.classes()?;
        let mut told = Vec::new();
        for stage in 1..=stages(recipe) {
            let mut said = Vec::new();
            for model in 0..models(recipe, stage) {
                if let Some(scores) = self.scores(stage, model)?
                    && let Some(row) = self.row(&scores)?
                {
                    said.push(self.model(stage, model, &scores, row, &classes)?);
                }
            }
            let mut story = StageOf::empty(stage, said);
            // Who was in before is not ranked again.
            if let Some(state) = states.get(stage - 1)
                && let Some(row) = self.row(state)?
                && (stage == 1 || !story.models.is_empty())
            {
                story.decide(state, row)?;
            }
            if !story.models.is_empty() || story.score.is_some() {
                told.push(story);
            }
        }
        Ok(told)
    }

    fn model(
        &self,
        stage: usize,
        model: usize,
        scores: &RecordBatch,
        row: usize,
        classes: &[String],
    ) -> Result<ModelOf> {
        let recipe = &self.file.recipe;
        let trained_on = match (stage, recipe.mode, recipe.folds.fit_on) {
            (1, Mode::Fitting, _) => "everything, this sample too".to_owned(),
            (1, Mode::Unseen, FitOn::Fold) => format!("fold {model}"),
            (1, Mode::Unseen, FitOn::Complement) => format!("all folds but {model}"),
            _ => format!("what stage {} kept", stage - 1),
        };
        let predicted = ints(scores, "predicted")?.value(row);
        let numbers = scores.schema_ref().fields().iter().zip(scores.columns());
        let numbers = numbers.filter(|(field, _)| *field.data_type() == DataType::Float32);
        let scores = numbers.map(|(field, values)| {
            (field.name().clone(), values.as_primitive::<Float32Type>().value(row))
        });
        Ok(ModelOf {
            model,
            trained_on,
            predicted: classes.get(predicted as usize).cloned().unwrap_or_default(),
            scores: scores.collect(),
        })
    }
}

impl StageOf {
    fn empty(stage: usize, models: Vec<ModelOf>) -> Self {
        Self {
            stage,
            score: None,
            rank: None,
            ranked: 0,
            added: 0,
            cut: None,
            class_cut: None,
            entered: false,
            models,
        }
    }

    /// Takes over what the selection after the stage says about the sample in `row`.
    fn decide(&mut self, state: &RecordBatch, row: usize) -> Result<()> {
        let score = column(state, "score")?.as_primitive::<Float64Type>();
        let rank = column(state, "rank")?.as_primitive::<Int64Type>();
        let (entry, label) = (ints(state, "stage")?, ints(state, "label")?);
        let here = |at: &usize| entry.is_valid(*at) && entry.value(*at) as usize == self.stage;
        let before = |at: usize| entry.is_valid(at) && (entry.value(at) as usize) < self.stage;
        let all = 0..state.num_rows();
        let ranked = all.clone().filter(|at| rank.is_valid(*at) && !before(*at)).count();
        let last = |same_class: bool| {
            let fits = |at: &usize| !same_class || label.value(*at) == label.value(row);
            let added = all.clone().filter(here).filter(fits);
            added.max_by_key(|at| rank.value(*at))
        };
        let score_of = |at: usize| score.is_valid(at).then(|| score.value(at));
        self.cut = last(false).and_then(score_of);
        self.class_cut = last(true).and_then(score_of);
        self.added = all.clone().filter(here).count() as u64;
        self.ranked = ranked as u64;
        self.entered = here(&row);
        self.score = score_of(row);
        self.rank = rank.is_valid(row).then(|| rank.value(row));
        Ok(())
    }
}

/// The cluster of duplicates that the sample in row `at` belongs to.
fn cluster(
    samples: &RecordBatch,
    at: usize,
    selection: Option<&RecordBatch>,
) -> Result<Option<Cluster>> {
    let (ids, clusters) = (strings(samples, "id")?, strings(samples, "cluster")?);
    if clusters.is_null(at) {
        return Ok(None);
    }
    let name = clusters.value(at);
    let members = (0..ids.len()).filter(|i| clusters.is_valid(*i) && clusters.value(*i) == name);
    let members: Vec<&str> = members.map(|i| ids.value(i)).collect();
    let mut kept = Vec::new();
    if let Some(selection) = selection {
        let (ids, chosen) = (strings(selection, "id")?, column(selection, "kept")?);
        for (id, chosen) in ids.iter().flatten().zip(chosen.as_boolean()) {
            if chosen == Some(true) && members.contains(&id) {
                kept.push(id.to_owned());
            }
        }
    }
    Ok(Some(Cluster { name: name.to_owned(), samples: members.len() as u64, kept }))
}
