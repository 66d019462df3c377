//! What every strategy promises, and what each of them is.

use std::collections::{BTreeMap, BTreeSet};

use polars::prelude::*;
use proptest::prelude::*;

use super::super::select;
use super::{Case, coreset, names, recipe, rows, terms};
use crate::recipe::{End, Own, Recipe};
use crate::seed::Seed;
use crate::{ErrorKind, Result};

const STRATEGIES: [&str; 7] =
    ["top", "strata", "beta", "middle", "mixed", "random", "random_stratified"];

/// A table of one model with scores, confidences and predictions, shuffled.
fn table(scores: &[f32], labels: &[i32], shuffle: u64) -> LazyFrame {
    let mut rows: Vec<usize> = (0..scores.len()).collect();
    Seed::new(shuffle).rng().shuffle(&mut rows);
    let ids: Vec<String> = rows.iter().map(|i| format!("s{i:05}")).collect();
    let of = |values: &[i32]| rows.iter().map(|i| values[*i]).collect::<Vec<_>>();
    let scores: Vec<f32> = rows.iter().map(|i| scores[*i]).collect();
    let confidence: Vec<f32> = rows.iter().map(|i| (*i % 11) as f32 / 10.0).collect();
    let predicted: Vec<i32> = rows.iter().map(|i| labels[*i] * i32::from(i % 3 > 0)).collect();
    df!(
        "id" => ids, "label" => of(labels), "fold" => of(labels), "model" => vec![0; rows.len()],
        "predicted" => predicted, "entropy" => scores, "mean_confidence" => confidence,
    )
    .unwrap()
    .lazy()
}

fn selected(select_toml: &str, scores: &[f32], labels: &[i32], shuffle: u64) -> Result<DataFrame> {
    let recipe = recipe(select_toml);
    let classes = names(labels.iter().max().map_or(0, |label| *label as usize + 1));
    select(&table(scores, labels, shuffle), &terms(&recipe, &classes, &Seed::new(recipe.seed)))
}

fn kept(table: &DataFrame) -> BTreeSet<String> {
    let (ids, kept) = (table["id"].str().unwrap(), table["kept"].bool().unwrap());
    let rows = ids.iter().zip(kept.iter()).filter(|(_, kept)| *kept == Some(true));
    rows.map(|(id, _)| id.unwrap().to_owned()).collect()
}

fn skewed() -> (Vec<f32>, Vec<i32>) {
    let labels: Vec<i32> =
        [1, 10, 1000].into_iter().zip(0..).flat_map(|(n, c)| vec![c; n]).collect();
    let mut rng = Seed::new(4).rng();
    (labels.iter().map(|_| rng.unit()).collect(), labels)
}

#[test]
fn totals_are_exact_for_every_strategy_and_class_rule_on_skewed_classes() {
    let (scores, labels) = skewed();
    for strategy in STRATEGIES {
        for rule in [
            "",
            "classes = 'proportional'",
            "classes = 'uniform'",
            "classes = 'hard_class'",
            "floor = 5",
            "cap = 400",
            "target = { 'class 0' = 0.002, 'class 1' = 0.008, 'class 2' = 0.99 }",
        ] {
            for keep in [1, 2, 54, 303, 405] {
                let rule = if strategy == "random_stratified" { "" } else { rule };
                let toml = format!("strategy = '{strategy}'\nkeep_rows = {keep}\n{rule}");
                match selected(&toml, &scores, &labels, 0) {
                    Ok(table) => assert_eq!(kept(&table).len(), keep, "{toml}"),
                    // Only a rule that cannot hold for so few is refused.
                    Err(e) => assert!(
                        e.kind() == ErrorKind::InvalidRecipe && !rule.contains("classes"),
                        "{toml}: {e}"
                    ),
                }
            }
        }
    }
}

#[test]
fn keeping_all_is_the_identity_and_keeping_none_is_refused() {
    let (scores, labels) = skewed();
    for strategy in STRATEGIES {
        let of = |amount: &str| {
            selected(&format!("strategy = '{strategy}'\n{amount}"), &scores, &labels, 0)
        };
        assert_eq!(kept(&of("keep = 1.0").unwrap()).len(), 1011, "{strategy}");
        for (keep, prune) in [(0.7, 0.3), (0.1, 0.9), (0.5, 0.5)] {
            let (keep, prune) = (of(&format!("keep = {keep}")), of(&format!("prune = {prune}")));
            assert!(keep.unwrap().equals_missing(&prune.unwrap()), "{strategy}");
        }
        for nothing in ["keep = 0.0", "prune = 1.0", "keep_rows = 0"] {
            assert_eq!(of(nothing).unwrap_err().kind(), ErrorKind::InvalidRecipe);
        }
    }
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let (scores, labels) = skewed();
    for strategy in STRATEGIES {
        let toml = format!("strategy = '{strategy}'\nkeep = 0.3");
        let on = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| selected(&toml, &scores, &labels, threads as u64).unwrap())
        };
        assert!(on(1).equals_missing(&on(5)), "{strategy}");
    }
}

