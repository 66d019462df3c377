//! What the score tables of one stage say about each sample.

use polars::prelude::*;

use super::aggregate::aggregate;
use super::own::own_score;
use crate::recipe::{Aggregate, Average, By, Method, Scale, Score, Strategy};
use crate::scoring::{Direction, direction};
use crate::{Error, Result};

/// One entry for each scored sample, ascending by id.
#[derive(Clone, Debug)]
pub(super) struct Scored {
    pub(super) ids: Vec<String>,
    pub(super) labels: Vec<usize>,
    pub(super) folds: Vec<Option<i32>>,
    pub(super) scores: Vec<Option<f64>>,
    /// How many of its predictions are wrong; `None` where they are not known.
    pub(super) wrong: Vec<Option<i32>>,
    /// The mean probability of the label over epochs and models, for [`Strategy::Beta`].
    pub(super) confidence: Vec<Option<f64>>,
}

impl Scored {
    /// Aggregates the rows of all models of a stage.
    ///
    /// # Errors
    /// `InvalidInput` if the rows do not fit together, a sample has no finite score, or a label is
    /// none of `classes` classes.
    pub(super) fn new(
        scores: &LazyFrame,
        spec: &Score,
        by: &By,
        strategy: Strategy,
        classes: usize,
    ) -> Result<Self> {
        check_needs(scores, spec, by, strategy)?;
        let table = one_score(scores.clone(), spec, by)?;
        let ids: Vec<String> =
            table.column("id")?.str()?.iter().flatten().map(str::to_owned).collect();
        check_scores(&ids, table.column("score")?.f64()?, by)?;
        let unlabelled = table.column("label")?.is_null();
        if let Some(row) = unlabelled.iter().position(|null| null == Some(true)) {
            return Err(Error::input(format!("sample `{}` has no label (null)", ids[row])));
        }
        let labels = super::column::labels(table.column("label")?)?;
        let beyond = labels.iter().position(|l| usize::try_from(*l).map_or(true, |l| l >= classes));
        if let Some(row) = beyond {
            return Err(Error::input(format!(
                "sample `{}` has label {}, but there are {classes} classes",
                ids[row], labels[row]
            )));
        }
        Ok(Self {
            labels: labels.into_iter().map(|label| label as usize).collect(),
            folds: table.column("fold")?.cast(&DataType::Int32)?.i32()?.iter().collect(),
            scores: table.column("score")?.f64()?.iter().collect(),
            wrong: wrong(scores.clone(), ids.len())?,
            confidence: match strategy {
                Strategy::Beta => confidence(scores.clone())?,
                _ => vec![None; ids.len()],
            },
            ids,
        })
    }

    /// The entry of a sample.
    pub(super) fn find(&self, id: &str) -> Option<usize> {
        self.ids.binary_search_by(|other| other.as_str().cmp(id)).ok()
    }
}

/// The columns that decide must be there before Polars is asked for them.
fn check_needs(scores: &LazyFrame, spec: &Score, by: &By, strategy: Strategy) -> Result<()> {
    let schema = scores.clone().collect_schema()?;
    let by = match (by, spec.average) {
        (By::Method(_), Average::Probabilities) => Some("probabilities"),
        (By::Method(method), Average::Scores) => Some(method.name()),
        (By::Own(_), _) => None,
    };
    let beta = (strategy == Strategy::Beta).then(|| Method::MeanConfidence.name());
    for (name, why) in [(by, "select.by"), (beta, "select.strategy = \"beta\"")] {
        let Some(name) = name.filter(|name| !schema.contains(name)) else { continue };
        let has: Vec<String> = schema.iter_names().map(|name| format!("`{name}`")).collect();
        return Err(Error::input(format!(
            "{why} needs the column `{name}`, but the score tables have {}",
            has.join(", ")
        )));
    }
    Ok(())
}

/// How many ids a message names.
const NAMED: usize = 5;

/// A sample without a score would be pruned as if it were the least wanted.
fn check_scores(ids: &[String], scores: &Float64Chunked, by: &By) -> Result<()> {
    let bare: Vec<String> = ids
        .iter()
        .zip(scores.iter())
        .filter(|(_, score)| !score.is_some_and(f64::is_finite))
        .map(|(id, _)| format!("`{id}`"))
        .collect();
    if bare.is_empty() {
        return Ok(());
    }
    let named = bare[..bare.len().min(NAMED)].join(", ");
    Err(Error::input(format!(
        "the score `{}` is missing or not finite for {} of {} samples: {named}{}; they cannot be ranked: correct the scores, or leave the samples out",
        by.name(),
        bare.len(),
        ids.len(),
        if bare.len() > NAMED { ", ..." } else { "" },
    )))
}

/// One score a sample, be it of a method or of `score.own`: `id`, `label`, `fold` and `score`
/// (`f64`), ascending by `id`, as [`aggregate`](fn@crate::selection::aggregate) makes them.
///
/// # Errors
/// `InvalidInput` if the rows do not fit together; `InvalidRecipe` if `by` names no score or its
/// SQL is wrong.
pub fn one_score(scores: LazyFrame, spec: &Score, by: &By) -> Result<DataFrame> {
    match by {
        By::Method(method) => collected(aggregate(scores, spec, *method)),
        By::Own(_) => own_score(&scores, spec, own(spec, by)?),
    }
}

/// The end of a score that is kept.
///
/// # Errors
/// `InvalidRecipe` if `by` names no score.
pub fn end(spec: &Score, by: &By) -> Result<Direction> {
    use crate::recipe::End;
    match by {
        By::Method(method) => Ok(direction(*method)),
        By::Own(_) => own(spec, by).map(|own| match own.keep {
            End::High => Direction::KeepHigh,
            End::Low => Direction::KeepLow,
        }),
    }
}

fn own<'a>(spec: &'a Score, by: &By) -> Result<&'a crate::recipe::Own> {
    let found = spec.own.iter().find(|own| own.name == by.name());
    found.ok_or_else(|| Error::recipe(format!("there is no score `{}`", by.name())))
}

pub(super) fn collected(query: LazyFrame) -> Result<DataFrame> {
    query.collect().map_err(|e| Error::input("the score tables do not fit together").because(e))
}

/// How many predictions of each sample, ascending by id, are of another class.
fn wrong(mut scores: LazyFrame, samples: usize) -> Result<Vec<Option<i32>>> {
    if !scores.collect_schema()?.contains("predicted") {
        return Ok(vec![None; samples]);
    }
    let wrong = col("predicted").neq(col("label")).cast(DataType::Int32);
    let table = scores.select([col("id"), wrong.alias("wrong")]);
    // Where one is not known, the sum is not.
    let known = col("wrong").null_count().eq(lit(0));
    let sum = when(known).then(col("wrong").sum()).otherwise(lit(NULL));
    let table = table.group_by([col("id")]).agg([sum.alias("wrong")]);
    let table = collected(table.sort(["id"], SortMultipleOptions::default()))?;
    Ok(table.column("wrong")?.cast(&DataType::Int32)?.i32()?.iter().collect())
}

fn confidence(scores: LazyFrame) -> Result<Vec<Option<f64>>> {
    let spec = Score {
        aggregate: Aggregate::Mean,
        average: Average::Scores,
        scale: Scale::None,
        ..Score::default()
    };
    let table = collected(aggregate(scores, &spec, Method::MeanConfidence))?;
    Ok(table.column("score")?.f64()?.iter().collect())
}
