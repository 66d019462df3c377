//! Commands that ask about runs and change nothing.

use super::OnRun;
use crate::error::Result;
use crate::recipe::{Override, Storage, nearest};
use crate::report::Plot as Picture;

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

/// `unseen report`.
#[derive(Clone, Debug, clap::Args)]
pub struct Report {
    /// The run.
    #[command(flatten)]
    pub on: OnRun,
    /// Another run to hold it against, such as one of the same data in mode `fitting`
    #[arg(long, value_name = "RUN")]
    pub against: Option<String>,
    /// The column of texts that shows samples best (`text`, if there is one)
    #[arg(long, value_name = "COLUMN")]
    pub text: Option<String>,
    /// The new file (`report.html` in the run directory if not given)
    #[arg(long, value_name = "FILE.html")]
    pub out: Option<String>,
}

impl Report {
    /// Where the page goes.
    pub fn out(&self) -> String {
        let beside = || format!("{}/report.html", self.on.run.trim_end_matches('/'));
        self.out.clone().unwrap_or_else(beside)
    }
}

/// `unseen plot`.
#[derive(Clone, Debug, clap::Args)]
pub struct Plot {
    /// The run.
    #[command(flatten)]
    pub on: OnRun,
    /// What to draw: `scores`, `agreement`, `stages`, `classes`, `evaluation` or `keep`
    #[arg(long, value_name = "NAME", value_parser = picture)]
    pub what: Picture,
    /// Another run to hold it against, for `scores`
    #[arg(long, value_name = "RUN")]
    pub against: Option<String>,
    /// The new file; only SVG can be drawn
    #[arg(long, value_name = "FILE.svg", value_parser = svg)]
    pub out: String,
}

/// `unseen records`.
#[derive(Clone, Debug, clap::Args)]
pub struct Records {
    /// The run.
    #[command(flatten)]
    pub on: OnRun,
    /// The directory for the files (`records` in the run directory if not given)
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

fn svg(text: &str) -> std::result::Result<String, String> {
    if std::path::Path::new(text).extension().is_some_and(|e| e.eq_ignore_ascii_case("svg")) {
        return Ok(text.to_owned());
    }
    Err("only SVG can be drawn; name a file that ends in .svg (browsers and Inkscape make PNG of it)".to_owned())
}
