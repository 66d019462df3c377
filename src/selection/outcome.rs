//! The end of a selection: the whole table with its random twins, and what is kept or open so far.

use polars::prelude::*;

use super::SelectionPlan;
use super::stage::{Terms, advanced};
use super::state::{Reason, State};
use super::twins::twins;
use crate::Result;
use crate::recipe::{Select, Stages};
use crate::seed::Seed;

/// Selects in one step from any score tables: what stage 1 of a run with one stage does.
///
/// `scores` holds the columns of [`crate::tables::scores`] that the recipe's score needs, one row for
/// each sample and model; `terms.select.stages` plays no part. Gives the table of
/// [`crate::tables::selection`].
///
/// # Errors
/// As [`stage`](fn@crate::selection::stage).
pub fn select(scores: &LazyFrame, terms: &Terms<'_>) -> Result<DataFrame> {
    let select = Select { stages: Stages::Equal(1), ..terms.select.clone() };
    let terms = Terms { select: &select, ..terms.clone() };
    let samples = terms.scored(scores)?;
    let state = State::opened(&samples);
    let sizes = state.count(terms.classes.len(), |_| true);
    let plan = SelectionPlan::new(&select, terms.classes, &sizes)?;
    let state = advanced(state, &samples, &plan, 1, &terms)?.table()?;
    let nothing = df!("id" => Vec::<String>::new(), "reason" => Vec::<String>::new())?;
    finish(&state, nothing, terms.seed)
}

/// The whole selection: the state after the last stage with its twins, and the quarantined samples (see
/// [`crate::tables::quarantine`]) with the reason `quarantined: <why>`, ascending by id.
///
/// # Errors
/// `Internal` if a column is missing.
pub fn finish(state: &DataFrame, quarantine: DataFrame, seed: &Seed) -> Result<DataFrame> {
    let usable = State::read(state)?;
    let classes = usable.labels.iter().max().map_or(0, |label| label + 1);
    let kept = usable.reasons.iter().filter(|reason| **reason == Reason::Kept).count();
    let [random, stratified] = twins(&usable.ids, &usable.labels, classes, kept, seed);
    let mut table = usable.table()?;
    table.with_column(Column::new("random".into(), random))?;
    table.with_column(Column::new("random_stratified".into(), stratified))?;
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
        lit(false).alias("random"),
        lit(false).alias("random_stratified"),
    ]);
    let usable = table.drop("wrong")?.lazy();
    let all = concat([usable, quarantined], UnionArgs::default())?;
    Ok(all.sort(["id", "reason"], SortMultipleOptions::default()).collect()?)
}

/// The ids that are kept so far, ascending: what the model of the next stage trains on.
///
/// # Errors
/// `Internal` if a column is missing.
pub fn coreset(state: &DataFrame) -> Result<Vec<String>> {
    let state = State::read(state)?;
    let kept = state.ids.iter().zip(&state.reasons).filter(|(_, r)| **r == Reason::Kept);
    Ok(kept.map(|(id, _)| id.clone()).collect())
}

/// The ids that are still open, ascending: what the model of the next stage must score.
///
/// # Errors
/// `Internal` if a column is missing.
pub fn remaining(state: &DataFrame) -> Result<Vec<String>> {
    let state = State::read(state)?;
    Ok(state.open().into_iter().map(|i| state.ids[i].clone()).collect())
}

/// How many predictions of stage 1 were wrong in each of `classes` classes.
///
/// # Errors
/// `InvalidInput` if they are not known.
pub fn class_errors(state: &DataFrame, classes: usize) -> Result<Vec<u64>> {
    State::read(state)?.errors(classes)
}
