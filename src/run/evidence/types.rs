//! What a report shows of a run.

use serde::Serialize;

use crate::ingest::Glimpse;
use crate::run::{Comparison, Difference, InputObject, Published, Summary, Swept};
use crate::selection::Spread;

/// Everything that a report shows of a finished run.
#[derive(Clone, Debug, Serialize)]
pub struct Evidence {
    /// What came out.
    pub summary: Summary,
    /// How the scores of stage 1 are distributed: of this run, then of the one that it is held against.
    pub scores: Vec<Histogram>,
    /// How far the models of stage 1 agree: of each of these runs that has several.
    pub agreement: Vec<Agreement>,
    /// What differs from the other run.
    pub against: Option<Difference>,
    /// How samples move between the stages.
    pub flow: Flow,
    /// The classes, by label.
    pub classes: Vec<ClassStory>,
    /// How uneven the classes are.
    pub disparity: Disparity,
    /// What fresh models reach, for each test and budget of an evaluation; none if it was not evaluated.
    pub evaluations: Vec<Comparison>,
    /// What other recipes reach, if a sweep was named.
    pub swept: Option<Swept>,
    /// Samples at the top, at the cut and at the bottom of the ranking.
    pub gallery: Gallery,
    /// Labels that may be wrong; `None` if the run did not look for them.
    pub suspects: Option<Suspects>,
    /// The samples that cannot be used, ascending by id.
    pub quarantine: Vec<Unusable>,
    /// Where all this comes from.
    pub provenance: Provenance,
}

/// How the scores of stage 1, aggregated over its models, are distributed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Histogram {
    /// The run.
    pub uri: String,
    /// Which models scored: `unseen` or `fitting`.
    pub mode: &'static str,
    /// The score.
    pub by: String,
    /// The lower end of the first bin.
    pub low: f64,
    /// The upper end of the last bin.
    pub high: f64,
    /// Equally wide bins.
    pub bins: Vec<Bin>,
    /// The same in numbers.
    pub spread: Spread,
}

/// One bin of a histogram.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Bin {
    /// Samples with such a score.
    pub all: u64,
    /// Those of them that are kept, whatever stage kept them.
    pub kept: u64,
}

/// How far the models of stage 1 agree about samples that two of them scored.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Agreement {
    /// The run.
    pub uri: String,
    /// The models compared: the first of them.
    pub models: usize,
    /// Spearman's correlation of each with each; `None` with itself, and where there is none.
    pub spearman: Vec<Vec<Option<f64>>>,
    /// The mean over pairs of Spearman's correlation.
    pub mean_spearman: Option<f64>,
    /// The mean over pairs of Pearson's correlation of the scores.
    pub mean_pearson: Option<f64>,
    /// The mean over pairs of how far their choices agree: samples in both over samples in either
    /// (Jaccard), each keeping the share that the run keeps.
    pub mean_jaccard: Option<f64>,
}

/// How samples move between stages. A stage splits those that it ranked into those that entered, and the
/// rest into quarters by rank.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Flow {
    /// For each stage: how many entered, then how many are in each quarter, the most wanted first.
    pub stages: Vec<[u64; 5]>,
    /// For each stage but the last: how many moved from a quarter (outer) to a part of the next stage
    /// (inner).
    pub moves: Vec<[[u64; 5]; 4]>,
    /// For each stage but the last: Spearman's correlation of its scores and those of the next stage, over
    /// samples that both scored.
    pub spearman: Vec<Option<f64>>,
}

/// One class before and after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClassStory {
    /// Its name.
    pub name: String,
    /// Its usable samples.
    pub total: u64,
    /// How many entered in each stage.
    pub entered: Vec<u64>,
}

impl ClassStory {
    /// How many are kept.
    pub fn kept(&self) -> u64 {
        self.entered.iter().sum()
    }
}

/// How uneven the classes that have samples are.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Disparity {
    /// Their sizes before.
    pub before: Uneven,
    /// Their sizes after.
    pub after: Uneven,
    /// The share that each keeps.
    pub kept: Uneven,
}

/// How uneven some numbers are.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Uneven {
    /// The largest over the smallest; `None` if that is 0.
    pub ratio: Option<f64>,
    /// The coefficient of variation: standard deviation over mean, 0 if all are equal.
    pub variation: f64,
}

/// Samples to look at.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Gallery {
    /// The places in the ranking.
    pub shelves: Vec<Shelf>,
    /// Why their inputs cannot be shown.
    pub note: Option<String>,
}

/// Some samples next to each other in the ranking.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Shelf {
    /// What they have in common.
    pub name: String,
    /// The samples, in order.
    pub samples: Vec<Shown>,
}

/// One sample to look at.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Shown {
    /// The sample.
    pub id: String,
    /// Its class.
    pub class: String,
    /// The score that decided.
    pub score: Option<f64>,
    /// Its rank in the stage of entry, or in the last that ranked it.
    pub rank: Option<i64>,
    /// The stage of entry.
    pub stage: Option<i32>,
    /// What it looks like.
    pub glimpse: Glimpse,
}

/// Labels that may be wrong.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Suspects {
    /// How many there are.
    pub count: u64,
    /// The most suspect, in order.
    pub first: Vec<Suspect>,
}

/// A label that may be wrong.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Suspect {
    /// The sample, with the class as given.
    pub shown: Shown,
    /// The class that unseen models say.
    pub suggested: String,
    /// The probability that they give to the class as given.
    pub self_confidence: f64,
}

/// A sample that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unusable {
    /// The sample.
    pub id: String,
    /// Its file, row group and row.
    pub place: String,
    /// Why.
    pub reason: String,
}

/// Where a result comes from.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Provenance {
    /// The version of `unseen` that made it.
    pub version: String,
    /// The fingerprint of version, recipe and input.
    pub fingerprint: String,
    /// The seed that all others follow from.
    pub seed: u64,
    /// The recipe with every default, as TOML.
    pub recipe: String,
    /// The objects of the input and of joined tables.
    pub input: Vec<InputObject>,
    /// The published files.
    pub files: Vec<Published>,
}
