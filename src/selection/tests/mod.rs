//! The whole selection: the laws it keeps, and (in `cases`) its equality with the reference.

mod beside;
mod cases;
mod own;
mod quotas;
mod strategies;

use polars::prelude::*;
use proptest::prelude::*;

use super::reference::Row;
use super::{SelectionPlan, Terms, aggregate, coreset, finish, remaining, stage};
use crate::prelude::*;
use crate::recipe::{Average, Classes, Method, Recipe, Scale, Score};
use crate::scoring::{Criterion, Direction, Prediction};
use crate::seed::Seed;
use crate::{ErrorKind, Result};

/// Samples ascending by id, and the scores `[stage][model][sample]` of every sample.
#[derive(Clone, Debug)]
struct Case {
    samples: Vec<(String, i32)>,
    stages: Vec<Vec<Vec<f32>>>,
}

impl Case {
    /// Scores that differ for nearly every sample, from a seed.
    fn random(class_sizes: &[usize], stages: usize, models: usize, seed: u64) -> Self {
        let labels = (0..).zip(class_sizes).flat_map(|(c, n)| std::iter::repeat_n(c, *n));
        let samples: Vec<_> =
            labels.enumerate().map(|(i, label)| (format!("s{i:05}"), label)).collect();
        let mut rng = Seed::new(seed).rng();
        let mut model = || (0..samples.len()).map(|_| rng.unit()).collect();
        let stages = (0..stages).map(|_| (0..models).map(|_| model()).collect()).collect();
        Self { samples, stages }
    }

    /// The score table of stage `t` for samples that pass `scored`, rows shuffled by `shuffle`.
    fn table(
        &self,
        t: usize,
        column: &str,
        shuffle: u64,
        scored: impl Fn(&str) -> bool,
    ) -> LazyFrame {
        let mut rows: Vec<(&str, i32, i32, f32)> = Vec::new();
        for (model, scores) in self.stages[t].iter().enumerate() {
            let of_model = self.samples.iter().zip(scores).filter(|(s, _)| scored(&s.0));
            rows.extend(of_model.map(|((id, label), s)| (id.as_str(), *label, model as i32, *s)));
        }
        Seed::new(shuffle).rng().shuffle(&mut rows);
        df!(
            "id" => rows.iter().map(|r| r.0).collect::<Vec<_>>(),
            "label" => rows.iter().map(|r| r.1).collect::<Vec<_>>(),
            "fold" => rows.iter().map(|r| r.1 % 2).collect::<Vec<_>>(),
            "model" => rows.iter().map(|r| r.2).collect::<Vec<_>>(),
            column => rows.iter().map(|r| r.3).collect::<Vec<_>>(),
        )
        .unwrap()
        .lazy()
    }

    fn plan(&self, recipe: &Recipe) -> Result<SelectionPlan> {
        let classes = plan_classes(&self.samples);
        let mut sizes = vec![0; classes];
        self.samples.iter().for_each(|s| sizes[s.1 as usize] += 1);
        SelectionPlan::new(&recipe.select, &names(classes), &sizes)
    }

    /// The state after each stage.
    fn run(&self, recipe: &Recipe, shuffle: u64) -> Vec<DataFrame> {
        self.try_run(recipe, shuffle).unwrap()
    }

    fn try_run(&self, recipe: &Recipe, shuffle: u64) -> Result<Vec<DataFrame>> {
        let plan = self.plan(recipe)?;
        let mut states: Vec<DataFrame> = Vec::new();
        for t in 1..=plan.sizes().len() {
            let previous = states.last().cloned();
            let open = previous.as_ref().map(|state| remaining(state).unwrap());
            let asked = |id: &str| open.as_ref().is_none_or(|open| open.iter().any(|o| o == id));
            let scores = self.table(t - 1, recipe.select.by.name(), shuffle + t as u64, asked);
            let (classes, seed) = (names(plan_classes(&self.samples)), Seed::new(recipe.seed));
            states.push(stage(
                previous.as_ref(),
                &scores,
                &plan,
                t,
                &terms(recipe, &classes, &seed),
            )?);
        }
        Ok(states)
    }

    fn last(&self, recipe: &Recipe) -> DataFrame {
        self.run(recipe, 0).pop().unwrap()
    }
}

fn plan_classes(samples: &[(String, i32)]) -> usize {
    samples.iter().map(|s| s.1 as usize + 1).max().unwrap_or(0)
}

