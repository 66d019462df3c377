//! The commit protocol: how a run directory survives a machine that dies.
//!
//! ```text
//! tasks/<task>/<attempt>/<name>      outputs, under a name no other attempt uses
//! commits/<task>.json                the record, create-only: from here on the task is done
//! ```
//!
//! Readers follow records and never list `tasks/`; what a killed attempt left there is invisible.
//! A record names its outputs with size and SHA-256, and every read of an output checks both.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Write;

use bytes::Bytes;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::crash::Point;
use super::location::Dir;
use super::object::Object;
use super::sealed::{seal, unseal};
use super::upload::{Sum, Upload};
use crate::error::{Error, ErrorKind, Place, Result};

/// The version of the run directory's format.
pub const FORMAT: u32 = 6;

/// The proof that a task is done: what it read, what it wrote.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "unseen commit record", transform = super::checksum_schema)]
pub struct Record {
    /// Version of this format.
    pub format: u32,
    /// Fingerprint of the run: recipe and input.
    pub run: String,
    /// The task, such as `train-s1-m0`.
    pub task: String,
    /// The attempt that did it. Names objects; never part of a result.
    pub attempt: String,
    /// The committed outputs that the task read.
    pub inputs: Vec<Input>,
    /// The objects that the task wrote.
    pub outputs: Vec<Output>,
    /// The recipe's seed.
    pub seed: u64,
    /// The device that computed it.
    pub device: String,
    /// Figures about the result, such as the accuracy of a model. Pure functions of the inputs.
    pub facts: BTreeMap<String, serde_json::Value>,
}

/// A committed output that a task read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// The task that wrote it.
    pub task: String,
    /// The output's name within that task.
    pub name: String,
    /// SHA-256 of its bytes, in hex.
    pub sha256: String,
}

/// An object that a task wrote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Output {
    /// Its name within the task, such as `scores.parquet`.
    pub name: String,
    /// Where it is, below the run directory.
    pub path: String,
    /// Its size.
    pub bytes: u64,
    /// Its rows, if it is a table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// SHA-256 of its bytes, in hex.
    pub sha256: String,
}

/// How a commit ended.
#[derive(Clone, Debug)]
pub enum Recorded {
    /// Our record stands.
    Won(Record),
    /// Another attempt at the same task of the same run was first; its record stands.
    Lost(Record),
}

/// The records of one run.
#[derive(Clone, Debug)]
pub struct Ledger {
    dir: Dir,
    run: String,
}

impl Ledger {
    /// The ledger of the run with this fingerprint.
    pub fn new(dir: Dir, run: impl Into<String>) -> Self {
        Self { dir, run: run.into() }
    }

    /// The run directory.
    pub fn dir(&self) -> &Dir {
        &self.dir
    }

    /// The run's fingerprint.
    pub fn run(&self) -> &str {
        &self.run
    }

    /// The record of a task, or `None` while it is not done.
    ///
    /// # Errors
    /// `CorruptData` if the record cannot be read, `Conflict` if it belongs to another run.
    pub fn find(&self, task: &str) -> Result<Option<Record>> {
        let path = record_path(task);
        let Some(bytes) = self.dir.find(&path)? else { return Ok(None) };
        let place = || self.dir.uri_of(&path);
        let record: Record = unseal(&bytes).at(place)?;
        if record.task != task {
            return Err(
                Error::corrupt(format!("the record is of task {}", record.task)).at(place())
            );
        }
        if record.run != self.run {
            let message =
                format!("the record belongs to run {}, this is run {}", record.run, self.run);
            return Err(Error::new(ErrorKind::Conflict, message).at(place()));
        }
        Ok(Some(record))
    }

    /// The tasks that have a record.
    ///
    /// # Errors
    /// `Unavailable` if the store cannot be asked.
    pub fn committed(&self) -> Result<BTreeSet<String>> {
        let names = self.dir.list(COMMITS)?.into_iter();
        let task = |name: String| {
            Some(name.strip_prefix(COMMITS)?.strip_prefix('/')?.strip_suffix(".json")?.to_owned())
        };
        Ok(names.filter_map(task).collect())
    }

