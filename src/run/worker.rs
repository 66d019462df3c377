//! Does the tasks of a run in order, skipping what is committed.

use std::cell::OnceCell;
use std::collections::BTreeSet;

use arrow::array::{Array, AsArray, Int32Array, RecordBatch, StringArray};
use arrow::datatypes::{Int32Type, Int64Type};
use std::sync::Arc;

use super::attempt::Attempt;
use super::identity::RunFile;
use super::manifest::Manifest;
use super::plan::Plan;
use super::summary::Summary;
use super::task::{Task, tasks};
use super::{Observer, manifest};
use crate::error::{Error, Place, Result};
use crate::ingest::{self, Loaded, Survey};
use crate::recipe::{Form, Recipe};
use crate::seed::Seed;
use crate::selection::SelectionPlan;
use crate::shards::{self, Kept};
use crate::storage::{Dir, Ledger, Object, resolve, sha256_hex};
use crate::{folds, tables};

/// One run: a recipe, its input and the directory of its results.
pub struct Run {
    pub(super) recipe: Recipe,
    pub(super) seed: Seed,
    pub(super) ledger: Ledger,
    pub(super) file: RunFile,
    objects: Vec<Object>,
    survey: OnceCell<Survey>,
    loaded: OnceCell<Loaded>,
}

impl Run {
    /// The run of `recipe` in its `output.uri`. Looks at the input, writes nothing.
    ///
    /// # Errors
    /// `InvalidInput` if an address of the input stands for nothing.
    pub fn new(recipe: Recipe) -> Result<Self> {
        let dir = Dir::open(&recipe.output.uri)?;
        Self::on(recipe, dir)
    }

    /// The run of `recipe` in any directory.
    ///
    /// # Errors
    /// As [`Run::new`].
    pub fn on(recipe: Recipe, dir: Dir) -> Result<Self> {
        let objects = resolve(recipe.data.uri.as_slice())?;
        let file = RunFile::new(&recipe, &objects)?;
        let ledger = Ledger::new(dir, file.fingerprint.clone());
        let seed = Seed::new(recipe.seed);
        let (survey, loaded) = (OnceCell::new(), OnceCell::new());
        Ok(Self { recipe, seed, ledger, file, objects, survey, loaded })
    }

    /// The run that a directory holds, as it was begun; its input may be gone.
    pub(super) fn reopen(file: RunFile, ledger: Ledger) -> Self {
        let recipe = file.recipe.clone();
        let objects = resolve(recipe.data.uri.as_slice()).unwrap_or_default();
        let seed = Seed::new(recipe.seed);
        let (survey, loaded) = (OnceCell::new(), OnceCell::new());
        Self { recipe, seed, ledger, file, objects, survey, loaded }
    }

    /// Does what is left to do and returns what came out. A finished run does nothing.
    ///
    /// # Errors
    /// Every error names the task; running again goes on where this run ended.
    pub fn execute(&self, observer: &dyn Observer) -> Result<Summary> {
        if Manifest::find(self.ledger.dir())?.is_none() {
            self.begin(observer)?;
            self.do_tasks(observer)?;
        } else {
            self.file.begin_or_resume(self.ledger.dir())?;
        }
        Summary::read(&self.ledger, &self.recipe)
    }

    /// All checks come before the first write.
    fn begin(&self, observer: &dyn Observer) -> Result<()> {
        if let Some(old) = RunFile::find(self.ledger.dir())? {
            self.file.same_as(&old).at(|| self.ledger.dir().uri().to_owned())?;
        }
        for warning in &Plan::new(self)?.warnings {
            observer.warn(warning);
        }
        self.file.begin_or_resume(self.ledger.dir())
    }

    fn do_tasks(&self, observer: &dyn Observer) -> Result<()> {
        let all = tasks(&self.recipe);
        let plan = Plan::new(self)?;
        let mut left: u64 = 0;
        let mut open = Vec::new();
        for (task, planned) in all.iter().zip(&plan.tasks) {
            if self.ledger.find(&task.to_string())?.is_none() {
                left += planned.work;
                open.push((*task, planned.work));
            }
        }
        let shard_work = plan.keep_rows;
        left += shard_work;
        for (task, work) in open {
            self.do_task(task, work, left, observer)?;
            left -= work;
        }
        self.do_shards(shard_work, observer)?;
        manifest::publish(self)
    }

