//! Quotas over several columns: the best selection that keeps every bound, as brute force finds it.

use std::cell::Cell;

use polars::prelude::*;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::super::{SelectionPlan, select, stage};
use super::{Terms, coreset, names, recipe, terms};
use crate::recipe::{Amount, CellQuota, Recipe};
use crate::seed::Seed;
use crate::{ErrorKind, Result};

/// Samples in the order of their scores, with the values of three columns.
#[derive(Clone, Debug)]
struct Pool {
    cells: Vec<[usize; 3]>,
}

const COLUMNS: [&str; 3] = ["source", "licence", "label"];

impl Pool {
    fn ids(&self) -> Vec<String> {
        (0..self.cells.len()).map(|i| format!("s{i:05}")).collect()
    }

    fn scores(&self) -> LazyFrame {
        let n = self.cells.len();
        let labels: Vec<i32> = self.cells.iter().map(|cell| cell[2] as i32).collect();
        let scores: Vec<f32> = (0..n).map(|i| (n - i) as f32).collect();
        df!("id" => self.ids(), "label" => labels, "fold" => vec![0; n], "model" => vec![0; n], "entropy" => scores)
            .unwrap()
            .lazy()
    }

    fn value(&self, row: usize, column: &str) -> String {
        let at = COLUMNS.iter().position(|name| *name == column).unwrap();
        let value = self.cells[row][at];
        if column == "label" { format!("class {value}") } else { format!("{column}{value}") }
    }

    fn metadata(&self) -> DataFrame {
        let of =
            |name: &str| (0..self.cells.len()).map(|i| self.value(i, name)).collect::<Vec<_>>();
        df!("id" => self.ids(), "source" => of("source"), "licence" => of("licence")).unwrap()
    }

    fn select(&self, recipe: &Recipe) -> Result<DataFrame> {
        let (classes, seed) = (names(4), Seed::new(0));
        let metadata = Some(self.metadata());
        select(&self.scores(), &Terms { metadata, ..terms(recipe, &classes, &seed) })
    }

    fn kept(&self, recipe: &Recipe) -> Result<Vec<usize>> {
        let table = self.select(recipe)?;
        let kept = table["kept"].bool()?.iter().enumerate();
        Ok(kept.filter(|(_, kept)| *kept == Some(true)).map(|(i, _)| i).collect())
    }

    /// Whether `kept` keeps a quota.
    fn holds(&self, quota: &CellQuota, kept: &[usize]) -> bool {
        let columns: Vec<&str> = quota.columns().collect();
        let cell = |i: usize| columns.iter().map(|c| self.value(i, c)).collect::<Vec<_>>();
        let cells: Vec<Vec<String>> = match &quota.is {
            Some(is) => vec![is.values().cloned().collect()],
            None => (0..self.cells.len()).map(cell).collect(),
        };
        cells.iter().all(|wanted| {
            let size = (0..self.cells.len()).filter(|i| cell(*i) == *wanted).count();
            let got = kept.iter().filter(|i| cell(**i) == *wanted).count();
            let rows = |amount: Amount, whole: fn(f64) -> f64| match amount {
                Amount::Rows(rows) => rows as f64,
                Amount::Share(share) => whole(share * size as f64),
            };
            let (got, all) = (got as f64, kept.len() as f64);
            quota.min.is_none_or(|min| got >= rows(min, f64::floor))
                && quota.max.is_none_or(|max| got <= rows(max, f64::round))
                && quota.min_of_kept.is_none_or(|min| got >= min * all - 1e-9)
                && quota.max_of_kept.is_none_or(|max| got <= max * all + 1e-9)
        })
    }

    /// The lexicographically first set of `size` samples that keeps all quotas.
    fn brute(&self, quotas: &[CellQuota], size: usize) -> Option<Vec<usize>> {
        let n = self.cells.len();
        let sets = (0_u32..1 << n).filter(|set| set.count_ones() as usize == size);
        let members = |set: u32| (0..n).filter(|i| set >> i & 1 == 1).collect::<Vec<_>>();
        let fits = |kept: &Vec<usize>| quotas.iter().all(|quota| self.holds(quota, kept));
        sets.map(members).filter(fits).min()
    }
}

