//! `[score]`: which scores are computed and how those of several models become one.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::recipe::words;

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
    /// Look for wrong labels by confident learning over the probabilities of stage 1, and write
    /// `tables/label_errors.parquet`.
    pub label_errors: bool,
    /// Scores of your own: Polars SQL over the aggregated scores.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub own: Vec<Own>,
    /// Options of the methods that watch a training: forgetting, AUM, TDDS, Dyn-Unc, DUAL.
    pub trajectory: Trajectory,
    /// Options of the methods that look at embeddings.
    pub embedding: Embedding,
}

impl Default for Score {
    fn default() -> Self {
        Self {
            methods: Method::COMMON.to_vec(),
            aggregate: Aggregate::Mean,
            average: Average::Scores,
            scale: Scale::None,
            outputs: Outputs::Clean,
            logits: false,
            label_errors: false,
            own: Vec::new(),
            trajectory: Trajectory::default(),
            embedding: Embedding::default(),
        }
    }
}

impl Score {
    /// The methods to compute that have to see this, in the order of [`Method::ALL`]: those of
    /// `methods`, and the difficulty that D2 passes along.
    pub fn computed(&self, needs: Needs) -> Vec<Method> {
        let difficulty = self.methods.contains(&Method::D2).then_some(self.embedding.difficulty);
        let wanted = |m: &Method| self.methods.contains(m) || difficulty == Some(*m);
        Method::ALL.into_iter().filter(|m| m.needs() == needs && wanted(m)).collect()
    }
}

/// A score of your own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "own score")]
pub struct Own {
    /// Its name, for `select.by`.
    #[schemars(length(min = 1))]
    pub name: String,
    /// Polars SQL over the columns of `score.methods` (of `select --scores`: all columns of numbers),
    /// aggregated over models, such as `0.7 * rank(margin) + 0.3 * rank(el2n)`. `rank(x)` runs from 0
    /// to 1, and 1 is the end of `x` that is kept (the high one, if `x` is no method).
    #[schemars(length(min = 1))]
    pub sql: String,
    /// Which end is kept.
    #[serde(default)]
    pub keep: End,
}

impl Own {
    /// The names and keywords in its SQL.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        words(&self.sql).into_iter().map(|word| &self.sql[word])
    }
}

/// The end of a score that is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(title = "end")]
pub enum End {
    /// The highest scores.
    #[default]
    High,
    /// The lowest scores.
    Low,
}

/// Options of the methods that watch a training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Trajectory {
    /// How many epochs are watched, from the first; all if it is not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub epochs: Option<usize>,
    /// TDDS, Dyn-Unc and DUAL: epochs in a window (J).
    #[schemars(range(min = 2, max = 1_000_000))]
    pub window: usize,
    /// TDDS: the weight of the newest window (gamma).
    #[schemars(range(max = 1), extend("exclusiveMinimum" = 0))]
    pub decay: f64,
    /// Forgetting: the count of a sample that was never learned.
    pub never_learned: NeverLearned,
}

impl Default for Trajectory {
    fn default() -> Self {
        Self { epochs: None, window: 10, decay: 0.9, never_learned: NeverLearned::Max }
    }
}

/// The forgetting count of a sample that was never learned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NeverLearned {
    /// The number of watched epochs, which no other sample reaches (Toneva et al.).
    Max,
    /// Above every count of every model, however scores are averaged.
    Infinity,
    /// 0: it was never forgotten.
    Zero,
}

/// Options of the methods that look at embeddings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Embedding {
    /// Where embeddings come from.
    pub from: EmbeddingFrom,
    /// The most samples that a model may have to compare; their work grows with the square. More is
    /// an error before any training.
    #[schemars(range(min = 1))]
    pub max_rows: u64,
    /// CAL, D2: how many nearest neighbours.
    #[schemars(range(min = 1, max = 10_000))]
    pub neighbors: usize,
    /// Prototypicality: how many centroids; as many as there are classes if it is not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000))]
    pub prototypes: Option<usize>,
    /// D2: the score that is passed along the graph.
    pub difficulty: Method,
    /// D2: how fast a chosen sample's pull on its neighbours falls with distance.
    #[schemars(range(min = 0))]
    pub gamma: f64,
}

impl Default for Embedding {
    fn default() -> Self {
        Self {
            from: EmbeddingFrom::Model,
            max_rows: 50_000,
            neighbors: 10,
            prototypes: None,
            difficulty: Method::El2n,
            gamma: 0.1,
        }
    }
}

/// Where embeddings come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EmbeddingFrom {
    /// The input of the scoring model's last layer.
    Model,
    /// The column `data.embedding`.
    Column,
}

