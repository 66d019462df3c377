//! Scores of one prediction: how much a model would learn from the sample.
//!
//! A [`Criterion`] turns one [`Prediction`] into one number and says which end is kept, so that a
//! score is stored as published and nobody negates it twice. [`score_rows`] applies several
//! criteria to a block of logits. This room knows neither tables nor networks and does no I/O.

mod cross_entropy;
mod el2n;
mod entropy;
mod least_confidence;
mod margin;
mod rows;
#[cfg(test)]
#[allow(clippy::float_cmp, reason = "hand values are exact")]
mod tests;

use crate::recipe::Method;

pub(crate) use rows::score_distribution;
pub use rows::{score_probabilities, score_rows, softmax};

/// The end of a score that is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The highest scores are kept.
    KeepHigh,
    /// The lowest scores are kept.
    KeepLow,
}

/// What one model says about one sample. `C` is the number of classes.
#[derive(Clone, Copy, Debug)]
pub struct Prediction<'a> {
    /// `C` finite logits. Where only probabilities exist, their natural logarithms.
    pub logits: &'a [f32],
    /// `C` probabilities that sum to 1: the softmax of the logits.
    pub probabilities: &'a [f32],
    /// The class of the sample, below `C`.
    pub label: usize,
}

/// A score of one prediction. The same prediction always gives the same bits.
pub trait Criterion: Send + Sync {
    /// The name of the score column.
    fn name(&self) -> &str;

    /// Which end is kept.
    fn direction(&self) -> Direction;

    /// The score, finite for every finite prediction.
    fn score(&self, prediction: &Prediction<'_>) -> f32;

    /// The largest possible score over `classes` classes, if there is one.
    fn maximum(&self, _classes: usize) -> Option<f64> {
        None
    }
}

/// The criterion behind a method of the recipe.
pub fn builtin(method: Method) -> &'static dyn Criterion {
    match method {
        Method::Entropy => &entropy::Entropy,
        Method::Margin => &margin::Margin,
        Method::LeastConfidence => &least_confidence::LeastConfidence,
        Method::El2n => &el2n::El2n,
        Method::CrossEntropy => &cross_entropy::CrossEntropy,
    }
}

impl<C: Criterion> From<&'static C> for &'static dyn Criterion {
    fn from(criterion: &'static C) -> Self {
        criterion
    }
}

impl From<Method> for &'static dyn Criterion {
    fn from(method: Method) -> Self {
        builtin(method)
    }
}
