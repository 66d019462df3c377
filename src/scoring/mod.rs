//! Scores: how much a model would learn from a sample. One definition serves training-time scoring,
//! stored predictions and Polars expressions.
//!
//! - A [`Criterion`] turns one [`Prediction`] into one number; [`score_block`] applies several to a
//!   block of outputs.
//! - [`Dynamics`] watches predictions epoch by epoch and scores their trajectory.
//! - [`embedding_scores`] looks at all samples of a model together.
//! - [`label_errors`] finds labels that are probably wrong.
//!
//! Each says which end is kept ([`direction`]), so a score is stored as published and nobody negates it
//! twice. This room knows neither tables nor networks and does no I/O.

mod catalogue;
mod cross_entropy;
mod el2n;
mod embedding;
mod entropy;
mod grand;
mod label_errors;
mod label_quality;
mod least_confidence;
mod margin;
mod rows;
mod sums;
#[cfg(test)]
#[allow(clippy::float_cmp, reason = "hand values are exact")]
mod tests;
mod trajectory;

use crate::recipe::Method;

pub use catalogue::{Entry, catalogue, table};
pub use embedding::{Cloud, difficulty, embedding_limit, embedding_scores};
pub use label_errors::{LabelError, MeanProbabilities, label_errors};
pub(crate) use rows::score_distribution;
pub use rows::{Block, Values, score_block, softmax};
pub use sums::Sums;
pub use trajectory::{Dynamics, Trajectory, check_trajectory, trajectory};

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
    /// Which of the two the model gave; the other follows from it and is rounded once more.
    pub given: Given,
    /// The class of the sample, below `C`.
    pub label: usize,
    /// The Euclidean norm of its embedding, which is the input of the model's last layer; `None` if it
    /// is not known.
    pub embedding_norm: Option<f32>,
}

/// What a model gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Given {
    /// Logits.
    Logits,
    /// Probabilities.
    Probabilities,
}

/// A score of one prediction. The same prediction always gives the same bits.
pub trait Criterion: Send + Sync {
    /// The name of the score column.
    fn name(&self) -> &'static str;

    /// Which end is kept.
    fn direction(&self) -> Direction;

    /// Whether it needs [`Prediction::embedding_norm`].
    fn needs_embedding(&self) -> bool {
        false
    }

    /// The score, finite for every finite prediction.
    fn score(&self, prediction: &Prediction<'_>) -> f32;

    /// The same score to 1e-6 of it, from sums over the softmax of the logits, if it follows from these:
    /// many scores then share one vectorised pass over the logits.
    fn of_sums(&self) -> Option<fn(&Sums) -> f32> {
        None
    }

    /// The largest possible score over `classes` classes, if there is one.
    fn maximum(&self, _classes: usize) -> Option<f64> {
        None
    }
}

/// The criterion behind a method that needs one snapshot; `None` for the others.
pub fn criterion(method: Method) -> Option<&'static dyn Criterion> {
    Some(match method {
        Method::Entropy => &entropy::Entropy,
        Method::Margin => &margin::Margin,
        Method::LeastConfidence => &least_confidence::LeastConfidence,
        Method::El2n => &el2n::El2n,
        Method::CrossEntropy => &cross_entropy::CrossEntropy,
        Method::Grand => &grand::Grand,
        Method::SelfConfidence => &label_quality::SelfConfidence,
        Method::NormalizedMargin => &label_quality::NormalizedMargin,
        Method::ConfidenceWeightedEntropy => &label_quality::ConfidenceWeightedEntropy,
        _ => return None,
    })
}

/// The end of a method's scores that is kept.
pub fn direction(method: Method) -> Direction {
    match method {
        Method::Margin
        | Method::SelfConfidence
        | Method::NormalizedMargin
        | Method::ConfidenceWeightedEntropy
        | Method::AumLogitMean
        | Method::AumProbSum
        | Method::MeanConfidence
        | Method::Moderate
        | Method::KCenter
        | Method::Herding
        | Method::D2
        | Method::FacilityLocation => Direction::KeepLow,
        _ => Direction::KeepHigh,
    }
}

/// The nearest finite `f32`.
fn narrow(score: f64) -> f32 {
    score.clamp(f64::from(f32::MIN), f64::from(f32::MAX)) as f32
}
