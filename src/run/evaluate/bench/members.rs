//! Who is in which subset.

use std::collections::BTreeSet;

use arrow::array::AsArray;
use arrow::record_batch::RecordBatch;

use super::super::{HELD_OUT, Subset};
use crate::error::{Error, Result};
use crate::ingest::Loaded;
use crate::run::rows::{column, ids, labels, strings, texts};
use crate::run::task::{CORESET, INGEST};
use crate::run::worker::Run;
use crate::seed::Seed;
use crate::storage::parquet;
use crate::{folds, selection, tables};

/// The samples of each subset, as ascending indices. The random ones are drawn anew for each seed; the
/// first are those that the selection names.
pub(super) struct Subsets {
    full: Vec<u32>,
    coreset: Vec<u32>,
    twins: Vec<[Vec<u32>; 2]>,
}

impl Subsets {
    /// The subsets of `run` for so many seeds.
    ///
    /// # Errors
    /// `InvalidInput` if the run has not selected yet.
    pub(super) fn of(run: &Run, seeds: u32) -> Result<Self> {
        let record = run.ledger.find(CORESET)?.ok_or_else(|| {
            let uri = run.dir().uri();
            Error::input(format!("{uri}: the run has not selected yet; finish it first"))
        })?;
        let bytes = run.ledger.output(&record, "selection.parquet")?.0;
        let selection = parquet::decode_table(bytes, &tables::selection())?;
        let samples = samples(run)?;
        let ids = ids(&samples)?;
        let coreset = named(&selection, "kept", &ids)?;
        let labels: Vec<usize> =
            labels(&samples)?.into_iter().map(|label| label as usize).collect();
        let classes = labels.iter().max().map_or(0, |most| most + 1);
        let first = ["random", "random_stratified"].map(|flag| named(&selection, flag, &ids));
        let [random, stratified] = first;
        let mut twins = vec![[random?, stratified?]];
        for number in 1..seeds {
            let seed = run.seed.of(&format!("twins={number}"));
            let drawn = selection::twins(&ids, &labels, classes, coreset.len(), &seed);
            twins.push(drawn.map(|inside| chosen(&inside)));
        }
        Ok(Self { full: (0..ids.len() as u32).collect(), coreset, twins })
    }

    /// The subsets without these samples, which ascend.
    pub(super) fn without(mut self, held_out: &[u32]) -> Self {
        let twins = self.twins.iter_mut().flatten();
        for members in twins.chain([&mut self.full, &mut self.coreset]) {
            members.retain(|member| held_out.binary_search(member).is_err());
        }
        self
    }

    pub(super) fn get(&self, subset: Subset, seed: u32) -> &[u32] {
        let twin = |which: usize| self.twins.get(seed as usize).map_or(&[][..], |two| &two[which]);
        match subset {
            Subset::Full => &self.full,
            Subset::Coreset => &self.coreset,
            Subset::Random => twin(0),
            Subset::RandomStratified => twin(1),
        }
    }
}

/// The indices in `ids` of the samples that the selection has this flag for.
fn named(selection: &RecordBatch, flag: &str, ids: &[String]) -> Result<Vec<u32>> {
    let both = strings(selection, "id")?.iter().zip(column(selection, flag)?.as_boolean());
    let inside: BTreeSet<&str> =
        both.filter(|(_, inside)| *inside == Some(true)).filter_map(|(id, _)| id).collect();
    Ok(chosen(&ids.iter().map(|id| inside.contains(id.as_str())).collect::<Vec<_>>()))
}

fn chosen(inside: &[bool]) -> Vec<u32> {
    (0_u32..).zip(inside).filter(|(_, inside)| **inside).map(|(index, _)| index).collect()
}

/// The samples that are held out of all subsets, ascending: those whose keyed hash is in the lowest
/// fifth. Groups of `folds.group` and duplicates that the run knows go together.
pub(super) fn held_out(run: &Run, loaded: &Loaded) -> Result<Vec<u32>> {
    let table = samples(run)?;
    let (ids, clusters) = (ids(&table)?, texts(&table, "cluster")?);
    let groups = run.recipe.folds.group.as_ref();
    let groups: Option<Vec<_>> =
        groups.map(|_| loaded.rows.iter().map(|row| row.group.clone()).collect());
    Ok(lowest(&ids, groups.as_deref(), &clusters, &run.seed.of("held-out")))
}

fn lowest(
    ids: &[String],
    groups: Option<&[Option<String>]>,
    clusters: &[Option<String>],
    seed: &Seed,
) -> Vec<u32> {
    let limit = (HELD_OUT * u64::MAX as f64) as u64;
    let names = folds::together(groups, Some(clusters), ids);
    let held = |name: &Option<String>| name.as_ref().is_some_and(|name| seed.hash(name) < limit);
    chosen(&names.iter().map(held).collect::<Vec<_>>())
}

fn samples(run: &Run) -> Result<RecordBatch> {
    let bytes = run.ledger.output(&run.ledger.get(INGEST)?, "samples.parquet")?.0;
    parquet::decode_table(bytes, &tables::samples())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fifth_is_held_out_whatever_else_there_is() {
        let ids: Vec<String> = (0..1000).map(|i| format!("s{i:04}")).collect();
        let alone = vec![None; 1000];
        let seed = Seed::new(1);
        let held = lowest(&ids, None, &alone, &seed);
        assert!((150..250).contains(&held.len()), "{}", held.len());
        assert!(held.is_sorted());
        // Without the first half the second is held out as before.
        let half = lowest(&ids[500..], None, &alone[500..], &seed);
        let of_half: Vec<u32> = held.iter().filter(|i| **i >= 500).map(|i| i - 500).collect();
        assert_eq!(half, of_half);
        assert_ne!(held, lowest(&ids, None, &alone, &Seed::new(2)));
    }

    #[test]
    fn groups_are_held_out_together() {
        let ids: Vec<String> = (0..1000).map(|i| format!("s{i:04}")).collect();
        let groups: Vec<_> = (0..1000).map(|i| Some(format!("patient {}", i % 100))).collect();
        let held = lowest(&ids, Some(&groups), &vec![None; 1000], &Seed::new(1));
        let patients: BTreeSet<u32> = held.iter().map(|i| i % 100).collect();
        assert!((8..35).contains(&patients.len()), "{patients:?}");
        assert_eq!(held.len(), 10 * patients.len());
    }

    #[test]
    fn duplicates_are_held_out_together() {
        let ids: Vec<String> = (0..1000).map(|i| format!("s{i:04}")).collect();
        let clusters: Vec<_> = (0..1000).map(|i| Some(format!("s{:04}", i / 2 * 2))).collect();
        let held = lowest(&ids, None, &clusters, &Seed::new(1));
        assert!(
            !held.is_empty() && held.chunks(2).all(|two| two[0] % 2 == 0 && two[1] == two[0] + 1)
        );
    }
}
