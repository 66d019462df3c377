//! Numbers that describe a selection and the scores behind it.

use polars::prelude::*;
use serde::{Deserialize, Serialize};

use super::state::Reason;
use crate::recipe::{Classes, Select, Strategy};
use crate::{Error, Result};

/// What was kept, stage by stage and class by class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// The stages, in order.
    pub stages: Vec<StageCut>,
    /// The classes with at least one usable sample, ascending by label.
    pub classes: Vec<ClassCount>,
}

/// What one stage added.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct StageCut {
    /// The stage, from 1.
    pub stage: i32,
    /// How many samples entered.
    pub rows: u64,
    /// The score of the last that entered; `None` if it had none.
    pub score: Option<f64>,
}

/// One class before and after.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClassCount {
    /// The class index.
    pub label: i32,
    /// Usable samples.
    pub before: u64,
    /// Kept samples.
    pub kept: u64,
}

/// Summarises a selection table.
///
/// # Errors
/// `Internal` if a column is missing.
pub fn summary(selection: &DataFrame) -> Result<Summary> {
    let stages = selection
        .clone()
        .lazy()
        .filter(col("kept"))
        .sort(["stage", "rank"], SortMultipleOptions::default())
        .group_by_stable([col("stage")])
        .agg([len().alias("rows"), col("score").last()])
        .collect()?;
    let classes = selection
        .clone()
        .lazy()
        .filter(col("label").is_not_null())
        .group_by_stable([col("label")])
        .agg([len().alias("before"), col("kept").sum().cast(DataType::UInt32).alias("after")])
        .sort(["label"], SortMultipleOptions::default())
        .collect()?;
    Ok(Summary { stages: stage_cuts(&stages)?, classes: class_counts(&classes)? })
}

/// How many samples of the last stage were left out by strategy `top` though a sample with their score
/// is kept (of their class, where classes have quotas): the keyed hash of the ids decided between
/// them. None for other strategies.
///
/// # Errors
/// `Internal` if a column is missing.
pub fn tied(selection: &DataFrame, spec: &Select) -> Result<u64> {
    if spec.strategy != Strategy::Top {
        return Ok(0);
    }
    let rows = selection.clone().lazy();
    let last = col("stage").eq(col("stage").max());
    let kept = rows.clone().filter(col("kept")).filter(last);
    let ranked = [Reason::BelowCut, Reason::Quota].map(|r| col("reason").eq(lit(r.name())));
    let left_out = rows.filter(ranked[0].clone().or(ranked[1].clone()));
    let keys = match spec.classes {
        Classes::Global => vec![col("score")],
        _ => vec![col("label"), col("score")],
    };
    let tied = left_out.join(kept, keys.clone(), keys, JoinArgs::new(JoinType::Semi)).collect()?;
    Ok(tied.height() as u64)
}

fn stage_cuts(table: &DataFrame) -> PolarsResult<Vec<StageCut>> {
    let (stages, rows) = (table.column("stage")?.i32()?, table.column("rows")?.u32()?);
    let scores = table.column("score")?.f64()?;
    let cuts = stages.iter().zip(rows.iter()).zip(scores.iter());
    let cut = |((stage, rows), score): ((Option<i32>, Option<u32>), _)| StageCut {
        stage: stage.unwrap_or_default(),
        rows: rows.unwrap_or_default().into(),
        score,
    };
    Ok(cuts.map(cut).collect())
}

fn class_counts(table: &DataFrame) -> PolarsResult<Vec<ClassCount>> {
    let (labels, before) = (table.column("label")?.i32()?, table.column("before")?.u32()?);
    let kept = table.column("after")?.u32()?;
    let counts = labels.iter().zip(before.iter()).zip(kept.iter());
    let count = |((label, before), kept): ((Option<i32>, Option<u32>), Option<u32>)| ClassCount {
        label: label.unwrap_or_default(),
        before: before.unwrap_or_default().into(),
        kept: kept.unwrap_or_default().into(),
    };
    Ok(counts.map(count).collect())
}

/// How scores spread: the paper's first figure in numbers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// Scores that are not missing.
    pub count: u64,
    /// The lowest.
    pub min: f64,
    /// The 5 % quantile (linear interpolation, as all quantiles here).
    pub q05: f64,
    /// The 25 % quantile.
    pub q25: f64,
    /// The median.
    pub q50: f64,
    /// The 75 % quantile.
    pub q75: f64,
    /// The 95 % quantile.
    pub q95: f64,
    /// The highest.
    pub max: f64,
    /// Distinct scores over all scores.
    pub distinct: f64,
    /// Entropy of the histogram with 20 bins over the range of the scores, over `ln 20`: 1 if
    /// all bins hold equally many, 0 if one holds all.
    pub evenness: f64,
}

const BINS: usize = 20;

