//! Tasks of one ledger become tasks of another: what is equal is done once.

use super::task::stage_1;
use super::worker::Run;
use crate::error::Result;
use crate::storage::{Dir, Ledger, Record};

/// A ledger and its place below a directory that it shares with others; empty for the directory itself.
pub(super) struct Place<'a> {
    pub(super) place: &'a str,
    pub(super) ledger: &'a Ledger,
}

impl Place<'_> {
    fn path(&self, path: &str) -> String {
        if self.place.is_empty() { path.to_owned() } else { format!("{}/{path}", self.place) }
    }
}

/// Gives `to` the tasks with these keys that `from` has done: outputs under the same names (on local disk
/// links, not copies), and records that say the same of the other run. Both lie below `dir`.
///
/// # Errors
/// `Unavailable` if the store fails; `CorruptData` if a record cannot be read; `Internal` if one is not
/// there.
pub(super) fn share(
    dir: &Dir,
    from: &Place<'_>,
    to: &Place<'_>,
    tasks: impl IntoIterator<Item = String>,
) -> Result<()> {
    for key in tasks {
        if to.ledger.find(&key)?.is_some() {
            continue;
        }
        let record = from.ledger.get(&key)?;
        for output in &record.outputs {
            dir.publish(&from.path(&output.path), &to.path(&output.path))?;
        }
        to.ledger.commit(&Record { run: to.ledger.run().to_owned(), ..record })?;
    }
    Ok(())
}

/// Gives a run stage 1 of another, from which it differs in what is selected alone.
///
/// # Errors
/// As [`share`].
pub(super) fn share_stage_1(dir: &Dir, from: &Place<'_>, to: &str, run: &Run) -> Result<()> {
    let to = Place { place: to, ledger: &run.ledger };
    share(dir, from, &to, stage_1(&run.recipe).iter().map(ToString::to_string))
}
