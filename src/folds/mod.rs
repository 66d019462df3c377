//! The split of stage 1: which fold every sample belongs to. Pure.
//!
//! A fold depends on the seed and on ids, labels or groups, never on the order of rows or files.

mod deal;
mod near;
mod sets;
#[cfg(test)]
mod tests;
mod together;

use crate::recipe::{FitOn, Folds, FoldsBy};
use crate::seed::Seed;
use crate::{Error, Result};

pub use near::{near_duplicates, near_limit};
pub use together::{clusters, together};

/// A model of stage 1 should see at least this many samples of a class; below, stratify.
const FEW: u64 = 5;

/// The fold, below `spec.k`, of each of the `n` samples, in their order.
///
/// `seed` is the run's. `ids` ascend, `labels` and `groups` run parallel to them.
/// - `random`: samples in the order of their keyed hash are dealt to the folds in turn, so sizes
///   differ by at most 1. With `stratify` class after class is dealt, so class counts differ by
///   at most 1 too.
/// - `hash`: the keyed hash modulo `k`.
/// - With groups (those of [`together`], if duplicates stay together) equal values stay together and
///   `None` stays alone: the largest group first (then by hash) goes to the emptiest fold; `hash` uses
///   the hash of the value.
///
/// # Errors
/// `InvalidRecipe` for fewer than 2 folds, or `stratify` beside `hash` or groups; `InvalidInput`
/// if there are too few samples or groups, a class has fewer than `k` samples under `stratify`,
/// or a fold stays empty.
pub fn assign(
    ids: &[String],
    labels: &[u32],
    groups: Option<&[Option<String>]>,
    spec: &Folds,
    seed: &Seed,
) -> Result<Vec<u32>> {
    let seed = seed.of("fold");
    check(ids.len(), labels, groups, spec)?;
    let folds = match (spec.by, groups) {
        (FoldsBy::Random, None) => deal::dealt(ids, labels, spec, &seed),
        (FoldsBy::Random, Some(groups)) => deal::packed(ids, groups, spec.k, &seed),
        (FoldsBy::Hash, _) => deal::hashed(ids, groups, spec.k, &seed),
    };
    check_filled(&folds, spec.k)?;
    Ok(folds)
}

/// The folds of samples that were appended under `folds.by = "hash"`: those that [`assign`] would give
/// them among the others, which stay where they are. `seed` is the run's.
///
/// # Errors
/// `InvalidRecipe` for folds that depend on all samples together.
pub fn of_appended(
    ids: &[String],
    groups: Option<&[Option<String>]>,
    spec: &Folds,
    seed: &Seed,
) -> Result<Vec<u32>> {
    if spec.by != FoldsBy::Hash {
        return Err(Error::recipe(
            "`folds.by` is not `hash`: new samples would move old ones to other folds, so the old models would have seen what they score; run again with folds.by = \"hash\"",
        ));
    }
    Ok(deal::hashed(ids, groups, spec.k, &seed.of("fold")))
}

/// The fold of a sample without a group under `by = "hash"`: the keyed hash of its id modulo `k` (at
/// least 1). `seed` is the run's.
pub fn hashed(id: &str, k: usize, seed: &Seed) -> u32 {
    deal::of_hash(id, k.max(1), &seed.of("fold"))
}

/// The classes, with their sizes, of which a model of stage 1 sees fewer than about 5 samples:
/// worth a warning that advises `folds.stratify`. Classes without any sample are left out.
pub fn rare_classes(labels: &[u32], classes: usize, spec: &Folds) -> Vec<(u32, u64)> {
    let k = spec.k as u64;
    let parts = if spec.fit_on == FitOn::Fold { 1 } else { k.saturating_sub(1) };
    let sizes = class_sizes(labels, classes);
    let sizes = (0u32..).zip(sizes);
    sizes.filter(|(_, size)| *size > 0 && size * parts < FEW * k).collect()
}

fn class_sizes(labels: &[u32], classes: usize) -> Vec<u64> {
    let mut sizes = vec![0; classes];
    for label in labels {
        if let Some(size) = sizes.get_mut(*label as usize) {
            *size += 1;
        }
    }
    sizes
}

fn check(
    samples: usize,
    labels: &[u32],
    groups: Option<&[Option<String>]>,
    spec: &Folds,
) -> Result<()> {
    let k = spec.k;
    if k < 2 {
        return Err(Error::recipe(format!("`folds.k` is {k}; it must be at least 2")));
    }
    if spec.stratify && (spec.by == FoldsBy::Hash || groups.is_some()) {
        return Err(Error::recipe(
            "`folds.stratify` cannot hold with `by = \"hash\"`, `group` or `duplicates = \"together\"`; drop one of them",
        ));
    }
    if labels.len() != samples || groups.is_some_and(|groups| groups.len() != samples) {
        return Err(Error::internal("ids, labels and groups differ in length"));
    }
    if k > samples {
        return Err(Error::input(format!(
            "{samples} usable samples cannot fill {k} folds; lower `folds.k` or add data"
        )));
    }
    if spec.stratify { check_classes(labels, k) } else { Ok(()) }
}

fn check_classes(labels: &[u32], k: usize) -> Result<()> {
    let classes = labels.iter().max().map_or(0, |label| *label as usize + 1);
    let sizes = class_sizes(labels, classes);
    let rare: Vec<String> = (0..)
        .zip(sizes)
        .filter(|(_, size)| (1..k as u64).contains(size))
        .map(|(class, size): (u32, u64)| format!("class {class} has {size}"))
        .collect();
    if rare.is_empty() {
        return Ok(());
    }
    Err(Error::input(format!(
        "`folds.stratify` needs {k} samples in every class, but {}; lower `folds.k` or drop `stratify`",
        rare.join(", ")
    )))
}

fn check_filled(folds: &[u32], k: usize) -> Result<()> {
    match class_sizes(folds, k).iter().position(|size| *size == 0) {
        None => Ok(()),
        Some(fold) => Err(Error::input(format!(
            "fold {fold} of {k} is empty: too few samples or groups; lower `folds.k`"
        ))),
    }
}
