//! One definition everywhere: against the kernels of runs, in all engines, in groups, in any row order.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use polars::prelude::*;

use super::prelude::*;
use super::{fold, logits, probabilities, rank, selected};
use crate::recipe::{Classes, Folds, FoldsBy, Method, Needs};
use crate::scoring::{Block, Direction, Values, criterion, direction, score_block, softmax};
use crate::seed::Seed;

const N: usize = 300;
const C: usize = 4;

/// Predictions of `N` samples whose scores often tie.
struct Model {
    ids: Vec<String>,
    labels: Vec<i32>,
    logits: Vec<f32>,
    embeddings: Vec<f32>,
}

impl Model {
    fn new() -> Self {
        let mut rng = Seed::new(8).rng();
        let mut numbers = |n: usize| (0..n).map(|_| rng.below(9) as f32 - 4.0).collect::<Vec<_>>();
        let (logits, embeddings) = (numbers(N * C), numbers(N * 3));
        let ids = (0..N).map(|i| format!("s{i:04}")).collect();
        let labels = (0..N).map(|i| (i * i % C) as i32).collect();
        Self { ids, labels, logits, embeddings }
    }

    fn frame(&self) -> DataFrame {
        let mut p = vec![0.0; self.logits.len()];
        self.logits.chunks(C).zip(p.chunks_mut(C)).for_each(|(row, p)| softmax(row, p));
        df!(
            "id" => &self.ids,
            "label" => &self.labels,
            "logits" => lists(&self.logits, C),
            "p" => lists(&p, C),
            "h" => lists(&self.embeddings, 3),
        )
        .unwrap()
    }

    /// The scores of a method as a run computes them.
    fn scores(&self, method: Method) -> Vec<Option<f32>> {
        let labels: Vec<u32> = self.labels.iter().map(|label| *label as u32).collect();
        let norms: Vec<f32> = self
            .embeddings
            .chunks(3)
            .map(|h| h.iter().map(|h| f64::from(h * h)).sum::<f64>().sqrt() as f32)
            .collect();
        let block = Block {
            values: Values::Logits(&self.logits),
            classes: C,
            labels: &labels,
            embedding_norms: Some(&norms),
        };
        let mut scores = vec![0.0; N];
        score_block(&block, &[criterion(method).unwrap()], &mut scores).unwrap();
        scores.into_iter().map(Some).collect()
    }
}

fn lists(values: &[f32], width: usize) -> Vec<Series> {
    values.chunks(width).map(|row| Series::new("".into(), row)).collect()
}

fn snapshots() -> Vec<Method> {
    Method::ALL.into_iter().filter(|method| method.needs() == Needs::Snapshot).collect()
}

/// The expression of a method over these outputs.
fn expression(method: Method, outputs: &str) -> Expr {
    let (z, y) = (col(outputs), col("label"));
    match method {
        Method::Entropy => super::entropy(z),
        Method::Margin => super::margin(z),
        Method::LeastConfidence => super::least_confidence(z),
        Method::El2n => super::el2n(z, y),
        Method::CrossEntropy => super::cross_entropy(z, y),
        Method::Grand => super::grand(z, y, col("h")),
        Method::SelfConfidence => super::self_confidence(z, y),
        Method::NormalizedMargin => super::normalized_margin(z, y),
        _ => super::confidence_weighted_entropy(z, y),
    }
}

fn collected(query: LazyFrame, engine: Engine) -> DataFrame {
    query.collect_with_engine(engine).unwrap().unwrap_single()
}

/// The result of a query, which must be the same in both engines.
fn everywhere(query: LazyFrame) -> DataFrame {
    let table = collected(query.clone(), Engine::InMemory);
    assert!(collected(query, Engine::Streaming).equals_missing(&table));
    table
}

fn floats(table: &DataFrame, name: &str) -> Vec<Option<f32>> {
    table.column(name).unwrap().f32().unwrap().to_vec()
}

fn shuffled(frame: &DataFrame) -> DataFrame {
    let mut rows: Vec<IdxSize> = (0..frame.height() as IdxSize).collect();
    Seed::new(5).rng().shuffle(&mut rows);
    frame.take(&IdxCa::from_vec("".into(), rows)).unwrap()
}

