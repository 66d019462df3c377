//! Commands that ask about runs and change nothing.

use clap::ValueEnum;

use super::OnRun;
use crate::error::Result;
use crate::evaluation::Gate;
use crate::recipe::{Bytes, Override, Storage, TrainBudget};
use crate::run::evaluation_gate;

/// `unseen explain`.
#[derive(Clone, Debug, clap::Args)]
pub struct Explain {
    /// The run.
    #[command(flatten)]
    pub on: OnRun,
    /// The id of the sample
    pub id: String,
}

/// `unseen curve`.
#[derive(Clone, Debug, clap::Args)]
pub struct Curve {
    /// The run.
    #[command(flatten)]
    pub on: OnRun,
    /// Draw it into a new file, such as `curve.svg`
    #[arg(long, value_name = "FILE.svg")]
    pub plot: Option<String>,
}

/// `unseen diff`.
#[derive(Clone, Debug, clap::Args)]
pub struct Diff {
    /// A run directory, or a selection table (`.parquet`)
    pub a: String,
    /// Another one
    pub b: String,
    /// How their stores are reached, as for `status`
    #[arg(long, value_name = "KEY=VALUE")]
    pub storage: Vec<Override>,
    /// Print JSON for programs, with every id
    #[arg(long)]
    pub json: bool,
}

impl Diff {
    /// How the stores are reached.
    ///
    /// # Errors
    /// `InvalidRecipe` for an unknown key or a wrong value.
    pub fn storage(&self) -> Result<Storage> {
        Storage::from_overrides(&self.storage)
    }
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
    /// CPU threads, as for `run`
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub threads: Option<u16>,
    /// The most memory to take, as for `run`
    #[arg(long, value_name = "BYTES")]
    pub memory: Option<Bytes>,
    /// No progress on standard error
    #[arg(long, short)]
    pub quiet: bool,
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
