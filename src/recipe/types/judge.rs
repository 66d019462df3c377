//! `[judge]`: whether a run measures what its coreset is worth.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The judge of a run: proxy models on the coreset and on a random subset of its size, each class its
/// share, tested on a fifth of the training data that they do not train on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Judge {
    /// How many proxy models are trained on each; 0 turns the judge off.
    #[schemars(range(min = 0, max = 1000))]
    pub seeds: u32,
}

impl Default for Judge {
    fn default() -> Self {
        Self { seeds: 2 }
    }
}

impl Judge {
    /// No judge.
    pub const OFF: Self = Self { seeds: 0 };

    /// Whether the coreset is judged.
    pub fn is_on(self) -> bool {
        self.seeds > 0
    }
}
