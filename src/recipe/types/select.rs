//! `[select]`: what is kept.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Method;

/// What is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Select {
    /// The score that decides.
    #[serde(default = "entropy")]
    pub by: Method,
    /// The share of usable samples to keep, in (0, 1]. Either this or `keep_rows`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 1), extend("exclusiveMinimum" = 0))]
    pub keep: Option<f64>,
    /// The number of samples to keep. Either this or `keep`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub keep_rows: Option<u64>,
    /// A number of equal stages, or the share each stage adds (they sum to `keep`). In mode
    /// `fitting` there is one stage, which is then the default.
    #[serde(default = "three_stages")]
    pub stages: Stages,
    /// How the kept samples spread over classes.
    #[serde(default)]
    pub classes: Classes,
    /// Noise guard: the share of samples, hardest first by stage 1, that is never kept.
    #[serde(default)]
    #[schemars(range(min = 0), extend("exclusiveMaximum" = 1))]
    pub drop_hardest: f64,
    /// How many models score in each later stage (seeds differ).
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 1000))]
    pub models: usize,
    /// What the models of stages 3 and later start from.
    #[serde(default)]
    pub start: Start,
}

fn entropy() -> Method {
    Method::Entropy
}

fn three_stages() -> Stages {
    Stages::Equal(3)
}

fn one() -> usize {
    1
}

/// The stages of the selection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Stages {
    /// This many, of equal size.
    Equal(#[schemars(range(min = 1, max = 1000))] usize),
    /// The share of the dataset that each stage adds.
    Shares(#[schemars(length(min = 1, max = 1000))] Vec<f64>),
}

/// How the kept samples spread over classes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Classes {
    /// No constraint: hard classes may end up larger (the paper's way).
    #[default]
    Global,
    /// Each class keeps its share, exactly (largest remainder).
    Proportional,
    /// Each class keeps the same number, as far as it has that many.
    Uniform,
}

/// What a later stage's model starts from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// Fresh weights.
    #[default]
    Scratch,
    /// The weights of the stage before (stage 3 and later: those models saw only the coreset).
    Continue,
}
