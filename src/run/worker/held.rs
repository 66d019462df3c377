//! What a run holds in memory: the survey of its input and the decoded samples, which it may lend.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use super::Run;
use crate::error::{Error, Result};
use crate::ingest::{self, Loaded, Survey};
use crate::recipe::{Recipe, Strategy};
use crate::run::memory::Beside;
use crate::run::rows::texts;
use crate::run::scored::Shared;
use crate::run::task::INGEST;
use crate::samples::Inputs;
use crate::storage::{Dir, parquet};
use crate::tables;

impl Run {
    /// The input as its footers and thin columns show it, looked at once.
    pub(in crate::run) fn survey(&self) -> Result<&Survey> {
        let group = self.recipe.folds.group.as_deref();
        let look = || ingest::survey_objects(self.objects.clone(), &self.recipe.data, group);
        once(&self.survey, || look().map(Arc::new)).map(Arc::as_ref)
    }

    /// The decoded samples, loaded once. After a resume they must be those that were committed.
    pub(in crate::run) fn loaded(&self) -> Result<Arc<Loaded>> {
        self.loaded_beside(Beside::default())
    }

    /// As [`Run::loaded`], with room left for test samples.
    pub(in crate::run) fn loaded_beside(&self, test: Beside) -> Result<Arc<Loaded>> {
        let mut held = lock(&self.loaded);
        if let Some(loaded) = &*held {
            return Ok(Arc::clone(loaded));
        }
        let room = |shape| Ok(self.split_for(shape, test)?.load);
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
        Ok(Arc::clone(held.insert(Arc::new(loaded))))
    }

    /// The vectors of `data.embedding`, loaded once.
    pub(in crate::run) fn embeddings(&self) -> Result<Arc<Inputs>> {
        let mut held = lock(&self.embeddings);
        if let Some(embeddings) = &*held {
            return Ok(Arc::clone(embeddings));
        }
        let Some(column) = &self.recipe.data.embedding else {
            return Err(Error::internal("the recipe has no `data.embedding`"));
        };
        let (rows, room) = (&self.loaded()?.rows, self.split()?.load);
        let embeddings = ingest::embeddings(self.survey()?, column, rows, &room)?;
        Ok(Arc::clone(held.insert(Arc::new(embeddings))))
    }

    /// A run on the same input by another recipe or in another place; what is in memory is lent to it.
    pub(in crate::run) fn lend(&self, recipe: Recipe, dir: Dir) -> Result<Self> {
        let run = Self::over(recipe, dir, self.objects.clone())?.within(self.memory);
        if let Some(survey) = self.survey.get() {
            let _ = run.survey.set(Arc::clone(survey));
        }
        lock(&run.loaded).clone_from(&lock(&self.loaded));
        lock(&run.embeddings).clone_from(&lock(&self.embeddings));
        lock(&run.weights).clone_from(&lock(&self.weights));
        Ok(run)
    }

    /// This run with the selection that `auto` has chosen since it was opened; what is in memory is its own
    /// from here on. `None` if there is nothing new.
    pub(in crate::run) fn settled(&self) -> Result<Option<Self>> {
        let is_open = |run: &Self| run.recipe.select.strategy == Strategy::Auto;
        if !is_open(self) {
            return Ok(None);
        }
        let run = self.lend(self.recipe.clone(), self.dir().clone())?;
        if is_open(&run) {
            return Ok(None);
        }
        self.forget_loaded();
        Ok(Some(run))
    }

    /// Frees what trainings read once no task needs it any more.
    pub(in crate::run) fn forget_loaded(&self) {
        *lock(&self.loaded) = None;
        *lock(&self.weights) = None;
        *lock(&self.embeddings) = None;
        *lock(&self.shared) = None;
    }

    /// See [`Shared`]; nobody else computes them meanwhile.
    pub(in crate::run) fn shared_scores(&self) -> MutexGuard<'_, Option<Shared>> {
        lock(&self.shared)
    }
}

/// What a panic left behind is whole: it is set in one step.
pub(in crate::run) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What `cell` holds, made if it holds nothing.
pub(in crate::run) fn once<T>(cell: &OnceLock<T>, make: impl FnOnce() -> Result<T>) -> Result<&T> {
    if let Some(value) = cell.get() {
        return Ok(value);
    }
    let value = make()?;
    Ok(cell.get_or_init(|| value))
}
