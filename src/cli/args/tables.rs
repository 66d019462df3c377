//! Commands that make tables from tables, beside or without a run.

use clap::ArgGroup;

use super::{OnDevice, OnRecipe, OnRun};
use crate::error::{Error, Result};
use crate::recipe::{Bytes, Method, Mode, Override, Recipe, Storage, nearest};

/// Where a table goes, and how stores are reached.
#[derive(Clone, Debug, clap::Args)]
pub struct To {
    /// The new table, such as `out.parquet` or `s3://bucket/out.parquet`
    #[arg(long, value_name = "URI")]
    pub output: String,
    /// How stores are reached, as for `status`
    #[arg(long, value_name = "KEY=VALUE")]
    pub storage: Vec<Override>,
    /// Print JSON for programs
    #[arg(long)]
    pub json: bool,
}

/// `unseen folds`.
#[derive(Clone, Debug, clap::Args)]
pub struct FoldsOf {
    /// Whose folds.
    #[command(flatten)]
    pub on: OnRecipe,
    /// The new table, such as `folds.parquet`
    #[arg(long, value_name = "URI")]
    pub output: String,
    /// Print JSON for programs
    #[arg(long)]
    pub json: bool,
    /// The most memory to take, as for `run`
    #[arg(long, value_name = "BYTES")]
    pub memory: Option<Bytes>,
}

/// `unseen score`.
#[derive(Clone, Debug, clap::Args)]
pub struct Score {
    /// Tables of predictions: `id`, `model`, `logits` or `probabilities` (lists of numbers), `epoch`
    /// if there are several, `embedding` (the input of the last layer) for the methods that look at it,
    /// and `label` unless --labels is given
    #[arg(long, value_name = "URI", required = true, num_args = 1..)]
    pub predictions: Vec<String>,
    /// The table of who was in which model's training set: `id`, `model`. Needed in mode `unseen`
    #[arg(long, value_name = "URI")]
    pub members: Option<String>,
    /// A table with the class of each sample, from 0: `id`, `label`
    #[arg(long, value_name = "URI")]
    pub labels: Option<String>,
    /// `unseen`: no model may have been trained on what it scores; `fitting`: it may
    #[arg(long, default_value = "unseen", value_parser = mode)]
    pub mode: Mode,
    /// Leave out predictions by models that were trained on the sample, instead of refusing them
    #[arg(long)]
    pub drop_seen: bool,
    /// The scores to compute (entropy, margin, least_confidence, el2n and cross_entropy if not given)
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = method)]
    pub methods: Vec<Method>,
    /// Change an option, such as `score.trajectory.window=5`, `score.embedding.neighbors=20`, or
    /// `score.average=probabilities` to store the probabilities too, for `select` to average
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<Override>,
    /// Look for wrong labels by confident learning over the mean probabilities, and write them here
    #[arg(long, value_name = "URI")]
    pub label_errors: Option<String>,
    /// Where the scores go.
    #[command(flatten)]
    pub to: To,
}

impl Score {
    /// What to compute and how: a recipe of which `[score]` and `seed` count.
    ///
    /// # Errors
    /// `InvalidRecipe` for a key that plays no part here, or a wrong value.
    pub fn recipe(&self) -> Result<Recipe> {
        let counts = |key: &str| {
            key.starts_with("score.trajectory.")
                || key.starts_with("score.embedding.")
                || ["score.average", "score.logits", "seed"].contains(&key)
        };
        if let Some(other) = self.set.iter().find(|set| !counts(&set.key)) {
            return Err(Error::recipe(format!(
                "--set {}: only score.trajectory, score.embedding, score.average, score.logits and seed play a part here",
                other.key
            )));
        }
        let mut changes = self.set.clone();
        changes.push("select.keep=1.0".parse()?);
        let mut recipe = Recipe::for_scores(&changes)?;
        if !self.methods.is_empty() {
            recipe.score.methods.clone_from(&self.methods);
        }
        Ok(recipe)
    }
}

