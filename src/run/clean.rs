//! Removing what no record names: the leavings of attempts that died.

use std::collections::BTreeSet;

use serde::Serialize;

use super::manifest::Manifest;
use super::status::open;
use super::{auto, evaluate};
use crate::error::Result;
use crate::recipe::Storage;
use crate::storage::claim;
use crate::storage::{CHECKPOINTS, Dir, Ledger, Listed};

/// What `clean` found, and whether it removed it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cleaned {
    /// The run directory.
    pub uri: String,
    /// Objects that no record names and that are old enough.
    pub litter: Vec<Litter>,
    /// Their bytes.
    pub bytes: u64,
    /// Objects that no record names, but which are too young or belong to an attempt under way.
    pub spared: usize,
    /// Whether the litter was removed; else this was a look only.
    pub removed: bool,
}

/// One object that nobody needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Litter {
    /// Its name below the run directory.
    pub path: String,
    /// Its size.
    pub bytes: u64,
    /// Seconds since it was written, by the clocks of the store and of this machine.
    pub age_seconds: i64,
}

/// How to clean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CleanRules {
    /// Now, in seconds since 1970.
    pub now: i64,
    /// Younger objects are spared: an attempt elsewhere may be about to commit them.
    pub older_than_seconds: i64,
    /// Remove, rather than look.
    pub remove: bool,
}

/// Finds, and with `rules.remove` removes, what no record of the run in `uri` names. Committed
/// outputs, published files, records and `run.json` are never touched.
///
/// # Errors
/// `InvalidInput` if there is no run; `CorruptData` if a record cannot be read: then nothing is
/// removed; `Unavailable` if the store fails.
pub fn clean(uri: &str, storage: &Storage, rules: CleanRules) -> Result<Cleaned> {
    let (file, ledger) = open(uri, storage)?;
    let mut cleaned = Cleaned {
        uri: uri.to_owned(),
        litter: Vec::new(),
        bytes: 0,
        spared: 0,
        removed: rules.remove,
    };
    let storage = &file.recipe.storage;
    cleaned.clean("", &ledger, storage, rules)?;
    cleaned.clean(EVALUATE, &evaluate::ledger_of(&ledger), storage, rules)?;
    for (place, ledger) in auto::ledgers(&ledger)? {
        cleaned.clean(&place, &ledger, storage, rules)?;
    }
    Ok(cleaned)
}

/// Where the ledger of evaluations lies.
const EVALUATE: &str = "evaluate/";

/// Where those of the candidates of `auto` lie.
const AUTO: &str = "auto/";

impl Cleaned {
    /// Cleans what lies behind one ledger, below `place`.
    fn clean(
        &mut self,
        place: &str,
        ledger: &Ledger,
        storage: &Storage,
        rules: CleanRules,
    ) -> Result<()> {
        let found = Found::look(ledger, storage, rules.now)?;
        let age = |object: &Listed| rules.now - object.written;
        let old =
            |object: &Listed| age(object) >= rules.older_than_seconds && !found.in_use(object);
        // Its writer may hold no claim yet.
        let stale = |object: &Listed| old(object) && age(object) >= HALF_WRITTEN_SECONDS;
        let (whole, spared): (Vec<_>, Vec<_>) = found.unnamed().into_iter().partition(old);
        let below =
            |object: &&Listed| [EVALUATE, AUTO].iter().any(|at| object.path.starts_with(at));
        let half = found.half_written.iter().filter(|object| !below(object)).cloned();
        let (half, young): (Vec<_>, Vec<_>) = half.partition(stale);
        if rules.remove {
            ledger.dir().remove(&paths(&whole))?;
            ledger.dir().remove_half_written(&paths(&half))?;
        }
        self.spared += spared.len() + young.len();
        for object in whole.into_iter().chain(half) {
            self.bytes += object.bytes;
            let (path, bytes) = (format!("{place}{}", object.path), object.bytes);
            self.litter.push(Litter { age_seconds: age(&object), path, bytes });
        }
        Ok(())
    }
}

/// The age below which a half-written file is spared, whatever is asked for.
const HALF_WRITTEN_SECONDS: i64 = 3600;

