//! `[select]`: what is kept.

use std::collections::BTreeMap;

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
    /// What every class keeps at least, as far as it has that many samples to choose from: a share
    /// of its usable samples, with a point (`0.1`, `1.0`), or a number of samples, without (`20`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub floor: Option<Amount>,
    /// What every class keeps at most, as a share or a number like `floor`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cap: Option<Amount>,
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
    /// The share of the coreset that each class makes up, by class name. Names every class that has
    /// samples, and sums to 1. Instead of `classes`, `floor` and `cap`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend(
        "minProperties" = 1,
        "additionalProperties" = {"type": "number", "minimum": 0, "maximum": 1}
    ))]
    pub target: Option<BTreeMap<String, f64>>,
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

/// A part of a class.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Amount {
    /// So many samples: a number without a point.
    Rows(#[schemars(range(min = 1))] u64),
    /// A share of the class's usable samples, in (0, 1], with a point; rounded to whole samples.
    Share(#[schemars(range(max = 1), extend("exclusiveMinimum" = 0))] f64),
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
