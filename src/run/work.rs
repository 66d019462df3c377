//! How large tasks are, known before any is done: rows, and work in sample passes.

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
                let all = candidates(run, labels, &run.recipe.select.candidates(rows))?;
                let work = all.iter().map(|one| one.selecting + one.judging);
                (all.iter().map(|one| one.rows).sum(), work.sum())
            }
            other => sizes.of(other),
        };
        Ok(PlannedTask { task: task.to_string(), rows, work })
    };
    tasks(&run.recipe).into_iter().map(one).collect()
}

/// The size of a candidate of `auto` beyond stage 1.
pub(super) struct Candidate {
    /// Samples of its trainings.
    rows: u64,
    /// The work of its selection, in sample passes.
    pub(super) selecting: u64,
    /// That of its proxy models.
    pub(super) judging: u64,
}

/// The sizes of the candidates of a run, whose rows have these labels.
pub(super) fn candidates(run: &Run, labels: &[u32], all: &[Select]) -> Result<Vec<Candidate>> {
    let rows = labels.len() as u64;
    let (shared, classes) = (stage_1(&run.recipe), &run.survey()?.classes);
    let class_sizes = class_sizes(labels, classes.len());
    let one = |select: &Select| {
        let select = select.clone();
        let recipe = Recipe { select, judge: Judge::OFF, ..run.recipe.clone() };
        let plan = SelectionPlan::new(&recipe.select, classes, &class_sizes)?;
        let sizes = Sizes { recipe: &recipe, rows, stage_rows: plan.sizes() };
        let (proxied, judging) = sizes.proxies(u64::from(run.recipe.judge.seeds));
        let mut size = Candidate { rows: proxied, selecting: 0, judging };
        for task in tasks(&recipe).into_iter().filter(|task| !shared.contains(task)) {
            let (rows, work) = sizes.of(task);
            size.selecting += work;
            size.rows += if matches!(task, Task::Train { .. }) { rows } else { 0 };
        }
        Ok(size)
    };
    all.iter().map(one).collect()
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
