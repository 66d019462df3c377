//! Samples that came after a run: the models of its stage 1 score them, and a report says how far they
//! have drifted.
//!
//! - `outputs`: the models, in builds that have them. `report`: old and new side by side.

#[cfg(feature = "train")]
mod outputs;
#[cfg(not(feature = "train"))]
#[path = "no_outputs.rs"]
mod outputs;
mod report;

use std::collections::BTreeSet;

use arrow::compute::concat_batches;
use arrow::record_batch::RecordBatch;
use serde::Serialize;

use super::rows::{decode, ids, ints};
use super::status::open;
use super::task::{INGEST, Task, models};
use super::worker::Run;
use crate::error::{Error, Place, Result};
use crate::external::Drift;
use crate::ingest::{self, Examples, Loaded, Survey, counted};
use crate::recipe::{By, Method, Mode, Needs, OneOrMany, Outputs, Recipe, Storage};
use crate::storage::{NewFile, parquet, resolve};
use crate::{folds, tables};

/// New data beside a run.
#[derive(Clone, Debug)]
pub struct Appended<'a> {
    /// The run directory.
    pub run: &'a str,
    /// The data: new rows, or old and new ones together.
    pub data: &'a [String],
    /// Rows to use instead of those of the recipe's `data.filter`.
    pub filter: Option<&'a str>,
    /// The score to compare instead of the recipe's `select.by`.
    pub by: Option<Method>,
    /// How stores are reached.
    pub storage: &'a Storage,
    /// Devices of the run's kind, instead of those of its recipe.
    pub device: Option<&'a str>,
}

/// What the models of a run said about new samples.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Extended {
    /// The run directory.
    pub uri: String,
    /// The score table of the new samples.
    pub output: String,
    /// Rows that the run knows already; they were left alone.
    pub known: u64,
    /// New samples.
    pub new: u64,
    /// New samples that cannot be used.
    pub quarantined: u64,
    /// The score that is compared, averaged over models as the run does, on its own scale.
    pub method: &'static str,
    /// Scores of the run that look at a training or at all samples together, which new samples lack.
    pub left_out: Vec<&'static str>,
    /// Its old and new distribution.
    pub drift: Drift,
    /// The score of stage 1 beyond which the run would keep as many samples as it did, in one step;
    /// `None` while it is not finished.
    pub cut: Option<f64>,
    /// New samples that are wanted at least as much as that.
    pub above_cut: Option<u64>,
    /// The share of old samples that the models that never saw them get right.
    pub accuracy_old: f64,
    /// The same for new samples.
    pub accuracy_new: f64,
    /// The classes.
    pub classes: Vec<ClassDrift>,
}

/// One class, old and new.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClassDrift {
    /// Its name.
    pub name: String,
    /// Its old samples.
    pub old: u64,
    /// Its new samples.
    pub new: u64,
    /// Its share of the old samples.
    pub old_share: f64,
    /// Its share of the new samples.
    pub new_share: f64,
}

/// Scores samples that a run does not know with the models of its stage 1, each with those that were not
/// trained on its fold, and writes their score table. Old samples and the run stay as they are.
///
/// # Errors
/// `InvalidRecipe` for runs whose folds or scores depend on all samples together; `InvalidInput` if
/// there is nothing new or a class is unknown; whatever loading says.
pub fn extend(job: &Appended<'_>, output: &NewFile) -> Result<Extended> {
    let (file, ledger) = open(job.run, job.storage)?;
    let run = Run::reopen(file, ledger, job.storage).on_devices(job.device)?;
    let method = fits(&run.recipe, job.by).at(|| job.run.to_owned())?;
    let old = Old::read(&run)?;
    let (loaded, known) = load(&run, job, &old)?;
    let scores = scored(&run, &loaded)?;
    output.write_table(&scores)?;
    report::report(&run, &old, &loaded, &scores, method, (known, output.uri()))
}

/// The method that decides, if new samples can be scored like old ones.
fn fits(recipe: &Recipe, by: Option<Method>) -> Result<Method> {
    let refuse = |why: String| Err(Error::recipe(why));
    if recipe.mode == Mode::Fitting {
        return refuse("mode `fitting`: its model was trained on every old sample and on no new one, so their scores cannot be compared".to_owned());
    }
    // The error says what to do.
    folds::of_appended(&[], None, &recipe.folds, &crate::seed::Seed::new(recipe.seed))?;
    if recipe.folds.together() {
        return refuse("folds that keep duplicates together depend on all samples: a new copy of an old one would need its fold; run again with the new data".to_owned());
    }
    if recipe.score.outputs == Outputs::Training {
        return refuse("`score.outputs = \"training\"` makes a score depend on the samples of its batch; run again with the new data".to_owned());
    }
    if let Some(by) = by.filter(|by| !recipe.score.methods.contains(by)) {
        let there: Vec<&str> = recipe.score.methods.iter().map(|method| method.name()).collect();
        let (by, there) = (by.name(), there.join(", "));
        return refuse(format!("--by {by}: the run has no such score; it has {there}"));
    }
    match by.map_or_else(|| recipe.select.by.clone(), By::Method) {
        By::Method(method) if method.needs() == Needs::Snapshot => Ok(method),
        By::Own(name) => refuse(format!(
            "`select.by = \"{name}\"` is a score of your own, which may depend on all samples; name a method to compare with --by"
        )),
        By::Method(method) => refuse(format!(
            "`{}` looks at a training or at all samples together, which finished models cannot tell of new samples; run again with the new data, or name another score of the run with --by",
            method.name()
        )),
    }
}

