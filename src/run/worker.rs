//! A run: what it is, what it holds in memory, and how one of its tasks is done.

mod held;

use std::sync::{Arc, Mutex, OnceLock};

use bytes::Bytes;

use super::attempt::Attempt;
use super::auto::{settle, settle_own};
use super::identity::RunFile;
use super::init::init_object;
use super::manifest::Manifest;
use super::memory::{Beside, Memory, Needs, Split};
use super::metadata::join_objects;
use super::part::Part;
use super::plan::{Plan, keep_bytes};
use super::scored::{Shared, most_scored};
use super::summary::Summary;
use super::task::{CORESET, PUBLISH, Task};
use super::{Observer, manifest};
use crate::error::{Error, ErrorKind, Place, Result};
use crate::ingest::{self, Loaded, Survey};
use crate::recipe::{Devices, Recipe, Storage};
use crate::samples::{Inputs, Shape};
use crate::seed::Seed;
use crate::selection::SelectionPlan;
use crate::shards::Spill;
use crate::storage::{Dir, Ledger, Object, resolve};
pub(super) use held::{lock, once};

/// One run: a recipe, its input and the directory of its results.
pub struct Run {
    pub(super) recipe: Recipe,
    pub(super) seed: Seed,
    pub(super) ledger: Ledger,
    pub(super) file: RunFile,
    objects: Vec<Object>,
    /// The tables of `[[join]]`, in the recipe's order.
    pub(super) joins: Vec<Object>,
    /// The weights of `train.init`.
    pub(super) init: Option<Object>,
    pub(super) memory: Memory,
    survey: OnceLock<Arc<Survey>>,
    loaded: Mutex<Option<Arc<Loaded>>>,
    /// The bytes of `init`.
    pub(super) weights: Mutex<Option<Bytes>>,
    /// The vectors of `data.embedding`.
    embeddings: Mutex<Option<Arc<Inputs>>>,
    /// Scores of embeddings that all models of a stage share.
    shared: Mutex<Option<Shared>>,
    /// The rows of the shards that were left when the first was begun.
    spill: OnceLock<Spill>,
}

const EVALUATE_STAYS: &str = "the run was begun with another [evaluate], which stays in its run.json; `unseen evaluate` takes \
     --test, --test-filter, --seeds and --budget instead";

impl Run {
    /// The run of `recipe` in its `output.uri`. Looks at the input, writes nothing.
    ///
    /// # Errors
    /// `InvalidRecipe` if the recipe breaks a law (one made in code may); `InvalidInput` if an address
    /// of the input stands for nothing.
    pub fn new(recipe: Recipe) -> Result<Self> {
        let dir = Dir::open(&recipe.output.uri, &recipe.storage)?;
        Self::on(recipe, dir)
    }

    /// The run of `recipe` in any directory.
    ///
    /// # Errors
    /// As [`Run::new`].
    pub fn on(recipe: Recipe, dir: Dir) -> Result<Self> {
        recipe.check()?;
        let objects = resolve(recipe.data.uri.as_slice(), &recipe.storage)?;
        Self::over(recipe, dir, objects)
    }

    /// The run of `recipe` in any directory over these objects, whatever `data.uri` says.
    ///
    /// # Errors
    /// `InvalidRecipe` if the recipe breaks a law.
    pub fn over(mut recipe: Recipe, dir: Dir, objects: Vec<Object>) -> Result<Self> {
        recipe.check()?;
        let joins = join_objects(&recipe)?;
        let init = init_object(&recipe)?;
        let file = RunFile::new(&recipe, &objects, &joins, init.as_ref())?;
        let ledger = Ledger::new(dir, file.fingerprint.clone());
        settle_own(&mut recipe, &file, &ledger)?;
        Ok(Self::of(recipe, file, ledger, objects, joins, init))
    }

    /// The same run within this memory; without it, within [`Memory::default`].
    #[must_use]
    pub fn within(mut self, memory: Memory) -> Self {
        self.memory = memory;
        self
    }

