//! The total order of samples: the most wanted first, never by row order.

use polars::prelude::*;

use super::column::whole;
use super::quota::Quota;
use crate::scoring::Direction;
use crate::seed::Seed;

/// Sorts by (first, score, keyed hash of the id, id), the most wanted first; where the boolean
/// `first` is given, its rows come before the others.
///
/// Missing scores (null or NaN) come last in either direction, and -0.0 equals 0.0. `seed` is the
/// run's; ties use its purpose `tie`.
pub(crate) fn ordered(
    table: LazyFrame,
    first: Option<Expr>,
    score: &str,
    direction: Direction,
    seed: &Seed,
) -> LazyFrame {
    let mut keys = vec![(wanted(score, direction), true), (tie(seed), false), (col("id"), false)];
    keys.splice(0..0, first.map(|first| (first, true)));
    let (keys, descending): (Vec<Expr>, Vec<bool>) = keys.into_iter().unzip();
    let order = SortMultipleOptions::default()
        .with_order_descending_multi(descending)
        .with_nulls_last(true);
    table.sort_by_exprs(keys, order)
}

/// The score with its kept end up, null where it is missing.
fn wanted(score: &str, direction: Direction) -> Expr {
    let score = col(score).cast(DataType::Float64);
    let zero = score.clone().eq(lit(0.0));
    let signed = match direction {
        Direction::KeepHigh => score.clone(),
        Direction::KeepLow => lit(0.0) - score.clone(),
    };
    when(score.is_nan()).then(lit(NULL)).when(zero).then(lit(0.0)).otherwise(signed)
}

/// The keyed hash of the id.
fn tie(seed: &Seed) -> Expr {
    let seed = seed.of("tie");
    let hashes = move |ids: Column| {
        let hashes: UInt64Chunked =
            ids.str()?.iter().map(|id| id.map(|id| seed.hash(id))).collect();
        Ok(hashes.into_series().into())
    };
    col("id").map(hashes, |_, field| Ok(Field::new(field.name().clone(), DataType::UInt64)))
}

/// Which rows a quota takes, going down the rows; only rows where `eligible` holds count.
pub(super) fn taken(name: &'static str, eligible: Expr, quota: Quota) -> Expr {
    let inputs = [eligible, col("label")];
    whole(name, DataType::Boolean, &inputs, move |columns| {
        let labels = super::column::labels(&columns[1])?;
        let mut quota = quota.clone();
        let taken = columns[0].bool()?.iter().zip(labels);
        let taken: BooleanChunked =
            taken.map(|(eligible, label)| eligible == Some(true) && quota.take(label)).collect();
        Ok(taken.into_series())
    })
}
