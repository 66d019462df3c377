//! How large tasks are, known before any is done: rows, and work in sample passes.

use super::auto::seeds;
use super::evaluate::HELD_OUT;
use super::plan::PlannedTask;
use super::scored::watched_epochs;
use super::task::{TRAIN_WORK, Task, stage_1, tasks};
use super::worker::{Run, class_sizes};
use crate::error::Result;
use crate::recipe::{FitOn, Judge, Mode, Recipe, Select};
use crate::selection::SelectionPlan;

/// The tasks of a run that are known, with their sizes. `labels` are those of all rows, as far as they are
/// known; `stage_rows` is what each stage adds.
pub(super) fn planned(run: &Run, labels: &[u32], stage_rows: &[u64]) -> Result<Vec<PlannedTask>> {
    let rows = labels.len() as u64;
    let sizes = Sizes { recipe: &run.recipe, rows, stage_rows };
    let one = |task: Task| {
        let (rows, work) = match task {
            Task::Auto => {
                let auto = auto(run, labels, &run.recipe.select.candidates(rows))?;
                (auto.rows, auto.work())
            }
            other => sizes.of(other),
        };
        Ok(PlannedTask { task: task.to_string(), rows, work })
    };
    tasks(&run.recipe).into_iter().map(one).collect()
}

/// The size of `auto` beyond stage 1.
pub(super) struct Auto {
    /// Samples of all trainings.
    rows: u64,
    pub(super) candidates: Vec<Candidate>,
    /// The work of the proxy models of the run-off, in sample passes.
    pub(super) runoff: u64,
}

/// The size of a candidate.
pub(super) struct Candidate {
    /// The work of its selection, in sample passes.
    pub(super) selecting: u64,
    /// That of its proxy models.
    pub(super) judging: u64,
}

impl Auto {
    /// The work of all of it, in sample passes.
    pub(super) fn work(&self) -> u64 {
        let candidates = self.candidates.iter().map(|one| one.selecting + one.judging);
        candidates.sum::<u64>() + self.runoff
    }
}

/// The size of `auto` with these candidates in a run whose rows have these labels.
pub(super) fn auto(run: &Run, labels: &[u32], all: &[Select]) -> Result<Auto> {
    let rows = labels.len() as u64;
    let (shared, classes) = (stage_1(&run.recipe), &run.survey()?.classes);
    let class_sizes = class_sizes(labels, classes.len());
    let [first, last] = seeds(run.recipe.judge.seeds).map(|seeds| seeds.len() as u64);
    let mut size = Auto { rows: 0, candidates: Vec::new(), runoff: 0 };
    for select in all {
        let select = select.clone();
        let recipe = Recipe { select, judge: Judge::OFF, ..run.recipe.clone() };
        let plan = SelectionPlan::new(&recipe.select, classes, &class_sizes)?;
        let sizes = Sizes { recipe: &recipe, rows, stage_rows: plan.sizes() };
        let mut one = Candidate { selecting: 0, judging: 0 };
        for task in tasks(&recipe).into_iter().filter(|task| !shared.contains(task)) {
            let (rows, work) = sizes.of(task);
            one.selecting += work;
            size.rows += if matches!(task, Task::Train { .. }) { rows } else { 0 };
        }
        // A single one is not measured.
        if all.len() > 1 {
            let (proxied, judging) = sizes.proxies(first);
            (size.rows, one.judging) = (size.rows + proxied, judging);
        }
        if recipe.select.is_random() && all.len() > 1 {
            // Two of equal size.
            let (proxied, runoff) = sizes.proxies(2 * last);
            (size.rows, size.runoff) = (size.rows + proxied, runoff);
        }
        size.candidates.push(one);
    }
    Ok(size)
}

/// What decides the sizes of tasks.
struct Sizes<'a> {
    recipe: &'a Recipe,
    rows: u64,
    stage_rows: &'a [u64],
}

impl Sizes<'_> {
    /// The samples that a task trains on, scores or looks at, and its work in sample passes.
    fn of(&self, task: Task) -> (u64, u64) {
        let watched = watched_epochs(self.recipe) as u64;
        let epochs = self.recipe.train.epochs as u64;
        match task {
            Task::Train { stage, .. } => {
                let members = self.members(stage);
                (members, TRAIN_WORK * members * epochs + self.scored(stage) * watched)
            }
            Task::Score { stage, .. } => (self.scored(stage), self.scored(stage)),
            // On the coreset and on its random twin.
            Task::Judge => self.proxies(2 * u64::from(self.recipe.judge.seeds)),
            Task::Ingest
            | Task::Metadata
            | Task::Folds
            | Task::Auto
            | Task::Select { .. }
            | Task::Coreset
            | Task::Shard { .. } => (self.rows, self.rows),
        }
    }

    /// The size of proxy models on subsets as large as the coreset.
    fn proxies(&self, models: u64) -> (u64, u64) {
        let kept = self.stage_rows.iter().sum::<u64>() as f64;
        let members = models * (kept * (1.0 - HELD_OUT)) as u64;
        let tested = models * (self.rows as f64 * HELD_OUT) as u64;
        (members, TRAIN_WORK * members * self.recipe.train.epochs as u64 + tested)
    }

    fn scored(&self, stage: usize) -> u64 {
        match (stage, self.recipe.mode) {
            (1, Mode::Fitting) => self.rows,
            _ => self.rows - self.members(stage),
        }
    }

    /// About how many samples a model of `stage` trains on.
    fn members(&self, stage: usize) -> u64 {
        let (rows, k) = (self.rows, self.recipe.folds.k as u64);
        match (stage, self.recipe.mode, self.recipe.folds.fit_on) {
            (1, Mode::Fitting, _) => rows,
            (1, Mode::Unseen, FitOn::Fold) => rows / k,
            (1, Mode::Unseen, FitOn::Complement) => rows - rows / k,
            _ => self.stage_rows[..stage - 1].iter().sum(),
        }
    }
}
