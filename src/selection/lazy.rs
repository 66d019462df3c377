//! The extension trait: aggregation and selection as `LazyFrame` verbs.

use std::collections::BTreeMap;

use polars::prelude::*;

use super::aggregate::ScoredBy;
use super::column::{labels, whole};
use super::quota::{Quota, proportional, uniform};
use super::rank::ordered;
use crate::recipe::{Classes, Score};
use crate::scoring::Direction;
use crate::seed::Seed;

mod sealed {
    pub trait Sealed {}
    impl Sealed for polars::prelude::LazyFrame {}
}

/// Verbs for score tables. All of them stay lazy, and none depends on row order or threads: they
/// rank by (score, keyed hash of the `id`, `id`). The `id` column must hold unique strings.
///
/// ```
/// use polars::prelude::*;
/// use unseen::recipe::{Classes, Method, Score};
/// use unseen::scoring::Direction;
/// use unseen::seed::Seed;
/// use unseen::selection::prelude::*;
///
/// let scores = df!(
///     "id" => ["a", "a", "b", "b", "c", "c"],
///     "label" => [0, 0, 1, 1, 0, 0],
///     "fold" => [0, 0, 1, 1, 2, 2],
///     "model" => [1, 2, 0, 2, 0, 1],
///     "entropy" => [0.1f32, 0.3, 0.2, 0.1, 0.9, 0.7],
/// )?;
/// let kept = scores.lazy()
///     .unseen_aggregate(&Score::default(), Method::Entropy)
///     .unseen_select("score", Direction::KeepHigh, 2, Classes::Uniform, &Seed::new(0))
///     .collect()?;
/// assert_eq!(kept.column("id")?.str()?.iter().flatten().collect::<Vec<_>>(), ["c", "b"]);
/// # PolarsResult::Ok(())
/// ```
pub trait UnseenLazyFrame: sealed::Sealed + Sized {
    /// One score a sample from the scores of several models: see
    /// [`aggregate`](fn@crate::selection::aggregate).
    fn unseen_aggregate(self, spec: &Score, by: impl Into<ScoredBy>) -> LazyFrame;

    /// The `n` most wanted rows by the column `score`, best first; missing scores come last.
    fn unseen_top(self, score: &str, direction: Direction, n: u32, seed: &Seed) -> LazyFrame;

    /// The `n` most wanted rows (all, if there are fewer), best first, spread over the classes of
    /// the integer column `label`.
    fn unseen_select(
        self,
        score: &str,
        direction: Direction,
        n: u32,
        classes: Classes,
        seed: &Seed,
    ) -> LazyFrame;
}

impl UnseenLazyFrame for LazyFrame {
    fn unseen_aggregate(self, spec: &Score, by: impl Into<ScoredBy>) -> LazyFrame {
        super::aggregate(self, spec, by)
    }

    fn unseen_top(self, score: &str, direction: Direction, n: u32, seed: &Seed) -> LazyFrame {
        ordered(self, score, direction, seed).limit(n)
    }

    fn unseen_select(
        self,
        score: &str,
        direction: Direction,
        n: u32,
        classes: Classes,
        seed: &Seed,
    ) -> LazyFrame {
        if classes == Classes::Global {
            return self.unseen_top(score, direction, n, seed);
        }
        ordered(self, score, direction, seed).filter(balanced(u64::from(n), classes))
    }
}

/// Whether each row, the best first, is within its class's share of `n`.
fn balanced(n: u64, classes: Classes) -> Expr {
    whole("balanced", DataType::Boolean, &[col("label")], move |columns| {
        let labels = labels(&columns[0])?;
        let mut sizes: BTreeMap<i32, u64> = BTreeMap::new();
        for label in &labels {
            *sizes.entry(*label).or_default() += 1;
        }
        let (names, sizes): (Vec<i32>, Vec<u64>) = sizes.into_iter().unzip();
        let n = n.min(sizes.iter().sum());
        let mut quota = Quota::exactly(match classes {
            Classes::Uniform => uniform(n, &sizes),
            Classes::Global | Classes::HardClass | Classes::Proportional => {
                proportional(n, &sizes, &sizes)
            }
        });
        let class = |label| names.binary_search(label).unwrap_or_default() as i32;
        let within: BooleanChunked = labels.iter().map(|l| quota.take(class(l))).collect();
        Ok(within.into_series())
    })
}
