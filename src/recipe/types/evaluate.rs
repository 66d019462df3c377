//! `[evaluate]`: what coresets are measured on, and how.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::data::OneOrMany;

/// What `unseen evaluate` measures on, and how; its flags go before. Nothing of it changes a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Evaluate {
    /// The test data, read like `data.uri`; those of `data.uri` if only `filter` is given. Without
    /// both, models are tested on a part of the training data that they do not train on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uri: Option<OneOrMany>,
    /// The test rows, as a Polars SQL condition: `split = 'test'`. `data.filter` plays no part there.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub filter: Option<String>,
    /// How many models are trained on each subset.
    #[schemars(range(min = 1, max = 1000))]
    pub seeds: u32,
    /// What is the same for all subsets.
    pub budget: TrainBudget,
}

impl Default for Evaluate {
    fn default() -> Self {
        Self { uri: None, filter: None, seeds: 3, budget: TrainBudget::Epochs }
    }
}

impl Evaluate {
    /// Whether nothing of it was given.
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// How long models train on subsets of different sizes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(title = "training budget")]
pub enum TrainBudget {
    /// As many epochs: training on less costs less.
    #[default]
    Epochs,
    /// As many optimiser steps as on everything, in whole epochs: the same cost.
    Iterations,
}

impl TrainBudget {
    /// The name, as recipes and tables spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Epochs => "epochs",
            Self::Iterations => "iterations",
        }
    }
}