/// The score that decides: a method, or one of `score.own` by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(title = "by")]
pub enum By {
    /// A method that ships.
    Method(Method),
    /// A score of `score.own`.
    Own(#[schemars(length(min = 1))] String),
}

impl By {
    /// The name.
    pub fn name(&self) -> &str {
        match self {
            Self::Method(method) => method.name(),
            Self::Own(name) => name,
        }
    }
}

impl From<Method> for By {
    fn from(method: Method) -> Self {
        Self::Method(method)
    }
}

/// A scoring method that ships with `unseen`. docs/methods.md has formulas, sources and costs.
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
    /// Norm of the gradient of the last layer; high is kept.
    Grand,
    /// Probability of the label; low is kept.
    SelfConfidence,
    /// (p of the label - largest other p + 1) / 2; low is kept.
    NormalizedMargin,
    /// ln(c + 1) / c of the normalised entropy over p of the label, c; low is kept.
    ConfidenceWeightedEntropy,
    /// How often the sample was forgotten; high is kept.
    Forgetting,
    /// Mean over epochs of the logit margin of the label; low is kept.
    AumLogitMean,
    /// Sum over epochs of the probability margin of the label; low is kept.
    AumProbSum,
    /// Moving average of the spread of the steps between epochs; high is kept.
    Tdds,
    /// Mean over windows of the deviation of p of the label; high is kept.
    DynUnc,
    /// Mean over windows of that deviation times 1 - mean p of the label; high is kept.
    Dual,
    /// Mean over epochs of p of the label; low is kept.
    MeanConfidence,
    /// Distance to the class centre, as its distance from the median one; low is kept.
    Moderate,
    /// Distance to the nearest of the k-means centroids; high is kept.
    Prototypicality,
    /// Place in the farthest-first order; low is kept.
    KCenter,
    /// Place in the order that follows the mean embedding; low is kept.
    Herding,
    /// Mean divergence from the predictions of the nearest neighbours; high is kept.
    Cal,
    /// Place in the order of message passing over the neighbour graph; low is kept.
    D2,
    /// Place in the order of facility-location gains; low is kept.
    FacilityLocation,
}

/// What a method has to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Needs {
    /// One set of outputs of a trained model.
    Snapshot,
    /// Its outputs after each epoch of its training.
    Trajectory,
    /// The embeddings of all samples that the model scores, together.
    Embeddings,
}

impl Method {
    /// All of them, in the order of their columns.
    pub const ALL: [Self; 23] = [
        Self::Entropy,
        Self::Margin,
        Self::LeastConfidence,
        Self::El2n,
        Self::CrossEntropy,
        Self::Grand,
        Self::SelfConfidence,
        Self::NormalizedMargin,
        Self::ConfidenceWeightedEntropy,
        Self::Forgetting,
        Self::AumLogitMean,
        Self::AumProbSum,
        Self::Tdds,
        Self::DynUnc,
        Self::Dual,
        Self::MeanConfidence,
        Self::Moderate,
        Self::Prototypicality,
        Self::KCenter,
        Self::Herding,
        Self::Cal,
        Self::D2,
        Self::FacilityLocation,
    ];

    /// Those that are computed unless the recipe says otherwise: they cost next to nothing.
    pub const COMMON: [Self; 5] =
        [Self::Entropy, Self::Margin, Self::LeastConfidence, Self::El2n, Self::CrossEntropy];

    /// The name in recipes and the name of the score column.
    pub fn name(self) -> &'static str {
        match self {
            Self::Entropy => "entropy",
            Self::Margin => "margin",
            Self::LeastConfidence => "least_confidence",
            Self::El2n => "el2n",
            Self::CrossEntropy => "cross_entropy",
            Self::Grand => "grand",
            Self::SelfConfidence => "self_confidence",
            Self::NormalizedMargin => "normalized_margin",
            Self::ConfidenceWeightedEntropy => "confidence_weighted_entropy",
            Self::Forgetting => "forgetting",
            Self::AumLogitMean => "aum_logit_mean",
            Self::AumProbSum => "aum_prob_sum",
            Self::Tdds => "tdds",
            Self::DynUnc => "dyn_unc",
            Self::Dual => "dual",
            Self::MeanConfidence => "mean_confidence",
            Self::Moderate => "moderate",
            Self::Prototypicality => "prototypicality",
            Self::KCenter => "k_center",
            Self::Herding => "herding",
            Self::Cal => "cal",
            Self::D2 => "d2",
            Self::FacilityLocation => "facility_location",
        }
    }

    /// What it has to see.
    pub fn needs(self) -> Needs {
        match self {
            Self::Forgetting
            | Self::AumLogitMean
            | Self::AumProbSum
            | Self::Tdds
            | Self::DynUnc
            | Self::Dual
            | Self::MeanConfidence => Needs::Trajectory,
            Self::Moderate
            | Self::Prototypicality
            | Self::KCenter
            | Self::Herding
            | Self::Cal
            | Self::D2
            | Self::FacilityLocation => Needs::Embeddings,
            _ => Needs::Snapshot,
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