/// The terms of a recipe without anything known beside the scores.
fn terms<'a>(recipe: &'a Recipe, classes: &'a [String], seed: &'a Seed) -> Terms<'a> {
    let (score, select) = (&recipe.score, &recipe.select);
    Terms { score, select, classes, metadata: None, clusters: None, seed }
}

fn names(classes: usize) -> Vec<String> {
    (0..classes).map(|class| format!("class {class}")).collect()
}

fn recipe(select: &str) -> Recipe {
    let by = if select.contains("by = ") { "" } else { "by = 'entropy'\n" };
    let text = format!(
        "data = {{ uri = 'x', features = 'f' }}\noutput = {{ uri = 'y' }}\n[select]\n{by}{select}"
    );
    toml::from_str(&text).unwrap()
}

/// A selection table as rows, with the columns checked against each other.
fn rows(table: &DataFrame) -> Vec<Row> {
    let (ids, reasons) = (table["id"].str().unwrap(), table["reason"].str().unwrap());
    let (labels, stages) = (table["label"].i32().unwrap(), table["stage"].i32().unwrap());
    let (scores, ranks) = (table["score"].f64().unwrap(), table["rank"].i64().unwrap());
    let row = |i: usize| {
        assert_eq!(table["kept"].bool().unwrap().get(i), Some(reasons.get(i) == Some("kept")));
        Row {
            id: ids.get(i).unwrap().to_owned(),
            label: labels.get(i).unwrap(),
            score: scores.get(i),
            rank: ranks.get(i),
            stage: stages.get(i),
            reason: reasons.get(i).unwrap().to_owned(),
        }
    };
    (0..table.height()).map(row).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn row_order_changes_nothing(a: u32, b: u32, seed in 0u64..100) {
        let case = Case::random(&[9, 4, 20], 2, 3, seed);
        let recipe = recipe("keep = 0.4\nstages = 2\nclasses = 'proportional'");
        let (a, b) = (case.run(&recipe, a.into()), case.run(&recipe, b.into()));
        prop_assert!(a.iter().zip(b).all(|(a, b)| a.equals_missing(&b)));
    }

    #[test]
    fn selection_only_grows(seed in 0u64..1000) {
        let case = Case::random(&[20, 5, 1], 3, 1, seed);
        let states = case.run(&recipe("keep = 0.7\nstages = 3"), 0);
        for pair in states.windows(2) {
            let (before, after) = (coreset(&pair[0]).unwrap(), coreset(&pair[1]).unwrap());
            prop_assert!(before.iter().all(|id| after.contains(id)) && before.len() < after.len());
            let fixed = |row: &Row| row.stage == Some(1);
            let first = |table| rows(table).into_iter().filter(fixed).collect::<Vec<_>>();
            prop_assert_eq!(first(&pair[0]), first(&pair[1]));
        }
    }
}

#[test]
fn the_order_inside_a_class_is_the_same_in_every_mode() {
    let case = Case::random(&[30, 10, 3], 1, 2, 5);
    let in_class = |classes: &str| {
        let table = case.last(&recipe(&format!("keep = 0.5\nstages = 1\nclasses = '{classes}'")));
        let mut rows = rows(&table);
        rows.sort_by_key(|row| (row.label, row.rank));
        // Inside a class the kept ones come first, in every mode.
        for pair in rows.windows(2).filter(|pair| pair[0].label == pair[1].label) {
            assert!(pair[0].reason == "kept" || pair[1].reason != "kept");
        }
        rows.into_iter().map(|row| row.id).collect::<Vec<_>>()
    };
    assert_eq!(in_class("global"), in_class("proportional"));
    assert_eq!(in_class("global"), in_class("uniform"));
}

#[test]
fn totals_are_exact_for_skewed_classes() {
    let case = Case::random(&[1, 10, 1000], 3, 1, 8);
    let kept = |classes: &str| {
        let table = case.last(&recipe(&format!("keep = 0.3\nclasses = '{classes}'")));
        let summary = super::summary(&table).unwrap();
        assert_eq!(summary.stages.iter().map(|s| s.rows).collect::<Vec<_>>(), [101, 101, 101]);
        summary.classes.iter().map(|c| c.kept).collect::<Vec<_>>()
    };
    assert_eq!(kept("uniform"), [1, 10, 292]);
    assert_eq!(kept("proportional"), [0, 3, 300]);
    assert_eq!(kept("global").iter().sum::<u64>(), 303);
}

