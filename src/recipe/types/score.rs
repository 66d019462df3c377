//! `[score]`: which scores are computed and how those of several models become one.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which scores are computed and how those of several models become one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Score {
    /// The scores to compute. `select.by` is always among them.
    #[schemars(length(min = 1), extend("uniqueItems" = true))]
    pub methods: Vec<Method>,
    /// How a sample's scores by several models become one.
    pub aggregate: Aggregate,
    /// What is averaged: the scores of the models, or first their probabilities (which are then
    /// scored once).
    pub average: Average,
    /// Put each model's scores on a common scale first.
    pub scale: Scale,
    /// The outputs of a model that scores are computed from.
    pub outputs: Outputs,
    /// Store the logits in the score tables too.
    pub logits: bool,
}

impl Default for Score {
    fn default() -> Self {
        Self {
            methods: Method::ALL.to_vec(),
            aggregate: Aggregate::Mean,
            average: Average::Scores,
            scale: Scale::None,
            outputs: Outputs::Clean,
            logits: false,
        }
    }
}

/// A scoring method that ships with `unseen`.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[schemars(title = "score")]
pub enum Method {
    /// -sum p ln p; high is kept.
    Entropy,
    /// Largest minus second largest probability; low is kept.
    Margin,
    /// 1 - largest probability; high is kept.
    LeastConfidence,
    /// Euclidean norm of probabilities minus one-hot label; high is kept.
    El2n,
    /// -ln p of the label; high is kept.
    CrossEntropy,
}

impl Method {
    /// All of them, in the order of their columns.
    pub const ALL: [Self; 5] =
        [Self::Entropy, Self::Margin, Self::LeastConfidence, Self::El2n, Self::CrossEntropy];

    /// The name in recipes and the name of the score column.
    pub fn name(self) -> &'static str {
        match self {
            Self::Entropy => "entropy",
            Self::Margin => "margin",
            Self::LeastConfidence => "least_confidence",
            Self::El2n => "el2n",
            Self::CrossEntropy => "cross_entropy",
        }
    }
}

/// How a sample's scores by several models become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(title = "aggregate")]
pub enum Aggregate {
    /// The arithmetic mean.
    Mean,
    /// The median (mean of the two middle ones for an even number).
    Median,
    /// The smallest.
    Min,
    /// The largest.
    Max,
    /// The mean of the ranks within each model.
    MeanRank,
}

/// What is averaged over models.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Average {
    /// The scores.
    Scores,
    /// The probabilities, then scored once.
    Probabilities,
}

/// A common scale for the scores of different models.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scale {
    /// As computed.
    None,
    /// Minus the model's mean, over its standard deviation.
    Z,
    /// The rank within the model, from 0 to 1.
    Rank,
}

/// The outputs of a model that scores are computed from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outputs {
    /// A clean evaluation pass: no augmentation, running statistics in batch norm.
    Clean,
    /// As in training: one augmented view of each sample, and in batch norm the statistics of its
    /// batch (256 samples in the order of their ids).
    Training,
}

impl Outputs {
    /// The name in recipes and in the metadata of score tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Clean => "clean",
            Self::Training => "training",
        }
    }
}