    /// The record of a task that must be done.
    ///
    /// # Errors
    /// As [`Ledger::find`]; `Internal` if the task is not done.
    pub fn get(&self, task: &str) -> Result<Record> {
        self.find(task)?.ok_or_else(|| Error::internal(format!("task {task} is not committed yet")))
    }

    /// Writes one output of an attempt, under a name that no other attempt uses.
    ///
    /// # Errors
    /// `Unavailable` if it cannot be written.
    pub fn write(
        &self,
        task: &str,
        attempt: &str,
        name: &str,
        bytes: &[u8],
        rows: Option<u64>,
    ) -> Result<Output> {
        let mut writer = self.writer(task, attempt, name);
        writer.write_all(bytes).at(|| self.dir.uri_of(&writer.path))?;
        writer.finish(rows)
    }

    /// Begins one output of an attempt that is written piece by piece.
    pub fn writer(&self, task: &str, attempt: &str, name: &str) -> OutputWriter {
        let path = format!("tasks/{task}/{attempt}/{name}");
        let upload = Upload::new(&self.dir, path.clone());
        OutputWriter { name: name.to_owned(), path, upload }
    }

    /// Commits a record, once. When another attempt was first, its record wins and is returned.
    ///
    /// # Errors
    /// `Unavailable` if it cannot be written, `Conflict` if the place belongs to another run.
    pub fn commit(&self, record: &Record) -> Result<Recorded> {
        let bytes = seal(record)?;
        Point::BeforeCommit.pass();
        self.dir.create(&record_path(&record.task), bytes)?;
        Point::AfterCommit.pass();
        // Whatever the store answered, the record that stands decides: ours or another attempt's.
        let stands = self.get(&record.task)?;
        if stands.attempt == record.attempt {
            Ok(Recorded::Won(stands))
        } else {
            Ok(Recorded::Lost(stands))
        }
    }

    /// The bytes of a committed output, checked against the record.
    ///
    /// # Errors
    /// `CorruptData` if size or checksum differ, `Unavailable` if it cannot be read.
    pub fn output(&self, record: &Record, name: &str) -> Result<(Bytes, Input)> {
        let output = record.output(name)?;
        let bytes = self.checked(output)?;
        let (task, name) = (record.task.clone(), name.to_owned());
        Ok((bytes, Input { task, name, sha256: output.sha256.clone() }))
    }

    /// Checks the bytes behind `output` without holding them, and gives the object for reads of
    /// parts of it.
    ///
    /// # Errors
    /// `CorruptData` if size or checksum differ, `Unavailable` if it cannot be read.
    pub fn check(&self, output: &Output) -> Result<Object> {
        if !self.dir.exists(&output.path)? {
            return Err(self.gone(output));
        }
        // Looked up first: reads of the object are pinned to the version that was checked.
        let object = self.dir.object(&output.path)?;
        check_sum(&self.dir.sum(&output.path)?, output).at(|| object.uri.clone())?;
        Ok(object)
    }

    /// The bytes behind `output`, checked.
    ///
    /// # Errors
    /// `CorruptData` if size or checksum differ, `Unavailable` if it cannot be read.
    pub fn checked(&self, output: &Output) -> Result<Bytes> {
        let found = self.dir.find(&output.path)?;
        let bytes = found.ok_or_else(|| self.gone(output))?;
        let sum = Sum { bytes: bytes.len() as u64, sha256: sha256_hex(&bytes) };
        check_sum(&sum, output).at(|| self.dir.uri_of(&output.path))?;
        Ok(bytes)
    }
}

impl Ledger {
    /// A committed output that is not there any more: no retry brings it back.
    fn gone(&self, output: &Output) -> Error {
        Error::corrupt(format!(
            "{} is missing, though a record names it; restore it, or begin a new run",
            self.dir.uri_of(&output.path)
        ))
    }
}

/// An output of an attempt, being written. Dropped before its end it leaves nothing.
pub struct OutputWriter {
    name: String,
    path: String,
    upload: Upload,
}

impl OutputWriter {
    /// As [`Upload::settle`].
    ///
    /// # Errors
    /// As [`Upload::settle`].
    pub fn settle<T>(&mut self, result: Result<T>) -> Result<T> {
        self.upload.settle(result)
    }

