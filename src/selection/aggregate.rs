//! Several models' scores of a sample become one.

use std::collections::BTreeMap;
use std::ops::Range;

use polars::prelude::*;
use rayon::prelude::*;

use super::column::{labels, unfit, whole};
use super::scale::{combine, scale};
use crate::recipe::{Aggregate, Average, Method, Scale, Score};
use crate::scoring::{Criterion, criterion, score_distribution};

/// The score that is aggregated.
#[derive(Clone)]
pub enum ScoredBy {
    /// A column.
    Column(PlSmallStr),
    /// The column of a criterion, which can also score mean probabilities.
    Criterion(&'static dyn Criterion),
}

impl ScoredBy {
    fn column(&self) -> PlSmallStr {
        match self {
            Self::Column(name) => name.clone(),
            Self::Criterion(criterion) => criterion.name().into(),
        }
    }
}

impl From<Method> for ScoredBy {
    fn from(method: Method) -> Self {
        criterion(method).map_or_else(|| Self::Column(method.name().into()), Self::Criterion)
    }
}

impl<C: Criterion> From<&'static C> for ScoredBy {
    fn from(criterion: &'static C) -> Self {
        Self::Criterion(criterion)
    }
}

/// One row a sample: `id`, `label`, `fold` and `score` (`f64`), ascending by `id`.
///
/// `scores` holds the rows of one stage, one for each sample and model, with the columns of
/// [`crate::tables::scores`]; `by` is a [`crate::recipe::Method`] or a criterion of your own, whose
/// column has its name. Scores are first scaled within each model (`spec.scale`), then combined
/// over models (`spec.aggregate`). Ranks ascend with the score, also in `mean_rank`, so the end
/// that is kept stays the same. `mean_rank` is the mean of the ranks in `[0, 1]`, so models that
/// score more samples weigh no more.
///
/// With `average = "probabilities"` the column `probabilities` is averaged over models and scored
/// once; `scale` and `aggregate` play no part.
///
/// A score that is null, NaN or infinite makes the sample's `score` null. Collecting fails if a
/// model scored a sample twice or if samples have different numbers of scores.
pub fn aggregate(scores: LazyFrame, spec: &Score, by: impl Into<ScoredBy>) -> LazyFrame {
    let by = by.into();
    let (input, score) = match spec.average {
        Average::Scores => (col(by.column()).cast(DataType::Float64), combined(spec, &by.column())),
        Average::Probabilities => (col("probabilities"), rescored(by)),
    };
    scores
        .select([col("id"), col("label"), col("fold"), col("model"), input])
        .sort(["id", "model"], SortMultipleOptions::default())
        .with_column(score)
        .unique_stable(Some(by_name(["id"], true, false)), UniqueKeepStrategy::First)
        .select([col("id"), col("label"), col("fold"), col("score")])
}

/// The combined score, repeated on every row of its sample. Rows are sorted by id and model.
fn combined(spec: &Score, column: &PlSmallStr) -> Expr {
    let aggregate = spec.aggregate;
    let kind = if aggregate == Aggregate::MeanRank { Scale::Rank } else { spec.scale };
    let inputs = [col("id"), col("model"), col(column.clone())];
    whole("score", DataType::Float64, &inputs, move |columns| {
        let samples = samples(&columns[0], &columns[1])?;
        let finite = |value: Option<f64>| value.filter(|v| v.is_finite()).unwrap_or(f64::NAN);
        let mut values: Vec<f64> = columns[2].f64()?.iter().map(finite).collect();
        if kind != Scale::None {
            scale_models(kind, &labels(&columns[1])?, &mut values);
        }
        repeated(&samples, |rows| Ok(combine(aggregate, &values[rows])))
    })
}

/// Scales the scores of each model, its rows in ascending order of ids.
fn scale_models(kind: Scale, models: &[i32], values: &mut [f64]) {
    let mut rows: BTreeMap<i32, Vec<usize>> = BTreeMap::new();
    for (row, model) in models.iter().enumerate() {
        rows.entry(*model).or_default().push(row);
    }
    for rows in rows.into_values() {
        let mut scaled: Vec<f64> = rows.iter().map(|row| values[*row]).collect();
        scale(kind, &mut scaled);
        rows.into_iter().zip(scaled).for_each(|(row, value)| values[row] = value);
    }
}

