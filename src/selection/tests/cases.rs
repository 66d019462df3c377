//! Random cases in which the selection must equal the reference, stage by stage.

use std::cell::Cell;

use proptest::prelude::*;
use proptest::test_runner::{TestCaseError, TestRunner};

use super::super::reference::{self, Part, Rules};
use super::{Case, names, recipe, rows};
use crate::ErrorKind;
use crate::recipe::{Aggregate, Amount, Classes, Method, Recipe, Scale};
use crate::seed::Seed;

fn score() -> impl Strategy<Value = f32> {
    // A coarse grid makes ties; the rest are the values that break sorts.
    prop_oneof![
        12 => (-3i32..4).prop_map(|i| i as f32 * 0.25),
        6 => -1.0f32..1.0,
        1 => prop::sample::select(vec![-1e6, -0.0, 0.0, f32::MIN_POSITIVE, 1e6]),
    ]
}

/// Labels are skewed, and classes 2 and 4 are often empty.
fn label() -> impl Strategy<Value = i32> + Clone {
    prop_oneof![8 => Just(0), 3 => Just(1), 1 => Just(3), 1 => 0..6i32]
}

fn case() -> impl Strategy<Value = Case> {
    (6usize..40, 1usize..5, 1usize..4).prop_flat_map(move |(n, models, stages)| {
        let table = prop::collection::vec(prop::collection::vec(score(), n), models);
        let labels = prop::collection::vec(label(), n);
        (labels, prop::collection::vec(table, stages)).prop_map(|(labels, stages)| {
            let samples = labels.into_iter().enumerate();
            Case { samples: samples.map(|(i, l)| (format!("s{i:02}"), l)).collect(), stages }
        })
    })
}

fn setting() -> impl Strategy<Value = (Recipe, usize)> {
    let classes =
        prop::sample::select(vec![Classes::Global, Classes::Proportional, Classes::Uniform]);
    let method = prop::sample::select(vec![Method::Entropy, Method::Margin]);
    let aggregate = prop::sample::select(vec![
        Aggregate::Mean,
        Aggregate::Median,
        Aggregate::Min,
        Aggregate::Max,
        Aggregate::MeanRank,
    ]);
    let scale = prop::sample::select(vec![Scale::None, Scale::Z, Scale::Rank]);
    let guard = prop_oneof![Just(0.0), 0.0..0.4];
    (classes, method, aggregate, scale, guard, 0.1..1.0, 0u64..9).prop_map(
        |(classes, by, aggregate, scale, guard, keep, seed)| {
            let mut recipe = recipe("keep = 0.5");
            recipe.seed = seed;
            recipe.select.by = by.into();
            recipe.select.classes = classes;
            recipe.select.drop_hardest = guard;
            recipe.score.aggregate = aggregate;
            recipe.score.scale = scale;
            (recipe, (keep * 1000.0) as usize)
        },
    )
}