#[test]
fn floor_and_cap_bound_a_global_selection_and_stages_fill_the_floor_evenly() {
    // Class 1 has the lowest scores throughout, class 2 the highest.
    let samples: Vec<_> = (0..60).map(|i| (format!("s{i:02}"), i / 20)).collect();
    let scores: Vec<f32> = samples.iter().map(|s| [0.5, 0.1, 0.9][s.1 as usize]).collect();
    let case = Case { samples, stages: vec![vec![scores]; 3] };
    let states = case.run(&recipe("keep = 0.5\nstages = 3\nfloor = 6\ncap = 0.75"), 0);
    let kept = |state: &DataFrame| -> Vec<u64> {
        super::summary(state).unwrap().classes.iter().map(|c| c.kept).collect()
    };
    assert_eq!(states.iter().map(kept).collect::<Vec<_>>(), [[2, 2, 6], [4, 4, 12], [9, 6, 15]]);
    // The first twenty ranks belong to class 2; its last five places went to others.
    let reasons = rows(&states[2]).into_iter().filter(|r| r.label == 2 && r.reason == "quota");
    assert_eq!(reasons.count(), 5);
}

#[test]
fn keeping_everything_keeps_everyone() {
    let case = Case::random(&[5, 0, 3], 2, 2, 1);
    for classes in ["global", "proportional", "uniform"] {
        let table = case.last(&recipe(&format!("keep = 1.0\nstages = 2\nclasses = '{classes}'")));
        assert_eq!(coreset(&table).unwrap().len(), 8);
        assert!(remaining(&table).unwrap().is_empty());
    }
}

#[test]
fn samples_left_out_by_the_hash_of_their_id_alone_are_counted() {
    let samples = ["a", "b", "c", "d", "e", "f"].map(str::to_owned).into_iter();
    let samples = samples.zip([0, 0, 0, 0, 1, 1]).collect();
    let case = Case { samples, stages: vec![vec![vec![0.9, 0.5, 0.5, 0.1, 0.5, 0.5]]] };
    let tied = |select: &str| {
        let recipe = recipe(&format!("stages = 1\n{select}"));
        super::tied(&case.last(&recipe), &recipe.select).unwrap()
    };
    assert_eq!(tied("keep_rows = 1"), 0, "all four with 0.5 are out");
    assert_eq!(tied("keep_rows = 2"), 3);
    assert_eq!(tied("keep_rows = 5"), 0, "all four are in");
    assert_eq!(tied("keep_rows = 3\nclasses = 'proportional'"), 2, "one of each class is in");
    assert_eq!(tied("keep_rows = 2\nstrategy = 'random'"), 0);
}

#[test]
fn reasons_tell_a_full_class_from_a_low_score() {
    let samples = ["a", "b", "c", "d"].map(str::to_owned).into_iter().zip([0, 0, 0, 1]).collect();
    let case = Case { samples, stages: vec![vec![vec![0.9, 0.8, 0.7, 0.1]]] };
    let reasons = |select: &str| -> Vec<String> {
        rows(&case.last(&recipe(select))).into_iter().map(|row| row.reason).collect()
    };
    let uniform = "keep = 0.5\nstages = 1\nclasses = 'uniform'";
    assert_eq!(reasons(uniform), ["kept", "quota", "below-cut", "kept"]);
    let guarded = "keep = 0.5\nstages = 1\ndrop_hardest = 0.25";
    assert_eq!(reasons(guarded), ["noise-guard", "kept", "kept", "below-cut"]);
}

#[test]
fn quarantined_samples_are_listed_with_the_reason() {
    let case = Case::random(&[4], 1, 1, 0);
    let state = case.last(&recipe("keep = 0.5\nstages = 1"));
    let quarantine = df!("id" => ["s00001x", "a"], "row" => [1i64, 2], "reason" => ["cannot decode", "no label"]);
    let table = finish(&state, quarantine.unwrap(), &Seed::new(0)).unwrap();
    let ids: Vec<_> = table["id"].str().unwrap().iter().flatten().collect();
    assert_eq!(ids, ["a", "s00000", "s00001", "s00001x", "s00002", "s00003"]);
    let reason = table["reason"].str().unwrap();
    assert_eq!(reason.get(3), Some("quarantined: cannot decode"));
    assert_eq!(table["label"].null_count() + table["score"].null_count(), 4);
    assert_eq!(table["kept"].bool().unwrap().sum(), Some(2));
}