/// `unseen select`.
#[derive(Clone, Debug, clap::Args)]
#[command(group(ArgGroup::new("from").required(true).args(["run", "scores"])))]
#[command(group(ArgGroup::new("to").required(true).args(["output", "dry_run"])))]
pub struct Select {
    /// A run, of which the scores of stage 1 are used, with its recipe and the changes to it
    pub run: Option<String>,
    /// Score tables of any origin: `id`, `label`, `model` and scores
    #[arg(long, value_name = "URI", num_args = 1..)]
    pub scores: Vec<String>,
    /// A recipe whose `[score]` and `[select]` count, for --scores
    #[arg(long, value_name = "FILE", conflicts_with = "run")]
    pub recipe: Option<String>,
    /// The share to keep, in (0, 1]
    #[arg(long, value_name = "SHARE", conflicts_with = "prune")]
    pub keep: Option<f64>,
    /// The share to prune, in [0, 1): `--prune 0.3` is `--keep 0.7`
    #[arg(long, value_name = "SHARE")]
    pub prune: Option<f64>,
    /// The score that decides: a method, one of score.own, or with --end any column of scores
    #[arg(long, value_name = "SCORE")]
    pub by: Option<String>,
    /// Which end of the column --by is kept, where that is no method
    #[arg(long, value_name = "END", value_parser = ["high", "low"], requires = "by")]
    pub end: Option<String>,
    /// How it decides, such as `top` or `strata`
    #[arg(long, value_name = "NAME")]
    pub strategy: Option<String>,
    /// How kept samples spread over classes, such as `global` or `proportional`
    #[arg(long, value_name = "NAME")]
    pub classes: Option<String>,
    /// Change any other field of `[score]` or `[select]`, such as `select.keep_rows=1000`
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<Override>,
    /// A table with a row for each sample (`id` and more) in Parquet, CSV or JSON, for `select.filter`,
    /// `quota` and `budget`; a RUN has its own, from its dataset and its `[[join]]` tables
    #[arg(long, value_name = "URI", conflicts_with = "run")]
    pub metadata: Option<String>,
    /// The new selection table
    #[arg(long, value_name = "URI")]
    pub output: Option<String>,
    /// Write nothing; only show what would be kept
    #[arg(long)]
    pub dry_run: bool,
    /// How stores are reached, as for `status`
    #[arg(long, value_name = "KEY=VALUE")]
    pub storage: Vec<Override>,
    /// Print JSON for programs
    #[arg(long)]
    pub json: bool,
}

impl Select {
    /// All changes to the recipe, those of the flags first.
    ///
    /// # Errors
    /// `InvalidRecipe` for a key that plays no part in a selection.
    pub fn changes(&self) -> Result<Vec<Override>> {
        let flags = [
            ("select.keep", &self.keep.map(|share| format!("{share:?}"))),
            ("select.prune", &self.prune.map(|share| format!("{share:?}"))),
            ("select.by", &self.by),
            ("select.strategy", &self.strategy),
            ("select.classes", &self.classes),
        ];
        let flag = |(key, value): (&str, &Option<String>)| {
            Some(Override { key: key.to_owned(), value: value.clone()? })
        };
        let counts = |key: &str| {
            key.starts_with("select.")
                || ["seed", "score.own", "score.aggregate", "score.average", "score.scale"]
                    .contains(&key)
        };
        if let Some(other) = self.set.iter().find(|set| !counts(&set.key)) {
            return Err(Error::recipe(format!(
                "--set {}: scores are there already; only `select`, `seed` and score.own, aggregate, average and scale play a part here",
                other.key
            )));
        }
        let column = self.by.as_ref().zip(self.end.as_ref()).map(|(name, end)| {
            let (name, sql) = (quoted(name), quoted(&format!("\"{name}\"")));
            let value = format!("[{{ name = {name}, sql = {sql}, keep = \"{end}\" }}]");
            Override { key: "score.own".to_owned(), value }
        });
        let flags = flags.into_iter().filter_map(flag);
        Ok(flags.chain(column).chain(self.set.iter().cloned()).collect())
    }
}

/// A text of TOML.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// `unseen extend`.
#[derive(Clone, Debug, clap::Args)]
pub struct Extend {
    /// The run.
    #[command(flatten)]
    pub on: OnRun,
    /// The data with new rows, read as the run read its own; rows that it knows are left alone
    #[arg(long, value_name = "URI", required = true, num_args = 1..)]
    pub data: Vec<String>,
    /// The rows to use, as a Polars SQL condition, instead of the recipe's `data.filter`
    #[arg(long, value_name = "SQL")]
    pub filter: Option<String>,
    /// The score to compare, instead of the one that decided
    #[arg(long, value_name = "METHOD", value_parser = method)]
    pub by: Option<Method>,
    /// The new score table
    #[arg(long, value_name = "URI")]
    pub output: String,
    /// Where.
    #[command(flatten)]
    pub on_device: OnDevice,
}

/// How stores are reached.
///
/// # Errors
/// `InvalidRecipe` for an unknown key or a wrong value.
pub(in crate::cli) fn storage(given: &[Override]) -> Result<Storage> {
    Storage::from_overrides(given)
}

fn mode(text: &str) -> std::result::Result<Mode, String> {
    match text {
        "unseen" => Ok(Mode::Unseen),
        "fitting" => Ok(Mode::Fitting),
        _ => Err("write `unseen` or `fitting`".to_owned()),
    }
}

fn method(text: &str) -> std::result::Result<Method, String> {
    let names = Method::ALL.map(Method::name);
    let found = Method::ALL.into_iter().find(|method| method.name() == text);
    found.ok_or_else(|| match nearest(text, names) {
        Some(near) => format!("there is no such score; did you mean `{near}`?"),
        None => format!("there is no such score; there are {}", names.join(", ")),
    })
}
