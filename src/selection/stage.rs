//! One stage after another: the selection table grows, and what is in stays in.
//!
//! The state after a stage is a table with the columns of [`crate::tables::selection`] and one
//! row for each usable sample, ascending by id. A sample is *open* while it is neither kept nor
//! under the noise guard; only open samples are ranked.

use polars::prelude::*;

use super::quota::Quota;
use super::rank::{ordered, taken};
use super::{SelectionPlan, aggregate};
use crate::recipe::{By, Method, Recipe, Select};
use crate::scoring::{Direction, direction};
use crate::seed::Seed;
use crate::{Error, Result};

const KEPT: &str = "kept";
const BELOW_CUT: &str = "below-cut";
const QUOTA: &str = "quota";
const NOISE_GUARD: &str = "noise-guard";

const OPEN: &str = "__open";
const PLACE: &str = "__place";
const TAKEN: &str = "__taken";
const NEW: &str = "__new";

/// The selection after stage `t` (from 1), from the one before and the scores of this stage.
///
/// `scores` is one table with the rows of all models of the stage, as [`aggregate`](fn@aggregate)
/// takes it: every usable sample in stage 1, every open one later (others are ignored). Of the open
/// samples the `plan.sizes()[t - 1]` first by (score, keyed hash of the id, id) are kept, each
/// class within its bounds. In stage 1 the noise guard first sets the hardest aside for good.
///
/// Reasons: `kept`; `below-cut`; `quota` (among the first of the stage, but its class was full or
/// the place was kept for a class that lacks samples); `noise-guard`. Samples under the guard have no rank.
///
/// # Errors
/// `InvalidInput` if the scores do not fit the samples (one lost, one twice); `InvalidRecipe` if
/// the noise guard leaves a class too few for its rule; `Internal` if `previous` is not the selection
/// after stage `t - 1`.
pub fn stage(
    previous: Option<DataFrame>,
    scores: LazyFrame,
    plan: &SelectionPlan,
    t: usize,
    recipe: &Recipe,
    seed: &Seed,
) -> Result<DataFrame> {
    let size = *t
        .checked_sub(1)
        .and_then(|i| plan.sizes().get(i))
        .ok_or_else(|| Error::internal(format!("the plan has no stage {t}")))?;
    let aggregated = aggregate(scores, &recipe.score, method(&recipe.select)?);
    let aggregated = aggregated.collect().map_err(|e| {
        Error::input(format!("the score tables of stage {t} do not fit together")).because(e)
    })?;
    let before = match previous {
        None => opened(aggregated, plan, &recipe.select, seed)?,
        Some(state) => rescored(&state, aggregated, t)?,
    };
    let quota = stage_quota(&before, plan, t, size)?;
    decided(before, t, size, quota, &recipe.select, seed)
}

/// The selection before stage 1: nothing kept, the hardest under the noise guard.
fn opened(
    scored: DataFrame,
    plan: &SelectionPlan,
    select: &Select,
    seed: &Seed,
) -> Result<DataFrame> {
    if scored.height() as u64 != plan.rows() {
        return Err(Error::input(format!(
            "stage 1 scored {} samples, but {} are usable",
            scored.height(),
            plan.rows()
        )));
    }
    let direction = end(select)?;
    let guarded = col(PLACE).lt_eq(lit(plan.guarded()));
    let state = ordered(scored.lazy(), None, "score", direction, seed)
        .with_row_index(PLACE, Some(1))
        .with_columns([
            lit(NULL).cast(DataType::Int64).alias("rank"),
            lit(NULL).cast(DataType::Int32).alias("stage"),
            lit(false).alias("kept"),
            when(guarded).then(lit(NOISE_GUARD)).otherwise(lit(BELOW_CUT)).alias("reason"),
        ]);
    Ok(state.select(columns()).collect()?)
}

/// The selection with the new scores of the open samples.
fn rescored(state: &DataFrame, scored: DataFrame, t: usize) -> Result<DataFrame> {
    let new = scored.lazy().select([col("id"), col("score").alias(NEW)]);
    let asked = state.clone().lazy().filter(open());
    let join = |left: LazyFrame, how| left.join(new.clone(), [col("id")], [col("id")], how);
    let lost = join(asked, JoinArgs::new(JoinType::Anti)).select([col("id")]).collect()?;
    if let Some(id) = lost.column("id")?.str()?.iter().flatten().min() {
        return Err(Error::input(format!(
            "stage {t} has no score for {} samples, such as `{id}`",
            lost.height()
        )));
    }
    let score = when(open()).then(col(NEW)).otherwise(col("score"));
    let state = join(state.clone().lazy(), JoinArgs::new(JoinType::Left));
    Ok(state.with_column(score.alias("score")).select(columns()).collect()?)
}

