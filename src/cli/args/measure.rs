//! Commands that measure: what coresets are worth, how stable scores are.

use clap::ValueEnum;

use super::{Effort, OnDevice, OnRecipe, OnRun};
use crate::evaluation::Gate;
use crate::recipe::{Override, TrainBudget};
use crate::run::{evaluation_gate, stability_gate};

pub(super) const EVALUATE_EXAMPLES: &str = "\
Examples:
  # On a part of the training data that no model of the evaluation trains on.
  unseen evaluate runs/quickstart

  # On test rows, five seeds; exit code 1 if the coreset costs more than half a point.
  unseen evaluate runs/quickstart --test-filter \"split = 'test'\" --seeds 5 \\
      --gate \"accuracy >= full - 0.5\" --gate \"accuracy >= random\"";

pub(super) const STABILITY_EXAMPLES: &str = "\
Examples:
  # Two seeds; exit code 1 if they do not agree.
  unseen stability runs/seed-0 runs/seed-1 --gate \"pearson >= 0.8\"

  # The fold models of one run.
  unseen stability runs/quickstart

  # Two score tables, at 30 %.
  unseen stability a.parquet b.parquet --by margin --keep 0.3";

pub(super) const SWEEP_EXAMPLES: &str = "\
Examples:
  # Two scores and two keep rates, by models that saw the samples and by models that did not.
  unseen sweep pipelines/quickstart.toml --set output.uri=runs/sweep \\
      --set 'sweep.mode=[\"unseen\",\"fitting\"]' --set 'sweep.by=[\"margin\",\"entropy\"]' \\
      --set 'sweep.keep=[0.3,0.5]'";

/// `unseen stability`.
#[derive(Clone, Debug, clap::Args)]
pub struct Stability {
    /// A run directory, a selection table (`.parquet`), or with --by a score table
    pub a: String,
    /// Another one; without it the models of stage 1 of run A are compared
    pub b: Option<String>,
    /// The score to compare (the one that decided, if not given)
    #[arg(long, value_name = "SCORE")]
    pub by: Option<String>,
    /// The share of samples that both would keep (that of A, then that of B, if not given)
    #[arg(long, value_name = "SHARE")]
    pub keep: Option<f64>,
    /// What must hold, or the exit code is 1: `pearson`, `spearman` or `jaccard`, >=, <=, > or <, and a
    /// number; may be given several times
    #[arg(long, value_name = "CONDITION", value_parser = stability_gate)]
    pub gate: Vec<Gate>,
    /// How their stores are reached, as for `status`
    #[arg(long, value_name = "KEY=VALUE")]
    pub storage: Vec<Override>,
    /// Print JSON for programs
    #[arg(long)]
    pub json: bool,
}

/// `unseen evaluate`.
#[derive(Clone, Debug, clap::Args)]
pub struct Evaluate {
    /// The run.
    #[command(flatten)]
    pub on: OnRun,
    /// The test data, read like the run's own (`evaluate.uri` of the recipe if not given; else a fifth
    /// of the training data, which no model of the evaluation trains on)
    #[arg(long, value_name = "URI", num_args = 1..)]
    pub test: Vec<String>,
    /// The test rows, as a Polars SQL condition; of the run's own data if --test is not given
    #[arg(long, value_name = "SQL")]
    pub test_filter: Option<String>,
    /// How many models are trained on each subset (3, or `evaluate.seeds`)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub seeds: Option<u32>,
    /// What is the same for all subsets (`epochs`, or `evaluate.budget`)
    #[arg(long)]
    pub budget: Option<Budget>,
    /// What must hold for the coreset, or the exit code is 1: `accuracy`, `worst_class`, `class_spread`
    /// or `ece` in per cent, >=, <=, > or <, and a number or `full`, `random`, `random_stratified`
    /// with + or - a number of points; may be given several times
    #[arg(long, value_name = "CONDITION", value_parser = evaluation_gate)]
    pub gate: Vec<Gate>,
    /// Where.
    #[command(flatten)]
    pub on_device: OnDevice,
    /// With what.
    #[command(flatten)]
    pub effort: Effort,
}

/// What is the same for subsets of different sizes.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Budget {
    /// As many epochs: training on less costs less
    Epochs,
    /// As many optimiser steps as on everything, in whole epochs: the same cost
    Iterations,
}

impl From<Budget> for TrainBudget {
    fn from(budget: Budget) -> Self {
        match budget {
            Budget::Epochs => Self::Epochs,
            Budget::Iterations => Self::Iterations,
        }
    }
}

/// `unseen sweep`.
#[derive(Clone, Debug, clap::Args)]
pub struct Sweep {
    /// What to run, with a table `[sweep]`.
    #[command(flatten)]
    pub on: OnRecipe,
    /// Print JSON for programs
    #[arg(long)]
    pub json: bool,
    /// With what.
    #[command(flatten)]
    pub effort: Effort,
}
