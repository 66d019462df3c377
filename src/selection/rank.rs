//! The total order of samples: the most wanted first, never by row order.

use polars::prelude::*;

use super::column::whole;
use crate::scoring::Direction;
use crate::seed::Seed;

const PLACE: &str = "__place";

/// The indices of samples, ordered by (score, keyed hash of the id, id), the most wanted first.
///
/// Missing scores (`None` or NaN) come last in either direction, and -0.0 equals 0.0. `seed` is the
/// run's; ties use its purpose `tie`.
pub(super) fn ranking<S: AsRef<str>>(
    ids: &[S],
    scores: &[Option<f64>],
    direction: Direction,
    seed: &Seed,
) -> Vec<usize> {
    let seed = seed.of("tie");
    let key = |i: usize| {
        let score = scores[i].filter(|score| !score.is_nan());
        let signed = match direction {
            Direction::KeepHigh => -score.unwrap_or(0.0),
            Direction::KeepLow => score.unwrap_or(0.0),
        };
        // Adding 0 makes 0.0 of -0.0.
        (score.is_none(), signed + 0.0, seed.hash(ids[i].as_ref()))
    };
    let mut order: Vec<(usize, (bool, f64, u64))> = (0..ids.len()).map(|i| (i, key(i))).collect();
    order.sort_by(|(a, (no_a, score_a, hash_a)), (b, (no_b, score_b, hash_b))| {
        let score = no_a.cmp(no_b).then(score_a.total_cmp(score_b));
        score.then(hash_a.cmp(hash_b)).then_with(|| ids[*a].as_ref().cmp(ids[*b].as_ref()))
    });
    order.into_iter().map(|(i, _)| i).collect()
}

/// The rows in the order of [`ranking`].
pub(crate) fn ordered(
    table: LazyFrame,
    score: &str,
    direction: Direction,
    seed: &Seed,
) -> LazyFrame {
    let (seed, inputs) = (seed.clone(), [col("id"), col(score).cast(DataType::Float64)]);
    let place = whole(PLACE, DataType::UInt32, &inputs, move |columns| {
        let ids: Vec<&str> = columns[0].str()?.iter().map(Option::unwrap_or_default).collect();
        let scores: Vec<Option<f64>> = columns[1].f64()?.iter().collect();
        let mut places = vec![0_u32; ids.len()];
        let ranked = ranking(&ids, &scores, direction, &seed);
        ranked.into_iter().zip(0..).for_each(|(row, place)| places[row] = place);
        Ok(UInt32Chunked::from_vec(PLACE.into(), places).into_series())
    });
    let placed = table.with_column(place).sort([PLACE], SortMultipleOptions::default());
    placed.drop(by_name([PLACE], true, false))
}
