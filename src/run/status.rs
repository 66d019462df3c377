//! What is done, running and left in a run directory.

use serde::Serialize;

use super::identity::RunFile;
use super::manifest::Manifest;
use super::task::{Task, tasks};
use crate::error::{Error, Result};
use crate::storage::{Dir, Ledger};

/// The state of a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Status {
    /// The run directory.
    pub uri: String,
    /// The run's fingerprint.
    pub run: String,
    /// Whether the manifest is written: everything is there.
    pub finished: bool,
    /// The tasks in order. Shards appear once the coreset is fixed.
    pub tasks: Vec<TaskStatus>,
}

/// The state of one task.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TaskStatus {
    /// Its key.
    pub task: String,
    /// Its state.
    pub state: TaskState,
    /// Attempts begun so far; more than one says that a process died or several work.
    pub attempts: usize,
    /// Figures from its record.
    pub facts: serde_json::Value,
}

/// The state of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskState {
    /// Committed.
    Done,
    /// An attempt began and has not committed: it runs, or its process died.
    Begun,
    /// Nothing yet.
    Left,
}

/// Reads the state of the run in `uri`.
///
/// # Errors
/// `InvalidInput` if no run began there, `CorruptData` if a record cannot be read.
pub fn status(uri: &str) -> Result<Status> {
    let (file, ledger) = open(uri)?;
    let begun = ledger.dir().list("started")?;
    let mut all = tasks(&file.recipe);
    if let Some(record) = ledger.find(&Task::Coreset.to_string())? {
        let shards = record.facts.get("shards").and_then(serde_json::Value::as_u64).unwrap_or(0);
        all.extend((0..shards as usize).map(|index| Task::Shard { index }));
    }
    let tasks: Result<Vec<_>> =
        all.iter().map(|task| task_status(&ledger, &task.to_string(), &begun)).collect();
    let finished = Manifest::find(ledger.dir())?.is_some();
    Ok(Status { uri: uri.to_owned(), run: file.fingerprint, finished, tasks: tasks? })
}

fn task_status(ledger: &Ledger, task: &str, begun: &[String]) -> Result<TaskStatus> {
    let prefix = format!("started/{task}/");
    let attempts = begun.iter().filter(|name| name.starts_with(&prefix)).count();
    let record = ledger.find(task)?;
    let state = match (&record, attempts) {
        (Some(_), _) => TaskState::Done,
        (None, 0) => TaskState::Left,
        (None, _) => TaskState::Begun,
    };
    let facts = record.map_or(serde_json::Value::Null, |r| serde_json::json!(r.facts));
    Ok(TaskStatus { task: task.to_owned(), state, attempts, facts })
}

/// The run file and ledger of the run in `uri`.
pub(super) fn open(uri: &str) -> Result<(RunFile, Ledger)> {
    open_in(Dir::open(uri)?)
}

/// As [`open`], in any directory.
pub(super) fn open_in(dir: Dir) -> Result<(RunFile, Ledger)> {
    let Some(file) = RunFile::find(&dir)? else {
        let uri = dir.uri();
        return Err(Error::input(format!(
            "{uri} holds no run: there is no run.json; give the recipe's output.uri"
        )));
    };
    let ledger = Ledger::new(dir, file.fingerprint.clone());
    Ok((file, ledger))
}