/// The spread of the column `score` (`f64`), without missing scores. `range` is that of the bins,
/// such as from 0 to [`crate::scoring::Criterion::maximum`]; without one the lowest and the highest
/// score serve.
///
/// # Errors
/// `InvalidInput` if there is no score.
pub fn spread(scores: &DataFrame, range: Option<(f64, f64)>) -> Result<Spread> {
    spread_of(scores.column("score")?.f64()?.iter().flatten(), range)
}

/// As [`spread`], of numbers.
///
/// # Errors
/// As [`spread`].
#[allow(clippy::float_cmp, reason = "equal scores are ties")]
pub fn spread_of(scores: impl Iterator<Item = f64>, range: Option<(f64, f64)>) -> Result<Spread> {
    let mut sorted: Vec<f64> = scores.filter(|s| !s.is_nan()).collect();
    sorted.sort_by(f64::total_cmp);
    let (Some(&min), Some(&max)) = (sorted.first(), sorted.last()) else {
        return Err(Error::input("there is no score to describe"));
    };
    let count = sorted.len();
    Ok(Spread {
        count: count as u64,
        min,
        q05: quantile(&sorted, 0.05),
        q25: quantile(&sorted, 0.25),
        q50: quantile(&sorted, 0.5),
        q75: quantile(&sorted, 0.75),
        q95: quantile(&sorted, 0.95),
        max,
        distinct: sorted.chunk_by(|a, b| a == b).count() as f64 / count as f64,
        evenness: evenness(&sorted, range.unwrap_or((min, max))),
    })
}

fn quantile(sorted: &[f64], share: f64) -> f64 {
    let place = share * (sorted.len() - 1) as f64;
    let (low, high) = (place.floor(), place.ceil());
    let (a, b) = (sorted[low as usize], sorted[high as usize]);
    a + (b - a) * (place - low)
}

fn evenness(scores: &[f64], (low, high): (f64, f64)) -> f64 {
    let mut bins = [0u64; BINS];
    for score in scores {
        // Casting saturates, so scores outside the range fall into the end bins.
        let bin = ((score - low) / (high - low) * BINS as f64) as usize;
        bins[bin.min(BINS - 1)] += 1;
    }
    let share = |n: u64| n as f64 / scores.len() as f64;
    let filled = bins.into_iter().filter(|n| *n > 0).map(share);
    filled.fold(0.0, |sum, p| sum - p * p.ln()) / (BINS as f64).ln()
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "hand values are exact")]
mod tests {
    use super::*;

    fn of(scores: Vec<f64>, maximum: Option<f64>) -> Spread {
        spread(&df!("score" => scores).unwrap(), maximum.map(|m| (0.0, m))).unwrap()
    }

    #[test]
    fn an_even_spread_and_a_bunch_are_told_apart() {
        let even = of((0..=100).map(f64::from).collect(), Some(100.0));
        assert_eq!((even.min, even.q05, even.q25, even.q50), (0.0, 5.0, 25.0, 50.0));
        assert_eq!((even.q75, even.q95, even.max, even.distinct), (75.0, 95.0, 100.0, 1.0));
        assert!(even.evenness > 0.999 && even.evenness <= 1.0);
        let bunch = of(vec![0.01; 50], Some(1.0));
        assert_eq!((bunch.evenness, bunch.distinct, bunch.count), (0.0, 0.02, 50));
    }

    #[test]
    fn missing_scores_and_odd_ranges_do_no_harm() {
        let gaps = df!("score" => [Some(1.0), None, Some(f64::NAN), Some(3.0)]).unwrap();
        assert_eq!(spread(&gaps, None).unwrap().count, 2);
        assert_eq!(of(vec![0.0, 0.0], None).evenness, 0.0);
        assert!(of(vec![-1.0, 2.0], Some(1.0)).evenness > 0.2);
        assert!(spread(&df!("score" => Vec::<f64>::new()).unwrap(), None).is_err());
    }

    #[test]
    fn a_selection_is_counted_by_stage_and_class() {
        let table = df!(
            "id" => ["a", "b", "c", "d", "e"],
            "label" => [Some(1), Some(0), Some(1), Some(0), None],
            "score" => [Some(0.5), Some(0.9), Some(0.7), Some(0.1), None],
            "rank" => [Some(1i64), Some(1), Some(2), Some(2), None],
            "stage" => [Some(2), Some(1), Some(1), None, None],
            "kept" => [true, true, true, false, false],
        );
        let summary = summary(&table.unwrap()).unwrap();
        let cuts: Vec<_> = summary.stages.iter().map(|s| (s.stage, s.rows, s.score)).collect();
        assert_eq!(cuts, [(1, 2, Some(0.7)), (2, 1, Some(0.5))]);
        let classes: Vec<_> = summary.classes.iter().map(|c| (c.label, c.before, c.kept)).collect();
        assert_eq!(classes, [(0, 2, 1), (1, 2, 2)]);
    }
}
