//! What a run would do: tasks, rows, bytes, models, memory. Writes nothing.

use serde::Serialize;

use super::fit;
use super::memory::Needs;
use super::scored::{check_methods, most_scored, ordered_by_models, watching_memory};
use super::task::{AUTO, JUDGE, Task, models, stages};
use super::work::planned;
use super::worker::Run;
use crate::error::Result;
use crate::ingest::Survey;
use crate::recipe::{Classes, Folds, Mode};
use crate::samples::Shape;
use crate::selection::SelectionPlan;
use crate::{folds, ingest};

/// The plan of a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    /// The run directory.
    pub output: String,
    /// Input files.
    pub files: usize,
    /// Their bytes.
    pub input_bytes: u64,
    /// Rows in them.
    pub source_rows: u64,
    /// Rows after the filter.
    pub rows: u64,
    /// Class names and how many rows each has.
    pub classes: Vec<(String, u64)>,
    /// The shape of one input.
    pub shape: Shape,
    /// How many scoring models are trained.
    pub models: usize,
    /// Parameters of one model.
    pub parameters: usize,
    /// Rows that will be kept.
    pub keep_rows: u64,
    /// About how many uncompressed bytes those rows have.
    pub keep_bytes: u64,
    /// About how many shards they fill.
    pub shards: u64,
    /// Rows that each stage adds.
    pub stage_rows: Vec<u64>,
    /// The devices that models run on, of which each does one at a time unless it is the CPU.
    pub devices: Vec<String>,
    /// How many trainings run side by side in one process.
    pub trainings_side_by_side: usize,
    /// Estimated peak of the resident memory in bytes, within the memory that is allowed.
    pub memory_bytes: u64,
    /// The memory that is allowed.
    pub memory_limit: u64,
    /// Whether decoded inputs are held in memory; else they go to a scratch file.
    pub inputs_in_memory: bool,
    /// Estimated bytes of disk for scratch files, which lie in `TMPDIR`.
    pub scratch_bytes: u64,
    /// Estimated bytes of the checkpoint of a training, which lies in the run directory until it is
    /// done; 0 if trainings keep none.
    pub checkpoint_bytes: u64,
    /// Samples that pass through a training, counted once an epoch.
    pub sample_epochs: u64,
    /// The tasks up to the coreset; the shards follow.
    pub tasks: Vec<PlannedTask>,
    /// What the user should know before it runs.
    pub warnings: Vec<String>,
}

/// One task of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PlannedTask {
    /// Its key.
    pub task: String,
    /// Samples it trains on, scores or looks at.
    pub rows: u64,
    /// Its size in sample passes.
    pub work: u64,
}

impl Plan {
    /// Plans `run`, and makes every check that needs no decoded sample.
    ///
    /// # Errors
    /// `InvalidInput` or `InvalidRecipe` for whatever would stop the run before its first training.
    pub fn new(run: &Run) -> Result<Self> {
        let recipe = &run.recipe;
        let survey = run.survey()?;
        let devices = fit::devices(recipe)?;
        let (shape, decoded) = ingest::decoded_bytes(survey, &recipe.data)?;
        let class_count = survey.classes.len();
        let sizes = fit::sizes(recipe, shape, class_count)?;
        let init_note = run.init_note(shape, class_count)?;
        let labels: Vec<u32> = survey.rows.iter().map(|r| r.label).collect();
        let selection = run.selection_plan(&labels, &survey.classes)?;
        run.check_metadata()?;
        run.check_auto()?;
        let stage_rows = selection.sizes().to_vec();
        let keep_bytes = keep_bytes(survey, selection.kept());
        let rows = survey.rows.len() as u64;
        let folds = folds(run, &labels)?;
        let scored = most_scored(recipe, rows, &stage_rows, folds.as_deref());
        check_methods(recipe, rows, scored)?;
        let split = Needs::of_run(run, shape, decoded, keep_bytes, scored)?.split(run.memory)?;
        let tasks = planned(run, &labels, &stage_rows)?;
        let trains = |task: &&PlannedTask| {
            task.task.starts_with("train") || [AUTO, JUDGE].contains(&task.task.as_str())
        };
        let trained: u64 = tasks.iter().filter(trains).map(|task| task.rows).sum();
        Ok(Self {
            output: recipe.output.uri.clone(),
            files: survey.files.len(),
            input_bytes: survey.files.iter().map(|f| f.bytes).sum(),
            source_rows: survey.source_rows,
            rows,
            classes: count(&survey.classes, &labels),
            shape,
            models: (1..=stages(recipe)).map(|stage| models(recipe, stage)).sum(),
            parameters: sizes.parameters,
            keep_rows: selection.kept(),
            keep_bytes,
            shards: keep_bytes.div_ceil(recipe.output.shard_bytes.0).max(1),
            stage_rows,
            devices,
            trainings_side_by_side: split.trainings,
            memory_bytes: split.peak,
            memory_limit: run.memory.bytes,
            inputs_in_memory: split.load.inputs_in_memory,
            scratch_bytes: split.scratch,
            checkpoint_bytes: match sizes.checkpoint {
                0 => 0,
                bytes => bytes + watching_memory(recipe, scored, class_count),
            },
            sample_epochs: trained * recipe.train.epochs as u64,
            tasks,
            warnings: init_note.into_iter().chain(warnings(run, &labels, &selection)).collect(),
        })
    }
}

