//! The fields of a recipe, their defaults and their documentation (which is the JSON Schema's too).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
    /// Where models run: `cpu` or `cuda:N`.
    #[serde(default = "cpu")]
    #[schemars(regex(pattern = r"^(cpu|cuda:[0-9]+)$"))]
    pub device: String,
    /// The dataset.
    pub data: Data,
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
    /// What is written, and where.
    pub output: Output,
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

/// The dataset: where it is and which columns matter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Data {
    /// A Parquet file, a directory, a glob, or a list of them. `${NAME}` takes an environment variable.
    pub uri: OneOrMany,
    /// Rows to use, as a Polars SQL condition: `split = 'train'`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub filter: Option<String>,
    /// The column with a unique id (string or integer).
    #[serde(default = "id_column")]
    #[schemars(length(min = 1))]
    pub id: String,
    /// Where ids come from: the id column, or the SHA-256 of the input's content.
    #[serde(default)]
    pub id_from: IdFrom,
    /// The column with the class (string, integer or ClassLabel).
    #[serde(default = "label_column")]
    #[schemars(length(min = 1))]
    pub label: String,
    /// The image column (struct of bytes and path, or binary). Either this or `features`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub image: Option<String>,
    /// The feature column (a list of floats), or several numeric columns. Either this or `image`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub features: Option<OneOrMany>,
    /// Resize images to `[height, width]` for scoring. Needed when their sizes differ.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(inner(range(min = 1, max = 65_535)))]
    pub resize: Option<[u32; 2]>,
    /// The largest share of samples that may be unusable before the run stops.
    #[serde(default = "max_quarantined")]
    #[schemars(range(min = 0, max = 1))]
    pub max_quarantined: f64,
    /// The largest image that is decoded, in pixels; a larger one is quarantined.
    #[serde(default = "max_image_pixels")]
    #[schemars(range(min = 1))]
    pub max_image_pixels: u64,
    /// The most columns a file may have, those inside of structs and lists counted each.
    #[serde(default = "max_columns")]
    #[schemars(range(min = 1))]
    pub max_columns: usize,
    /// How many times more bytes than a file stores its pages and row groups may decode to, once they
    /// exceed 128 MiB.
    #[serde(default = "max_expansion")]
    #[schemars(range(min = 1))]
    pub max_expansion: u64,
}

fn id_column() -> String {
    "id".to_owned()
}

fn label_column() -> String {
    "label".to_owned()
}

fn max_quarantined() -> f64 {
    0.001
}

fn max_image_pixels() -> u64 {
    50_000_000
}

fn max_columns() -> usize {
    5_000
}

fn max_expansion() -> u64 {
    100
}

/// One name or several.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum OneOrMany {
    /// One.
    One(String),
    /// Several.
    Many(#[schemars(length(min = 1))] Vec<String>),
}

impl OneOrMany {
    /// The names as a slice.
    pub fn as_slice(&self) -> &[String] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }
}

/// Where ids come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum IdFrom {
    /// The column `data.id`.
    #[default]
    Column,
    /// SHA-256 of the image bytes or of the feature values, in hex.
    Content,
}

/// The architecture of the scoring model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Model {
    /// `linear` and `mlp` take images and features, `convnet` takes images.
    pub arch: Arch,
    /// `mlp`: the width of each hidden layer.
    #[schemars(length(max = 100), inner(range(min = 1, max = 1_000_000)))]
    pub hidden: Vec<usize>,
    /// `convnet`: channels of the first block; each block doubles them.
    #[schemars(range(min = 1, max = 100_000))]
    pub width: usize,
    /// `convnet`: how many blocks (convolution, batch norm, ReLU; all but the last pool 2x2).
    #[schemars(range(min = 1, max = 20))]
    pub blocks: usize,
    /// Shift and scale inputs by the mean and deviation of the training samples (per channel for
    /// images, per feature for features).
    pub standardize: bool,
}

impl Default for Model {
    fn default() -> Self {
        Self { arch: Arch::Mlp, hidden: vec![256], width: 16, blocks: 3, standardize: true }
    }
}

/// A model architecture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(title = "architecture")]
pub enum Arch {
    /// Softmax regression.
    Linear,
    /// Fully connected layers with ReLU.
    Mlp,
    /// 3x3 convolution blocks with batch norm, global average pooling, one linear layer.
    Convnet,
}