    /// Ends the output, which has `rows` rows if it is a table.
    ///
    /// # Errors
    /// `Unavailable` if it cannot be written.
    pub fn finish(self, rows: Option<u64>) -> Result<Output> {
        let Sum { bytes, sha256 } = self.upload.finish()?;
        Point::OutputWritten.pass();
        Ok(Output { name: self.name, path: self.path, bytes, rows, sha256 })
    }
}

impl Write for OutputWriter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.upload.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.upload.flush()
    }
}

impl Record {
    /// The output with this name.
    ///
    /// # Errors
    /// `CorruptData` if the record has none.
    pub fn output(&self, name: &str) -> Result<&Output> {
        let found = self.outputs.iter().find(|o| o.name == name);
        found.ok_or_else(|| Error::corrupt(format!("the record of {} names no {name}", self.task)))
    }
}

fn check_sum(found: &Sum, output: &Output) -> Result<()> {
    if found.bytes != output.bytes {
        let message = format!("it has {} bytes, its record says {}", found.bytes, output.bytes);
        return Err(Error::corrupt(message));
    }
    if found.sha256 != output.sha256 {
        let (found, wanted) = (&found.sha256, &output.sha256);
        return Err(Error::corrupt(format!("its SHA-256 is {found}, its record says {wanted}")));
    }
    Ok(())
}

fn record_path(task: &str) -> String {
    format!("{COMMITS}/{task}.json")
}

const COMMITS: &str = "commits";

/// SHA-256 in hex, as `sha256sum` prints it.
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A fresh name for an attempt. It names objects and never enters a result.
///
/// # Errors
/// `Unavailable` if the system gives no random bytes.
pub fn attempt_id() -> Result<String> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(|e| {
        Error::new(ErrorKind::Unavailable, "the system gives no random bytes").because(e)
    })?;
    Ok(hex(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use object_store::memory::InMemory;
    use std::sync::Arc;

    fn ledger() -> Ledger {
        Ledger::new(Dir::on(Arc::new(InMemory::new()), "memory:"), "run-a")
    }

    fn record(task: &str, attempt: &str, outputs: Vec<Output>) -> Record {
        let (run, task, attempt) = ("run-a".to_owned(), task.to_owned(), attempt.to_owned());
        let facts = BTreeMap::new();
        Record {
            format: FORMAT,
            run,
            task,
            attempt,
            inputs: vec![],
            outputs,
            seed: 0,
            device: "cpu".to_owned(),
            facts,
        }
    }

    #[test]
    fn the_first_commit_wins_and_the_second_learns_of_it() {
        let ledger = ledger();
        let output = ledger.write("t", "a1", "x", b"one", None).unwrap();
        assert!(matches!(
            ledger.commit(&record("t", "a1", vec![output])).unwrap(),
            Recorded::Won(_)
        ));
        let late = ledger.commit(&record("t", "a2", vec![])).unwrap();
        assert!(matches!(late, Recorded::Lost(r) if r.attempt == "a1"));
        // The same attempt again, as after a lost answer, has won.
        assert!(matches!(ledger.commit(&record("t", "a1", vec![])).unwrap(), Recorded::Won(_)));
    }

    #[test]
    fn a_changed_object_is_found_out() {
        let ledger = ledger();
        let output = ledger.write("t", "a1", "x", b"one", None).unwrap();
        let mut wrong = output.clone();
        wrong.sha256 = sha256_hex(b"two");
        assert_eq!(ledger.checked(&wrong).unwrap_err().kind(), ErrorKind::CorruptData);
        wrong.bytes = 2;
        assert!(ledger.checked(&wrong).unwrap_err().to_string().contains("3 bytes"));
        assert!(ledger.checked(&output).is_ok());
    }

    #[test]
    fn a_record_of_another_run_is_a_conflict() {
        let ledger = ledger();
        ledger.commit(&record("t", "a1", vec![])).unwrap();
        let other = Ledger::new(ledger.dir().clone(), "run-b");
        assert_eq!(other.find("t").unwrap_err().kind(), ErrorKind::Conflict);
    }
}