impl Plan {
    /// The size of a task in sample passes. `tasks` lists those before the shards, which share the
    /// kept rows.
    pub(super) fn work(&self, task: Task) -> u64 {
        let key = task.to_string();
        let planned = self.tasks.iter().find(|planned| planned.task == key);
        planned.map_or(self.keep_rows / self.shards, |planned| planned.work)
    }
}

/// The share of the input's bytes that the kept rows have, if all rows were of equal size.
pub(super) fn keep_bytes(survey: &Survey, keep_rows: u64) -> u64 {
    let groups = survey.files.iter().flat_map(|f| &f.row_groups);
    let bytes: u64 = groups.map(|g| g.bytes).sum();
    (bytes as f64 * keep_rows as f64 / survey.source_rows.max(1) as f64) as u64
}

/// The folds as far as they are known before samples are decoded, which may show duplicates.
fn folds(run: &Run, labels: &[u32]) -> Result<Option<Vec<u32>>> {
    if run.recipe.mode == Mode::Fitting {
        return Ok(None);
    }
    let rows = &run.survey()?.rows;
    let ids: Vec<String> = rows.iter().map(|r| r.id.clone()).collect();
    let groups: Option<Vec<_>> =
        run.recipe.folds.group.as_ref().map(|_| rows.iter().map(|r| r.group.clone()).collect());
    folds::assign(&ids, labels, groups.as_deref(), &run.recipe.folds, &run.seed).map(Some)
}

const GROUPS_IN_STAGES: &str = "folds.group, folds.duplicates and folds.near hold in stage 1 only: a later stage may score a sample \
     with a model that was trained on another of its group; set select.stages = 1 to rule that out";

const GUARD_AND_CLASSES: &str = "select.drop_hardest may take so many samples of one class that select.cap or select.target \
     cannot hold; the run would then stop after the models of stage 1 have scored";

const SEEN_ERRORS: &str = "select.classes = \"hard_class\" follows the errors that models make on samples they were trained on: \
     in mode `fitting` these say little; use mode `unseen`";

const MEAN_PLACES: &str = "k_center, herding, d2 and facility_location put samples in an order; by embeddings of models each model of \
     stage 1 has its own, and a sample's place is their mean, which covers the data less evenly than one \
     order; a column of embeddings (score.embedding.from = \"column\") gives one order for all";

fn warnings(run: &Run, labels: &[u32], selection: &SelectionPlan) -> Vec<String> {
    let Ok(survey) = run.survey() else { return Vec::new() };
    let mut warnings = survey.warnings.clone();
    let folds = &run.recipe.folds;
    let grouped = folds.group.is_some() || folds.together();
    if grouped && stages(&run.recipe) > 1 {
        warnings.push(GROUPS_IN_STAGES.to_owned());
    }
    if selection.guard_may_break_rules() {
        warnings.push(GUARD_AND_CLASSES.to_owned());
    }
    if run.recipe.mode == Mode::Fitting && run.recipe.select.classes == Classes::HardClass {
        warnings.push(SEEN_ERRORS.to_owned());
    }
    if run.recipe.mode == Mode::Unseen {
        if ordered_by_models(&run.recipe) {
            warnings.push(MEAN_PLACES.to_owned());
        }
        warnings.extend(rare_classes(labels, &survey.classes, &run.recipe.folds));
    }
    warnings
}

/// Classes so rare that a model of stage 1 hardly sees them.
fn rare_classes(labels: &[u32], classes: &[String], spec: &Folds) -> Option<String> {
    let rare = folds::rare_classes(labels, classes.len(), spec);
    let named: Vec<String> = rare
        .iter()
        .take(NAMED)
        .map(|(label, size)| format!("`{}` ({size})", classes[*label as usize]))
        .collect();
    let more = if rare.len() > NAMED {
        format!(" and {} more", rare.len() - NAMED)
    } else {
        String::new()
    };
    (!rare.is_empty()).then(|| {
        format!(
            "{} classes have so few samples that a model of stage 1 sees fewer than about 5 of them: {}{more}. \
             Their scores say little; set folds.stratify = true or a smaller folds.k",
            rare.len(),
            named.join(", ")
        )
    })
}

/// Classes that a warning names.
const NAMED: usize = 5;

fn count(classes: &[String], labels: &[u32]) -> Vec<(String, u64)> {
    let mut counts = vec![0; classes.len()];
    for label in labels {
        counts[*label as usize] += 1;
    }
    classes.iter().cloned().zip(counts).collect()
}
