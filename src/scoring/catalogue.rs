//! What there is to know of each method: the table in docs/methods.md.

use std::fmt::Write as _;

use serde_json::Value;

use super::{Criterion, Direction, criterion, direction, trajectory};
use crate::recipe::{Embedding, Method, Needs, Trajectory};

/// One method.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The method.
    pub method: Method,
    /// Its formula in Markdown; see docs/methods.md for the symbols.
    pub formula: &'static str,
    /// Who published it, and where.
    pub source: &'static str,
    /// Bytes that it holds of each sample beside the score, in J, C and d (epochs of a window, classes,
    /// width of an embedding).
    pub memory: String,
    /// Its recipe fields in `score.trajectory` or `score.embedding`, with their defaults.
    pub options: Vec<(&'static str, String)>,
}

/// Every method, in the order of [`Method::ALL`].
pub fn catalogue() -> Vec<Entry> {
    let entry = |method| {
        let (formula, source, options) = described(method);
        let options = options.iter().map(|name| (*name, default(method, name))).collect();
        Entry { method, formula, source, memory: memory(method), options }
    };
    Method::ALL.into_iter().map(entry).collect()
}

/// The catalogue as a table in Markdown.
pub fn table() -> String {
    let mut table = "| method | formula | source | kept end | needs | bytes a sample | options = \
                     default | computed |\n|---|---|---|---|---|---|---|---|\n"
        .to_owned();
    for entry in catalogue() {
        let Entry { method, formula, source, memory, .. } = &entry;
        let kept = match direction(*method) {
            Direction::KeepHigh => "high",
            Direction::KeepLow => "low",
        };
        let needs = match method.needs() {
            Needs::Snapshot if criterion(*method).is_some_and(Criterion::needs_embedding) => {
                "snapshot, embedding norm"
            }
            Needs::Snapshot => "snapshot",
            Needs::Trajectory => "trajectory",
            Needs::Embeddings => "embeddings",
        };
        let options: Vec<String> =
            entry.options.iter().map(|(name, value)| format!("`{name} = {value}`")).collect();
        let computed = if Method::COMMON.contains(method) { "by default" } else { "on request" };
        // Writing to a text cannot fail.
        let _ = writeln!(
            table,
            "| `{}` | {formula} | {source} | {kept} | {needs} | {memory} | {} | {computed} |",
            method.name(),
            options.join(", ")
        );
    }
    table
}

/// The default of a recipe field, as the recipe itself says it.
fn default(method: Method, option: &str) -> String {
    let defaults = match method.needs() {
        Needs::Trajectory => serde_json::to_value(Trajectory::default()),
        _ => serde_json::to_value(Embedding::default()),
    };
    match defaults.unwrap_or_default().get(option) {
        Some(value) => value.to_string(),
        // A field that is not given is not written.
        None if option == "epochs" => "all".to_owned(),
        None if option == "prototypes" => "C".to_owned(),
        None => Value::Null.to_string(),
    }
}

fn memory(method: Method) -> String {
    let numbers = |window, classes| {
        let options = Trajectory { window, ..Trajectory::default() };
        trajectory(method, &options).map(|score| score.memory(classes))
    };
    let Some(none) = numbers(10, 0) else {
        return held(method).to_owned();
    };
    // What a trajectory remembers is linear in J and C.
    let of_window = numbers(11, 0).unwrap_or(none) - none;
    let of_classes = numbers(10, 1).unwrap_or(none) - none;
    let fixed = none - 10 * of_window;
    let terms = [(of_window, " J"), (of_classes, " C"), (fixed, "")];
    let terms = terms.iter().filter(|(count, _)| *count > 0);
    let terms: Vec<String> =
        terms.map(|(count, symbol)| format!("{}{symbol}", 8 * count)).collect();
    terms.join(" + ")
}

/// The bytes of the methods that watch no training.
fn held(method: Method) -> &'static str {
    match method {
        Method::Grand => "4",
        Method::Moderate => "4 d + 24",
        Method::Prototypicality => "8 d + 16",
        Method::KCenter => "8 d + 24",
        Method::Herding => "8 d + 20",
        Method::Cal => "8 d + 4 C",
        Method::D2 => "8 d + 40 neighbors + 64",
        Method::FacilityLocation => "12 d + 48",
        _ => "0",
    }
}

