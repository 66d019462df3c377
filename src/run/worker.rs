//! Does the tasks of a run in order, skipping what is committed.

use std::cell::{OnceCell, RefCell};
use std::collections::BTreeSet;
use std::rc::Rc;

use super::attempt::Attempt;
use super::identity::RunFile;
use super::init::init_object;
use super::manifest::Manifest;
use super::memory::{Memory, Needs, Split};
use super::metadata::join_objects;
use super::plan::{Plan, keep_bytes};
use super::rows::texts;
use super::scored::{Shared, most_scored};
use super::status::known_tasks;
use super::summary::Summary;
use super::task::{CORESET, INGEST, PUBLISH, Task};
use super::{Observer, manifest};
use crate::error::{Error, Place, Result};
use crate::ingest::{self, Loaded, Survey};
use crate::recipe::{Recipe, Storage};
use crate::samples::{Inputs, Shape};
use crate::seed::Seed;
use crate::selection::SelectionPlan;
use crate::shards::Spill;
use crate::storage::claim::{Claim, Claims, Taken};
use crate::storage::process::Worker;
use crate::storage::{Dir, Ledger, Object, parquet, resolve};
use crate::tables;

/// What a process does next.
enum Next {
    /// This task, which is claimed.
    Do(Task, Claim),
    /// Wait for whoever works on this task.
    Wait(Task, Worker),
    /// Look again.
    Again,
}

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
    survey: OnceCell<Survey>,
    loaded: RefCell<Option<Rc<Loaded>>>,
    /// The vectors of `data.embedding`.
    embeddings: RefCell<Option<Rc<Inputs>>>,
    /// Scores of embeddings that all models of a stage share.
    pub(super) shared: RefCell<Option<Shared>>,
    /// The rows of the shards that were left when the first was begun.
    spill: OnceCell<Spill>,
}

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
    pub fn over(recipe: Recipe, dir: Dir, objects: Vec<Object>) -> Result<Self> {
        recipe.check()?;
        let joins = join_objects(&recipe)?;
        let init = init_object(&recipe)?;
        let file = RunFile::new(&recipe, &objects, &joins, init.as_ref())?;
        let ledger = Ledger::new(dir, file.fingerprint.clone());
        Ok(Self::of(recipe, file, ledger, objects, joins, init))
    }

    /// The same run within this memory; without it, within [`Memory::default`].
    #[must_use]
    pub fn within(mut self, memory: Memory) -> Self {
        self.memory = memory;
        self
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
        let (survey, spill) = (OnceCell::new(), OnceCell::new());
        let (loaded, embeddings) = (RefCell::default(), RefCell::default());
        let shared = RefCell::default();
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
        Summary::read(&self.ledger, &self.recipe)
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
        }
        // Every write looks again; here, before the work.
        for place in ["claims", "commits", "coreset", "models", "tables", "tasks"] {
            self.ledger.dir().refuse_links(place)?;
        }
        let plan = Plan::new(self)?;
        for warning in &plan.warnings {
            observer.warn(warning);
        }
        self.file.begin_or_resume(self.ledger.dir())?;
        Ok(plan)
    }

    /// Does what is open, shares it with other processes, and publishes when all is done.
    fn do_tasks(&self, plan: &Plan, observer: &dyn Observer) -> Result<()> {
        let claims = Claims::new(self.ledger.dir().clone(), &self.recipe.storage)?;
        let mut waited_for = None;
        loop {
            let (done, open) = self.open_tasks()?;
            if open.is_empty() {
                return self.publish(observer);
            }
            match self.next(&claims, &done, &open)? {
                Next::Do(task, claim) => {
                    let left = open.iter().map(|task| plan.work(*task)).sum();
                    self.do_task(task, plan.work(task), left, observer)?;
                    drop(claim);
                }
                Next::Wait(task, worker) => {
                    let whom = (task, worker);
                    if waited_for.as_ref() != Some(&whom) {
                        observer.wait(&whom.0.to_string(), &whom.1.to_string());
                        waited_for = Some(whom);
                    }
                    claims.wait()?;
                }
                Next::Again => {}
            }
        }
    }

    /// The tasks that are committed, and those that are not, in the order in which they can be done.
    fn open_tasks(&self) -> Result<(BTreeSet<Task>, Vec<Task>)> {
        let committed: BTreeSet<String> = self.ledger.committed()?;
        let all = known_tasks(&self.ledger, &self.recipe)?;
        let is_done = |task: &Task| committed.contains(&task.to_string());
        let (done, open): (Vec<_>, Vec<_>) = all.into_iter().partition(is_done);
        Ok((done.into_iter().collect(), open))
    }

    /// The first open task that can be begun and that nobody works on.
    fn next(&self, claims: &Claims, done: &BTreeSet<Task>, open: &[Task]) -> Result<Next> {
        let mut busy = None;
        for task in open {
            if !task.needs(&self.recipe).iter().all(|need| done.contains(need)) {
                continue;
            }
            match claims.take(&task.to_string())? {
                // It may have been committed since we looked.
                Taken::Mine(_) if self.ledger.find(&task.to_string())?.is_some() => {
                    return Ok(Next::Again);
                }
                Taken::Mine(claim) => return Ok(Next::Do(*task, claim)),
                Taken::Busy(worker) => busy = busy.or(Some((*task, worker))),
            }
        }
        let (task, worker) =
            busy.ok_or_else(|| Error::internal("no task can be begun and none is under way"))?;
        Ok(Next::Wait(task, worker))
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

    pub(super) fn do_task(
        &self,
        task: Task,
        work: u64,
        left: u64,
        observer: &dyn Observer,
    ) -> Result<()> {
        let name = task.to_string();
        observer.begin(&name, work, left);
        let mut attempt =
            Attempt::begin(&self.ledger, &name, self.recipe.seed, &self.recipe.device)?;
        let note = match task {
            Task::Ingest => self.ingest(&mut attempt),
            Task::Metadata => self.metadata(&mut attempt),
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

    /// The input as its footers and thin columns show it, looked at once.
    pub(super) fn survey(&self) -> Result<&Survey> {
        let group = self.recipe.folds.group.as_deref();
        once(&self.survey, || {
            ingest::survey_objects(self.objects.clone(), &self.recipe.data, group)
        })
    }

    /// The decoded samples, loaded once. After a resume they must be those that were committed.
    pub(super) fn loaded(&self) -> Result<Rc<Loaded>> {
        if let Some(loaded) = &*self.loaded.borrow() {
            return Ok(Rc::clone(loaded));
        }
        let room = |shape| Ok(self.split_for(shape)?.load);
        let loaded = ingest::load_within(self.survey()?, &self.recipe.data, &room)?;
        if let Some(record) = self.ledger.find(INGEST)? {
            let bytes = self.ledger.output(&record, "samples.parquet")?.0;
            let committed = parquet::decode_table(bytes, &tables::samples())?;
            // Clusters are not looked for again: near ones take long, and they follow from the rest.
            let clusters = texts(&committed, "cluster")?;
            if committed.num_rows() != loaded.rows.len()
                || committed != ingest::tables(&loaded, &clusters)?.0
            {
                return Err(Error::input(
                    "the input decodes to other samples than when this run began; restore it or start a new run",
                ));
            }
        }
        Ok(Rc::clone(self.loaded.borrow_mut().insert(Rc::new(loaded))))
    }

    /// The vectors of `data.embedding`, loaded once.
    pub(super) fn embeddings(&self) -> Result<Rc<Inputs>> {
        if let Some(embeddings) = &*self.embeddings.borrow() {
            return Ok(Rc::clone(embeddings));
        }
        let Some(column) = &self.recipe.data.embedding else {
            return Err(Error::internal("the recipe has no `data.embedding`"));
        };
        let (rows, room) = (&self.loaded()?.rows, self.split()?.load);
        let embeddings = ingest::embeddings(self.survey()?, column, rows, &room)?;
        Ok(Rc::clone(self.embeddings.borrow_mut().insert(Rc::new(embeddings))))
    }

    /// Frees the decoded samples once no task needs them any more.
    pub(super) fn forget_loaded(&self) {
        self.loaded.take();
        self.embeddings.take();
        self.shared.take();
    }

    /// How the memory is split.
    pub(super) fn split(&self) -> Result<Split> {
        self.split_for(ingest::decoded_bytes(self.survey()?, &self.recipe.data)?.0)
    }

    /// How the memory is split if inputs have this shape.
    fn split_for(&self, shape: Shape) -> Result<Split> {
        let survey = self.survey()?;
        let decoded = survey.rows.len() as u64 * shape.bytes() as u64;
        let labels: Vec<u32> = survey.rows.iter().map(|r| r.label).collect();
        let plan = self.selection_plan(&labels, &survey.classes)?;
        let kept = keep_bytes(survey, plan.kept());
        let scored = most_scored(&self.recipe, survey.rows.len() as u64, plan.sizes(), None);
        Needs::of_run(self, shape, decoded, kept, scored)?.split(self.memory)
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
        let mut sizes = vec![0; classes.len()];
        for label in labels {
            sizes[*label as usize] += 1;
        }
        SelectionPlan::new(&self.recipe.select, classes, &sizes)
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

fn once<T>(cell: &OnceCell<T>, make: impl FnOnce() -> Result<T>) -> Result<&T> {
    if let Some(value) = cell.get() {
        return Ok(value);
    }
    let value = make()?;
    Ok(cell.get_or_init(|| value))
}
