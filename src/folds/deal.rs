//! Three ways to hand out samples: dealt in turn, packed by group, or by hash.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::recipe::Folds;
use crate::seed::Seed;

/// Deals samples in turn, in the order (class if stratified, hash, id).
///
/// The turn runs on from class to class, so totals and class counts both differ by at most 1.
pub(super) fn dealt(ids: &[String], labels: &[u32], spec: &Folds, seed: &Seed) -> Vec<u32> {
    let mut order: Vec<(u32, u64, usize)> = (0..ids.len())
        .map(|i| (if spec.stratify { labels[i] } else { 0 }, seed.hash(&ids[i]), i))
        .collect();
    order.sort_unstable(); // Ids ascend, so their index orders equal hashes.
    let mut folds = vec![0; ids.len()];
    for (turn, (_, _, i)) in order.into_iter().enumerate() {
        folds[i] = (turn % spec.k) as u32;
    }
    folds
}

/// Packs whole groups, the largest first, each into the fold with the fewest samples so far.
pub(super) fn packed(ids: &[String], groups: &[Option<String>], k: usize, seed: &Seed) -> Vec<u32> {
    let mut members: BTreeMap<Unit<'_>, Vec<usize>> = BTreeMap::new();
    for (i, (id, group)) in ids.iter().zip(groups).enumerate() {
        members.entry(Unit::of(id, group.as_deref())).or_default().push(i);
    }
    let mut units: Vec<_> = members.into_iter().collect();
    units.sort_by_cached_key(|(unit, rows)| (Reverse(rows.len()), seed.hash(unit.name()), *unit));
    let mut sizes = vec![0; k];
    let mut folds = vec![0; ids.len()];
    for (_, rows) in units {
        let emptiest = (0..k).min_by_key(|fold| sizes[*fold]).unwrap_or(0);
        sizes[emptiest] += rows.len();
        for i in rows {
            folds[i] = emptiest as u32;
        }
    }
    folds
}

/// The keyed hash of the group's value, or of the id, modulo `k`.
pub(super) fn hashed(
    ids: &[String],
    groups: Option<&[Option<String>]>,
    k: usize,
    seed: &Seed,
) -> Vec<u32> {
    let group = |i: usize| groups.and_then(|groups| groups[i].as_deref());
    let name = |i: usize| Unit::of(&ids[i], group(i)).name();
    (0..ids.len()).map(|i| of_hash(name(i), k, seed)).collect()
}

/// The keyed hash of a name, modulo `k`.
pub(super) fn of_hash(name: &str, k: usize, seed: &Seed) -> u32 {
    (seed.hash(name) % k as u64) as u32
}

/// What stays together: a group, or a sample without one. A group may be named like an id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Unit<'a> {
    Group(&'a str),
    Alone(&'a str),
}

impl<'a> Unit<'a> {
    fn of(id: &'a str, group: Option<&'a str>) -> Self {
        group.map_or(Self::Alone(id), Self::Group)
    }

    fn name(self) -> &'a str {
        match self {
            Self::Group(name) | Self::Alone(name) => name,
        }
    }
}
