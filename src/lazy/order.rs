//! Ranks and the choice of the most wanted, as expressions.

use polars::prelude::*;

use crate::scoring::Direction;
use crate::seed::Seed;
use crate::selection::{unfit, whole};

/// The place of each row, a `u32` named `rank`: 1 is the most wanted, no two rows share one.
///
/// The order is that of a run: by score, its kept end first, where -0.0 equals 0.0; missing scores
/// (null or NaN), which a run refuses, come last here; then by keyed hash of the id; then by id. `id` holds unique strings, `score`
/// numbers. Under `over` each group has places of its own.
///
/// ```
/// # use polars::prelude::*;
/// use unseen::lazy::rank;
/// use unseen::scoring::Direction;
/// use unseen::seed::Seed;
///
/// let table = df!("id" => ["a", "b", "c"], "margin" => [Some(0.9), None, Some(0.1)])?;
/// let place = rank(col("id"), col("margin"), Direction::KeepLow, &Seed::new(0));
/// let table = table.lazy().select([place]).collect()?;
/// assert_eq!(table.column("rank")?.u32()?.to_vec(), [Some(2), Some(3), Some(1)]);
/// # PolarsResult::Ok(())
/// ```
pub fn rank(id: Expr, score: Expr, direction: Direction, seed: &Seed) -> Expr {
    let seed = seed.of("tie");
    let score = score.cast(DataType::Float64);
    whole("rank", DataType::UInt32, &[id, score], move |columns| {
        let ids = columns[0].str()?;
        let scores = columns[1].f64()?;
        if ids.null_count() > 0 {
            return Err(unfit("a row has no id".to_owned()));
        }
        let rows: Vec<Row<'_>> = ids
            .iter()
            .flatten()
            .zip(scores.iter())
            .map(|(id, score)| Row { wanted: wanted(score, direction), tie: seed.hash(id), id })
            .collect();
        let ranks = UInt32Chunked::from_vec("rank".into(), places(&rows)?);
        Ok(ranks.into_series())
    })
}

/// Whether a row is among the `n` most wanted, a boolean named `selected`; the order is that of [`rank`].
/// Under `over` the `n` most wanted of each group are chosen.
///
/// ```
/// # use polars::prelude::*;
/// use unseen::lazy::selected;
/// use unseen::scoring::Direction;
/// use unseen::seed::Seed;
///
/// let table = df!("id" => ["a", "b", "c"], "label" => [0, 0, 1], "el2n" => [0.4, 0.9, 0.1])?;
/// let best = selected(col("id"), col("el2n"), Direction::KeepHigh, 1, &Seed::new(0));
/// let kept = table.lazy().filter(best.over(["label"])?).collect()?;
/// assert_eq!(kept.column("id")?.str()?.iter().flatten().collect::<Vec<_>>(), ["b", "c"]);
/// # PolarsResult::Ok(())
/// ```
pub fn selected(id: Expr, score: Expr, direction: Direction, n: u32, seed: &Seed) -> Expr {
    rank(id, score, direction, seed).lt_eq(lit(n)).alias("selected")
}

/// What the order of a row depends on.
struct Row<'a> {
    /// The score with its kept end up; missing below all others.
    wanted: Option<f64>,
    tie: u64,
    id: &'a str,
}

fn wanted(score: Option<f64>, direction: Direction) -> Option<f64> {
    let score = score.filter(|score| !score.is_nan())?;
    // The sum and the difference turn -0.0 into 0.0.
    Some(match direction {
        Direction::KeepHigh => score + 0.0,
        Direction::KeepLow => 0.0 - score,
    })
}

/// The place of each row, from 1.
fn places(rows: &[Row<'_>]) -> PolarsResult<Vec<u32>> {
    let order = |a: &Row<'_>, b: &Row<'_>| {
        let missing = a.wanted.is_none().cmp(&b.wanted.is_none());
        let score = || b.wanted.unwrap_or_default().total_cmp(&a.wanted.unwrap_or_default());
        missing.then_with(score).then(a.tie.cmp(&b.tie)).then(a.id.cmp(b.id))
    };
    let mut sorted: Vec<usize> = (0..rows.len()).collect();
    sorted.sort_unstable_by(|a, b| order(&rows[*a], &rows[*b]));
    let mut places = vec![0; rows.len()];
    for (place, row) in (1..).zip(&sorted) {
        places[*row] = place;
    }
    match sorted.windows(2).find(|pair| order(&rows[pair[0]], &rows[pair[1]]).is_eq()) {
        None => Ok(places),
        Some(pair) => {
            Err(unfit(format!("id `{}` occurs twice; ids must be unique", rows[pair[0]].id)))
        }
    }
}
