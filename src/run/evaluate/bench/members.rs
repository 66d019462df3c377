//! Who is in which subset.

use std::collections::BTreeSet;
use std::ops::Range;

use arrow::array::AsArray;
use arrow::record_batch::RecordBatch;

use super::super::{HELD_OUT, Subset};
use crate::error::{Error, Result};
use crate::ingest::{Loaded, Row};
use crate::run::rows::{column, ids, labels, strings, texts};
use crate::run::task::{CORESET, INGEST};
use crate::run::worker::Run;
use crate::seed::Seed;
use crate::storage::parquet;
use crate::{folds, selection, tables};

/// What subsets are made of: the usable samples of a run that has selected.
pub(super) struct Pool {
    ids: Vec<String>,
    labels: Vec<usize>,
    /// What is kept.
    coreset: Vec<u32>,
    /// What may be drawn at random: all that no rule of the recipe bars, as for the coreset.
    open: Vec<u32>,
    seed: Seed,
}

/// The samples of each subset, as ascending indices.
pub(super) struct Subsets {
    full: Vec<u32>,
    first: u32,
    /// Those that are drawn at random, for each seed from the first.
    drawn: Vec<Drawn>,
}

struct Drawn {
    coreset: Vec<u32>,
    random: Vec<u32>,
    stratified: Vec<u32>,
}

/// The reasons of samples that rules bar, whatever their scores.
const BARRED: [&str; 2] = ["filtered", "duplicate"];

impl Pool {
    /// The samples of `run`.
    ///
    /// # Errors
    /// `InvalidInput` if the run has not selected yet.
    pub(super) fn of(run: &Run) -> Result<Self> {
        let record = run.ledger.find(CORESET)?.ok_or_else(|| {
            let uri = run.dir().uri();
            Error::input(format!("{uri}: the run has not selected yet; finish it first"))
        })?;
        let bytes = run.ledger.output(&record, "selection.parquet")?.0;
        let selection = parquet::decode_table(bytes, &tables::selection())?;
        let samples = samples(run)?;
        let ids = ids(&samples)?;
        let coreset = kept(&selection, &ids)?;
        let barred = barred(&selection)?;
        let open = chosen(&ids.iter().map(|id| !barred.contains(id.as_str())).collect::<Vec<_>>());
        let labels = labels(&samples)?.into_iter().map(|label| label as usize).collect();
        Ok(Self { ids, labels, coreset, open, seed: run.seed.clone() })
    }

    /// The share of the usable samples that is kept.
    pub(super) fn keep(&self) -> f64 {
        self.coreset.len() as f64 / self.ids.len().max(1) as f64
    }

    /// The subsets without what is held out, which ascends. Random ones are as large as what is left of the
    /// coreset and drawn anew for each seed; with nothing barred or held out, those of seed 0 are the columns
    /// of the selection. If `anew`, so is the coreset, with as many of each class: for one that is itself random.
    pub(super) fn subsets(&self, seeds: Range<u32>, held_out: &[u32], anew: bool) -> Subsets {
        let left = |members: &[u32]| -> Vec<u32> {
            let left = members.iter().filter(|member| held_out.binary_search(member).is_err());
            left.copied().collect()
        };
        let (coreset, open) = (left(&self.coreset), left(&self.open));
        let ids: Vec<String> = open.iter().map(|at| self.ids[*at as usize].clone()).collect();
        let labels: Vec<usize> = open.iter().map(|at| self.labels[*at as usize]).collect();
        let classes = self.labels.iter().max().map_or(0, |most| most + 1);
        let mut counts = vec![0; classes];
        for at in &coreset {
            counts[self.labels[*at as usize]] += 1;
        }
        let named = |inside: Vec<bool>| -> Vec<u32> {
            chosen(&inside).into_iter().map(|at| open[at as usize]).collect()
        };
        let draw = |number: u32| {
            let seed = match number {
                0 => self.seed.clone(),
                _ => self.seed.of(&format!("twins={number}")),
            };
            let [random, stratified] =
                selection::twins(&ids, &labels, classes, coreset.len(), &seed).map(named);
            let coreset = if anew {
                named(selection::drawn_by_class(&ids, &labels, counts.clone(), &seed.of("anew")))
            } else {
                coreset.clone()
            };
            Drawn { coreset, random, stratified }
        };
        let full = left(&(0..self.ids.len() as u32).collect::<Vec<_>>());
        Subsets { full, first: seeds.start, drawn: seeds.map(draw).collect() }
    }
}

impl Subsets {
    /// The members of a subset for one of the seeds.
    pub(super) fn get(&self, subset: Subset, seed: u32) -> &[u32] {
        let drawn = self.drawn.get((seed - self.first) as usize);
        let of = |one: fn(&Drawn) -> &Vec<u32>| drawn.map_or(&[][..], |drawn| one(drawn));
        match subset {
            Subset::Full => &self.full,
            Subset::Coreset => of(|drawn| &drawn.coreset),
            Subset::Random => of(|drawn| &drawn.random),
            Subset::RandomStratified => of(|drawn| &drawn.stratified),
        }
    }

    /// All usable samples but those that are held out.
    pub(super) fn full(&self) -> &[u32] {
        &self.full
    }
}