fn by_id(query: LazyFrame) -> LazyFrame {
    query.sort(["id"], SortMultipleOptions::default())
}

#[test]
fn expressions_are_the_kernels_of_runs_on_any_kind_of_column() {
    let model = Model::new();
    let frame = model.frame();
    let doubles = DataType::List(Box::new(DataType::Float64));
    let array = |inner| DataType::Array(Box::new(inner), C);
    let kinds = [
        doubles.clone(),
        array(DataType::Float32),
        array(DataType::Float64),
        DataType::List(Box::new(DataType::Float32)),
    ];
    for kind in kinds {
        let query = frame.clone().lazy().with_column(col("logits").cast(kind));
        let all: Vec<Expr> = snapshots().into_iter().map(|m| expression(m, "logits")).collect();
        let table = everywhere(query.clone().with_columns(all));
        let together = logits(col("logits")).classes(C).embedding(col("h").cast(doubles.clone()));
        let verb = everywhere(query.unseen_score(&snapshots(), together));
        for method in snapshots() {
            assert_eq!(floats(&table, method.name()), model.scores(method), "{method:?}");
            assert_eq!(floats(&verb, method.name()), model.scores(method), "{method:?}");
        }
    }
}

#[test]
fn probabilities_score_like_their_logits() {
    let model = Model::new();
    let given = probabilities(col("p")).embedding(col("h"));
    let table = everywhere(model.frame().lazy().unseen_score(&snapshots(), given));
    for method in snapshots() {
        for (got, want) in floats(&table, method.name()).into_iter().zip(model.scores(method)) {
            let (got, want) = (got.unwrap(), want.unwrap());
            assert!((got - want).abs() <= 1e-5 * want.abs().max(1.0), "{method:?}");
        }
    }
}

#[test]
fn nulls_stay_null_and_move_no_other_row() {
    let model = Model::new();
    let null = |name: &str, row: i32| {
        when(col("label").cum_count(false).eq(lit(row)))
            .then(lit(NULL))
            .otherwise(col(name))
            .alias(name)
    };
    let nulls = [null("logits", 1), null("h", 3), null("label", 300)];
    let query = model.frame().lazy().with_columns(nulls);
    let table = everywhere(query.with_columns([
        super::entropy(col("logits")),
        super::el2n(col("logits"), col("label")),
        super::grand(col("logits"), col("label"), col("h")),
    ]));
    let nulls = |method: Method| -> Vec<usize> {
        let (got, want) = (floats(&table, method.name()), model.scores(method));
        assert!(got.iter().zip(want).all(|(got, want)| got.is_none() || *got == want));
        (0..N).filter(|row| got[*row].is_none()).collect()
    };
    assert_eq!(nulls(Method::Entropy), [0]);
    assert_eq!(nulls(Method::El2n), [0, 299]);
    assert_eq!(nulls(Method::Grand), [0, 2, 299]);
    let none = df!("x" => [1, 2]).unwrap().lazy();
    let kind = DataType::List(Box::new(DataType::Float32));
    let none = none.select([super::margin(lit(NULL).cast(kind).over([col("x")]).unwrap())]);
    assert_eq!(floats(&none.collect().unwrap(), "margin"), [None, None]);
}

#[test]
fn scores_work_in_groups() {
    let frame = Model::new().frame();
    let ahead = frame.clone().lazy().with_column(super::margin(col("logits")));
    let order = SortMultipleOptions::default();
    let grouped = |query: LazyFrame, score: Expr| {
        let means =
            query.group_by([col("label")]).agg([score.clone().max(), score.min().alias("low")]);
        everywhere(means.sort(["label"], order.clone()))
    };
    let want = grouped(ahead.clone(), col("margin"));
    assert!(grouped(frame.clone().lazy(), super::margin(col("logits"))).equals(&want));

    let over =
        |score: Expr| [(score.clone() - score.max().over(["label"]).unwrap()).alias("margin")];
    let want = everywhere(ahead.select(over(col("margin"))));
    assert!(
        everywhere(frame.clone().lazy().select(over(super::margin(col("logits"))))).equals(&want)
    );
    let inside = super::margin(col("logits")).over(["label"]).unwrap();
    let inside = everywhere(frame.lazy().select([inside]));
    assert_eq!(floats(&inside, "margin"), Model::new().scores(Method::Margin));
}