#[test]
fn stages_of_every_strategy_only_grow_and_are_exact() {
    let case = Case::random(&[20, 5, 30], 3, 2, 3);
    for strategy in ["strata", "middle", "random", "random_stratified"] {
        let recipe = recipe(&format!("keep = 0.6\nstages = 3\nstrategy = '{strategy}'"));
        let states = case.run(&recipe, 0);
        let sizes: Vec<usize> = states.iter().map(|s| coreset(s).unwrap().len()).collect();
        assert_eq!(sizes, [11, 22, 33], "{strategy}");
        for pair in states.windows(2) {
            let (before, after) = (coreset(&pair[0]).unwrap(), coreset(&pair[1]).unwrap());
            assert!(before.iter().all(|id| after.contains(id)), "{strategy}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn row_order_and_odd_scores_change_nothing(
        picks in prop::collection::vec((0usize..7, 0i32..4), 4..60), a: u32, b: u32,
        strategy in prop::sample::select(STRATEGIES.to_vec()), seed in 0u64..5,
    ) {
        let values = [0.0, -0.0, 0.5, 0.5, 2.0, f32::MIN_POSITIVE, 1e9];
        let scores: Vec<f32> = picks.iter().map(|(i, _)| values[*i]).collect();
        let labels: Vec<i32> = picks.iter().map(|(_, label)| *label).collect();
        let toml = format!("strategy = '{strategy}'\nkeep_rows = {}", scores.len() / 2);
        let mut recipe = recipe(&toml);
        recipe.seed = seed;
        let classes = names(4);
        let of = |shuffle: u32| {
            let seed = Seed::new(recipe.seed);
            select(&table(&scores, &labels, shuffle.into()), &terms(&recipe, &classes, &seed)).unwrap()
        };
        let (a, b) = (of(a), of(b));
        prop_assert!(a.equals_missing(&b));
        prop_assert_eq!(kept(&a).len(), scores.len() / 2);
        for twin in ["random", "random_stratified"] {
            prop_assert_eq!(a[twin].bool().unwrap().sum(), Some(scores.len() as u32 / 2));
        }
    }
}

/// CCS as published, with the remainder topped up: what each stratum gets.
fn ccs(scores: &[f32], strata: usize, budget: usize) -> BTreeMap<usize, usize> {
    let (low, high) = scores.iter().fold((f32::MAX, f32::MIN), |(l, h), s| (l.min(*s), h.max(*s)));
    let mut sizes: BTreeMap<usize, usize> = BTreeMap::new();
    for score in scores {
        let width = f64::from(high - low) / strata as f64;
        let stratum = (f64::from(score - low) / width) as usize;
        *sizes.entry(stratum.min(strata - 1)).or_default() += 1;
    }
    let mut order: Vec<(usize, usize)> = sizes.into_iter().map(|(s, n)| (n, s)).collect();
    order.sort_unstable();
    let (mut left, mut got, total) = (budget, BTreeMap::new(), order.len());
    for (visited, (size, stratum)) in order.into_iter().enumerate() {
        let take = size.min(left / (total - visited));
        got.insert(stratum, take);
        left -= take;
    }
    assert_eq!(left, 0);
    got
}

#[test]
fn strata_share_the_budget_as_ccs_does() {
    let mut rng = Seed::new(9).rng();
    // Dyadic values, so that strata do not depend on rounding.
    let scores: Vec<f32> =
        (0..400).map(|_| (rng.below(64) * rng.below(65)) as f32 / 4096.0).collect();
    let labels = vec![0; scores.len()];
    let width = scores.iter().copied().fold(0.0, f32::max);
    for budget in [7, 50, 163, 399] {
        let toml = format!("strategy = 'strata'\nstrata = 16\nkeep_rows = {budget}");
        let table = selected(&toml, &scores, &labels, 0).unwrap();
        let mut got: BTreeMap<usize, usize> = BTreeMap::new();
        for row in rows(&table.drop_many(["random", "random_stratified"])) {
            let stratum = (row.score.unwrap() / f64::from(width) * 16.0) as usize;
            *got.entry(stratum.min(15)).or_default() += usize::from(row.reason == "kept");
        }
        assert_eq!(got, ccs(&scores, 16, budget), "{budget}");
    }
}

#[test]
fn strata_survive_the_scores_that_broke_ccs() {
    let labels = vec![0; 100];
    let lines: [fn(usize) -> f32; 4] =
        [|i| -1.0 - i as f32, |i| i as f32 - 99.0, |_| 3.0, |i| if i == 0 { 1e9 } else { 1.0 }];
    for line in lines {
        let scores: Vec<f32> = (0..100).map(line).collect();
        let table = selected("strategy = 'strata'\nkeep_rows = 60", &scores, &labels, 0).unwrap();
        assert_eq!(kept(&table).len(), 60);
    }
    let few = selected("strategy = 'strata'\nkeep_rows = 2", &[0.0, 0.5, 1.0], &[0; 3], 0).unwrap();
    assert_eq!(kept(&few).len(), 2);
    // Below zero and at zero the highest score is in the top stratum: one of 50 strata, each of two.
    let scores: Vec<f32> = (0..100).map(|i| -(i as f32)).collect();
    let table = selected("strategy = 'strata'\nkeep_rows = 50", &scores, &labels, 0).unwrap();
    let top = kept(&table).into_iter().filter(|id| id == "s00000" || id == "s00001").count();
    assert_eq!(top, 1);
    // The published code gave every class the budget of the last one.
    let labels: Vec<i32> =
        [1000, 100, 10].into_iter().zip(0..).flat_map(|(n, c)| vec![c; n]).collect();
    let scores: Vec<f32> = (0..labels.len()).map(|i| (i % 97) as f32).collect();
    let toml = "strategy = 'strata'\nkeep = 0.5\nclasses = 'proportional'";
    let table = selected(toml, &scores, &labels, 0).unwrap();
    let counts: Vec<u64> =
        super::super::summary(&table).unwrap().classes.iter().map(|c| c.kept).collect();
    assert_eq!(counts, [500, 50, 5]);
}

#[test]
fn the_middle_is_a_window_of_the_ranking() {
    let scores: Vec<f32> = (0..10).map(|i| i as f32).collect();
    let of = |keep: usize| {
        let toml = format!("strategy = 'middle'\nkeep_rows = {keep}");
        kept(&selected(&toml, &scores, &[0; 10], 0).unwrap()).into_iter().collect::<Vec<_>>()
    };
    assert_eq!(of(1), ["s00005"], "of two the more wanted");
    assert_eq!(of(4), ["s00003", "s00004", "s00005", "s00006"]);
    let labels = [0, 0, 0, 0, 0, 1, 1, 1, 1, 1];
    let toml = "strategy = 'middle'\nkeep_rows = 2\nclasses = 'uniform'";
    let both = kept(&selected(toml, &scores, &labels, 0).unwrap());
    assert_eq!(both.into_iter().collect::<Vec<_>>(), ["s00002", "s00007"]);
}

#[test]
fn random_is_fair_seeded_and_blind_to_scores() {
    let scores: Vec<f32> = (0..2000).map(|i| i as f32).collect();
    let labels = vec![0; 2000];
    let of = |seed: u64, scores: &[f32]| {
        let mut recipe: Recipe = recipe("strategy = 'random'\nkeep = 0.5");
        recipe.seed = seed;
        let classes = names(1);
        let seed = Seed::new(seed);
        kept(&select(&table(scores, &labels, 0), &terms(&recipe, &classes, &seed)).unwrap())
    };
    let first = of(0, &scores);
    let reversed: Vec<f32> = scores.iter().map(|s| -s).collect();
    assert_eq!(first, of(0, &reversed));
    assert_ne!(first, of(1, &scores));
    let upper = first.iter().filter(|id| id.as_str() >= "s01000").count();
    assert!((430..570).contains(&upper), "{upper}");
}

/// The mixture once more, from its description: `top` and a random order in which each class has its share
/// take turns.
#[test]
fn mixed_takes_turns_of_top_and_of_stratified_random() {
    // 40 of class 0, 20 of class 1, 4 of class 2; the most wanted are those with the highest number.
    let labels: Vec<i32> = [40, 20, 4].into_iter().zip(0..).flat_map(|(n, c)| vec![c; n]).collect();
    let scores: Vec<f32> = (0..64).map(|i| i as f32 / 64.0).collect();
    let of = |share: f64, keep: usize| {
        let toml = format!("strategy = 'mixed'\nrandom_share = {share}\nkeep_rows = {keep}");
        kept(&selected(&toml, &scores, &labels, 3).unwrap())
    };
    let number = |id: &String| id[1..].parse::<usize>().unwrap();
    let [top, random] = [0.0, 1.0].map(|share| {
        let mut order: Vec<String> = Vec::new();
        for prefix in (1..=64).map(|n| of(share, n)) {
            let new: Vec<String> = prefix.into_iter().filter(|id| !order.contains(id)).collect();
            order.extend(new);
        }
        order
    });
    for keep in [1, 2, 7, 30, 63] {
        let most: BTreeSet<usize> = (64 - keep..64).collect();
        assert_eq!(of(0.0, keep).iter().map(number).collect::<BTreeSet<_>>(), most);
        // All at random: each class its share of every prefix, to the sample.
        let drawn = of(1.0, keep);
        for (class, size) in [(0, 40), (1, 20), (2, 4)] {
            let got = drawn.iter().filter(|id| labels[number(id)] == class).count() as f64;
            assert!((got - (keep * size) as f64 / 64.0).abs() <= 1.5, "{keep}: {got} of {class}");
        }
        // Half: the orders take turns, `top` first, each passing over what the other has.
        let mut wanted: BTreeSet<String> = BTreeSet::new();
        for turn in 0..keep {
            let whose = if turn % 2 == 0 { &top } else { &random };
            wanted.insert(whose.iter().find(|id| !wanted.contains(*id)).unwrap().clone());
        }
        assert_eq!(of(0.5, keep), wanted, "{keep}");
    }
}

#[test]
fn beta_draws_exactly_and_where_the_density_is() {
    // Equal scores; confidences run through 0, 0.1, ... 1: the density alone decides.
    let (scores, labels) = (vec![0.5; 2200], vec![0; 2200]);
    let mean = |keep: f64| {
        let toml = format!("strategy = 'beta'\nkeep = {keep}");
        let table = selected(&toml, &scores, &labels, 0).unwrap();
        let kept = kept(&table);
        assert_eq!(kept.len(), (2200.0 * keep).round() as usize);
        let of = |id: &String| f64::from(id[1..].parse::<u32>().unwrap() % 11) / 10.0;
        kept.iter().map(of).sum::<f64>() / kept.len() as f64
    };
    // At a low prune rate b is near 15 (1 - mu); at a high one it shrinks, and the mode moves up.
    let (little, much) = (mean(0.9), mean(0.1));
    assert!((little - 0.5).abs() < 0.05 && much > little + 0.05, "{little} {much}");
    // A sample without a score has no weight.
    let half: Vec<f32> = (0..2200).map(|i| (i % 2) as f32 / 2.0).collect();
    let table = selected("strategy = 'beta'\nkeep = 0.5", &half, &labels, 0).unwrap();
    assert!(kept(&table).iter().all(|id| id[1..].parse::<u32>().unwrap() % 2 == 1));
    let negative = selected("strategy = 'beta'\nkeep = 0.5", &[-1.0, 1.0], &[0; 2], 0).unwrap_err();
    assert!(negative.to_string().contains("that of `s00000` is -1"), "{negative}");
}

#[test]
fn hard_classes_keep_more_by_density() {
    // Of class 0, 10 of 20 are wrong; of class 1, 10 of 100: the density of class 0 is 5 times that.
    let labels: Vec<i32> = [20, 100].into_iter().zip(0..).flat_map(|(n, c)| vec![c; n]).collect();
    let mut frame = table(&vec![0.0; 120], &labels, 0)
        .collect()
        .unwrap()
        .sort(["id"], SortMultipleOptions::default())
        .unwrap();
    let wrong = |i: usize| i32::from(i < 10 || (20..30).contains(&i));
    let predicted: Vec<i32> = (0..120).map(|i| (labels[i] + wrong(i)) % 2).collect();
    frame.with_column(Column::new("predicted".into(), predicted)).unwrap();
    let recipe = recipe("keep_rows = 12\nclasses = 'hard_class'");
    let classes = names(2);
    let seed = Seed::new(0);
    let of = |frame: &DataFrame| {
        let table = select(&frame.clone().lazy(), &terms(&recipe, &classes, &seed))?;
        let summary = super::super::summary(&table)?;
        Ok::<Vec<u64>, crate::Error>(summary.classes.iter().map(|c| c.kept).collect())
    };
    assert_eq!(of(&frame).unwrap(), [6, 6]);
    let blind = of(&frame.drop("predicted").unwrap()).unwrap_err();
    assert!(blind.to_string().contains("needs the column `predicted`"), "{blind}");
}

#[test]
fn columns_that_decide_and_are_missing_are_named() {
    let of = |select_toml: &str| {
        let frame = table(&[0.1, 0.2], &[0, 1], 0).drop(by_name(["mean_confidence"], true, false));
        let (recipe, classes, seed) = (recipe(select_toml), names(2), Seed::new(0));
        select(&frame, &terms(&recipe, &classes, &seed)).unwrap_err().to_string()
    };
    for (select_toml, says) in [
        ("keep = 0.5\nstrategy = 'beta'", "\"beta\" needs the column `mean_confidence`, but"),
        (
            "keep = 0.5\nby = 'el2n'",
            "select.by needs the column `el2n`, but the score tables have `id`",
        ),
    ] {
        assert!(of(select_toml).contains(says), "{}", of(select_toml));
    }
}

#[test]
fn twins_are_random_subsets_of_all_usable_samples() {
    let (scores, labels) = skewed();
    let table = selected("keep = 0.3\ndrop_hardest = 0.2", &scores, &labels, 0).unwrap();
    let by_class = |column: &str| {
        let (labels, chosen) = (table["label"].i32().unwrap(), table[column].bool().unwrap());
        let mut counts = [0; 3];
        labels.iter().zip(chosen.iter()).for_each(|(label, chosen)| {
            counts[label.unwrap() as usize] += usize::from(chosen == Some(true));
        });
        counts
    };
    assert_eq!(by_class("random").iter().sum::<usize>(), 303);
    assert_eq!(by_class("random_stratified"), [0, 3, 300]);
    // Some of them are under the noise guard.
    let guarded = table["reason"].str().unwrap().iter().zip(table["random"].bool().unwrap().iter());
    assert!(guarded.filter(|(r, t)| *r == Some("noise-guard") && *t == Some(true)).count() > 20);
}

#[test]
fn samples_without_a_finite_score_are_named_and_never_ranked() {
    let (classes, seed) = (names(1), Seed::new(0));
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let scores = [0.5, bad, 0.25, bad];
        for by in ["entropy", "margin"] {
            let recipe = recipe(&format!("keep = 0.5\nby = '{by}'"));
            let rows = table(&scores, &[0; 4], 1).rename(["entropy"], [by], false);
            let error = select(&rows, &terms(&recipe, &classes, &seed)).unwrap_err().to_string();
            let says =
                format!("`{by}` is missing or not finite for 2 of 4 samples: `s00001`, `s00003`");
            assert!(error.contains(&says), "{error}");
        }
    }
    let mut recipe = recipe("keep = 0.5\nby = 'mine'");
    let sql = "1.0 / entropy".to_owned();
    recipe.score.own = vec![Own { name: "mine".to_owned(), sql, keep: End::High }];
    let rows = table(&[0.5, 0.0, 0.25], &[0; 3], 1);
    let error = select(&rows, &terms(&recipe, &classes, &seed)).unwrap_err().to_string();
    assert!(
        error.contains("`mine` is missing or not finite for 1 of 3 samples: `s00001`"),
        "{error}"
    );
}

#[test]
fn a_prediction_that_is_not_known_is_not_right() {
    let recipe = recipe("keep = 0.5\nclasses = 'hard_class'");
    let (classes, seed) = (names(2), Seed::new(0));
    let with = |predicted: [Option<i32>; 4]| {
        let frame = df!(
            "id" => ["a", "b", "c", "d"], "label" => [0, 0, 1, 1], "fold" => [0; 4],
            "model" => [0; 4], "entropy" => [0.1f32, 0.2, 0.3, 0.4], "predicted" => predicted,
        );
        select(&frame.unwrap().lazy(), &terms(&recipe, &classes, &seed))
    };
    assert!(with([Some(0), Some(1), Some(1), Some(0)]).is_ok());
    let error = with([Some(0), None, Some(1), Some(0)]).unwrap_err().to_string();
    assert!(error.contains("but `b` has none"), "{error}");
}

#[test]
fn null_labels_and_unknown_classes_are_named() {
    let frame = df!(
        "id" => ["a", "b"], "label" => [Some(0), None], "fold" => [0, 0], "model" => [0, 0],
        "entropy" => [0.1f32, 0.2],
    );
    let recipe = recipe("keep = 0.5");
    let (classes, seed) = (names(1), Seed::new(0));
    let of =
        |frame: DataFrame| select(&frame.lazy(), &terms(&recipe, &classes, &seed)).unwrap_err();
    let error = of(frame.unwrap());
    assert!(error.to_string().contains("sample `b` has no label"), "{error}");
    let other = df!(
        "id" => ["a", "b"], "label" => [0, 7], "fold" => [0, 0], "model" => [0, 0],
        "entropy" => [0.1f32, 0.2],
    );
    let error = of(other.unwrap());
    assert!(
        error.to_string().contains("sample `b` has label 7, but there are 1 classes"),
        "{error}"
    );
}
