//! `[select]`: what is kept.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{By, Method};

/// What is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Select {
    /// The score that decides: a method, or the name of a score of `score.own`.
    #[serde(default = "margin")]
    pub by: By,
    /// How the score decides.
    #[serde(default)]
    pub strategy: Strategy,
    /// The share of usable samples to keep, in (0, 1]. One of `keep`, `prune`, `keep_rows` and
    /// `budget` says how much is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 1), extend("exclusiveMinimum" = 0))]
    pub keep: Option<f64>,
    /// The share of usable samples to prune, in [0, 1): `prune = 0.3` is `keep = 0.7`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0), extend("exclusiveMaximum" = 1))]
    pub prune: Option<f64>,
    /// The number of samples to keep.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub keep_rows: Option<u64>,
    /// A budget of bytes, tokens or any other cost, spent where it buys most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
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
    /// Bounds on what is kept of each cell of the columns of the dataset, of `[[join]]` tables and
    /// of `label` (class names). All of them hold, or the run says which cannot.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub quota: Vec<CellQuota>,
    /// Rows that may be kept, as a Polars SQL condition over the columns of the dataset, of
    /// `[[join]]` tables and of `label`. The others are scored, trained on in stage 1, and never
    /// kept; `data.filter` leaves rows out of everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub filter: Option<String>,
    /// What is kept of a cluster of duplicates (see `folds.duplicates`).
    #[serde(default)]
    pub duplicates: Copies,
    /// `strata`: how many strata of equal width (CCS).
    #[serde(default = "fifty")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub strata: usize,
    /// `mixed`: the share of what is taken that is random.
    #[serde(default = "half")]
    #[schemars(range(min = 0, max = 1))]
    pub random_share: f64,
    /// `beta`: the exponent c_D of the prune rate (DUAL: 4 for CIFAR, 11 for ImageNet).
    #[serde(default = "four")]
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub beta_exponent: f64,
}

impl Select {
    /// The share of usable samples to keep, if the recipe gives one: `keep`, or 1 - `prune` to 12
    /// digits, so that `prune = 0.9` is `keep = 0.1` to the bit.
    pub fn keep_share(&self) -> Option<f64> {
        self.keep.or_else(|| self.prune.map(|prune| ((1.0 - prune) * 1e12).round() / 1e12))
    }

    /// How kept samples spread over classes: `classes`, or what the strategy says.
    pub fn spread(&self) -> Classes {
        match self.strategy {
            Strategy::RandomStratified => Classes::Proportional,
            _ => self.classes,
        }
    }

    /// Whether the number that each class keeps is fixed, whatever the scores are.
    pub fn fixes_classes(&self) -> bool {
        self.target.is_some() || self.spread() != Classes::Global
    }

    /// Whether columns beside the scores decide.
    pub fn needs_columns(&self) -> bool {
        self.filter.is_some() || !self.quota.is_empty() || self.budget.is_some()
    }
}

impl CellQuota {
    /// The columns whose cells are bounded, in the order of their names or as given.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        let is = self.is.iter().flat_map(|is| is.keys());
        is.chain(self.each.iter().flatten()).map(String::as_str)
    }
}

fn margin() -> By {
    By::Method(Method::Margin)
}

fn fifty() -> usize {
    50
}

fn half() -> f64 {
    0.5
}

fn four() -> f64 {
    4.0
}

/// How the score decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(title = "strategy")]
pub enum Strategy {
    /// The most wanted are kept.
    #[default]
    Top,
    /// Equal budgets for strata of the score, at random inside (CCS); `drop_hardest` is its cut-off.
    Strata,
    /// At random, weighted by the score and a Beta density of `mean_confidence` (DUAL).
    Beta,
    /// Those in the middle of the ranking (Moderate).
    Middle,
    /// The most wanted and random ones take turns, the latter each class its share.
    Mixed,
    /// At random, whatever the score.
    Random,
    /// At random, each class its share.
    RandomStratified,
    /// What the judge of the run finds best of several ways to select.
    Auto,
}

impl Strategy {
    /// The name, as recipes and tables spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Top => "top",
            Self::Strata => "strata",
            Self::Beta => "beta",
            Self::Middle => "middle",
            Self::Mixed => "mixed",
            Self::Random => "random",
            Self::RandomStratified => "random_stratified",
            Self::Auto => "auto",
        }
    }
}

/// A budget in units of a cost column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// The column with the cost of a sample, a number of 0 or more: of the dataset, of a `[[join]]`
    /// table, or `bytes`, the size of the row.
    #[schemars(length(min = 1))]
    pub column: String,
    /// The most that the kept samples may cost together. Either this or `share`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub total: Option<f64>,
    /// The same as a share of what all usable samples cost, in (0, 1].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 1), extend("exclusiveMinimum" = 0))]
    pub share: Option<f64>,
}

/// Bounds on what is kept of some cells. Amounts are a share of the cell's usable samples, with a
/// point, or a number of samples, without; `min_of_kept` and `max_of_kept` are shares of all that is
/// kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "quota")]
pub struct CellQuota {
    /// One cell: `{ source = "web", label = "cat" }`. Either this or `each`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("minProperties" = 1))]
    pub is: Option<BTreeMap<String, String>>,
    /// Every cell of these columns, such as `["label", "source"]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub each: Option<Vec<String>>,
    /// At least so many; a share is rounded down to whole samples.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<Amount>,
    /// At most so many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<Amount>,
    /// At least this share of what is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1))]
    pub min_of_kept: Option<f64>,
    /// At most this share of what is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1))]
    pub max_of_kept: Option<f64>,
}

/// What is kept of a cluster of duplicates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Copies {
    /// Duplicates are samples like all others.
    #[default]
    All,
    /// At most one of a cluster: the most wanted by stage 1.
    One,
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
    /// A class keeps the more, the more of its samples the models of stage 1 get wrong: the density of
    /// what is kept is proportional to its error (DRoP).
    HardClass,
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
