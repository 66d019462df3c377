//! One task of a run, for schedulers outside: they start tasks where and when they like, and the
//! run directory holds them together.

use super::Observer;
use super::fit;
use super::identity::RunFile;
use super::rounds::dealt;
use super::status::known_tasks;
use super::task::{PUBLISH, Task};
use super::worker::Run;
use crate::error::{Error, Result};
use crate::recipe::Storage;
use crate::storage::Dir;
use crate::storage::claim::{Claims, Taken};

/// How one task ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TaskEnd {
    /// It is committed: by this call, or it was before, and its outputs are what its record says.
    Done,
    /// Another task must be done first.
    NotReady(String),
    /// Another process works on it.
    Busy(String),
}

impl Run {
    /// The run that a directory holds, to go on with.
    ///
    /// # Errors
    /// `InvalidInput` if no run began there; `Conflict` if the input changed since it began.
    pub fn resume(uri: &str, storage: &Storage) -> Result<Self> {
        let dir = Dir::open(uri, storage)?;
        let file = RunFile::begun(&dir)?;
        let mut recipe = file.recipe.clone();
        recipe.storage = storage.over(&recipe.storage);
        let run = Self::on(recipe, dir)?;
        run.file.same_as(&file).map_err(|e| e.at(uri.to_owned()))?;
        Ok(run)
    }

    /// Does the task with this key, if it can be done now.
    ///
    /// # Errors
    /// `InvalidRecipe` if the run has no such task; `CorruptData` if it is done and an output is not
    /// what its record says; every error of the task.
    pub fn execute_task(&self, key: &str, observer: &dyn Observer) -> Result<TaskEnd> {
        if let Some(run) = self.settled()? {
            return run.execute_task(key, observer);
        }
        let committed = self.ledger.committed()?;
        let known = known_tasks(&self.ledger, &self.recipe)?;
        if key == PUBLISH {
            let open = known.iter().map(ToString::to_string).find(|task| !committed.contains(task));
            return match open {
                Some(task) => Ok(TaskEnd::NotReady(task)),
                None => self.publish(observer).map(|()| TaskEnd::Done),
            };
        }
        let Some(task) = known.iter().find(|task| task.to_string() == key) else {
            return Err(Error::recipe(format!(
                "the run has no task `{key}`; `unseen status` lists them (shards appear once the coreset is fixed)"
            )));
        };
        if let Some(record) = self.ledger.find(key)? {
            for output in &record.outputs {
                self.ledger.checked(output)?;
            }
            return Ok(TaskEnd::Done);
        }
        let needs = task.needs(&self.recipe).into_iter().map(|need| need.to_string());
        if let Some(need) = needs.into_iter().find(|need| !committed.contains(need)) {
            return Ok(TaskEnd::NotReady(need));
        }
        match Claims::new(self.ledger.dir().clone(), &self.recipe.storage)?.take(key)? {
            Taken::Busy(worker) => Ok(TaskEnd::Busy(worker.to_string())),
            Taken::Mine(_claim) => {
                if let Task::Shard { index } = *task {
                    // Nobody says that this process will do the others.
                    let room = self.split()?.spill;
                    self.spill(|| self.read_shards(room, |shard| shard == index))?;
                }
                // Whoever does the others may sit beside: each model has its device.
                let devices = match task.model() {
                    Some(_) => fit::devices(&self.recipe)?,
                    None => Vec::new(),
                };
                let device = dealt(&devices, task.model().unwrap_or(0));
                self.do_task(*task, device, 0, 0, observer).map(|()| TaskEnd::Done)
            }
        }
    }
}