#[test]
fn ranks_are_the_order_of_runs() {
    let seed = Seed::new(3);
    let mut scores: Vec<Option<f64>> =
        Model::new().scores(Method::Margin).into_iter().map(|s| s.map(f64::from)).collect();
    scores[10..16].clone_from_slice(&[
        None,
        Some(f64::NAN),
        Some(0.0),
        Some(-0.0),
        Some(f64::INFINITY),
        Some(f64::NEG_INFINITY),
    ]);
    let mut frame = Model::new().frame();
    frame.with_column(Column::new("s".into(), scores)).unwrap();
    for end in [Direction::KeepHigh, Direction::KeepLow] {
        let best = shuffled(&frame).lazy().unseen_top("s", end, N as u32, &seed).collect().unwrap();
        let place = rank(col("id"), col("s"), end, &seed);
        let ranked = shuffled(&frame).lazy().with_column(place);
        let ranked = everywhere(ranked.sort(["rank"], SortMultipleOptions::default()));
        assert!(ranked.column("id").unwrap().equals(best.column("id").unwrap()));
        let places: Vec<u32> =
            ranked.column("rank").unwrap().u32().unwrap().iter().flatten().collect();
        assert_eq!(places, (1..=N as u32).collect::<Vec<_>>());
    }
}

#[test]
fn the_selected_are_those_of_the_verbs_globally_and_in_each_class() {
    let (seed, frame) = (Seed::new(1), Model::new().frame());
    let scored = || shuffled(&frame).lazy().with_column(super::el2n(col("logits"), col("label")));
    let ids = |query: LazyFrame| everywhere(by_id(query.select([col("id")])));
    let chosen = |n| selected(col("id"), col("el2n"), Direction::KeepHigh, n, &seed);
    let top = scored().unseen_top("el2n", Direction::KeepHigh, 40, &seed);
    assert!(ids(scored().filter(chosen(40))).equals(&ids(top)));

    // The squares have the classes 0 and 1 alone, with equal sizes.
    let end = direction(Method::El2n);
    let uniform = scored().unseen_select("el2n", end, 40, Classes::Uniform, &seed);
    let in_classes = chosen(20).over(["label"]).unwrap();
    assert!(ids(scored().filter(in_classes)).equals(&ids(uniform)));
    let none = everywhere(scored().filter(chosen(0)));
    assert_eq!(none.height(), 0);
}

#[test]
fn folds_are_those_of_runs_in_any_row_order() {
    let (model, seed) = (Model::new(), Seed::new(2));
    let labels: Vec<u32> = model.labels.iter().map(|label| *label as u32).collect();
    let groups: Vec<Option<String>> =
        (0..N).map(|i| (i % 3 > 0).then(|| (i / 4).to_string())).collect();
    let mut frame = model.frame();
    frame.with_column(Column::new("scene".into(), &groups)).unwrap();
    let specs = [
        Folds { k: 3, ..Folds::default() },
        Folds { k: 3, stratify: true, ..Folds::default() },
        Folds { k: 3, group: Some("scene".to_owned()), ..Folds::default() },
        Folds { k: 3, by: FoldsBy::Hash, ..Folds::default() },
    ];
    for spec in specs {
        let given = spec.group.as_ref().map(|_| &groups[..]);
        let want = crate::folds::assign(&model.ids, &labels, given, &spec, &seed).unwrap();
        let query = || by_id(shuffled(&frame).lazy().unseen_folds(&spec, &seed));
        let folds = |table: DataFrame| -> Vec<u32> {
            table
                .column("fold")
                .unwrap()
                .i32()
                .unwrap()
                .iter()
                .flatten()
                .map(|f| f as u32)
                .collect()
        };
        assert_eq!(folds(everywhere(query())), want);
        if spec.by == FoldsBy::Hash {
            let hashed = by_id(shuffled(&frame).lazy().with_column(fold(col("id"), 3, &seed)));
            assert_eq!(folds(everywhere(hashed)), want);
        }
    }
}