#[test]
fn the_table_keeps_its_contract() {
    let case = Case::random(&[4], 1, 1, 0);
    let empty = df!("id" => Vec::<String>::new(), "reason" => Vec::<String>::new()).unwrap();
    let table =
        finish(&case.last(&recipe("keep = 0.5\nstages = 1")), empty, &Seed::new(0)).unwrap();
    let got: Vec<_> =
        table.schema().iter().map(|(name, kind)| (name.to_string(), kind.clone())).collect();
    let want: Vec<_> = crate::tables::selection()
        .fields()
        .iter()
        .map(|field| {
            let kind = match field.data_type() {
                arrow::datatypes::DataType::Utf8 => DataType::String,
                arrow::datatypes::DataType::Int32 => DataType::Int32,
                arrow::datatypes::DataType::Int64 => DataType::Int64,
                arrow::datatypes::DataType::Float64 => DataType::Float64,
                arrow::datatypes::DataType::Boolean => DataType::Boolean,
                other => panic!("unexpected {other}"),
            };
            (field.name().clone(), kind)
        })
        .collect();
    assert_eq!(got, want);
}

#[test]
fn lost_and_doubled_scores_are_errors() {
    let case = Case::random(&[6], 2, 2, 0);
    let recipe = recipe("keep = 0.5\nstages = 2");
    let plan = case.plan(&recipe).unwrap();
    let (seed, all) = (Seed::new(0), |t| case.table(t, "entropy", 0, |_| true));
    let classes = names(1);
    let terms = terms(&recipe, &classes, &seed);
    let run = |previous: Option<DataFrame>, scores: LazyFrame, t| {
        stage(previous.as_ref(), &scores, &plan, t, &terms)
    };
    let fault = |result: Result<DataFrame>, kind, says: &str| {
        let error = result.unwrap_err();
        assert!(error.kind() == kind && error.to_string().contains(says), "{error:?}");
    };
    let input = ErrorKind::InvalidInput;
    let doubled = concat([all(0), all(0)], UnionArgs::default()).unwrap();
    fault(run(None, doubled, 1), input, "a model scored sample `s00000` twice");
    let lost = all(0).filter(col("id").neq(lit("s00003")).or(col("model").eq(lit(0))));
    fault(run(None, lost, 1), input, "sample `s00003` has 1 scores");
    let five = case.table(0, "entropy", 0, |id| id != "s00004");
    fault(run(None, five, 1), input, "scored 5 samples, but 6");
    let first = run(None, all(0), 1).unwrap();
    let open = remaining(&first).unwrap();
    let rest = case.table(1, "entropy", 0, |id| id != open[0]);
    fault(run(Some(first.clone()), rest, 2), input, &format!("such as `{}`", open[0]));
    fault(run(Some(first.clone()), all(0), 1), ErrorKind::Internal, "before stage 1");
    fault(run(Some(first), all(1), 3), ErrorKind::Internal, "no stage 3");
}

#[test]
fn mean_probabilities_are_scored_once() {
    let ids = ["a", "a", "b", "b"];
    let inner = Series::new("".into(), [0.9f32, 0.1, 0.1, 0.9, 0.7, 0.3, 0.7, 0.3]);
    let lists = inner.reshape_array(&[ReshapeDimension::new(4), ReshapeDimension::new(2)]).unwrap();
    let table = df!(
        "id" => ids, "label" => [0, 0, 1, 1], "fold" => [0; 4], "model" => [0, 1, 1, 0],
        "entropy" => [0.3251f32, 0.3251, 0.6109, 0.6109], "probabilities" => lists,
    )
    .unwrap();
    let of = |average, method: Method| {
        let spec = Score { average, ..Score::default() };
        let scored = aggregate(table.clone().lazy(), &spec, method).collect().unwrap();
        scored["score"].f64().unwrap().to_vec().into_iter().map(Option::unwrap).collect::<Vec<_>>()
    };
    let close = |got: Vec<f64>, want: [f64; 2]| {
        assert!(got.iter().zip(want).all(|(g, w)| (g - w).abs() < 1e-4), "{got:?} is not {want:?}");
    };
    // Two models that disagree are certain one by one and clueless together.
    close(of(Average::Scores, Method::Entropy), [0.3251, 0.6109]);
    close(of(Average::Probabilities, Method::Entropy), [2f64.ln(), 0.6109]);
    close(of(Average::Probabilities, Method::CrossEntropy), [2f64.ln(), -0.3f64.ln()]);
    let bad = table.clone().lazy().with_column(col("label") + lit(9));
    let spec = Score { average: Average::Probabilities, ..Score::default() };
    let error = aggregate(bad, &spec, Method::Entropy).collect().unwrap_err();
    assert!(error.to_string().contains("sample `a`"), "{error}");
}