    /// The same run with its models on these devices instead of those that its recipe names, if any are
    /// given.
    ///
    /// # Errors
    /// `InvalidRecipe` if the text names no device; `Conflict` for devices of another kind, which give other
    /// bytes.
    pub fn on_devices(mut self, given: Option<&str>) -> Result<Self> {
        let Some(given) = given else { return Ok(self) };
        let kind = |text: &str| text.parse::<Devices>().map(|devices| devices.kind());
        let own = kind(&self.recipe.device).map_err(Error::recipe)?;
        if kind(given).map_err(Error::recipe)? != own {
            let message = format!(
                "the models of the run are made on `{own}`, and a run keeps to one kind of device: name devices of that kind, not `{given}`"
            );
            return Err(Error::new(ErrorKind::Conflict, message).at(self.dir().uri()));
        }
        given.clone_into(&mut self.recipe.device);
        Ok(self)
    }

    fn of(
        recipe: Recipe,
        file: RunFile,
        ledger: Ledger,
        objects: Vec<Object>,
        joins: Vec<Object>,
        init: Option<Object>,
    ) -> Self {
        let (seed, memory) = (Seed::new(recipe.seed), Memory::default());
        let (survey, spill) = (OnceLock::new(), OnceLock::new());
        let (loaded, embeddings) = (Mutex::default(), Mutex::default());
        let (shared, weights) = (Mutex::default(), Mutex::default());
        Self {
            recipe,
            seed,
            ledger,
            file,
            objects,
            joins,
            init,
            memory,
            survey,
            loaded,
            weights,
            embeddings,
            shared,
            spill,
        }
    }

    /// The run that a directory holds, as it was begun; its input may be gone.
    /// `storage` is how stores are reached from here; what it leaves open the recipe says.
    pub(super) fn reopen(file: RunFile, ledger: Ledger, storage: &Storage) -> Self {
        let mut recipe = file.recipe.clone();
        recipe.storage = storage.over(&recipe.storage);
        let objects = resolve(recipe.data.uri.as_slice(), &recipe.storage).unwrap_or_default();
        let joins = join_objects(&recipe).unwrap_or_default();
        let init = init_object(&recipe).unwrap_or_default();
        Self::of(recipe, file, ledger, objects, joins, init)
    }

    /// Does what is left to do and returns what came out. A finished run does nothing.
    ///
    /// # Errors
    /// Every error names the task; running again goes on where this run ended.
    pub fn execute(&self, observer: &dyn Observer) -> Result<Summary> {
        if let Some(run) = self.settled()? {
            return run.execute(observer);
        }
        let dir = self.ledger.dir();
        match Manifest::find(dir)? {
            None => {
                let plan = self.begin(observer)?;
                self.do_tasks(&plan, observer)?;
            }
            Some(manifest) => {
                self.file.begin_or_resume(dir)?;
                if !manifest.missing(dir)?.is_empty() {
                    observer.warn("published files were missing and are published again");
                    manifest::publish(self)?;
                }
            }
        }
        let mut recipe = self.recipe.clone();
        settle(&mut recipe, &self.ledger)?;
        Summary::read(&self.ledger, &recipe)
    }

    /// Checks everything that can be checked without decoding, then writes `run.json`: from here on
    /// the directory belongs to this run, and single tasks can be done.
    ///
    /// # Errors
    /// Whatever would stop the run before its first training; `Conflict` if the directory belongs to
    /// another run.
    pub fn begin(&self, observer: &dyn Observer) -> Result<Plan> {
        if let Some(old) = RunFile::find(self.ledger.dir())? {
            self.file.same_as(&old).at(|| self.ledger.dir().uri().to_owned())?;
            if old.recipe.evaluate != self.recipe.evaluate {
                observer.warn(EVALUATE_STAYS);
            }
        }
        // Every write looks again; here, before the work.
        for place in [
            "auto",
            "checkpoints",
            "claims",
            "commits",
            "coreset",
            "evaluate",
            "models",
            "tables",
            "tasks",
        ] {
            self.ledger.dir().refuse_links(place)?;
        }
        let plan = Plan::new(self)?;
        for warning in &plan.warnings {
            observer.warn(warning);
        }
        self.file.begin_or_resume(self.ledger.dir())?;
        Ok(plan)
    }