#[test]
fn nothing_runs_before_it_is_collected() {
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = runs.clone();
    let source = col("logits").map(
        move |column| {
            counted.fetch_add(1, Ordering::Relaxed);
            Ok(column)
        },
        |_, field| Ok(field.clone()),
    );
    let seed = Seed::new(0);
    let spec = Folds { k: 2, ..Folds::default() };
    let best = selected(col("id"), col("margin"), Direction::KeepLow, 5, &seed);
    let query = Model::new()
        .frame()
        .lazy()
        .with_column(source)
        .unseen_score(&[Method::Margin, Method::El2n], col("logits"))
        .unseen_folds(&spec, &seed)
        .filter(best.over(["label"]).unwrap())
        .unseen_select("el2n", Direction::KeepHigh, 4, Classes::Uniform, &seed);
    query.clone().explain(true).unwrap();
    let schema = query.clone().collect_schema().unwrap();
    assert_eq!(schema.get("margin"), Some(&DataType::Float32));
    assert_eq!(schema.get("fold"), Some(&DataType::Int32));
    assert_eq!(runs.load(Ordering::Relaxed), 0);
    assert_eq!(query.collect().unwrap().height(), 4);
    assert!(runs.load(Ordering::Relaxed) > 0);
}

/// The error of a query over two rows of two classes and these other columns.
fn fails(rows: [&[f32]; 2], labels: [i32; 2], expression: Expr) -> String {
    let frame = df!(
        "id" => ["a", "a"],
        "label" => labels,
        "z" => rows.map(|row| Series::new("".into(), row)),
        "text" => ["x", "y"],
    );
    frame.unwrap().lazy().select([expression]).collect().unwrap_err().to_string()
}

#[test]
fn bad_columns_are_named_with_their_row() {
    let good: [&[f32]; 2] = [&[0.0, 1.0], &[1.0, 0.0]];
    let assert_says = |error: String, what: &str| assert!(error.contains(what), "{error}");
    let says = |rows, expression, what: &str| assert_says(fails(rows, [0, 1], expression), what);
    let z = || col("z");
    says([&[0.0, 1.0], &[1.0]], super::margin(z()), "`z`: row 1 has 1 numbers, but there are 2");
    says(good, super::margin(logits(z()).classes(3)), "row 0 has 2 numbers, but there are 3");
    let bad: [&[f32]; 2] = [&[0.0, 1.0], &[f32::NAN, 0.0]];
    says(bad, super::entropy(z()), "`z`: row 1 has a logit that is NaN");
    let sums: [&[f32]; 2] = [&[0.5, 0.5], &[0.5, 0.6]];
    says(sums, super::entropy(probabilities(z())), "row 1 has probabilities that do not sum to 1");
    says(good, super::entropy(col("text")), "`text` is str; it must be a list or an array");
    says(good, super::el2n(z(), col("text")), "`text` is str; labels must be integers");
    says(good, super::grand(z(), col("label"), col("text")), "`text` is str; it must be a list");
    let label = |labels, what: &str| {
        assert_says(fails(good, labels, super::el2n(z(), col("label"))), what);
    };
    label([0, 2], "row 1 has label 2, but the model has 2 classes");
    label([0, -1], "-1");

    let twice = rank(col("id"), col("label") * lit(0), Direction::KeepLow, &Seed::new(0));
    says(good, twice, "id `a` occurs twice");
    says(good, fold(col("label"), 3, &Seed::new(0)), "ids must be strings");
    says(good, fold(col("id"), 1, &Seed::new(0)), "1 folds are too few");

    let table = || Model::new().frame().lazy();
    let error = |query: LazyFrame| query.collect().unwrap_err().to_string();
    let without = table().unseen_score(&[Method::Grand], col("logits"));
    assert_says(error(without), "`grand` needs the norm of each embedding");
    let without = table().unseen_score(&[Method::Margin, Method::Dual], col("logits"));
    assert_says(error(without), "`dual` is no score of one prediction");
    let hard = Classes::HardClass;
    let blind = table().unseen_select("el2n", Direction::KeepHigh, 1, hard, &Seed::new(0));
    assert_says(error(blind), "follows the errors of models");
    let few = Folds { k: 400, ..Folds::default() };
    assert_says(error(table().unseen_folds(&few, &Seed::new(0))), "cannot fill 400 folds");
    let near = Folds { near: Some(0.9), ..Folds::default() };
    assert_says(error(table().unseen_folds(&near, &Seed::new(0))), "as `group`");
}