    fn do_shards(&self, work: u64, observer: &dyn Observer) -> Result<()> {
        let count = self.shard_count()?;
        let mut open = Vec::new();
        for index in 0..count {
            let task = Task::Shard { index };
            if self.ledger.find(&task.to_string())?.is_none() {
                open.push(task);
            }
        }
        let each = work / (count.max(1) as u64);
        for (done, task) in open.iter().enumerate() {
            self.do_task(*task, each, each * (open.len() - done) as u64, observer)?;
        }
        Ok(())
    }

    /// How many shards the committed coreset has.
    pub(super) fn shard_count(&self) -> Result<usize> {
        let record = self.ledger.get(&Task::Coreset.to_string())?;
        let count = record.facts.get("shards").and_then(serde_json::Value::as_u64);
        count
            .map(|n| n as usize)
            .ok_or_else(|| Error::corrupt("the coreset's record names no shards"))
    }

    fn do_task(&self, task: Task, work: u64, left: u64, observer: &dyn Observer) -> Result<()> {
        let name = task.to_string();
        observer.begin(&name, work, left);
        let mut attempt =
            Attempt::begin(&self.ledger, &name, self.recipe.seed, &self.recipe.device)?;
        let note = match task {
            Task::Ingest => self.ingest(&mut attempt),
            Task::Folds => self.folds(&mut attempt),
            Task::Train { stage, model } => self.train(&mut attempt, stage, model, observer),
            Task::Score { stage, model } => self.score(&mut attempt, stage, model, observer),
            Task::Select { stage } => self.select(&mut attempt, stage),
            Task::Coreset => self.coreset(&mut attempt),
            Task::Shard { index } => self.shard(&mut attempt, index),
        };
        let note = note.at(|| format!("task {name}"))?;
        attempt.commit().at(|| format!("task {name}"))?;
        observer.end(&name, &note);
        Ok(())
    }

    fn ingest(&self, attempt: &mut Attempt) -> Result<String> {
        let loaded = self.loaded()?;
        let (samples, quarantine) = ingest::tables(loaded)?;
        attempt.write_table("samples.parquet", &samples)?;
        attempt.write_table("quarantine.parquet", &quarantine)?;
        attempt.write("classes.json", serde_json::to_vec(&loaded.samples.classes)?, None)?;
        let (usable, bad) = (samples.num_rows(), quarantine.num_rows());
        Ok(format!("{usable} samples, {bad} quarantined"))
    }

    fn folds(&self, attempt: &mut Attempt) -> Result<String> {
        let samples = attempt.table(INGEST, "samples.parquet", &tables::samples())?;
        let folds = assign(&samples, &self.recipe, &self.seed)?;
        let k = self.recipe.folds.k;
        let columns: Vec<Arc<dyn Array>> = vec![
            Arc::clone(column(&samples, "id")?),
            Arc::new(Int32Array::from_iter_values(folds.iter().map(|f| *f as i32))),
        ];
        attempt.write_table("folds.parquet", &RecordBatch::try_new(tables::folds(), columns)?)?;
        Ok(format!("{k} folds of about {} samples", folds.len() / k))
    }

