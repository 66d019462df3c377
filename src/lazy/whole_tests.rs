//! Expressions that see all epochs of a sample, or all samples of a model.

use polars::prelude::*;

use super::{Embedded, compared, logits, trajectory};
use crate::recipe::{Embedding, Method, Needs, Trajectory};
use crate::scoring::{
    Block, Cloud, Dynamics, Values, criterion, embedding_scores, score_block, softmax,
};
use crate::seed::Seed;

/// Samples, classes, models, epochs, coordinates.
const N: usize = 30;
const C: usize = 3;
const M: usize = 2;
const T: usize = 12;
const D: usize = 4;

struct Watched {
    logits: Vec<f32>,
    embeddings: Vec<f32>,
}

impl Watched {
    fn new() -> Self {
        let mut rng = Seed::new(3).rng();
        let mut numbers = |n: usize| (0..n).map(|_| rng.below(9) as f32 - 4.0).collect::<Vec<_>>();
        Self { logits: numbers(M * N * T * C), embeddings: numbers(M * N * D) }
    }

    /// The logits of a sample by a model after an epoch.
    fn row(&self, model: usize, sample: usize, epoch: usize) -> &[f32] {
        let at = (model * N + sample) * T + epoch;
        &self.logits[at * C..(at + 1) * C]
    }

    /// The logits of all samples by a model after an epoch.
    fn rows(&self, model: usize, epoch: usize) -> Vec<f32> {
        (0..N).flat_map(|sample| self.row(model, sample, epoch).to_vec()).collect()
    }

    fn points(&self, model: usize) -> &[f32] {
        &self.embeddings[model * N * D..(model + 1) * N * D]
    }

    /// Every epoch in a row of its own, in some order.
    fn frame(&self) -> DataFrame {
        let mut all: Vec<(usize, usize, usize)> =
            (0..M).flat_map(|m| (0..N).flat_map(move |i| (0..T).map(move |t| (m, i, t)))).collect();
        Seed::new(9).rng().shuffle(&mut all);
        let series = |row: &[f32]| Series::new("".into(), row);
        let logits: Vec<Series> =
            all.iter().map(|(m, i, t)| series(self.row(*m, *i, *t))).collect();
        let point = |m: usize, i: usize| series(&self.points(m)[i * D..(i + 1) * D]);
        df!(
            "id" => all.iter().map(|(_, i, _)| id(*i)).collect::<Vec<_>>(),
            "model" => all.iter().map(|(m, _, _)| *m as i32).collect::<Vec<_>>(),
            "epoch" => all.iter().map(|(_, _, t)| *t as i32).collect::<Vec<_>>(),
            "label" => all.iter().map(|(_, i, _)| (*i % C) as i64).collect::<Vec<_>>(),
            "logits" => logits,
            "h" => all.iter().map(|(m, i, _)| point(*m, *i)).collect::<Vec<_>>(),
        )
        .unwrap()
    }
}

fn id(sample: usize) -> String {
    format!("s{sample:02}")
}

fn labels() -> Vec<u32> {
    (0..N).map(|i| (i % C) as u32).collect()
}

fn methods(needs: Needs) -> Vec<Method> {
    Method::ALL.into_iter().filter(|method| method.needs() == needs).collect()
}

/// The result of a query, the same in both engines, by model and id.
fn sorted(query: LazyFrame) -> DataFrame {
    let query = query.sort(["model", "id"], SortMultipleOptions::default());
    let of = |engine| query.clone().collect_with_engine(engine).unwrap().unwrap_single();
    let table = of(Engine::InMemory);
    assert!(of(Engine::Streaming).equals_missing(&table));
    table
}

fn floats(table: &DataFrame, method: Method) -> Vec<f32> {
    table.column(method.name()).unwrap().f32().unwrap().into_no_null_iter().collect()
}

fn watch(method: Method, options: &Trajectory) -> Expr {
    trajectory(method, options, col("logits"), col("label"), col("epoch"))
}