    /// Gives the results their public names, the manifest last.
    pub(super) fn publish(&self, observer: &dyn Observer) -> Result<()> {
        observer.begin(PUBLISH, 0, 0);
        manifest::publish(self).at(|| PUBLISH.to_owned())
    }

    /// How many shards the committed coreset has.
    pub(super) fn shard_count(&self) -> Result<usize> {
        let record = self.ledger.get(CORESET)?;
        let count = record.facts.get("shards").and_then(serde_json::Value::as_u64);
        count
            .map(|n| n as usize)
            .ok_or_else(|| Error::corrupt("the coreset's record names no shards"))
    }

    /// Does a task; `device` is for its model, if it has one.
    pub(super) fn do_task(
        &self,
        task: Task,
        device: &str,
        work: u64,
        left: u64,
        observer: &dyn Observer,
    ) -> Result<()> {
        let name = task.to_string();
        // What is made of parts tells how these go on.
        observer.begin(&name, if task.is_shared() { 0 } else { work }, left);
        let device = if task.model().is_some() { device } else { "cpu" };
        let mut attempt = Attempt::begin(&self.ledger, &name, self.recipe.seed, device)?;
        let note = match task {
            Task::Ingest => self.ingest(&mut attempt),
            Task::Metadata => self.metadata(&mut attempt),
            Task::Folds => self.folds(&mut attempt),
            Task::Train { stage, model } => self.train(&mut attempt, stage, model, observer),
            Task::Score { stage, model } => self.score(&mut attempt, stage, model, observer),
            Task::Auto => self.auto(&mut attempt, left.saturating_sub(work), observer),
            Task::Select { stage } => self.select(&mut attempt, stage),
            Task::Coreset => self.coreset(&mut attempt),
            Task::Judge => {
                self.judge(&mut attempt, &Part::of(observer, &name, left.saturating_sub(work)))
            }
            Task::Shard { index } => self.shard(&mut attempt, index),
        };
        let note = note.at(|| format!("task {name}"))?;
        attempt.commit().at(|| format!("task {name}"))?;
        match task {
            // What is not removed is litter, which nobody reads.
            Task::Train { .. } => drop(self.ledger.forget(&name)),
            Task::Auto => self.take_over()?,
            _ => {}
        }
        observer.end(&name, &note);
        Ok(())
    }

    /// How the memory is split.
    pub(super) fn split(&self) -> Result<Split> {
        self.split_beside(Beside::default())
    }

    /// How the memory is split if test samples need their part of it.
    pub(super) fn split_beside(&self, test: Beside) -> Result<Split> {
        self.split_for(ingest::decoded_bytes(self.survey()?, &self.recipe.data)?.0, test)
    }

    /// How the memory is split if inputs have this shape.
    fn split_for(&self, shape: Shape, test: Beside) -> Result<Split> {
        let survey = self.survey()?;
        let decoded = survey.rows.len() as u64 * shape.bytes() as u64;
        let labels: Vec<u32> = survey.rows.iter().map(|r| r.label).collect();
        let plan = self.selection_plan(&labels, &survey.classes)?;
        let kept = keep_bytes(survey, plan.kept());
        let scored = most_scored(&self.recipe, survey.rows.len() as u64, plan.sizes(), None);
        Needs::of_run(self, shape, decoded, kept, scored)?.with(test).split(self.memory)
    }

    /// The rows of all shards that are left, read once.
    pub(super) fn spill(&self, read: impl FnOnce() -> Result<Spill>) -> Result<&Spill> {
        once(&self.spill, read)
    }

    /// The sizes and quotas of all stages, for the committed samples.
    pub(super) fn selection_plan(
        &self,
        labels: &[u32],
        classes: &[String],
    ) -> Result<SelectionPlan> {
        SelectionPlan::new(&self.recipe.select, classes, &class_sizes(labels, classes.len()))
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

/// How many samples each of so many classes has.
pub(super) fn class_sizes(labels: &[u32], classes: usize) -> Vec<u64> {
    let mut sizes = vec![0; classes];
    for label in labels {
        sizes[*label as usize] += 1;
    }
    sizes
}