/// Bits that hold for any number of Polars threads: run with several `POLARS_MAX_THREADS`.
#[test]
fn aggregates_are_pinned_to_the_bit() {
    let case = Case::random(&[3000, 2000], 1, 7, 3);
    let mut digest = 0u64;
    for scale in [Scale::None, Scale::Z, Scale::Rank] {
        for shuffle in [0, 1] {
            let spec = Score { scale, ..Score::default() };
            let table = case.table(0, "entropy", shuffle, |_| true);
            let scores = aggregate(table, &spec, Method::Entropy).collect().unwrap();
            let bits = scores["score"].f64().unwrap().iter().map(|s| s.unwrap().to_bits());
            digest = bits.fold(digest, |d, b| d.rotate_left(5).wrapping_mul(31) ^ b);
        }
    }
    assert_eq!(digest, 12_921_333_507_716_983_491);
}

#[test]
fn lazy_verbs_agree_with_the_stages() {
    let case = Case::random(&[30, 10, 3], 1, 2, 9);
    let scores = || {
        let table = case.table(0, "margin", 4, |_| true);
        table.unseen_aggregate(&Score::default(), Method::Margin)
    };
    for (classes, name) in [
        (Classes::Global, "global"),
        (Classes::Proportional, "proportional"),
        (Classes::Uniform, "uniform"),
    ] {
        let select = format!("by = 'margin'\nkeep_rows = 20\nstages = 1\nclasses = '{name}'");
        let state = case.last(&recipe(&select));
        let seed = Seed::new(0);
        let picked = scores().unseen_select("score", Direction::KeepLow, 20, classes, &seed);
        let picked = picked.collect().unwrap();
        let mut ids: Vec<_> = picked["id"].str().unwrap().iter().flatten().collect();
        assert!(picked["score"].f64().unwrap().to_vec().is_sorted());
        ids.sort_unstable();
        assert_eq!(ids, coreset(&state).unwrap(), "{name}");
    }
    let seed = Seed::new(0);
    let all = scores().unseen_select("score", Direction::KeepLow, 99, Classes::Uniform, &seed);
    assert_eq!(all.collect().unwrap().height(), 43);
    let top = scores().unseen_top("score", Direction::KeepHigh, 1, &seed).collect().unwrap();
    let best = scores().collect().unwrap()["score"].f64().unwrap().max();
    assert_eq!(top["score"].f64().unwrap().get(0), best);
}

#[test]
fn missing_scores_come_last_and_zeros_are_equal() {
    let ids: Vec<String> = (0..40).map(|i| format!("s{i:02}")).collect();
    let order = |score: &dyn Fn(usize) -> Option<f64>, direction| {
        let scores: Vec<_> = (0..ids.len()).map(score).collect();
        let table = df!("id" => &ids, "score" => scores).unwrap().lazy();
        let sorted = table.unseen_top("score", direction, 40, &Seed::new(0)).collect().unwrap();
        sorted["id"].str().unwrap().iter().flatten().map(str::to_owned).collect::<Vec<_>>()
    };
    for direction in [Direction::KeepHigh, Direction::KeepLow] {
        let equal = order(&|_| Some(0.0), direction);
        assert_ne!(equal, ids, "ties follow the hash, not the id");
        assert_eq!(order(&|i| Some(if i % 2 == 0 { 0.0 } else { -0.0 }), direction), equal);
        let missing = |i: usize| if i == 7 { Some(f64::NAN) } else { (i != 9).then_some(1.0) };
        let mut last = order(&missing, direction).split_off(38);
        last.sort_unstable();
        assert_eq!(last, ["s07", "s09"]);
    }
}

#[test]
fn criteria_of_your_own_aggregate_too() {
    struct Doubt;
    impl Criterion for Doubt {
        fn name(&self) -> &'static str {
            "doubt"
        }
        fn direction(&self) -> Direction {
            Direction::KeepHigh
        }
        fn score(&self, prediction: &Prediction<'_>) -> f32 {
            1.0 - prediction.probabilities[prediction.label]
        }
    }
    let case = Case::random(&[3], 1, 2, 0);
    let table = case.table(0, "doubt", 0, |_| true);
    let scores = aggregate(table, &Score::default(), &Doubt).collect().unwrap();
    let mean = |i: usize| f64::midpoint(case.stages[0][0][i].into(), case.stages[0][1][i].into());
    let want: Vec<_> = (0..3).map(|i| Some(mean(i))).collect();
    assert_eq!(scores["score"].f64().unwrap().to_vec(), want);
}
