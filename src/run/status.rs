//! What is done, running and left in a run directory.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::auto::{ledgers, settle};
use super::identity::RunFile;
use super::manifest::Manifest;
use super::task::{AUTO, PUBLISH, Task, stage_1, tasks};
use crate::error::Result;
use crate::recipe::{Recipe, Storage};
use crate::storage::claim::{self, Attempts};
use crate::storage::{CHECKPOINTS, Dir, Ledger};

/// The state of a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Status {
    /// The run directory.
    pub uri: String,
    /// The run's fingerprint.
    pub run: String,
    /// Whether the manifest is written: everything is there.
    pub finished: bool,
    /// The tasks in order. Shards appear once the coreset is fixed; `publish` is the last.
    pub tasks: Vec<TaskStatus>,
}

/// The state of one task.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TaskStatus {
    /// Its key.
    pub task: String,
    /// Its state.
    pub state: TaskState,
    /// The tasks that must be done before it.
    pub needs: Vec<String>,
    /// Attempts begun so far; more than one says that a process died.
    pub attempts: usize,
    /// Who works on it, or did when it stopped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Seconds since its last sign of life, by the clocks of the store and of this machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub silent_seconds: Option<i64>,
    /// Seconds since its state was last kept; from there the next attempt goes on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkpoint_seconds: Option<i64>,
    /// Of `auto`, while it chooses: the tasks of candidates and of their proxy models that are done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parts: Option<usize>,
    /// Figures from its record.
    pub facts: serde_json::Value,
}

/// The state of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskState {
    /// Committed.
    Done,
    /// A process works on it.
    Running,
    /// The process that worked on it died, or was silent for longer than the lease.
    Stopped,
    /// Nothing yet.
    Left,
}

/// Reads the state of the run in `uri`. `now` is the time in seconds since 1970, against which the
/// signs of life of workers on other machines are held.
///
/// # Errors
/// `InvalidInput` if no run began there, `CorruptData` if a record cannot be read.
pub fn status(uri: &str, storage: &Storage, now: i64) -> Result<Status> {
    let (file, ledger) = open(uri, storage)?;
    let finished = Manifest::find(ledger.dir())?.is_some();
    let attempts = claim::attempts(ledger.dir())?;
    let lease_seconds = file.recipe.storage.lease_seconds;
    let kept = ledger.dir().listed(CHECKPOINTS)?.into_iter();
    let kept = kept.map(|object| (object.path, object.written)).collect();
    let look = Look { ledger: &ledger, recipe: &file.recipe, attempts, kept, lease_seconds, now };
    let all = known_tasks(&ledger, &file.recipe)?;
    let mut tasks = all.iter().map(|task| look.at(*task)).collect::<Result<Vec<_>>>()?;
    tasks.push(look.at_publishing(&all, finished));
    Ok(Status { uri: uri.to_owned(), run: file.fingerprint, finished, tasks })
}

/// All tasks that are known so far: the shards are once the coreset is fixed. `auto` stays among them once it
/// has chosen.
pub(super) fn known_tasks(ledger: &Ledger, recipe: &Recipe) -> Result<Vec<Task>> {
    let mut all = tasks(recipe);
    if all.contains(&Task::Auto) {
        return Ok(all);
    }
    if recipe.judge.is_on() && ledger.find(AUTO)?.is_some() {
        all.insert(stage_1(recipe).len(), Task::Auto);
    }
    if let Some(record) = ledger.find(&Task::Coreset.to_string())? {
        let shards = record.facts.get("shards").and_then(serde_json::Value::as_u64).unwrap_or(0);
        all.extend((0..shards as usize).map(|index| Task::Shard { index }));
    }
    Ok(all)
}

/// One look at a run.
struct Look<'a> {
    ledger: &'a Ledger,
    recipe: &'a Recipe,
    attempts: BTreeMap<String, Attempts>,
    /// When each checkpoint was written.
    kept: BTreeMap<String, i64>,
    lease_seconds: f64,
    now: i64,
}

impl Look<'_> {
    fn at(&self, task: Task) -> Result<TaskStatus> {
        let key = task.to_string();
        let record = self.ledger.find(&key)?;
        let needs = task.needs(self.recipe).iter().map(Task::to_string).collect();
        let facts = record.as_ref().map_or(serde_json::Value::Null, |r| serde_json::json!(r.facts));
        let chooses = task == Task::Auto && record.is_none();
        let parts = chooses.then(|| self.parts()).transpose()?;
        Ok(TaskStatus { parts, facts, ..self.told(key, needs, record.is_some()) })
    }

    /// How many tasks of candidates are done that are not those of stage 1, which all share.
    fn parts(&self) -> Result<usize> {
        let shared: BTreeSet<String> =
            stage_1(self.recipe).iter().map(ToString::to_string).collect();
        let count = |ledger: Ledger| -> Result<usize> {
            Ok(ledger.committed()?.difference(&shared).count())
        };
        ledgers(self.ledger)?.into_iter().map(|(_, ledger)| count(ledger)).sum()
    }

    fn at_publishing(&self, all: &[Task], finished: bool) -> TaskStatus {
        self.told(PUBLISH.to_owned(), all.iter().map(Task::to_string).collect(), finished)
    }

    /// What claims tell of a task.
    fn told(&self, task: String, needs: Vec<String>, done: bool) -> TaskStatus {
        let attempts = self.attempts.get(&task);
        let silent = attempts.map(|a| (self.now - a.seen).max(0));
        let lives = |a: &Attempts| {
            let recent = silent.is_some_and(|s| (s as f64) <= self.lease_seconds);
            a.worker.as_ref().is_some_and(|worker| worker.lives().unwrap_or(recent))
        };
        let state = match attempts {
            _ if done => TaskState::Done,
            None => TaskState::Left,
            Some(a) if lives(a) => TaskState::Running,
            Some(_) => TaskState::Stopped,
        };
        let kept = self.kept.get(&format!("{CHECKPOINTS}/{task}"));
        let open = matches!(state, TaskState::Running | TaskState::Stopped);
        TaskStatus {
            task,
            state,
            needs,
            attempts: attempts.map_or(0, |a| a.count),
            by: attempts.filter(|_| open).and_then(|a| Some(a.worker.as_ref()?.to_string())),
            silent_seconds: silent.filter(|_| open),
            checkpoint_seconds: kept.map(|written| (self.now - written).max(0)).filter(|_| open),
            parts: None,
            facts: serde_json::Value::Null,
        }
    }
}

/// The run file and ledger of the run in `uri`.
pub(super) fn open(uri: &str, storage: &Storage) -> Result<(RunFile, Ledger)> {
    open_in(Dir::open(uri, storage)?)
}

/// As [`open`], in any directory. The recipe is that of the run with what `auto` has chosen, if it has.
pub(super) fn open_in(dir: Dir) -> Result<(RunFile, Ledger)> {
    let mut file = RunFile::begun(&dir)?;
    let ledger = Ledger::new(dir, file.fingerprint.clone());
    settle(&mut file.recipe, &ledger)?;
    Ok((file, ledger))
}
