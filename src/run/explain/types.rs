//! What is told about one sample.

use std::collections::BTreeMap;

use serde::Serialize;

/// Everything that a run knows about one sample.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explanation {
    /// The run directory.
    pub uri: String,
    /// The sample.
    pub id: String,
    /// Whether it is kept; `None` while the run has not decided.
    pub kept: Option<bool>,
    /// Why, as in the selection table; `None` while the run has not decided.
    pub reason: Option<String>,
    /// Why, as a sentence.
    pub why: String,
    /// Where it lies in the source.
    pub source: SourceRow,
    /// The shard of the coreset that holds it.
    pub shard: Option<String>,
    /// Its class; `None` in quarantine.
    pub class: Option<Class>,
    /// Its fold; `None` in mode `fitting` and in quarantine.
    pub fold: Option<i32>,
    /// Its cluster of duplicates, if it is not alone.
    pub cluster: Option<Cluster>,
    /// The cells of `select.quota` that hold it.
    pub cells: Vec<QuotaCell>,
    /// What it costs, where `select.budget` bounds the costs.
    pub cost: Option<f64>,
    /// What each stage said about it.
    pub stages: Vec<StageOf>,
}

/// A row of the source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SourceRow {
    /// The file.
    pub file: String,
    /// The row group in it, from 0.
    pub row_group: u32,
    /// The row in that, from 0.
    pub row: u32,
    /// Its uncompressed bytes; `None` in quarantine.
    pub bytes: Option<u64>,
}

/// The class of a sample.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Class {
    /// Its number.
    pub label: i32,
    /// Its name.
    pub name: String,
    /// Its usable samples.
    pub samples: u64,
    /// Those of them that are kept so far.
    pub kept: u64,
}

/// A cell of `select.quota`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct QuotaCell {
    /// Its columns and their values, such as `source=web,label=cat`.
    pub name: String,
    /// Its usable samples.
    pub samples: u64,
    /// Those of them that are kept so far.
    pub kept: u64,
    /// How many must be kept at least, if any must.
    pub least: Option<u64>,
    /// How many may be kept at most, if not all.
    pub most: Option<u64>,
}

impl QuotaCell {
    /// Whether no more may be kept.
    pub fn is_full(&self) -> bool {
        self.most.is_some_and(|most| self.kept >= most)
    }
}

/// The duplicates of a sample.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cluster {
    /// Its name.
    pub name: String,
    /// Its samples.
    pub samples: u64,
    /// Those of them that are kept.
    pub kept: Vec<String>,
}

/// What one stage said about a sample.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StageOf {
    /// The stage, from 1.
    pub stage: usize,
    /// The score that decided, aggregated over models; `None` until the stage has selected.
    pub score: Option<f64>,
    /// Its rank among the ranked, from 1.
    pub rank: Option<i64>,
    /// How many samples were ranked.
    pub ranked: u64,
    /// How many samples the stage added.
    pub added: u64,
    /// The score of the last one added.
    pub cut: Option<f64>,
    /// The score of the last one added of the same class.
    pub class_cut: Option<f64>,
    /// Whether this stage added the sample.
    pub entered: bool,
    /// What its models said.
    pub models: Vec<ModelOf>,
}

/// What one model said about a sample.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ModelOf {
    /// The model within the stage, from 0.
    pub model: usize,
    /// What it was trained on.
    pub trained_on: String,
    /// The class that it predicted.
    pub predicted: String,
    /// Its scores by method.
    pub scores: BTreeMap<String, f32>,
}