/// The indices in `ids` of the samples that are kept.
fn kept(selection: &RecordBatch, ids: &[String]) -> Result<Vec<u32>> {
    let both = strings(selection, "id")?.iter().zip(column(selection, "kept")?.as_boolean());
    let inside: BTreeSet<&str> =
        both.filter(|(_, inside)| *inside == Some(true)).filter_map(|(id, _)| id).collect();
    Ok(chosen(&ids.iter().map(|id| inside.contains(id.as_str())).collect::<Vec<_>>()))
}

/// The ids of the samples that rules bar.
fn barred(selection: &RecordBatch) -> Result<BTreeSet<&str>> {
    let reasons = column(selection, "reason")?.as_string::<i32>();
    let both = strings(selection, "id")?.iter().zip(reasons);
    let barred = both.filter(|(_, reason)| reason.is_some_and(|reason| BARRED.contains(&reason)));
    Ok(barred.filter_map(|(id, _)| id).collect())
}

fn chosen(inside: &[bool]) -> Vec<u32> {
    (0_u32..).zip(inside).filter(|(_, inside)| **inside).map(|(index, _)| index).collect()
}

/// The samples that are held out of all subsets, ascending: those whose keyed hash is in the lowest
/// fifth. Groups of `folds.group` and duplicates that the run knows go together.
pub(super) fn held_out(run: &Run, loaded: &Loaded) -> Result<Vec<u32>> {
    let table = samples(run)?;
    let (ids, clusters) = (ids(&table)?, texts(&table, "cluster")?);
    Ok(lowest(&ids, groups(run, &loaded.rows).as_deref(), &clusters, &run.seed.of("held-out")))
}

/// How many of the rows of the input will be held out, as far as that is known before they are read:
/// nobody knows yet which are duplicates or cannot be used.
pub(super) fn foreseen(run: &Run) -> Result<usize> {
    let rows = &run.survey()?.rows;
    let ids: Vec<String> = rows.iter().map(|row| row.id.clone()).collect();
    let alone = vec![None; ids.len()];
    Ok(lowest(&ids, groups(run, rows).as_deref(), &alone, &run.seed.of("held-out")).len())
}

/// The groups of rows, if the recipe knows any.
fn groups(run: &Run, rows: &[Row]) -> Option<Vec<Option<String>>> {
    let groups = run.recipe.folds.group.as_ref();
    groups.map(|_| rows.iter().map(|row| row.group.clone()).collect())
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

    fn pool(open: Vec<u32>, coreset: Vec<u32>) -> Pool {
        let ids = (0..200).map(|i| format!("s{i:03}")).collect();
        let labels = (0..200).map(|i| usize::from(i % 4 == 0)).collect();
        Pool { ids, labels, coreset, open, seed: Seed::new(1) }
    }

    #[test]
    fn random_subsets_are_as_large_as_what_is_left_of_the_coreset() {
        let all = || (0..200).collect::<Vec<u32>>();
        let pool = pool(all(), (0..100).collect());
        let held: Vec<u32> = (0..200).filter(|at| at % 5 == 0).collect();
        let subsets = pool.subsets(2..5, &held, false);
        assert_eq!(subsets.full().len(), 160);
        for seed in 2..5 {
            for subset in [Subset::Coreset, Subset::Random, Subset::RandomStratified] {
                let members = subsets.get(subset, seed);
                assert_eq!(members.len(), 80, "{subset:?}");
                assert!(members.iter().all(|at| at % 5 != 0) && members.is_sorted());
            }
            let stratified = subsets.get(Subset::RandomStratified, seed);
            assert_eq!(stratified.iter().filter(|at| *at % 4 == 0).count(), 20);
            assert_eq!(subsets.get(Subset::Coreset, seed), subsets.get(Subset::Coreset, 2));
        }
        assert_ne!(subsets.get(Subset::Random, 2), subsets.get(Subset::Random, 3));
        // A seed draws the same in whatever company.
        let alone = pool.subsets(3..4, &held, false);
        assert_eq!(alone.get(Subset::Random, 3), subsets.get(Subset::Random, 3));
        // With nothing held out the first are those that the selection names.
        let [random, _] = selection::twins(&pool.ids, &pool.labels, 2, 100, &pool.seed);
        let first = pool.subsets(0..1, &[], false);
        assert_eq!(first.get(Subset::Random, 0), chosen(&random));
    }

    #[test]
    fn what_rules_bar_is_not_drawn() {
        let pool = pool((0..150).collect(), (0..60).collect());
        let subsets = pool.subsets(0..2, &[], false);
        for subset in [Subset::Random, Subset::RandomStratified] {
            let members = subsets.get(subset, 1);
            assert!(members.len() == 60 && members.iter().all(|at| *at < 150), "{members:?}");
        }
        assert_eq!(subsets.full().len(), 200);
    }

    #[test]
    fn a_random_coreset_is_drawn_anew_with_its_classes() {
        // Ten of the rarer class and none of the other.
        let pool = pool((0..200).collect(), (0..10).map(|i| 4 * i).collect());
        let subsets = pool.subsets(0..2, &[0, 4], true);
        let [a, b] = [0, 1].map(|seed| subsets.get(Subset::Coreset, seed));
        assert!(a != b && a.len() == 8 && b.len() == 8, "{a:?} {b:?}");
        assert!(a.iter().chain(b).all(|at| at % 4 == 0 && *at > 4), "{a:?} {b:?}");
    }

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