/// The score of the mean probabilities, repeated on every row of its sample.
fn rescored(by: ScoredBy) -> Expr {
    let inputs = [col("id"), col("model"), col("label"), col("probabilities")];
    whole("score", DataType::Float64, &inputs, move |columns| {
        let ScoredBy::Criterion(by) = &by else {
            let message = format!("`{}` cannot be computed from mean probabilities", by.column());
            return Err(unfit(message));
        };
        let samples = samples(&columns[0], &columns[1])?;
        let labels = labels(&columns[2])?;
        let (values, classes) = probabilities(&columns[3])?;
        let ids = columns[0].str()?;
        repeated(&samples, |rows| {
            let label = labels[rows.start] as usize;
            let mean = mean_rows(&values[rows.start * classes..rows.end * classes], classes);
            score_distribution(&mean, label, *by).map(f64::from).map_err(|e| {
                unfit(format!("sample `{}`: {e}", ids.get(rows.start).unwrap_or_default()))
            })
        })
    })
}

/// The rows of a fixed-size list column, packed, and their width.
fn probabilities(column: &Column) -> PolarsResult<(Vec<f32>, usize)> {
    let lists = column.array()?;
    if lists.null_count() > 0 {
        return Err(unfit("a sample has no probabilities".to_owned()));
    }
    let inner = lists.get_inner();
    let values = inner.f32()?.iter().map(|p| p.unwrap_or(f32::NAN)).collect();
    Ok((values, lists.width()))
}

/// The mean of rows of probabilities, summed in `f64` in row order.
fn mean_rows(rows: &[f32], classes: usize) -> Vec<f32> {
    let count = (rows.len() / classes) as f64;
    let mut sums = vec![0.0; classes];
    for row in rows.chunks(classes) {
        sums.iter_mut().zip(row).for_each(|(sum, p)| *sum += f64::from(*p));
    }
    sums.into_iter().map(|sum| (sum / count) as f32).collect()
}

/// The rows of each sample, given rows sorted by id and model.
fn samples(ids: &Column, models: &Column) -> PolarsResult<Vec<Range<usize>>> {
    let ids: Vec<&str> = ids.str()?.iter().map(Option::unwrap_or_default).collect();
    let models = labels(models)?;
    let mut samples = Vec::new();
    let mut start = 0;
    for rows in ids.chunk_by(|a, b| a == b) {
        let rows = start..start + rows.len();
        if models[rows.clone()].windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(unfit(format!("a model scored sample `{}` twice", ids[start])));
        }
        start = rows.end;
        samples.push(rows);
    }
    check_counts(&ids, &samples)?;
    Ok(samples)
}

/// Every sample needs the same number of scores: one that is lost must not pass unseen.
fn check_counts(ids: &[&str], samples: &[Range<usize>]) -> PolarsResult<()> {
    let want = samples.first().map_or(0, Range::len);
    match samples.iter().find(|rows| rows.len() != want) {
        None => Ok(()),
        Some(rows) => Err(unfit(format!(
            "sample `{}` has {} scores, but sample `{}` has {want}",
            ids[rows.start],
            rows.len(),
            ids[0]
        ))),
    }
}

/// Computes one score a sample in parallel and repeats it on the sample's rows; NaN becomes null.
fn repeated(
    samples: &[Range<usize>],
    score: impl Fn(Range<usize>) -> PolarsResult<f64> + Sync + Send,
) -> PolarsResult<Series> {
    let scores: Vec<_> = samples.par_iter().map(|rows| score(rows.clone())).collect();
    let mut column = Vec::with_capacity(samples.last().map_or(0, |rows| rows.end));
    for (rows, score) in samples.iter().zip(scores) {
        let score = Some(score?).filter(|s| !s.is_nan());
        column.resize(rows.end, score);
    }
    Ok(Float64Chunked::from_iter_options("score".into(), column.into_iter()).into_series())
}
