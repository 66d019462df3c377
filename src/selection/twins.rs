//! Random subsets of the size of the coreset, for an honest comparison.

use super::quota::{Quota, apportion};
use crate::seed::Seed;

/// Which of the usable samples are in a random subset of `kept` samples, and in one in which each class
/// keeps its share (largest remainder). `labels` are those of the samples `ids`, below `classes`. With
/// the seed of a run these are the columns `random` and `random_stratified` of its selection.
pub fn twins(
    ids: &[String],
    labels: &[usize],
    classes: usize,
    kept: usize,
    seed: &Seed,
) -> [Vec<bool>; 2] {
    let mut sizes = vec![0; classes];
    for label in labels {
        sizes[*label] += 1;
    }
    let shares = apportion(kept as u64, &sizes);
    [
        drawn(ids, labels, Quota::global(kept as u64, classes), &seed.of("twin")),
        drawn(ids, labels, Quota::exactly(shares), &seed.of("stratified twin")),
    ]
}

/// Which of the samples are in a random subset with so many of each class.
pub fn drawn_by_class(
    ids: &[String],
    labels: &[usize],
    counts: Vec<u64>,
    seed: &Seed,
) -> Vec<bool> {
    drawn(ids, labels, Quota::exactly(counts), seed)
}

fn drawn(ids: &[String], labels: &[usize], mut quota: Quota, seed: &Seed) -> Vec<bool> {
    let mut order: Vec<usize> = (0..ids.len()).collect();
    order.sort_by_cached_key(|i| (seed.hash(&ids[*i]), &ids[*i]));
    let mut drawn = vec![false; ids.len()];
    for i in order {
        drawn[i] = quota.take(labels[i] as i32);
    }
    drawn
}
