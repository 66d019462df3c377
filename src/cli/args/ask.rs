//! Commands that ask about runs and change nothing.

use super::OnRun;
use crate::error::Result;
use crate::recipe::{Override, Storage};

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