fn rules(case: &Case, recipe: &Recipe, keep: usize) -> Rules {
    let n = case.samples.len();
    let guarded = (recipe.select.drop_hardest * n as f64).round() as usize;
    let stages = case.stages.len();
    let kept = (keep * n / 1000).clamp(stages, n - guarded);
    // Equal stages: the first ones take the rows that are left over.
    let sizes = (0..stages).map(|t| kept / stages + usize::from(t < kept % stages)).collect();
    Rules {
        keep_low: recipe.select.by == Method::Margin.into(),
        scale: recipe.score.scale,
        aggregate: recipe.score.aggregate,
        classes: recipe.select.classes,
        floor: recipe.select.floor.map(part),
        cap: recipe.select.cap.map(part),
        target: None,
        sizes,
        guarded,
        seed: Seed::new(recipe.seed),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn selection_equals_the_reference(case in case(), (recipe, keep) in setting(), shuffle: u32) {
        let (rules, recipe) = (rules(&case, &recipe, keep), sized(&case, &recipe, keep));
        prop_assert!(agree(&case, &rules, &recipe, shuffle.into())?);
    }
}

/// Random floors, caps and targets: most can hold, and those that cannot are refused.
#[test]
fn bounded_selection_equals_the_reference() {
    let (held, refused) = (Cell::new(0), Cell::new(0));
    let cases = (case(), setting(), class_rule(), any::<u32>());
    let config = ProptestConfig { cases: 1200, ..ProptestConfig::default() };
    let one = |(case, (mut recipe, keep), rule, shuffle): (Case, _, ClassRule, u32)| {
        rule.put_into(&mut recipe, &case);
        let mut rules = rules(&case, &recipe, keep);
        rules.target = rule.parts(&case);
        let holds = agree(&case, &rules, &sized(&case, &recipe, keep), shuffle.into())?;
        let count = if holds { &held } else { &refused };
        count.set(count.get() + 1);
        Ok(())
    };
    TestRunner::new(config).run(&cases, one).unwrap();
    assert!(held.get() >= 500 && refused.get() >= 50, "{held:?} held, {refused:?} refused");
}

/// Whether the rules can hold: then every stage equals the reference, else the selection refuses.
fn agree(case: &Case, rules: &Rules, recipe: &Recipe, shuffle: u64) -> Result<bool, TestCaseError> {
    if reference::select(&case.samples, &case.stages, rules).is_none() {
        let error = case.try_run(recipe, shuffle).unwrap_err();
        prop_assert_eq!(error.kind(), ErrorKind::InvalidRecipe);
        return Ok(false);
    }
    for (t, state) in case.run(recipe, shuffle).iter().enumerate() {
        let so_far = reference::select(&case.samples, &case.stages[..=t], rules);
        prop_assert_eq!(Some(rows(state)), so_far, "stage {}", t + 1);
    }
    Ok(true)
}

/// The recipe with as many rows and stages as the case has.
fn sized(case: &Case, recipe: &Recipe, keep: usize) -> Recipe {
    let sizes = rules(case, recipe, keep).sizes;
    let mut recipe = recipe.clone();
    recipe.select.keep = None;
    recipe.select.keep_rows = Some(sizes.iter().sum::<usize>() as u64);
    recipe.select.stages = crate::recipe::Stages::Equal(sizes.len());
    recipe
}

/// A rule for classes, in numbers that are exact in decimals and in bits.
#[derive(Clone, Debug)]
enum ClassRule {
    Bounds(Option<Amount>, Option<Amount>),
    /// The class of each twentieth of the coreset.
    Target(Vec<i32>),
}

impl ClassRule {
    fn put_into(&self, recipe: &mut Recipe, case: &Case) {
        match self {
            Self::Bounds(floor, cap) => {
                (recipe.select.floor, recipe.select.cap) = (*floor, *cap);
            }
            Self::Target(_) => {
                let parts = self.parts(case).unwrap();
                let shares = parts.iter().map(|parts| *parts as f64 / 20.0);
                recipe.select.target = Some(names(parts.len()).into_iter().zip(shares).collect());
            }
        }
    }

    fn parts(&self, case: &Case) -> Option<Vec<usize>> {
        let Self::Target(labels) = self else { return None };
        let classes = case.samples.iter().map(|s| s.1 + 1).max().unwrap();
        let of = |class| labels.iter().filter(|l| **l % classes == class).count();
        Some((0..classes).map(of).collect())
    }
}

fn class_rule() -> impl Strategy<Value = ClassRule> {
    let amount = |rows: std::ops::Range<u64>, share: std::ops::Range<u32>| {
        prop::option::of(prop_oneof![
            rows.prop_map(Amount::Rows),
            share.prop_map(|s| Amount::Share(f64::from(s) / 16.0)),
        ])
    };
    let bounds = (amount(1..6, 1..7), amount(3..25, 6..17));
    prop_oneof![
        3 => bounds.prop_map(|(floor, cap)| ClassRule::Bounds(floor, cap)),
        1 => prop::collection::vec(label(), 20).prop_map(ClassRule::Target),
    ]
}

fn part(amount: Amount) -> Part {
    match amount {
        Amount::Rows(rows) => Part::Rows(rows as usize),
        Amount::Share(share) => Part::Sixteenths((share * 16.0) as usize),
    }
}