#[test]
fn trajectories_are_those_of_trainings() {
    let (watched, options) = (Watched::new(), Trajectory { window: 4, ..Trajectory::default() });
    let methods = methods(Needs::Trajectory);
    let all: Vec<Expr> = methods.iter().map(|m| watch(*m, &options)).collect();
    let keys = [col("model"), col("id")];
    let first = |e: &Expr| e.clone().first();
    let grouped = watched.frame().lazy().group_by(keys.clone());
    let grouped = sorted(grouped.agg(all.iter().map(first).collect::<Vec<_>>()));
    let over: Vec<Expr> = all.iter().map(|e| e.clone().over(keys.clone()).unwrap()).collect();
    let over = watched.frame().lazy().with_columns(over).filter(col("epoch").eq(lit(5)));
    let over = sorted(over);
    for method in methods {
        let mut wanted = Vec::new();
        for model in 0..M {
            let score = crate::scoring::trajectory(method, &options).unwrap();
            let mut dynamics = Dynamics::new(vec![score], N, C);
            for epoch in 0..T {
                let (rows, labels) = (watched.rows(model, epoch), labels());
                let values = Values::Logits(&rows);
                let block = Block { values, classes: C, labels: &labels, embedding_norms: None };
                dynamics.observe(epoch, 0, &block).unwrap();
            }
            wanted.extend(dynamics.finish(T).remove(0));
        }
        assert_eq!(floats(&grouped, method), wanted, "{}", method.name());
        assert_eq!(floats(&over, method), wanted, "{}", method.name());
    }
}

#[test]
fn embeddings_are_compared_as_in_runs() {
    let (watched, options, seed) = (Watched::new(), Embedding::default(), Seed::new(4));
    let of = Embedded {
        id: col("id"),
        label: col("label"),
        embedding: col("h"),
        outputs: Some(logits(col("logits"))),
    };
    let methods = methods(Needs::Embeddings);
    let last = watched.frame().lazy().filter(col("epoch").eq(lit(T as i32 - 1)));
    let all = methods
        .iter()
        .map(|method| compared(*method, &options, of.clone(), &seed).over([col("model")]).unwrap());
    let table = sorted(last.with_columns(all.collect::<Vec<_>>()));
    let tie = seed.of("tie");
    let ties: Vec<u64> = (0..N).map(|i| tie.hash(&id(i))).collect();
    for method in methods {
        let mut wanted = Vec::new();
        for model in 0..M {
            let (rows, labels) = (watched.rows(model, T - 1), labels());
            let mut probabilities = rows.clone();
            rows.chunks(C).zip(probabilities.chunks_mut(C)).for_each(|(z, p)| softmax(z, p));
            let values = Values::Logits(&rows);
            let block = Block { values, classes: C, labels: &labels, embedding_norms: None };
            let mut difficulty = vec![0.0; N];
            score_block(&block, &[criterion(Method::El2n).unwrap()], &mut difficulty).unwrap();
            let cloud = Cloud {
                points: watched.points(model),
                width: D,
                labels: &labels,
                classes: C,
                probabilities: Some(&probabilities),
                difficulty: Some(&difficulty),
                ties: &ties,
                chosen: &[],
            };
            let seed = seed.of("embeddings").of(method.name());
            wanted.extend(embedding_scores(method, &cloud, &options, &seed).unwrap());
        }
        assert_eq!(floats(&table, method), wanted, "{}", method.name());
    }
}

#[test]
fn what_cannot_be_watched_or_compared_is_named() {
    let frame = Watched::new().frame();
    let error = |query: LazyFrame| query.collect().unwrap_err().to_string();
    let groups = |query: LazyFrame, expression: Expr| {
        error(query.group_by([col("model"), col("id")]).agg([expression.first()]))
    };
    let options = Trajectory::default();
    let gap = frame.clone().lazy().filter(col("epoch").neq(lit(3)));
    let said = groups(gap, watch(Method::Forgetting, &options));
    assert!(said.contains("the epoch 4 right after 2"), "{said}");
    let said =
        groups(frame.clone().lazy().filter(col("epoch").lt(lit(5))), watch(Method::Dual, &options));
    assert!(said.contains("needs a window of 2 to 5 epochs"), "{said}");
    let said = error(frame.clone().lazy().select([watch(Method::Forgetting, &options)]));
    assert!(said.contains("right after"), "{said}");

    let last = || frame.clone().lazy().filter(col("epoch").eq(lit(0)).and(col("model").eq(lit(0))));
    let of =
        |outputs| Embedded { id: col("id"), label: col("label"), embedding: col("h"), outputs };
    let compare = |method, options: &Embedding, outputs| {
        error(last().select([compared(method, options, of(outputs), &Seed::new(0))]))
    };
    let said = compare(Method::Cal, &Embedding::default(), None);
    assert!(said.contains("`cal` needs probabilities"), "{said}");
    let few = Embedding { max_rows: 10, ..Embedding::default() };
    let said = compare(Method::KCenter, &few, None);
    assert!(said.contains("`score.embedding.max_rows` = 10"), "{said}");
    let dual = Embedding { difficulty: Method::Dual, ..Embedding::default() };
    let said = compare(Method::D2, &dual, Some(logits(col("logits"))));
    assert!(said.contains("`dual` is no score of one prediction"), "{said}");
}
