//! `[folds]`: how the dataset is split for stage 1.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the dataset is split for stage 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Folds {
    /// How many folds.
    #[schemars(range(min = 2, max = 10_000))]
    pub k: usize,
    /// What a scoring model trains on.
    pub fit_on: FitOn,
    /// How samples get their fold.
    pub by: FoldsBy,
    /// Spread every class evenly over the folds. Needs at least `k` samples in each class.
    pub stratify: bool,
    /// A column whose equal values stay in one fold (duplicate clusters, patients, scenes). Holds in
    /// stage 1; models of later stages are trained on the coreset, whatever its groups.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub group: Option<String>,
    /// What becomes of exact duplicates: samples that models see as the same pixels or the same
    /// feature values, however they are stored. Holds in stage 1, like `group`.
    pub duplicates: Duplicates,
    /// Samples whose embeddings (`data.embedding`, else `data.features`) have at least this cosine
    /// similarity are duplicates too.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 1), extend("exclusiveMinimum" = 0))]
    pub near: Option<f64>,
}

impl Default for Folds {
    fn default() -> Self {
        Self {
            k: 5,
            fit_on: FitOn::Fold,
            by: FoldsBy::Random,
            stratify: false,
            group: None,
            duplicates: Duplicates::Ignore,
            near: None,
        }
    }
}

impl Folds {
    /// Whether duplicates stay in one fold: exact ones, and near ones if they are looked for.
    pub fn together(&self) -> bool {
        self.duplicates == Duplicates::Together || self.near.is_some()
    }
}

/// What a scoring model of stage 1 trains on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FitOn {
    /// One fold; it scores all others: K-1 scores a sample (the paper's way).
    Fold,
    /// All folds but one, which it scores: one score a sample (ordinary K-fold).
    Complement,
}

/// How samples get their fold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FoldsBy {
    /// At random, sizes equal to within one.
    Random,
    /// The keyed hash of the id modulo `k`: sizes only nearly equal, but appended rows move nothing.
    Hash,
}

/// What becomes of exact duplicates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Duplicates {
    /// They are samples like all others: one may be scored by a model that saw another.
    Ignore,
    /// They stay in one fold; with a `group` column, whatever either of the two joins does.
    Together,
}
