//! Checkpoints: a task under way as its worker last kept it, so that a kill costs minutes and not hours.
//!
//! ```text
//! checkpoints/<task>    a line of JSON that says whose state this is, then the state
//! ```
//!
//! It is written over and over, each time as a whole, and removed once the task is committed. No
//! result depends on one: whoever finds it damaged, or another run's, does the task from its beginning.

use bytes::Bytes;
use object_store::PutPayload;
use serde::{Deserialize, Serialize};

use super::commit::{FORMAT, Ledger, sha256_hex};
use super::wait;
use crate::error::{Error, ErrorKind, Place, Result};

/// Where checkpoints lie below a run directory; the name below it is that of the task.
pub const CHECKPOINTS: &str = "checkpoints";

/// The first line of a checkpoint.
#[derive(PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    format: u32,
    run: String,
    task: String,
    /// SHA-256 of the state, in hex.
    sha256: String,
}

impl Ledger {
    /// Keeps the state of a task in place of what was kept of it before.
    ///
    /// # Errors
    /// `Unavailable` if it cannot be written, and then the former one stands; `Conflict` if a symbolic
    /// link is in the way.
    pub fn keep(&self, task: &str, state: Vec<u8>) -> Result<()> {
        let path = path(task);
        self.dir().refuse_links(&path)?;
        let mut head = serde_json::to_vec(&self.head(task, &state))?;
        head.push(b'\n');
        let payload = PutPayload::from_iter([Bytes::from(head), Bytes::from(state)]);
        wait(self.dir().overwrite(&path, payload))?
    }

    /// The state that was last kept of a task, or `None`.
    ///
    /// # Errors
    /// `CorruptData` if it is damaged, `Conflict` if it is of another run or task; `Unavailable` if it
    /// cannot be read.
    pub fn kept(&self, task: &str) -> Result<Option<Bytes>> {
        let path = path(task);
        let Some(bytes) = self.dir().find(&path)? else { return Ok(None) };
        self.checked_state(task, &bytes).map(Some).at(|| self.dir().uri_of(&path))
    }

    /// Removes what was kept of a task.
    ///
    /// # Errors
    /// `Unavailable` if it cannot be removed.
    pub fn forget(&self, task: &str) -> Result<()> {
        self.dir().remove(&[path(task)])
    }

    fn head(&self, task: &str, state: &[u8]) -> Head {
        let (run, task, sha256) = (self.run().to_owned(), task.to_owned(), sha256_hex(state));
        Head { format: FORMAT, run, task, sha256 }
    }

    fn checked_state(&self, task: &str, bytes: &Bytes) -> Result<Bytes> {
        let damaged = || Error::corrupt("the checkpoint is damaged");
        let end = bytes.iter().position(|byte| *byte == b'\n').ok_or_else(damaged)?;
        let head: Head = serde_json::from_slice(&bytes[..end]).map_err(|e| damaged().because(e))?;
        let state = bytes.slice(end + 1..);
        let wanted = self.head(task, &state);
        if head.sha256 != wanted.sha256 {
            return Err(damaged());
        }
        if head != wanted {
            let message = "the checkpoint is of another run, task or format";
            return Err(Error::new(ErrorKind::Conflict, message));
        }
        Ok(state)
    }
}

fn path(task: &str) -> String {
    format!("{CHECKPOINTS}/{task}")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use object_store::memory::InMemory;

    use super::super::location::Dir;
    use super::*;

    fn ledger(dir: &Dir, run: &str) -> Ledger {
        Ledger::new(dir.clone(), run)
    }

    #[test]
    fn the_last_state_is_kept_until_it_is_forgotten() {
        let dir = Dir::on(Arc::new(InMemory::new()), "memory:");
        let ledger = ledger(&dir, "run-a");
        assert_eq!(ledger.kept("t").unwrap(), None);
        for state in [&b"first\nline"[..], b"", b"second"] {
            ledger.keep("t", state.to_vec()).unwrap();
            assert_eq!(ledger.kept("t").unwrap().unwrap(), state);
        }
        assert_eq!(ledger.kept("u").unwrap(), None);
        ledger.forget("t").unwrap();
        assert_eq!(ledger.kept("t").unwrap(), None);
        ledger.forget("t").unwrap();
    }

    #[test]
    fn one_of_another_run_or_task_is_refused() {
        let dir = Dir::on(Arc::new(InMemory::new()), "memory:");
        ledger(&dir, "run-a").keep("t", b"state".to_vec()).unwrap();
        let error = ledger(&dir, "run-b").kept("t").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
        dir.create(&path("u"), dir.read(&path("t")).unwrap()).unwrap();
        let error = ledger(&dir, "run-a").kept("u").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
        assert!(error.to_string().contains("checkpoints/u"), "{error}");
    }

    #[test]
    fn no_bit_can_change_and_no_byte_be_lost() {
        let dir = Dir::on(Arc::new(InMemory::new()), "memory:");
        let ledger = ledger(&dir, "run-a");
        ledger.keep("t", b"state".to_vec()).unwrap();
        let whole = dir.read(&path("t")).unwrap();
        let put = |bytes: Vec<u8>| wait(dir.overwrite(&path("t"), bytes)).unwrap().unwrap();
        for bit in 0..8 * whole.len() {
            let mut bytes = whole.to_vec();
            bytes[bit / 8] ^= 1 << (bit % 8);
            put(bytes);
            let kind = ledger.kept("t").unwrap_err().kind();
            assert!([ErrorKind::CorruptData, ErrorKind::Conflict].contains(&kind), "bit {bit}");
        }
        for length in 0..whole.len() {
            put(whole[..length].to_vec());
            assert_eq!(ledger.kept("t").unwrap_err().kind(), ErrorKind::CorruptData, "{length}");
        }
    }
}
