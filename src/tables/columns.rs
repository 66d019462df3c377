//! The columns of every table: name, Arrow type, whether it may be null, and what it means.

use arrow::datatypes::DataType;

use crate::recipe::Method;

/// One column of a table.
#[derive(Clone, Debug)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// Its Arrow type.
    pub kind: DataType,
    /// Whether a value may be null.
    pub nullable: bool,
    /// What a value means, with its unit or range, and when it is null.
    pub meaning: &'static str,
}

const fn required(name: &'static str, kind: DataType, meaning: &'static str) -> Column {
    Column { name, kind, nullable: false, meaning }
}

const fn optional(name: &'static str, kind: DataType, meaning: &'static str) -> Column {
    Column { name, kind, nullable: true, meaning }
}

const FILE: &str = "The ordinal of the input file, from 0, in the order of the run's input list.";
const ROW_GROUP: &str = "The row group in the file, from 0.";
const ROW: &str = "The row in the row group, from 0.";

pub(super) static SAMPLES: &[Column] = &[
    required("id", DataType::Utf8, "The unique id of the sample."),
    required("label", DataType::Int32, "The class, from 0; names are in `tables/classes.json`."),
    required("file", DataType::Int32, FILE),
    required("row_group", DataType::Int32, ROW_GROUP),
    required("row", DataType::Int64, ROW),
    required("bytes", DataType::Int64, "The size of the row in memory, uncompressed, in bytes."),
    optional("group", DataType::Utf8, "The value of `folds.group`; null without one."),
    required(
        "content",
        DataType::Utf8,
        "The first 128 bits of the SHA-256 of the decoded input, in hex: equal for exact duplicates.",
    ),
    optional(
        "cluster",
        DataType::Utf8,
        "The cluster of duplicates that the sample belongs to, named after the first id in it; null if it is alone.",
    ),
];

pub(super) static QUARANTINE: &[Column] = &[
    required("id", DataType::Utf8, "The id of the sample, or its place where it has no id."),
    required("file", DataType::Int32, FILE),
    required("row_group", DataType::Int32, ROW_GROUP),
    required("row", DataType::Int64, ROW),
    required("reason", DataType::Utf8, "Why the sample cannot be used."),
];

pub(super) static FOLDS: &[Column] = &[
    required("id", DataType::Utf8, "The id of the sample."),
    required("fold", DataType::Int32, "Its fold, from 0 to `folds.k` - 1."),
];

pub(super) static MEMBERS: &[Column] =
    &[required("id", DataType::Utf8, "The id of a sample that the model was trained on.")];

/// The column that every dynamics table begins with.
pub(super) static DYNAMICS: &[Column] =
    &[required("id", DataType::Utf8, "The id of a sample that the model scores.")];

pub(super) static LABEL_ERRORS: &[Column] = &[
    required("id", DataType::Utf8, "The id of the sample."),
    required("label", DataType::Int32, "Its class as given, from 0."),
    required(
        "suggested",
        DataType::Int32,
        "The class with the largest mean probability, from 0; the first of several.",
    ),
    required(
        "self_confidence",
        DataType::Float32,
        "The mean probability of the given class, over the models of stage 1 that scored the sample.",
    ),
    required(
        "normalized_margin",
        DataType::Float32,
        "(That minus the largest other mean probability, plus 1) / 2: low is suspect.",
    ),
    required("suspected", DataType::Boolean, "Whether the given class is suspected to be wrong."),
];

/// The columns that every score table begins with.
pub(super) static SCORES: &[Column] = &[
    required("id", DataType::Utf8, "The id of the sample."),
    required("label", DataType::Int32, "Its class, from 0."),
    optional("fold", DataType::Int32, "Its fold, from 0; null in mode `fitting`."),
    required("stage", DataType::Int32, "The stage, from 1."),
    required("model", DataType::Int32, "The scoring model within the stage, from 0."),
    required(
        "predicted",
        DataType::Int32,
        "The class with the highest output, from 0; the first of several.",
    ),
];

/// The columns that the selection and the state between stages begin with.
pub(super) static SELECTED: &[Column] = &[
    required("id", DataType::Utf8, "The id of the sample."),
    optional("label", DataType::Int32, "Its class, from 0; null if it is unknown."),
    optional("fold", DataType::Int32, "Its fold, from 0; null in mode `fitting`."),
    optional(
        "score",
        DataType::Float64,
        "The aggregated score that decided: of the stage of entry if kept, else of the last stage that scored it; null if nothing did.",
    ),
    optional(
        "rank",
        DataType::Int64,
        "Its rank by score within that stage, from 1, the most wanted; null if it was set aside before.",
    ),
    optional("stage", DataType::Int32, "The stage of entry, from 1; null if it is not kept."),
    required("kept", DataType::Boolean, "Whether the sample is kept."),
    required(
        "reason",
        DataType::Utf8,
        "`kept`; `below-cut` (other samples were wanted more); `quota` (ranked among the rows of its stage, but its class or cell was full, or the place was kept for one that lacks samples); `noise-guard`; `filtered` (by `select.filter`); `duplicate` (another of its cluster stands for it); `budget` (it costs more than was left); `quarantined: ` and why.",
    ),
];

/// The columns that end the selection.
pub(super) static TWINS: &[Column] = &[
    required(
        "random",
        DataType::Boolean,
        "Whether it is in a random subset of the usable samples, as large as what is kept: for comparison.",
    ),
    required(
        "random_stratified",
        DataType::Boolean,
        "The same for a random subset in which each class keeps its share.",
    ),
];

/// The column that ends the state between stages.
pub(super) static WRONG: &[Column] = &[optional(
    "wrong",
    DataType::Int32,
    "How many predictions of stage 1 were of another class; null if they are not known.",
)];

