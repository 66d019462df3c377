//! The fields of a recipe, their defaults and their documentation (which is the JSON Schema's too).

mod data;
mod evaluate;
mod folds;
mod join;
mod judge;
mod model;
mod output;
mod score;
mod select;
mod sweep;

use super::storage::Storage;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use data::{Data, IdFrom, OneOrMany};
pub use evaluate::{Evaluate, TrainBudget};
pub use folds::{Duplicates, FitOn, Folds, FoldsBy};
pub use join::{Join, Missing};
pub use judge::Judge;
pub use model::{Arch, Model, Optimizer, Precision, Schedule, Stem, Train};
pub use output::{Bytes, Form, Output};
pub use score::{
    Aggregate, Average, By, Embedding, EmbeddingFrom, End, Method, Needs, NeverLearned, Outputs,
    Own, Scale, Score, Trajectory,
};
pub use select::{Amount, Budget, CellQuota, Classes, Copies, Select, Stages, Start, Strategy};
pub use sweep::Sweep;

/// A recipe for pruning one dataset.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "unseen recipe")]
pub struct Recipe {
    /// Every random choice follows from this number.
    #[serde(default)]
    pub seed: u64,
    /// Who scores a sample in stage 1: models that never saw it, or one model that saw everything.
    #[serde(default)]
    pub mode: Mode,
    /// Where models run: `cpu`, `cuda:0`, several CUDA devices as `cuda:0,1`, or all of them as `cuda`. Of
    /// several, each trains a model of its own; which one does changes no result.
    #[serde(default = "cpu")]
    #[schemars(regex(pattern = r"^(cpu|cuda(:[0-9]+(,[0-9]+)*)?)$"))]
    pub device: String,
    /// The dataset.
    pub data: Data,
    /// Tables with more about the samples, for `select.filter`, `select.quota` and `select.budget`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub join: Vec<Join>,
    /// The scoring model.
    #[serde(default)]
    pub model: Model,
    /// How scoring models are trained.
    #[serde(default)]
    pub train: Train,
    /// How the dataset is split for stage 1.
    #[serde(default)]
    pub folds: Folds,
    /// Which scores are computed and how they aggregate.
    #[serde(default)]
    pub score: Score,
    /// What is kept.
    pub select: Select,
    /// Whether proxy models judge the coreset.
    #[serde(default)]
    pub judge: Judge,
    /// What is written, and where.
    pub output: Output,
    /// What `unseen evaluate` measures on.
    #[serde(default, skip_serializing_if = "Evaluate::is_default")]
    pub evaluate: Evaluate,
    /// The grid of `unseen sweep`.
    #[serde(default, skip_serializing_if = "Sweep::is_default")]
    pub sweep: Sweep,
    /// How object stores are reached.
    #[serde(default)]
    pub storage: Storage,
}

fn cpu() -> String {
    "cpu".to_owned()
}

/// Who scores a sample in stage 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(title = "mode")]
pub enum Mode {
    /// Models that never saw the sample (the UNSEEN method).
    #[default]
    Unseen,
    /// One model trained on everything scores everything: the usual way, as a baseline.
    Fitting,
}