fn paths(objects: &[Listed]) -> Vec<String> {
    objects.iter().map(|object| object.path.clone()).collect()
}

/// What a run directory holds, looked at in an order in which nobody can commit what is about to be
/// called litter: first the objects, then who is at work, then the records. An object whose worker
/// was gone at the second look has its record by the third, or never.
struct Found {
    objects: Vec<Listed>,
    half_written: Vec<Listed>,
    /// Tasks that somebody works on.
    under_way: BTreeSet<String>,
    committed: BTreeSet<String>,
    /// The outputs that records name.
    named: BTreeSet<String>,
    finished: bool,
}

impl Found {
    fn look(ledger: &Ledger, storage: &Storage, now: i64) -> Result<Self> {
        let dir = ledger.dir();
        let mut objects = dir.listed("tasks")?;
        objects.extend(dir.listed("claims")?);
        objects.extend(dir.listed(CHECKPOINTS)?);
        objects.extend(dir.listed(".unseen-doctor")?);
        let half_written = dir.half_written()?;
        let under_way = under_way(dir, storage, now)?;
        let committed = ledger.committed()?;
        let mut named = BTreeSet::new();
        for task in &committed {
            named.extend(ledger.get(task)?.outputs.into_iter().map(|output| output.path));
        }
        let finished = Manifest::find(dir)?.is_some();
        Ok(Self { objects, half_written, under_way, committed, named, finished })
    }

    /// Outputs of lost attempts, claims on and checkpoints of tasks that are done, leavings of `unseen doctor`.
    fn unnamed(&self) -> Vec<Listed> {
        let done = |path: &str| self.finished || self.committed.contains(task_of(path));
        let needed = |path: &str| match path.split('/').next() {
            Some("claims" | CHECKPOINTS) => !done(path),
            _ => self.named.contains(path),
        };
        self.objects.iter().filter(|object| !needed(&object.path)).cloned().collect()
    }

    /// Whether somebody may be writing it now.
    fn in_use(&self, object: &Listed) -> bool {
        let mut open = self.under_way.iter().filter(|task| !self.committed.contains(*task));
        match object.path.split('/').next() {
            Some("tasks" | "claims" | CHECKPOINTS) => {
                open.any(|task| task == task_of(&object.path))
            }
            // A half-written record or public name: any of them may be at it.
            _ => !self.finished && !self.under_way.is_empty(),
        }
    }
}

/// The task below whose name an object lies.
fn task_of(path: &str) -> &str {
    path.split('/').nth(1).unwrap_or_default()
}

/// The tasks whose worker lives, or may live.
fn under_way(dir: &Dir, storage: &Storage, now: i64) -> Result<BTreeSet<String>> {
    let live = claim::attempts(dir)?.into_iter().filter(|(_, last)| {
        let recent = (now - last.seen) as f64 <= storage.lease_seconds;
        last.worker.as_ref().is_some_and(|worker| worker.lives().unwrap_or(recent))
    });
    Ok(live.map(|(task, _)| task).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::claim::Claims;

    #[test]
    fn what_a_live_worker_is_about_to_commit_is_spared() {
        let place = tempfile::tempdir().unwrap();
        let storage = Storage::default();
        let dir = Dir::open(place.path().to_str().unwrap(), &storage).unwrap();
        let ledger = Ledger::new(dir.clone(), "run");
        ledger.write("train-0f", "attempt", "model.safetensors", b"weights", None).unwrap();
        let litter = || {
            let (uri, litter) = (String::new(), Vec::new());
            let mut cleaned = Cleaned { uri, litter, bytes: 0, spared: 0, removed: true };
            let rules = CleanRules { now: 4_000_000_000, older_than_seconds: 0, remove: true };
            cleaned.clean("evaluate/", &ledger, &storage, rules).unwrap();
            cleaned.litter.into_iter().map(|object| object.path).collect::<Vec<_>>()
        };
        let claims = Claims::new(dir, &storage).unwrap();
        let claim = claims.take("train-0f").unwrap();
        assert!(litter().is_empty());
        drop((claim, claims));
        assert_eq!(litter(), ["evaluate/tasks/train-0f/attempt/model.safetensors"]);
    }
}