fn with(quotas: Vec<CellQuota>, size: usize) -> Recipe {
    let mut recipe = recipe(&format!("keep_rows = {size}"));
    recipe.select.quota = quotas;
    recipe
}

fn quota() -> impl Strategy<Value = CellQuota> {
    let columns = prop::sample::select(vec![
        vec!["source"],
        vec!["licence"],
        vec!["label"],
        vec!["licence", "source"],
        vec!["label", "source"],
        vec!["label", "licence"],
        vec!["label", "licence", "source"],
    ]);
    let amount = || {
        prop::option::of(prop_oneof![
            2 => (1u64..4).prop_map(Amount::Rows),
            1 => (1u32..5).prop_map(|s| Amount::Share(f64::from(s) / 4.0)),
        ])
    };
    let share = || prop::option::weighted(0.2, (0u32..5).prop_map(|s| f64::from(s) / 4.0));
    (columns, amount(), amount(), share(), share()).prop_map(|(each, min, max, low, high)| {
        CellQuota {
            is: None,
            each: Some(each.into_iter().map(str::to_owned).collect()),
            min: min.filter(|_| low.is_none()),
            max,
            min_of_kept: low.map(|share| share / 3.0),
            max_of_kept: high,
        }
    })
}

fn pool(rows: std::ops::Range<usize>) -> impl Strategy<Value = Pool> {
    let cell = (0usize..3, 0usize..2, 0usize..3).prop_map(|(a, b, c)| [a, b, c]);
    prop::collection::vec(cell, rows).prop_map(|cells| Pool { cells })
}

#[test]
fn quotas_equal_brute_force() {
    let (held, refused) = (Cell::new(0), Cell::new(0));
    let cases = (pool(4..11), prop::collection::vec(quota(), 1..4), 0.2..0.9);
    let config = ProptestConfig { cases: 500, ..ProptestConfig::default() };
    let one = |(pool, quotas, share): (Pool, Vec<CellQuota>, f64)| {
        let size = ((pool.cells.len() as f64 * share) as usize).max(1);
        let recipe = with(quotas, size);
        if let Some(best) = pool.brute(&recipe.select.quota, size) {
            held.set(held.get() + 1);
            prop_assert_eq!(pool.kept(&recipe).unwrap(), best);
        } else {
            refused.set(refused.get() + 1);
            let error = pool.kept(&recipe).unwrap_err();
            prop_assert_eq!(error.kind(), ErrorKind::InvalidRecipe, "{}", error);
        }
        Ok(())
    };
    TestRunner::new(config).run(&cases, one).unwrap();
    assert!(held.get() > 80 && refused.get() > 80, "{held:?} held, {refused:?} refused");
}

#[test]
fn bounds_that_contradict_each_other_are_named_with_their_numbers() {
    // 2 sources x 2 licences, 3 samples each.
    let pool = Pool { cells: (0..12).map(|i| [i % 2, i / 2 % 2, 0]).collect() };
    let says = |quotas: &str, keep: usize| {
        let recipe = recipe(&format!("keep_rows = {keep}\nquota = [{quotas}]"));
        let error = pool.kept(&recipe).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidRecipe);
        error.to_string()
    };
    let alone = "{ is = { source = 'source0', licence = 'licence1' }, min = 4 }";
    let text = says(alone, 6);
    assert!(
        text.contains("cell licence=licence1,source=source0 has 3 samples but min asks 4"),
        "{text}"
    );
    let crossed = "{ each = ['source'], max = 2 }, { is = { licence = 'licence0' }, min = 1 }";
    let text = says(crossed, 5);
    assert!(text.contains("where 5 samples are kept"), "{text}");
    assert!(text.contains("cell source=source0 has 6 samples but max allows 2"), "{text}");
    assert!(text.contains("cell source=source1") && !text.contains("licence"), "{text}");
    for (quota, wanted) in [
        (
            "{ is = { source = 'sorce0' }, min = 1 }",
            "source = `sorce0`, which no sample has; did you mean `source0`?",
        ),
        (
            "{ is = { source = 'x' }, min = 1 }",
            "which no sample has; there are `source0`, `source1`",
        ),
        ("{ each = ['sauce'], min = 1 }", "names the column `sauce`, which does not exist"),
    ] {
        let text = says(quota, 6);
        assert!(text.contains(wanted), "{text}");
    }
    // A cell of values that exist, but not together, has no sample.
    let empty = Pool { cells: vec![[0, 0, 0], [1, 1, 0], [0, 0, 0]] };
    let is =
        "keep_rows = 2\nquota = [{ is = { source = 'source0', licence = 'licence1' }, min = 1 }]";
    let text = empty.kept(&recipe(is)).unwrap_err().to_string();
    assert!(text.contains("has 0 samples but min asks 1"), "{text}");
}

