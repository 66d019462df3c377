//! The extension trait: scores, folds and selection as `LazyFrame` verbs.

use std::collections::BTreeMap;

use polars::prelude::*;

use super::Predictions;
use super::folds::assigned;
use super::scores::together;
use crate::recipe::{Classes, Folds, Method, Score};
use crate::scoring::{Direction, criterion};
use crate::seed::Seed;
use crate::selection::quota::{Quota, proportional, uniform};
use crate::selection::{ScoredBy, aggregate, labels, ordered, unfit, whole};

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
/// use unseen::prelude::*;
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
    /// Adds a column of scores, `f32`, for each of `methods` that needs one snapshot; the column `label`
    /// holds integers, and `grand` needs [`Predictions::embedding`]. They are those of
    /// [`crate::lazy::entropy`] and its siblings, computed together.
    ///
    /// ```
    /// use polars::prelude::*;
    /// use unseen::prelude::*;
    /// use unseen::recipe::Method;
    ///
    /// let rows = [[4f32, 0.0], [1.0, 0.9]].map(|row| Series::new("".into(), row));
    /// let table = df!("label" => [0, 0], "logits" => rows)?.lazy();
    /// let scores = table.unseen_score(&[Method::Margin, Method::El2n], col("logits")).collect()?;
    /// assert_eq!(scores.get_column_names(), ["label", "logits", "margin", "el2n"]);
    /// # PolarsResult::Ok(())
    /// ```
    fn unseen_score(self, methods: &[Method], predictions: impl Into<Predictions>) -> LazyFrame;

    /// Adds the column `fold`, `i32`: the fold of stage 1 that a run with this recipe and seed gives
    /// each sample ([`crate::folds::assign`]). It looks at `label` (integers) if folds are stratified and at the
    /// column `spec.group` if there is one. Duplicates stay together only by such a column, because the
    /// content of samples is not known here.
    ///
    /// ```
    /// use polars::prelude::*;
    /// use unseen::prelude::*;
    /// use unseen::recipe::Folds;
    /// use unseen::seed::Seed;
    ///
    /// let spec = Folds { k: 2, stratify: true, ..Folds::default() };
    /// let table = df!("id" => ["a", "b", "c", "d"], "label" => [0, 0, 1, 1])?.lazy();
    /// let sizes = table.unseen_folds(&spec, &Seed::new(0))
    ///     .group_by_stable(["label", "fold"])
    ///     .agg([len()])
    ///     .collect()?;
    /// assert_eq!(sizes.column("len")?.u32()?.to_vec(), [Some(1); 4]);
    /// # PolarsResult::Ok(())
    /// ```
    fn unseen_folds(self, spec: &Folds, seed: &Seed) -> LazyFrame;

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
    fn unseen_score(self, methods: &[Method], predictions: impl Into<Predictions>) -> LazyFrame {
        let other = methods.iter().find(|method| criterion(**method).is_none());
        let other = other.map(|method| method.name());
        let criteria = methods.iter().filter_map(|method| criterion(*method)).collect();
        // A method that needs more than a snapshot has no criterion, and fails the query.
        let label = match other {
            Some(name) => refused(format!(
                "`{name}` is no score of one prediction; it needs more than a snapshot"
            )),
            None => col("label"),
        };
        let scores = together(SCORES, criteria, predictions.into(), label);
        self.with_column(scores).unnest(by_name([SCORES], true, false), None)
    }

    fn unseen_folds(self, spec: &Folds, seed: &Seed) -> LazyFrame {
        self.with_column(assigned(spec, seed))
    }

    fn unseen_aggregate(self, spec: &Score, by: impl Into<ScoredBy>) -> LazyFrame {
        aggregate(self, spec, by)
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
        if classes == Classes::HardClass {
            return self.filter(refused(HARD_CLASS));
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

/// The column that holds all scores until they are unpacked.
const SCORES: &str = "unseen_scores";

const HARD_CLASS: &str = "classes = `hard_class` follows the errors of models, which a score column does not tell; use `selection::select`";

/// An expression that fails when the query is planned.
fn refused(why: impl Into<String>) -> Expr {
    let why = why.into();
    let field = move |_: &Schema, _: &Field| Err(unfit(why.clone()));
    col("label").map(Ok, field)
}
