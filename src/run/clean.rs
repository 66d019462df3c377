//! Removing what no record names: the leavings of attempts that died.

use std::collections::BTreeSet;

use serde::Serialize;

use super::manifest::Manifest;
use super::status::open;
use crate::error::Result;
use crate::recipe::Storage;
use crate::storage::claim;
use crate::storage::{Ledger, Listed};

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
    let (_, ledger) = open(uri, storage)?;
    let whole = unreferenced(&ledger)?;
    let half: BTreeSet<String> =
        ledger.dir().half_written()?.iter().map(|object| object.path.clone()).collect();
    let under_way = under_way(&ledger, storage, rules.now)?;
    let age = |object: &Listed| rules.now - object.written;
    let old = |object: &Listed| {
        age(object) >= rules.older_than_seconds
            && !under_way.iter().any(|t| object.path.contains(t))
    };
    let all: Vec<Listed> = whole.into_iter().chain(ledger.dir().half_written()?).collect();
    let (litter, spared): (Vec<_>, Vec<_>) = all.into_iter().partition(old);
    if rules.remove {
        let (half, whole): (Vec<String>, Vec<String>) =
            litter.iter().map(|object| object.path.clone()).partition(|path| half.contains(path));
        ledger.dir().remove(&whole)?;
        ledger.dir().remove_half_written(&half)?;
    }
    let bytes = litter.iter().map(|object| object.bytes).sum();
    let told = |o: Listed| Litter { age_seconds: age(&o), path: o.path, bytes: o.bytes };
    Ok(Cleaned {
        uri: uri.to_owned(),
        litter: litter.into_iter().map(told).collect(),
        bytes,
        spared: spared.len(),
        removed: rules.remove,
    })
}

/// Objects that no record names: outputs of lost attempts, claims on tasks that are done, leavings
/// of `unseen doctor`.
fn unreferenced(ledger: &Ledger) -> Result<Vec<Listed>> {
    let dir = ledger.dir();
    let committed = ledger.committed()?;
    let mut named = BTreeSet::new();
    for task in &committed {
        named.extend(ledger.get(task)?.outputs.into_iter().map(|output| output.path));
    }
    let finished = Manifest::find(dir)?.is_some();
    let done = |path: &str| {
        let task = path.split('/').nth(1).unwrap_or_default();
        committed.contains(task) || finished
    };
    let mut all = dir.listed("tasks")?;
    all.retain(|object| !named.contains(&object.path));
    all.extend(dir.listed("claims")?.into_iter().filter(|claim| done(&claim.path)));
    all.extend(dir.listed(".unseen-doctor")?);
    Ok(all)
}

/// The places of attempts whose worker lives, or may live.
fn under_way(ledger: &Ledger, storage: &Storage, now: i64) -> Result<Vec<String>> {
    let committed = ledger.committed()?;
    let attempts = claim::attempts(ledger.dir())?.into_iter();
    let live = attempts.filter(|(task, last)| {
        let recent = (now - last.seen) as f64 <= storage.lease_seconds;
        !committed.contains(task) && last.worker.lives().unwrap_or(recent)
    });
    Ok(live.map(|(task, _)| format!("/{task}/")).collect())
}