/// How scoring models are trained. The same for every fold and stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Train {
    /// Passes over the training samples.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub epochs: usize,
    /// Samples a step. The last batch of an epoch may be smaller.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub batch_size: usize,
    /// The optimiser.
    pub optimizer: Optimizer,
    /// The highest learning rate.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub lr: f64,
    /// `sgd`: momentum.
    #[schemars(range(min = 0), extend("exclusiveMaximum" = 1))]
    pub momentum: f64,
    /// `sgd`: Nesterov's form of momentum.
    pub nesterov: bool,
    /// Decay of weight matrices and kernels; biases and norms are left alone. Coupled (L2) for
    /// `sgd`, decoupled for `adamw`.
    #[schemars(range(min = 0))]
    pub weight_decay: f64,
    /// How the learning rate moves after the warm-up.
    pub schedule: Schedule,
    /// Epochs over which the learning rate rises linearly to `lr`.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub warmup_epochs: f64,
    /// `step`: epochs at which the learning rate is multiplied by `step_factor`.
    #[schemars(inner(range(min = 1, max = 1_000_000)))]
    pub step_epochs: Vec<usize>,
    /// `step`: the factor.
    #[schemars(range(max = 1), extend("exclusiveMinimum" = 0))]
    pub step_factor: f64,
    /// Flip images left to right at random.
    pub flip: bool,
    /// Pad images by this many pixels and crop at random.
    #[schemars(range(max = 10_000))]
    pub crop: usize,
}

impl Default for Train {
    fn default() -> Self {
        Self {
            epochs: 20,
            batch_size: 128,
            optimizer: Optimizer::Sgd,
            lr: 0.05,
            momentum: 0.9,
            nesterov: true,
            weight_decay: 5e-4,
            schedule: Schedule::Cosine,
            warmup_epochs: 1.0,
            step_epochs: Vec::new(),
            step_factor: 0.2,
            flip: false,
            crop: 0,
        }
    }
}

/// An optimiser.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(title = "optimizer")]
pub enum Optimizer {
    /// Stochastic gradient descent with momentum.
    Sgd,
    /// Adam with decoupled weight decay (beta 0.9 and 0.999, epsilon 1e-8).
    Adamw,
}

/// A learning-rate schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(title = "schedule")]
pub enum Schedule {
    /// `lr` throughout.
    Constant,
    /// Half a cosine from `lr` to 0 over the steps after the warm-up.
    Cosine,
    /// Multiplied by `step_factor` at each of `step_epochs`.
    Step,
}

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
}

impl Default for Folds {
    fn default() -> Self {
        Self { k: 5, fit_on: FitOn::Fold, by: FoldsBy::Random, stratify: false, group: None }
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

/// What is written, and where.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Output {
    /// The run directory. Everything of the run lies below it. `${NAME}` takes an environment
    /// variable.
    #[schemars(length(min = 1))]
    pub uri: String,
    /// Copy the kept rows into shards, or only write the view (ids with file, row group and row).
    #[serde(default, rename = "as")]
    pub form: Form,
    /// The name of the split in shard names and in the card.
    #[serde(default = "train_split")]
    #[schemars(regex(pattern = r"^[A-Za-z0-9_]+$"))]
    pub split: String,
    /// The largest shard, in uncompressed bytes: a number or `500MB`.
    #[serde(default = "shard_bytes")]
    pub shard_bytes: Bytes,
    /// The largest row group, in uncompressed bytes.
    #[serde(default = "row_group_bytes")]
    pub row_group_bytes: Bytes,
    /// Add the columns `unseen_score`, `unseen_rank` and `unseen_stage` to the shards.
    #[serde(default)]
    pub scores: bool,
}

fn train_split() -> String {
    "train".to_owned()
}

fn shard_bytes() -> Bytes {
    Bytes(500_000_000)
}

fn row_group_bytes() -> Bytes {
    Bytes(100_000_000)
}

/// The form of the coreset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// Parquet shards and the view.
    #[default]
    Copy,
    /// Only the view.
    View,
}

/// A number of bytes; `500MB` and `2GiB` are understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "BytesText", into = "u64")]
pub struct Bytes(pub u64);

#[derive(Deserialize)]
#[serde(untagged)]
enum BytesText {
    Number(u64),
    Text(String),
}

impl From<Bytes> for u64 {
    fn from(bytes: Bytes) -> Self {
        bytes.0
    }
}

impl TryFrom<BytesText> for Bytes {
    type Error = String;

    fn try_from(text: BytesText) -> Result<Self, String> {
        match text {
            BytesText::Number(n) => Ok(Self(n)),
            BytesText::Text(text) => parse_bytes(&text)
                .map(Self)
                .ok_or_else(|| format!("`{text}` is not a size: write 500MB, 2GiB or a number")),
        }
    }
}

fn parse_bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let number: f64 = text[..split].parse().ok()?;
    let unit: f64 = match text[split..].trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1.0,
        "kb" => 1e3,
        "mb" => 1e6,
        "gb" => 1e9,
        "kib" => 1024.0,
        "mib" => 1024.0 * 1024.0,
        "gib" => 1024.0 * 1024.0 * 1024.0,
        _ => return None,
    };
    let bytes = number * unit;
    (1.0..9e15).contains(&bytes).then_some(bytes as u64)
}

impl JsonSchema for Bytes {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Bytes".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "A number of bytes, or a text such as 500MB or 2GiB.",
            "anyOf": [
                {"type": "integer", "minimum": 1000},
                {"type": "string", "pattern": "^[0-9.]+ *([kKmMgG][iI]?)?[bB]?$"}
            ]
        })
    }
}