pub(super) static VIEW: &[Column] = &[
    required("id", DataType::Utf8, "The id of a kept sample."),
    required("file", DataType::Utf8, "The address of the input file that holds it."),
    required("row_group", DataType::Int32, ROW_GROUP),
    required("row", DataType::Int64, ROW),
    required("shard", DataType::Int32, "The shard that holds its copy, from 0."),
];

/// What one model, trained to judge a training set, says about the test samples.
pub(super) static JUDGED: &[Column] = &[
    required("id", DataType::Utf8, "The id of the test sample."),
    required("label", DataType::Int32, "Its class, from 0."),
    required(
        "predicted",
        DataType::Int32,
        "The class with the highest probability, from 0; the first of several.",
    ),
    required("confidence", DataType::Float32, "That probability, from 0 to 1."),
];

pub(super) static EVALUATION: &[Column] = &[
    required(
        "test",
        DataType::Utf8,
        "What the model was tested on: `held-out`, a part of the training data that no model of the evaluation trained on, or the addresses and the filter of the test rows.",
    ),
    required("test_samples", DataType::Int64, "How many samples that are."),
    required(
        "budget",
        DataType::Utf8,
        "`epochs`: all subsets were trained on for as many epochs; `iterations`: for as many optimiser steps as everything, in whole epochs.",
    ),
    required(
        "subset",
        DataType::Utf8,
        "What the model was trained on: `full`, `coreset`, `random`, `random_stratified`.",
    ),
    required("seed", DataType::Int32, "The number of the seed, from 0."),
    required("samples", DataType::Int64, "How many samples the model was trained on."),
    required("keep", DataType::Float64, "Those over the samples of `full`, from 0 to 1."),
    required("epochs", DataType::Int32, "How many epochs."),
    required("steps", DataType::Int64, "How many optimiser steps."),
    required("accuracy", DataType::Float64, "The share of test samples predicted right."),
    required("worst_class", DataType::Float64, "The accuracy on the class where it is lowest."),
    required(
        "class_spread",
        DataType::Float64,
        "The standard deviation of the accuracy over classes.",
    ),
    required(
        "ece",
        DataType::Float64,
        "The expected calibration error, over 15 bins of confidence: from 0 to 1.",
    ),
];

/// The columns that the table of a sweep has before those of [`EVALUATION`].
pub(super) static SWEEP: &[Column] = &[
    required("run", DataType::Utf8, "The run, below the directory of the sweep."),
    required("run_seed", DataType::Int64, "The seed of its recipe."),
    required("mode", DataType::Utf8, "Who scored: `unseen` or `fitting`."),
    required("by", DataType::Utf8, "The score that decided."),
    required("strategy", DataType::Utf8, "How it decided, such as `top`."),
    optional(
        "select_keep",
        DataType::Float64,
        "The share that the recipe keeps; null if it says a number or a budget.",
    ),
    required("stages", DataType::Utf8, "How many stages, or the share that each adds."),
    required(
        "standing",
        DataType::Utf8,
        "How the coreset of the run stands against random subsets: `worse` and `better` are sure, `below` and `not_proven` within noise.",
    ),
];

/// The column of a score, as one model gave it.
pub(super) fn score(method: Method) -> Column {
    use Method as M;
    let meaning = match method {
        M::Entropy => "-sum p ln p in nats, from 0 to ln C; high is kept.",
        M::Margin => "Largest minus second largest probability, from 0 to 1; low is kept.",
        M::LeastConfidence => "1 minus the largest probability; high is kept.",
        M::El2n => {
            "Euclidean norm of probabilities minus one-hot label, from 0 to sqrt 2; high is kept."
        }
        M::CrossEntropy => "-ln p of the label, in nats; high is kept.",
        M::Grand => {
            "Euclidean norm of the gradient of the cross-entropy in the last layer; high is kept."
        }
        M::SelfConfidence => "Probability of the label; low is kept.",
        M::NormalizedMargin => {
            "(Probability of the label minus the largest other one, plus 1) / 2; low is kept."
        }
        M::ConfidenceWeightedEntropy => {
            "ln(c + 1) / c, where c is the entropy over ln C over the probability of the label; low is kept."
        }
        M::Forgetting => {
            "How often a right prediction turned wrong from epoch to epoch; high is kept."
        }
        M::AumLogitMean => {
            "Mean over epochs of the label's logit minus the largest other one; low is kept."
        }
        M::AumProbSum => {
            "Sum over epochs of the label's probability minus the largest other one; low is kept."
        }
        M::Tdds => {
            "Moving average over windows of the spread of the steps between epochs; high is kept."
        }
        M::DynUnc => {
            "Mean over windows of the deviation of the label's probability, times 10; high is kept."
        }
        M::Dual => {
            "Mean over windows of that deviation, times 1 minus the mean probability; high is kept."
        }
        M::MeanConfidence => "Mean over epochs of the probability of the label; low is kept.",
        M::Moderate => {
            "Distance to the median embedding of the class, as its distance from the median of such distances; low is kept."
        }
        M::Prototypicality => "Distance to the nearest of the k-means centroids; high is kept.",
        M::KCenter => "Place in the farthest-first order, from 0; low is kept.",
        M::Herding => "Place in the order that follows the mean embedding, from 0; low is kept.",
        M::Cal => {
            "Mean divergence of the predictions from those of the nearest neighbours; high is kept."
        }
        M::D2 => {
            "Place in the order of message passing over the neighbour graph, from 0; low is kept."
        }
        M::FacilityLocation => {
            "Place in the order of facility-location gains, from 0; low is kept."
        }
    };
    required(method.name(), DataType::Float32, meaning)
}