    /// Fixes the outcome: why each sample was kept or not, and where each kept row goes.
    fn coreset(&self, attempt: &mut Attempt) -> Result<String> {
        let last = Task::Select { stage: super::task::stages(&self.recipe) }.to_string();
        let state = attempt.frame(&last, "selection.parquet")?;
        let quarantine = attempt.frame(INGEST, "quarantine.parquet")?;
        let selection = crate::selection::finish(state, quarantine)?;
        attempt.write_frame("selection.parquet", selection.clone(), &tables::selection())?;
        let selection = crate::storage::frame::to_arrow(selection, &tables::selection())?;
        let samples = attempt.table(INGEST, "samples.parquet", &tables::samples())?;
        let digest = selection_digest(&selection);
        let kept = kept_rows(&samples, &selection)?;
        let (rows, bytes) = (kept.len(), kept.iter().map(|k| k.bytes).sum::<u64>());
        let layout = shards::layout(kept, self.recipe.output.shard_bytes.0, &self.seed);
        let uris: Vec<String> = self.file.input.iter().map(|o| o.uri.clone()).collect();
        attempt.write_table("view.parquet", &shards::view(&layout, &uris)?)?;
        let shards = if self.recipe.output.form == Form::Copy { layout.len() } else { 0 };
        attempt.fact("shards", shards);
        attempt.fact("kept", rows);
        attempt.fact("bytes", bytes);
        attempt.fact("selection_sha256", digest);
        Ok(format!("{rows} samples kept, {shards} shards"))
    }

    fn shard(&self, attempt: &mut Attempt, index: usize) -> Result<String> {
        let view = attempt.table(CORESET, "view.parquet", &tables::view())?;
        let samples = attempt.table(INGEST, "samples.parquet", &tables::samples())?;
        let selection = attempt.table(CORESET, "selection.parquet", &tables::selection())?;
        let rows = self.shard_rows(&view, &samples, &selection, index)?;
        let survey = self.survey()?;
        let bytes =
            shards::encode_shard(&survey.parquet, &survey.schema, &rows, &self.recipe.output)?;
        let note = format!("{} rows, {} bytes", rows.len(), bytes.len());
        attempt.write("shard.parquet", bytes, Some(rows.len() as u64))?;
        Ok(note)
    }

    /// The rows of one shard in their order, from the committed tables.
    pub(super) fn shard_rows(
        &self,
        view: &RecordBatch,
        samples: &RecordBatch,
        selection: &RecordBatch,
        index: usize,
    ) -> Result<Vec<Kept>> {
        let kept = kept_rows(samples, selection)?;
        let find = |id: &str| {
            kept.binary_search_by(|k| k.id.as_str().cmp(id)).ok().map(|i| kept[i].clone())
        };
        let (ids, shard) = (strings(view, "id")?, ints(view, "shard")?);
        (0..view.num_rows())
            .filter(|i| shard.value(*i) as usize == index)
            .map(|i| {
                let id = ids.value(i);
                find(id).ok_or_else(|| {
                    Error::corrupt(format!("the view names `{id}`, which is not kept"))
                })
            })
            .collect()
    }

    /// The input as its footers and thin columns show it, looked at once.
    pub(super) fn survey(&self) -> Result<&Survey> {
        once(&self.survey, || ingest::survey(&self.recipe.data, self.recipe.folds.group.as_deref()))
    }

    /// The decoded samples, loaded once. After a resume they must be those that were committed.
    pub(super) fn loaded(&self) -> Result<&Loaded> {
        once(&self.loaded, || {
            let loaded = ingest::load(self.survey()?, &self.recipe.data)?;
            if let Some(record) = self.ledger.find(INGEST)? {
                let (samples, _) = ingest::tables(&loaded)?;
                let bytes = crate::storage::parquet::encode_table(&samples)?;
                if sha256_hex(&bytes) != record.output("samples.parquet")?.sha256 {
                    return Err(Error::input(
                        "the input decodes to other samples than when this run began; restore it or start a new run",
                    ));
                }
            }
            Ok(loaded)
        })
    }

    /// The sizes and quotas of all stages, for the committed samples.
    pub(super) fn selection_plan(&self, labels: &[u32], classes: usize) -> Result<SelectionPlan> {
        let mut sizes = vec![0; classes];
        labels.iter().for_each(|label| sizes[*label as usize] += 1);
        SelectionPlan::new(&self.recipe.select, &sizes)
    }

    /// The input files as the run first saw them.
    pub fn input(&self) -> &[Object] {
        &self.objects
    }

    /// What this run would do. Writes nothing.
    ///
    /// # Errors
    /// `InvalidInput` or `InvalidRecipe` for whatever would stop the run before its first training.
    pub fn plan(&self) -> Result<Plan> {
        Plan::new(self)
    }