#[test]
fn class_rules_hold_beside_quotas() {
    let pool = Pool { cells: (0..60).map(|i| [i % 3, i / 7 % 2, i / 30]).collect() };
    for (rule, wanted) in [
        ("classes = 'uniform'", [15, 15]),
        ("target = { 'class 0' = 0.2, 'class 1' = 0.8 }", [6, 24]),
        ("classes = 'proportional'\nstrategy = 'random'", [15, 15]),
        ("floor = 12\ncap = 18", [18, 12]),
    ] {
        let toml = "quota = [{ each = ['source'], min_of_kept = 0.3 }, { is = { licence = 'licence1' }, max = 9 }]";
        let recipe = recipe(&format!("keep_rows = 30\n{rule}\n{toml}"));
        let kept = pool.kept(&recipe).unwrap();
        let of =
            |at: usize, value: usize| kept.iter().filter(|i| pool.cells[**i][at] == value).count();
        assert_eq!([of(2, 0), of(2, 1)], wanted, "{rule}");
        assert!((0..3).all(|source| of(0, source) >= 9) && of(1, 1) <= 9, "{rule}");
    }
}

#[test]
fn stages_are_exact_and_end_within_all_bounds() {
    let pool = Pool { cells: (0..90).map(|i| [i / 30, i / 5 % 2, i % 3]).collect() };
    let toml = "keep = 0.5\nstages = 3\nquota = [{ each = ['source', 'licence'], min = 4 }, { each = ['label'], max_of_kept = 0.4 }]";
    let recipe = recipe(toml);
    let (classes, seed) = (names(3), Seed::new(0));
    let terms = Terms { metadata: Some(pool.metadata()), ..terms(&recipe, &classes, &seed) };
    let plan = SelectionPlan::new(&recipe.select, &classes, &[30, 30, 30]).unwrap();
    let mut state = None;
    for t in 1..=3 {
        state = Some(stage(state.as_ref(), &pool.scores(), &plan, t, &terms).unwrap());
        assert_eq!(coreset(state.as_ref().unwrap()).unwrap().len(), 15 * t);
    }
    let kept: Vec<usize> =
        coreset(&state.unwrap()).unwrap().iter().map(|id| id[1..].parse().unwrap()).collect();
    assert!(recipe.select.quota.iter().all(|quota| pool.holds(quota, &kept)));
}

#[test]
fn thousands_of_samples_in_hundreds_of_cells_take_a_moment() {
    let mut rng = Seed::new(2).rng();
    let cells =
        (0..6000).map(|_| [rng.below(10) as usize, rng.below(6) as usize, rng.below(4) as usize]);
    let pool = Pool { cells: cells.collect() };
    let toml = "keep = 0.3\nquota = [{ each = ['source', 'label'], min = 30, max = 60 }, { each = ['licence'], min_of_kept = 0.15 }, { each = ['licence', 'source'], max = 34 }]";
    let recipe = recipe(toml);
    let kept = pool.kept(&recipe).unwrap();
    assert_eq!(kept.len(), 1800);
    assert!(recipe.select.quota.iter().all(|quota| pool.holds(quota, &kept)));
}
