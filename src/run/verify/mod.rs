//! Proves a finished run from its files alone: nothing is believed that can be derived again.
//!
//! - `files`: the bytes, the source and the coreset.
//! - `method`: clusters, folds, training sets, scores and the selection.
//! - `scores`: what stands beside the scores. `judge`: what proxy models say.

mod files;
mod judge;
mod method;
mod scores;

use arrow::record_batch::RecordBatch;
use serde::Serialize;

use super::manifest::Manifest;
use super::memory::Memory;
use super::status::open_in;
use super::task::CORESET;
use super::worker::Run;
use crate::error::{Error, ErrorKind, Result};
use crate::recipe::Storage;
use crate::storage::{self, Dir, parquet};
use crate::tables;

/// The result of a verification.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verification {
    /// The run directory.
    pub uri: String,
    /// Whether every check passed.
    pub passed: bool,
    /// The checks in order; the first, of every byte, ends them if it fails.
    pub checks: Vec<Check>,
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What is checked, in one word.
    pub name: &'static str,
    /// Whether it holds.
    pub passed: bool,
    /// What was seen.
    pub detail: String,
}

/// Verifies the run in `uri`.
///
/// # Errors
/// `InvalidInput` if there is no finished run; `Unavailable` if the store fails and `LimitExceeded` if
/// memory is too little: both say nothing about the run. A check that fails is no error: it is in the
/// result.
pub fn verify(uri: &str, storage: &Storage) -> Result<Verification> {
    verify_within(uri, storage, Memory::default())
}

/// As [`verify`], within this memory.
///
/// # Errors
/// As [`verify`].
pub fn verify_within(uri: &str, storage: &Storage, memory: Memory) -> Result<Verification> {
    verify_in(Dir::open(uri, storage)?, storage, memory)
}

/// As [`verify_within`], in any directory.
///
/// # Errors
/// As [`verify`].
pub fn verify_in(dir: Dir, storage: &Storage, memory: Memory) -> Result<Verification> {
    let uri = dir.uri().to_owned();
    let (file, ledger) = open_in(dir)?;
    let Some(manifest) = Manifest::find(ledger.dir())? else {
        return Err(Error::input(format!("{uri}: the run is not finished; run it again first")));
    };
    let prover = Prover { run: Run::reopen(file, ledger, storage).within(memory), manifest };
    let proofs: [(&'static str, Proof); 16] = [
        ("checksums", Prover::checksums),
        ("samples", Prover::samples),
        ("clusters", Prover::clusters),
        ("folds", Prover::folds),
        ("members", Prover::members),
        ("unseen", Prover::unseen),
        ("coverage", Prover::coverage),
        ("scores", Prover::rated),
        ("metadata", Prover::metadata),
        ("dynamics", Prover::dynamics),
        ("labels", Prover::label_errors),
        ("auto", Prover::auto),
        ("selection", Prover::selection),
        ("input", Prover::input),
        ("coreset", Prover::coreset),
        ("judge", Prover::judge),
    ];
    let mut checks: Vec<Check> = Vec::new();
    for (name, check) in proofs {
        let (passed, detail) = match check(&prover) {
            Ok(detail) => (true, detail),
            // These say nothing about the run.
            Err(e) if [ErrorKind::Unavailable, ErrorKind::LimitExceeded].contains(&e.kind()) => {
                return Err(e);
            }
            Err(e) => (false, e.to_string()),
        };
        checks.push(Check { name, passed, detail });
        // What damaged files say proves nothing.
        if name == "checksums" && !passed {
            break;
        }
    }
    Ok(Verification { uri, passed: checks.iter().all(|c| c.passed), checks })
}

/// A proof says what was seen, or what is wrong.
type Proof = fn(&Prover) -> Result<String>;

struct Prover {
    run: Run,
    manifest: Manifest,
}

impl Prover {
    fn selection_table(&self) -> Result<RecordBatch> {
        self.table(CORESET, "selection.parquet", &tables::selection())
    }

    fn table(
        &self,
        task: &str,
        name: &str,
        schema: &arrow::datatypes::SchemaRef,
    ) -> Result<RecordBatch> {
        parquet::decode_table(self.output(task, name)?.0, schema)
            .map_err(|e| e.at(format!("{name} of {task}")))
    }

    fn output(&self, task: &str, name: &str) -> Result<(bytes::Bytes, storage::Input)> {
        self.run.ledger.output(&self.run.ledger.get(task)?, name)
    }
}
