//! How far the models of stage 1 agree: the stability of ranks.

use std::collections::BTreeSet;

use arrow::array::AsArray;
use arrow::datatypes::Float64Type;

use super::facts::Facts;
use super::types::Agreement;
use crate::error::Result;
use crate::evaluation::{pearson, spearman};
use crate::run::rows::{column, strings};
use crate::run::task::{Task, models};
use crate::scoring::Direction;
use crate::selection::{end, one_score};
use crate::storage::frame;

/// The most models that are compared: every pair costs two sorts.
const MOST: usize = 12;

/// How far the models of stage 1 agree; `None` if there is only one.
pub(super) fn agreement(facts: &Facts) -> Result<Option<Agreement>> {
    let recipe = &facts.file.recipe;
    let models = models(recipe, 1).min(MOST);
    if models < 2 {
        return Ok(None);
    }
    let scores = (0..models).map(|model| scores(facts, model)).collect::<Result<Vec<_>>>()?;
    let keep = facts.summary.kept as f64 / facts.summary.usable.max(1) as f64;
    let low = end(&recipe.score, &recipe.select.by)? == Direction::KeepLow;
    let mut spearman = vec![vec![None; models]; models];
    let mut pairs = Vec::new();
    for a in 0..models {
        for b in a + 1..models {
            let pair = Pair::of(&scores[a], &scores[b], keep, low);
            (spearman[a][b], spearman[b][a]) = (pair.spearman, pair.spearman);
            pairs.push(pair);
        }
    }
    Ok(Some(Agreement {
        uri: facts.uri.clone(),
        models,
        spearman,
        mean_spearman: mean(pairs.iter().filter_map(|pair| pair.spearman)),
        mean_pearson: mean(pairs.iter().filter_map(|pair| pair.pearson)),
        mean_jaccard: mean(pairs.iter().filter_map(|pair| pair.jaccard)),
    }))
}

/// What one model says about each sample, in their order; not a number where it did not score.
fn scores(facts: &Facts, model: usize) -> Result<Vec<f64>> {
    let recipe = &facts.file.recipe;
    let bytes = facts.output(Task::Score { stage: 1, model }, "scores.parquet")?;
    let table = frame::stack(vec![frame::decode(&bytes.unwrap_or_default())?])?;
    let table = frame::arrow(one_score(table, &recipe.score, &recipe.select.by)?)?;
    let score = column(&table, "score")?.as_primitive::<Float64Type>();
    let mut said = strings(&table, "id")?.iter().flatten().zip(score.iter()).peekable();
    // Both tables ascend by id.
    let all = strings(&facts.samples, "id")?.iter().flatten();
    Ok(all
        .map(|id| {
            let score = said.next_if(|(scored, _)| *scored == id);
            score.and_then(|(_, score)| score).unwrap_or(f64::NAN)
        })
        .collect())
}

/// How far two models agree.
struct Pair {
    spearman: Option<f64>,
    pearson: Option<f64>,
    jaccard: Option<f64>,
}

impl Pair {
    fn of(a: &[f64], b: &[f64], keep: f64, low: bool) -> Self {
        let both = a.iter().zip(b).filter(|(a, b)| !a.is_nan() && !b.is_nan());
        let (a, b): (Vec<f64>, Vec<f64>) = both.map(|(a, b)| (*a, *b)).unzip();
        let rows = (keep * a.len() as f64).round() as usize;
        let (first, second) = (first(&a, rows, low), first(&b, rows, low));
        let either = first.union(&second).count();
        Self {
            spearman: spearman(&a, &b),
            pearson: pearson(&a, &b),
            jaccard: (either > 0)
                .then(|| first.intersection(&second).count() as f64 / either as f64),
        }
    }
}

/// The so many samples at one end; ties go by place, which is that of the id.
fn first(scores: &[f64], rows: usize, low: bool) -> BTreeSet<usize> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|a, b| {
        let ascending = scores[*a].total_cmp(&scores[*b]);
        (if low { ascending } else { ascending.reverse() }).then(a.cmp(b))
    });
    order.into_iter().take(rows).collect()
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let values: Vec<f64> = values.collect();
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "hand values are exact")]
mod tests {
    use super::*;

    #[test]
    fn two_models_are_compared_where_both_scored() {
        let none = f64::NAN;
        let (a, b) = ([0.1, 0.2, none, 0.3, 0.4], [1.0, 2.0, 9.0, none, 3.0]);
        let pair = Pair::of(&a, &b, 1.0 / 3.0, true);
        assert!((pair.spearman.unwrap() - 1.0).abs() < 1e-12);
        assert!(pair.pearson.unwrap() > 0.9 && pair.pearson.unwrap() < 1.0);
        assert_eq!(pair.jaccard, Some(1.0));
        let pair = Pair::of(&[1.0, 2.0, 3.0], &[3.0, 2.0, 1.0], 1.0 / 3.0, false);
        assert_eq!(pair.jaccard, Some(0.0));
        let pair = Pair::of(&[1.0], &[1.0], 0.1, false);
        assert_eq!((pair.spearman, pair.jaccard), (None, None));
    }

    #[test]
    fn the_wanted_end_comes_first() {
        let scores = [2.0, 1.0, 3.0, 3.0];
        assert_eq!(first(&scores, 2, true), BTreeSet::from([0, 1]));
        assert_eq!(first(&scores, 1, false), BTreeSet::from([2]));
    }
}