/// Formula, source and the names of the options.
fn described(method: Method) -> (&'static str, &'static str, &'static [&'static str]) {
    match method {
        Method::Entropy => ("`-sum_c p_c ln p_c`", "Coleman et al., SVP, ICLR 2020", &[]),
        Method::Margin => ("`p_(1) - p_(2)`", "Coleman et al., SVP, ICLR 2020", &[]),
        Method::LeastConfidence => ("`1 - max_c p_c`", "Coleman et al., SVP, ICLR 2020", &[]),
        Method::El2n => {
            ("`‖p - e_y‖`", "Paul et al., Deep Learning on a Data Diet, NeurIPS 2021", &[])
        }
        Method::CrossEntropy => ("`-ln p_y`", "the loss itself", &[]),
        Method::Grand => (
            "`‖p - e_y‖ sqrt(1 + ‖h‖²)`, the gradient of the last layer",
            "Paul et al., Deep Learning on a Data Diet, NeurIPS 2021",
            &[],
        ),
        Method::SelfConfidence => ("`p_y`", "cleanlab; Northcutt et al., JAIR 2021", &[]),
        Method::NormalizedMargin => {
            ("`(p_y - max_{c≠y} p_c + 1) / 2`", "cleanlab; Northcutt et al., JAIR 2021", &[])
        }
        Method::ConfidenceWeightedEntropy => (
            "`ln(c + 1) / c, c = entropy / (ln C · p_y)`",
            "cleanlab; Northcutt et al., JAIR 2021",
            &[],
        ),
        Method::Forgetting => (
            "`#{t : right after t - 1, wrong after t}`",
            "Toneva et al., ICLR 2019",
            &["epochs", "never_learned"],
        ),
        Method::AumLogitMean => {
            ("`mean_t (z_y - max_{c≠y} z_c)`", "Pleiss et al., NeurIPS 2020", &["epochs"])
        }
        Method::AumProbSum => (
            "`sum_t (p_y - max_{c≠y} p_c)`",
            "code of CCS (Zheng et al., ICLR 2023), D2 and DUAL",
            &["epochs"],
        ),
        Method::Tdds => (
            "`sum_k g (1 - g)^(T-J-k) ‖a - mean a‖` over the steps of window k, \
             `a_t = sum_c abs(p_{t+1,c} (ln p_{t+1,c} - ln p_{t,c}))`, g the decay",
            "Zhang et al., CVPR 2024",
            &["epochs", "window", "decay"],
        ),
        Method::DynUnc => {
            ("`mean_k std(p_y in window k)`", "He et al., arXiv 2306.05175", &["epochs", "window"])
        }
        Method::Dual => (
            "`mean_k std(p_y in window k) (1 - mean(p_y in window k))`",
            "Cho et al., ICML 2025",
            &["epochs", "window"],
        ),
        Method::MeanConfidence => {
            ("`mean_t p_y`", "Swayamdipta et al., Dataset Cartography, EMNLP 2020", &["epochs"])
        }
        _ => of_embeddings(method),
    }
}

fn of_embeddings(method: Method) -> (&'static str, &'static str, &'static [&'static str]) {
    match method {
        Method::Moderate => (
            "`abs(d_i - median d)`, d_i the distance to the median embedding of the class",
            "Xia et al., ICLR 2023",
            &["from"],
        ),
        Method::Prototypicality => (
            "distance to the nearest k-means centroid",
            "Sorscher et al., NeurIPS 2022",
            &["from", "prototypes"],
        ),
        Method::KCenter => (
            "place in the farthest-first order",
            "Sener & Savarese, ICLR 2018",
            &["from", "max_rows"],
        ),
        Method::Herding => (
            "place in the order of `argmin_x ‖m μ - sum of chosen - x‖`",
            "Welling, ICML 2009",
            &["from", "max_rows"],
        ),
        Method::Cal => (
            "mean KL divergence between its prediction and those of the nearest neighbours",
            "Margatina et al., EMNLP 2021",
            &["from", "max_rows", "neighbors"],
        ),
        Method::D2 => (
            "place in the order of difficulty passed along the neighbour graph",
            "Maharana et al., ICLR 2024",
            &["from", "max_rows", "neighbors", "difficulty", "gamma"],
        ),
        _ => (
            "place in the order of gains of `sum_i max_{j chosen} s_ij`",
            "Wei et al., ICML 2015",
            &["from", "max_rows"],
        ),
    }
}