fn method(select: &Select) -> Result<Method> {
    match &select.by {
        By::Method(method) => Ok(*method),
        By::Own(name) => Err(Error::recipe(format!("there is no score `{name}`"))),
    }
}

fn end(select: &Select) -> Result<Direction> {
    method(select).map(direction)
}

fn open() -> Expr {
    col("kept").not().and(col("reason").neq(lit(NOISE_GUARD)))
}

/// What this stage may take, by what each class has and lacks.
fn stage_quota(state: &DataFrame, plan: &SelectionPlan, t: usize, size: u64) -> Result<Quota> {
    let (mut eligible, mut kept) = (vec![0; plan.classes()], vec![0; plan.classes()]);
    let labels = super::column::labels(state.column("label")?)?;
    let reasons = state.column("reason")?.str()?;
    for (label, reason) in labels.into_iter().zip(reasons.iter()) {
        let class = usize::try_from(label).ok().filter(|class| *class < plan.classes());
        let class = class.ok_or_else(|| Error::input(format!("label {label} is no class")))?;
        eligible[class] += u64::from(reason != Some(NOISE_GUARD));
        kept[class] += u64::from(reason == Some(KEPT));
    }
    let (got, want) = (kept.iter().sum::<u64>(), plan.sizes()[..t - 1].iter().sum::<u64>());
    if got != want || state.height() as u64 != plan.rows() {
        return Err(Error::internal(format!(
            "before stage {t} the selection keeps {got} of {} samples, not {want} of {}",
            state.height(),
            plan.rows()
        )));
    }
    plan.stage_quota(size, &eligible, &kept)
}

/// Ranks the open samples and takes what the quota allows.
fn decided(
    state: DataFrame,
    t: usize,
    size: u64,
    quota: Quota,
    select: &Select,
    seed: &Seed,
) -> Result<DataFrame> {
    let direction = end(select)?;
    let reason = when(col(TAKEN))
        .then(lit(KEPT))
        .when(col(OPEN).and(col(PLACE).lt_eq(lit(size))))
        .then(lit(QUOTA))
        .when(col(OPEN))
        .then(lit(BELOW_CUT))
        .otherwise(col("reason"));
    let state = state.lazy().with_column(open().alias(OPEN));
    ordered(state, Some(col(OPEN)), "score", direction, seed)
        .with_row_index(PLACE, Some(1))
        .with_column(taken(TAKEN, col(OPEN), quota))
        .with_columns([
            when(col(OPEN))
                .then(col(PLACE))
                .otherwise(col("rank"))
                .cast(DataType::Int64)
                .alias("rank"),
            when(col(TAKEN)).then(lit(t as i32)).otherwise(col("stage")).alias("stage"),
            col("kept").or(col(TAKEN)).alias("kept"),
            reason.alias("reason"),
        ])
        .select(columns())
        .sort(["id"], SortMultipleOptions::default())
        .collect()
        .map_err(Error::from)
}

/// The columns of [`crate::tables::selection`].
fn columns() -> Vec<Expr> {
    ["id", "label", "fold", "score", "rank", "stage", "kept", "reason"].map(col).to_vec()
}

/// The whole selection: the state after the last stage and the quarantined samples (see
/// [`crate::tables::quarantine`]) with the reason `quarantined: <why>`, ascending by id.
///
/// # Errors
/// `Internal` if a column is missing.
pub fn finish(state: DataFrame, quarantine: DataFrame) -> Result<DataFrame> {
    let nothing = |kind: DataType, name: &str| lit(NULL).cast(kind).alias(name);
    let quarantined = quarantine.lazy().select([
        col("id"),
        nothing(DataType::Int32, "label"),
        nothing(DataType::Int32, "fold"),
        nothing(DataType::Float64, "score"),
        nothing(DataType::Int64, "rank"),
        nothing(DataType::Int32, "stage"),
        lit(false).alias("kept"),
        (lit("quarantined: ") + col("reason")).alias("reason"),
    ]);
    let all = concat([state.lazy().select(columns()), quarantined], UnionArgs::default())?;
    Ok(all.sort(["id", "reason"], SortMultipleOptions::default()).collect()?)
}

/// The ids that are kept so far, ascending: what the model of the next stage trains on.
///
/// # Errors
/// `Internal` if a column is missing.
pub fn coreset(state: &DataFrame) -> Result<Vec<String>> {
    ids(state, col("kept"))
}

/// The ids that are still open, ascending: what the model of the next stage must score.
///
/// # Errors
/// `Internal` if a column is missing.
pub fn remaining(state: &DataFrame) -> Result<Vec<String>> {
    ids(state, open())
}

fn ids(state: &DataFrame, which: Expr) -> Result<Vec<String>> {
    let table = state.clone().lazy().filter(which).select([col("id")]);
    let table = table.sort(["id"], SortMultipleOptions::default()).collect()?;
    Ok(table.column("id")?.str()?.iter().flatten().map(str::to_owned).collect())
}
