//! Commands that ask about runs and change nothing.

use super::OnRun;
use crate::error::Result;
use crate::recipe::{Override, Storage, nearest};
use crate::report::Plot as Picture;

pub(super) const PLOT_EXAMPLES: &str = "\
Examples:
  unseen plot runs/quickstart --what scores --against runs/fitting --out scores.svg

  # What `unseen evaluate` found, for the browser and for a slide.
  unseen plot runs/quickstart --what evaluation --out evaluation.svg evaluation.png

  # A sweep.
  unseen plot runs/sweep --out sweep.png";

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
    /// Draw it into new files: `curve.svg`, `curve.png` or both
    #[arg(long, value_name = "FILE", num_args = 1.., value_parser = drawing)]
    pub plot: Vec<String>,
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

/// `unseen report`.
#[derive(Clone, Debug, clap::Args)]
pub struct Report {
    /// The run.
    #[command(flatten)]
    pub on: OnRun,
    /// Another run to hold it against, such as one of the same data in mode `fitting`
    #[arg(long, value_name = "RUN")]
    pub against: Option<String>,
    /// A sweep of the same data, whose accuracies are shown beside those of the run
    #[arg(long, value_name = "SWEEP")]
    pub sweep: Option<String>,
    /// The column of texts that shows samples best (`text`, if there is one)
    #[arg(long, value_name = "COLUMN")]
    pub text: Option<String>,
    /// The new file (`report.html` in the run directory, which replaces an older one, if not given)
    #[arg(long, value_name = "FILE.html")]
    pub out: Option<String>,
    /// Replace what is at --out
    #[arg(long, requires = "out")]
    pub replace: bool,
}

impl Report {
    /// Where the page goes.
    pub fn out(&self) -> String {
        let beside = || format!("{}/report.html", self.on.run.trim_end_matches('/'));
        self.out.clone().unwrap_or_else(beside)
    }

    /// Whether it may replace what is there.
    pub fn replaces(&self) -> bool {
        self.replace || self.out.is_none()
    }
}

/// `unseen plot`.
#[derive(Clone, Debug, clap::Args)]
pub struct Plot {
    /// The run.
    #[command(flatten)]
    pub on: OnRun,
    /// What to draw: of a run `scores`, `agreement`, `stages`, `classes`, `evaluation` or `keep`; of a sweep
    /// `sweep`
    #[arg(long, value_name = "NAME", value_parser = picture, default_value = "sweep")]
    pub what: Picture,
    /// Another run to hold it against, for `scores`
    #[arg(long, value_name = "RUN")]
    pub against: Option<String>,
    /// The new files: names that end in .svg or .png
    #[arg(long, value_name = "FILE", num_args = 1.., required = true, value_parser = drawing)]
    pub out: Vec<String>,
    /// Replace what is there
    #[arg(long)]
    pub replace: bool,
}

/// `unseen records`.
#[derive(Clone, Debug, clap::Args)]
pub struct Records {
    /// The run.
    #[command(flatten)]
    pub on: OnRun,
    /// The directory for all files (if not given, `records` in the run directory, and for Croissant the run
    /// directory; there they replace older ones)
    #[arg(long, value_name = "DIR")]
    pub out: Option<String>,
    /// The licence of the dataset, for Croissant: an address, or a name of the SPDX list
    #[arg(long)]
    pub license: Option<String>,
    /// Who made the dataset, for Croissant
    #[arg(long)]
    pub creator: Option<String>,
    /// The address of the dataset's page, for Croissant
    #[arg(long)]
    pub url: Option<String>,
}

fn picture(text: &str) -> std::result::Result<Picture, String> {
    let found = Picture::ALL.into_iter().find(|picture| picture.name() == text);
    found.ok_or_else(|| match nearest(text, Picture::ALL.map(Picture::name)) {
        Some(near) => format!("there is no such picture; did you mean `{near}`?"),
        None => format!(
            "there is no such picture; there are {}",
            Picture::ALL.map(Picture::name).join(", ")
        ),
    })
}

fn drawing(text: &str) -> std::result::Result<String, String> {
    let ending = std::path::Path::new(text).extension().unwrap_or_default();
    if ["svg", "png"].iter().any(|known| ending == *known) {
        return Ok(text.to_owned());
    }
    Err("pictures are SVG or PNG; name a file that ends in .svg or .png".to_owned())
}
