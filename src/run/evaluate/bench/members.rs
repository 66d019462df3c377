//! Who is in which subset.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::AsArray;
use arrow::record_batch::RecordBatch;

use super::super::Subset;
use crate::error::{Error, Result};
use crate::run::rows::{column, ids, strings, texts};
use crate::run::task::{CORESET, INGEST};
use crate::run::worker::Run;
use crate::seed::Seed;
use crate::storage::parquet;
use crate::tables;

/// The share of the samples that is held out where no test data are given.
const HELD_OUT: f64 = 0.2;

/// The samples of each subset, as ascending indices.
pub(super) struct Subsets(BTreeMap<Subset, Vec<u32>>);

impl Subsets {
    /// The subsets that the selection of `run` names.
    ///
    /// # Errors
    /// `InvalidInput` if the run has not selected yet.
    pub(super) fn of(run: &Run) -> Result<Self> {
        let record = run.ledger.find(CORESET)?.ok_or_else(|| {
            Error::input(format!(
                "{}: the run has not selected yet; finish it first",
                run.dir().uri()
            ))
        })?;
        let bytes = run.ledger.output(&record, "selection.parquet")?.0;
        let selection = parquet::decode_table(bytes, &tables::selection())?;
        let ids = ids(&samples(run)?)?;
        let subset = |subset| Ok((subset, named(&selection, subset, &ids)?));
        Subset::ALL.into_iter().map(subset).collect::<Result<_>>().map(Self)
    }

    /// The subsets without these samples.
    pub(super) fn without(mut self, held_out: &[u32]) -> Self {
        for members in self.0.values_mut() {
            members.retain(|member| held_out.binary_search(member).is_err());
        }
        self
    }

    pub(super) fn get(&self, subset: Subset) -> &[u32] {
        self.0.get(&subset).map_or(&[], Vec::as_slice)
    }
}

/// The indices in `ids` of the samples that the selection has in `subset`.
fn named(selection: &RecordBatch, subset: Subset, ids: &[String]) -> Result<Vec<u32>> {
    let flag = match subset {
        Subset::Full => return Ok((0..ids.len() as u32).collect()),
        Subset::Coreset => "kept",
        Subset::Random | Subset::RandomStratified => subset.name(),
    };
    let both = strings(selection, "id")?.iter().zip(column(selection, flag)?.as_boolean());
    let inside: BTreeSet<&str> =
        both.filter(|(_, inside)| *inside == Some(true)).filter_map(|(id, _)| id).collect();
    let found = (0_u32..).zip(ids).filter(|(_, id)| inside.contains(id.as_str()));
    Ok(found.map(|(index, _)| index).collect())
}

/// The samples that are held out of all subsets, ascending: those whose keyed hash is in the lowest
/// fifth. Duplicates that the run knows go together.
pub(super) fn held_out(run: &Run) -> Result<Vec<u32>> {
    let table = samples(run)?;
    let (ids, clusters) = (ids(&table)?, texts(&table, "cluster")?);
    Ok(lowest(&ids, &clusters, &run.seed.of("held-out")))
}

fn lowest(ids: &[String], clusters: &[Option<String>], seed: &Seed) -> Vec<u32> {
    let limit = (HELD_OUT * u64::MAX as f64) as u64;
    let key = |at: usize| clusters[at].as_ref().unwrap_or(&ids[at]);
    (0..ids.len()).filter(|at| seed.hash(key(*at)) < limit).map(|at| at as u32).collect()
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
        let held = lowest(&ids, &alone, &seed);
        assert!((150..250).contains(&held.len()), "{}", held.len());
        assert!(held.is_sorted());
        // Without the first half the second is held out as before.
        let half = lowest(&ids[500..], &alone[500..], &seed);
        let of_half: Vec<u32> = held.iter().filter(|i| **i >= 500).map(|i| i - 500).collect();
        assert_eq!(half, of_half);
        assert_ne!(held, lowest(&ids, &alone, &Seed::new(2)));
    }

    #[test]
    fn duplicates_are_held_out_together() {
        let ids: Vec<String> = (0..1000).map(|i| format!("s{i:04}")).collect();
        let clusters: Vec<_> = (0..1000).map(|i| Some(format!("s{:04}", i / 2 * 2))).collect();
        let held = lowest(&ids, &clusters, &Seed::new(1));
        assert!(
            !held.is_empty() && held.chunks(2).all(|two| two[0] % 2 == 0 && two[1] == two[0] + 1)
        );
    }
}