/// What the run knows.
struct Old {
    ids: BTreeSet<String>,
    labels: Vec<i32>,
    classes: Vec<String>,
    scores: RecordBatch,
}

impl Old {
    fn read(run: &Run) -> Result<Self> {
        let output = |task: &str, name: &str| -> Result<bytes::Bytes> {
            let record = run.ledger.find(task)?.ok_or_else(|| {
                Error::input(format!("stage 1 has not scored yet: `{task}` is not done"))
            })?;
            Ok(run.ledger.output(&record, name)?.0)
        };
        let samples =
            parquet::decode_table(output(INGEST, "samples.parquet")?, &tables::samples())?;
        let quarantine = decode(output(INGEST, "quarantine.parquet")?)?;
        let mut scores = Vec::new();
        for model in 0..models(&run.recipe, 1) {
            let task = Task::Score { stage: 1, model }.to_string();
            scores.push(decode(output(&task, "scores.parquet")?)?);
        }
        let known = ids(&samples)?.into_iter().chain(ids(&quarantine)?).collect();
        Ok(Self {
            ids: known,
            labels: ints(&samples, "label")?.values().to_vec(),
            classes: serde_json::from_slice(&output(INGEST, "classes.json")?)?,
            scores: concat_batches(&scores[0].schema(), &scores)?,
        })
    }
}

/// The new samples, decoded, with the classes of the run; and how many rows it knew.
fn load(run: &Run, job: &Appended<'_>, old: &Old) -> Result<(Loaded, u64)> {
    let mut data = run.recipe.data.clone();
    data.uri = OneOrMany::Many(job.data.to_vec());
    data.filter = job.filter.map(str::to_owned).or(data.filter);
    let objects = resolve(job.data, &run.recipe.storage)?;
    let group = run.recipe.folds.group.as_deref();
    let mut survey = ingest::survey_appended(objects, &data, group)?;
    let all = survey.rows.len();
    survey.rows.retain(|row| !old.ids.contains(&row.id));
    let known = (all - survey.rows.len()) as u64;
    if survey.rows.is_empty() {
        return Err(Error::input(format!("all {all} rows are samples of the run; nothing is new")));
    }
    take_classes(&mut survey, &old.classes)?;
    Ok((ingest::load(&survey, &data, &ingest::Room::default())?, known))
}

/// Numbers the classes as the run does.
///
/// # Errors
/// `InvalidInput` naming samples of a class that the run does not know.
pub(super) fn take_classes(survey: &mut Survey, classes: &[String]) -> Result<()> {
    let number = |name: &String| classes.iter().position(|class| class == name);
    let numbers: Vec<Option<usize>> = survey.classes.iter().map(number).collect();
    let mut unknown = Examples::default();
    for row in &mut survey.rows {
        match numbers[row.label as usize] {
            Some(number) => row.label = number as u32,
            None => unknown
                .add(|| format!("`{}` (class `{}`)", row.id, survey.classes[row.label as usize])),
        }
    }
    if !unknown.is_empty() {
        let count = counted(unknown.count(), "new sample");
        return Err(Error::input(format!(
            "{count} of a class that the run does not know: {unknown}; its models cannot score them"
        )));
    }
    survey.classes = classes.to_vec();
    Ok(())
}

/// The score table of the new samples.
fn scored(run: &Run, loaded: &Loaded) -> Result<RecordBatch> {
    let groups: Option<Vec<_>> = run
        .recipe
        .folds
        .group
        .as_ref()
        .map(|_| loaded.rows.iter().map(|row| row.group.clone()).collect());
    let ids = &loaded.samples.ids;
    let folds = folds::of_appended(ids, groups.as_deref(), &run.recipe.folds, &run.seed)?;
    let mut recipe = run.recipe.clone();
    recipe.score.methods = recipe.score.computed(Needs::Snapshot);
    recipe.score.label_errors = false;
    let tables = outputs::tables(run, &recipe, loaded, &folds)?;
    let schema = tables.first().map(RecordBatch::schema);
    let schema = schema.ok_or_else(|| Error::internal("no model scored"))?;
    Ok(concat_batches(&schema, &tables)?)
}