    /// The run directory.
    pub fn dir(&self) -> &Dir {
        self.ledger.dir()
    }
}

pub(super) const INGEST: &str = "ingest";
pub(super) const FOLDS: &str = "folds";
pub(super) const CORESET: &str = "coreset";

fn once<T>(cell: &OnceCell<T>, make: impl FnOnce() -> Result<T>) -> Result<&T> {
    if let Some(value) = cell.get() {
        return Ok(value);
    }
    let value = make()?;
    Ok(cell.get_or_init(|| value))
}

/// The folds of the samples table, from the recipe and the seed alone.
pub(super) fn assign(samples: &RecordBatch, recipe: &Recipe, seed: &Seed) -> Result<Vec<u32>> {
    let ids: Vec<String> = strings(samples, "id")?.iter().flatten().map(str::to_owned).collect();
    let groups: Option<Vec<Option<String>>> = match recipe.folds.group {
        Some(_) => Some(strings(samples, "group")?.iter().map(|g| g.map(str::to_owned)).collect()),
        None => None,
    };
    folds::assign(&ids, &labels(samples)?, groups.as_deref(), &recipe.folds, seed)
}

/// SHA-256 over the ids of the kept samples, ascending, one a line: `sort ids | sha256sum`.
pub(super) fn selection_digest(selection: &RecordBatch) -> String {
    let mut lines = String::new();
    for id in kept_ids(selection) {
        lines.push_str(&id);
        lines.push('\n');
    }
    sha256_hex(lines.as_bytes())
}

pub(super) fn kept_ids(selection: &RecordBatch) -> BTreeSet<String> {
    let (ids, kept) = (selection.column(0).as_string::<i32>(), selection.column(6).as_boolean());
    (0..selection.num_rows()).filter(|i| kept.value(*i)).map(|i| ids.value(i).to_owned()).collect()
}

/// The kept rows, ascending by id, with their place in the source and what decided.
fn kept_rows(samples: &RecordBatch, selection: &RecordBatch) -> Result<Vec<Kept>> {
    let (id, kept) = (strings(selection, "id")?, column(selection, "kept")?.as_boolean());
    let score = column(selection, "score")?.as_primitive::<arrow::datatypes::Float64Type>();
    let (rank, stage) =
        (column(selection, "rank")?.as_primitive::<Int64Type>(), ints(selection, "stage")?);
    let source = strings(samples, "id")?;
    let (file, group) = (ints(samples, "file")?, ints(samples, "row_group")?);
    let row = column(samples, "row")?.as_primitive::<Int64Type>();
    let bytes = column(samples, "bytes")?.as_primitive::<Int64Type>();
    let mut rows = Vec::new();
    // Both tables ascend by id, and every kept id is a sample.
    let mut at = 0;
    for i in (0..selection.num_rows()).filter(|i| kept.value(*i)) {
        while at < source.len() && source.value(at) != id.value(i) {
            at += 1;
        }
        if at == source.len() {
            return Err(Error::corrupt(format!(
                "the selection keeps `{}`, which is no sample",
                id.value(i)
            )));
        }
        rows.push(Kept {
            id: id.value(i).to_owned(),
            file: file.value(at) as u32,
            row_group: group.value(at) as u32,
            row: row.value(at) as u32,
            bytes: bytes.value(at) as u64,
            score: score.is_valid(i).then(|| score.value(i)),
            rank: rank.is_valid(i).then(|| rank.value(i)),
            stage: stage.is_valid(i).then(|| stage.value(i)),
        });
    }
    Ok(rows)
}

pub(super) fn column<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a Arc<dyn Array>> {
    batch
        .column_by_name(name)
        .ok_or_else(|| Error::corrupt(format!("the table has no column `{name}`")))
}

pub(super) fn strings<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a StringArray> {
    Ok(column(batch, name)?.as_string::<i32>())
}

pub(super) fn ints<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a Int32Array> {
    Ok(column(batch, name)?.as_primitive::<Int32Type>())
}

pub(super) fn labels(batch: &RecordBatch) -> Result<Vec<u32>> {
    Ok(ints(batch, "label")?.values().iter().map(|l| *l as u32).collect())
}
