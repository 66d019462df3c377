//! The grammar of the command line.
//!
//! - `ask`: commands that ask about runs. `measure`: those that measure what they are worth.
//! - `tables`: commands that make tables beside or without a run.

mod ask;
mod measure;
mod tables;

use clap::{Parser, Subcommand};

use crate::error::Result;
use crate::recipe::{Bytes, Override, Recipe, Storage, parse};
use crate::storage::read_text;

use ask::PLOT_EXAMPLES;
pub use ask::{Curve, Diff, Explain, Plot, Records, Report};
pub use measure::{Budget, Evaluate, Stability, Sweep};
use measure::{EVALUATE_EXAMPLES, STABILITY_EXAMPLES, SWEEP_EXAMPLES};
pub(super) use tables::storage;
pub use tables::{Extend, FoldsOf, Score, Select, To};

const EXAMPLES: &str = "\
Examples:
  # Keep half of a small image set that ships with the source, then check the result.
  unseen run pipelines/quickstart.toml
  unseen verify runs/quickstart

  # See what a run would do, with another score and another budget.
  unseen plan pipelines/quickstart.toml --set select.by=entropy --set select.keep=0.3

Exit codes: 0 done, 1 failed, 2 wrong recipe or command line.";

/// Prune training datasets with models that never saw the samples they score.
///
/// A recipe (TOML) says where the dataset lies, how small models are trained on parts of it, and
/// how much is kept. A run writes scores, the kept rows as Parquet and a record of every step into
/// one directory. Stopped runs go on where they were: give the same command again.
#[derive(Clone, Debug, Parser)]
#[command(name = "unseen", version, after_long_help = EXAMPLES)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Show what a run would do: stages, models, samples to train on and to score. Writes nothing
    Plan(Plan),
    /// Run a recipe, or go on with a run that was stopped
    Run(Run),
    /// Show how far a run is
    Status(OnRun),
    /// Check a finished run: its files, the method and the coreset
    ///
    /// Checks the size and checksum of every file against the records. Derives the folds, the
    /// training sets and the selection anew from the tables, checks that no model scored a sample
    /// it was trained on, and compares the coreset with the source row by row.
    Verify(Verify),
    /// Do single tasks of a run, for schedulers such as Kubernetes, Slurm or Ray
    #[command(subcommand)]
    Task(TaskCommand),
    /// Try out whether a store does what a run needs, and say what to mend
    ///
    /// Writes a few small objects below the address, one of 5 MB, and removes them again.
    Doctor(OnRun),
    /// Find what attempts that died left in a run directory, and remove it with --delete
    ///
    /// Only objects that no record names are touched. S3 also keeps the parts of uploads that were
    /// never completed: give the bucket a lifecycle rule that aborts them.
    Clean(Clean),
    /// Show the resolved recipe or the JSON Schema of recipes
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Say why one sample of a run is kept or not: scores, ranks, cut-offs, folds, its place
    Explain(Explain),
    /// Show what a run would keep at 5, 10, ... 95 %, from its stored scores, without training
    Curve(Curve),
    /// Compare two runs or two selection tables: samples, classes, scores, recipes
    Diff(Diff),
    /// Train fresh models on the coreset, on random subsets and on everything, and compare them
    ///
    /// Trains several models on each, with the recipe's architecture and training, tests them on samples
    /// that none of them saw, and says in one sentence what the coreset is worth. Models are kept
    /// in RUN/evaluate, so a second call trains only what is new to it, and a stopped one goes on.
    #[command(after_help = EVALUATE_EXAMPLES)]
    Evaluate(Evaluate),
    /// Say how alike the scores of two runs or tables are, or of the models of one run
    ///
    /// Correlations of scores and of ranks, what both would keep, and how the scores of each spread:
    /// between seeds, folds, modes or whatever else differs.
    #[command(after_help = STABILITY_EXAMPLES)]
    Stability(Stability),
    /// Run a grid of recipes and evaluate each: modes, scores, strategies, keep rates, stages, seeds
    ///
    /// The table `[sweep]` of the recipe, or `--set sweep.keep=[0.3,0.5]`, lists the values. Equal folds,
    /// models and scores are computed once; stopped sweeps go on, and a larger grid in the same place
    /// does only what is new. At its end stand a table, `sweep.parquet`, and a picture of it, `sweep.svg`.
    #[command(after_help = SWEEP_EXAMPLES)]
    Sweep(Sweep),
    /// Write what a run shows as one HTML page: scores, stages, classes, samples, where it comes from
    ///
    /// The page needs no network and no script; it opens from disk and can be printed or sent.
    Report(Report),
    /// Draw one picture of that page, or that of a sweep, as SVG or PNG
    #[command(after_help = PLOT_EXAMPLES)]
    Plot(Plot),
    /// Write a finished run as other tools record it: OpenLineage, MLflow, Croissant
    ///
    /// `openlineage.json` is a run event, `mlflow_dataset.json` a dataset for `mlflow.log_input`, and
    /// `croissant.json` the metadata of the coreset, with addresses relative to its own place. Nothing is sent.
    Records(Records),
    /// Write the folds that a run of a recipe would use, for models that you train yourself
    Folds(FoldsOf),
    /// Turn the predictions of your own models into a score table
    ///
    /// Predictions and members are Parquet tables that PyTorch, JAX or anything may have written; see
    /// docs/external.md. A prediction by a model that was trained on the sample is refused.
    Score(Score),
    /// Select from any score table, or again from the stored scores of a run; nothing is trained
    Select(Select),
    /// Score samples that came after a run with the models of its stage 1, and report drift
    ///
    /// Needs a run with `folds.by = "hash"`, in which new samples move no old one to another fold.
    Extend(Extend),
}

/// A recipe and changes to it.
#[derive(Clone, Debug, clap::Args)]
pub struct OnRecipe {
    /// The recipe, a TOML file
    pub recipe: String,
    /// Change one field, such as `select.keep=0.3`; may be given several times
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<Override>,
    /// Where.
    #[command(flatten)]
    pub on_device: OnDevice,
}

/// Where models run.
#[derive(Clone, Debug, clap::Args)]
pub struct OnDevice {
    /// Where models run, instead of the recipe's `device`: `cpu`, `cuda:0`, `cuda:0,1` for several, or
    /// `cuda` for all; a run that has begun keeps to `cpu` or to `cuda`
    #[arg(long)]
    pub device: Option<String>,
}

impl OnRecipe {
    /// Reads the recipe with the changes applied.
    ///
    /// # Errors
    /// `InvalidRecipe` if the file cannot be read or the recipe is wrong.
    pub fn load(&self) -> Result<Recipe> {
        let device = |value: &String| Override { key: "device".to_owned(), value: value.clone() };
        let device = self.on_device.device.iter().map(device);
        let set: Vec<_> = self.set.iter().cloned().chain(device).collect();
        parse(&read_text(&self.recipe)?, &self.recipe, &set)
    }
}

/// `unseen plan`.
#[derive(Clone, Debug, clap::Args)]
pub struct Plan {
    /// What to plan.
    #[command(flatten)]
    pub on: OnRecipe,
    /// Print JSON for programs
    #[arg(long)]
    pub json: bool,
    /// The most memory to take, such as `4GiB` (half of the machine's if not given); the result is
    /// the same for any
    #[arg(long, value_name = "BYTES")]
    pub memory: Option<Bytes>,
}

/// What a command that trains may take, and whether it tells how it goes.
#[derive(Clone, Debug, clap::Args)]
pub struct Effort {
    /// CPU threads that compute (all cores if not given); each training has one more for every eight, which
    /// only gathers its inputs. The result is the same for any number
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub threads: Option<u16>,
    /// The most memory to take, such as `4GiB` (half of the machine's if not given); the result is
    /// the same for any
    #[arg(long, value_name = "BYTES")]
    pub memory: Option<Bytes>,
    /// No progress on standard error
    #[arg(long, short)]
    pub quiet: bool,
}

/// `unseen run`.
#[derive(Clone, Debug, clap::Args)]
pub struct Run {
    /// What to run.
    #[command(flatten)]
    pub on: OnRecipe,
    /// Print JSON for programs
    #[arg(long)]
    pub json: bool,
    /// Only check everything and begin the run; its tasks are done by `unseen task run`
    #[arg(long)]
    pub begin: bool,
    /// With what.
    #[command(flatten)]
    pub effort: Effort,
}

/// `unseen clean`.
#[derive(Clone, Debug, clap::Args)]
pub struct Clean {
    /// What to clean.
    #[command(flatten)]
    pub on: OnRun,
    /// Remove what was found; without this nothing is changed
    #[arg(long)]
    pub delete: bool,
    /// Spare what is younger, such as `12h`, `7d`: somebody may be about to commit it
    #[arg(long, value_name = "AGE", default_value = "7d", value_parser = seconds)]
    pub older_than: i64,
}

/// `unseen task`.
#[derive(Clone, Debug, Subcommand)]
pub enum TaskCommand {
    /// Do one task of a run that was begun with `unseen run RECIPE --begin`
    ///
    /// `unseen status RUN --json` lists the tasks and what each needs; `publish` is the last.
    /// Exit codes: 0 the task is done (now or before), 75 try again later (another task is needed
    /// first, another process works on it, or a store or device could not be reached), 42 it will
    /// not work (wrong data, changed input, a limit).
    Run {
        /// The run directory
        #[arg(long)]
        run: String,
        /// The task, such as `train-s1-m0`
        #[arg(long)]
        id: String,
        /// How its store is reached, as for `status`
        #[arg(long, value_name = "KEY=VALUE")]
        storage: Vec<Override>,
        /// CPU threads that compute, as for `run`
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
        threads: Option<u16>,
        /// The most memory to take, as for `run`
        #[arg(long, value_name = "BYTES")]
        memory: Option<Bytes>,
        /// Where.
        #[command(flatten)]
        on_device: OnDevice,
    },
}

/// Seconds in a text such as `90s`, `30m`, `12h` or `7d`.
fn seconds(text: &str) -> std::result::Result<i64, String> {
    let wrong = || format!("`{text}` is no age; write 90s, 30m, 12h or 7d");
    let unit = text.chars().last().ok_or_else(wrong)?;
    let each = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return Err(wrong()),
    };
    let number: u32 = text[..text.len() - 1].parse().map_err(|_| wrong())?;
    Ok(i64::from(number) * each)
}

/// `unseen verify`.
#[derive(Clone, Debug, clap::Args)]
pub struct Verify {
    /// What to verify.
    #[command(flatten)]
    pub on: OnRun,
    /// The most memory to take, such as `4GiB` (half of the machine's if not given)
    #[arg(long, value_name = "BYTES")]
    pub memory: Option<Bytes>,
}

/// A command on a run directory.
#[derive(Clone, Debug, clap::Args)]
pub struct OnRun {
    /// The run directory: `output.uri` of its recipe
    pub run: String,
    /// How its store is reached, such as `endpoint=http://localhost:9000`; the keys are those of
    /// `[storage]` in a recipe
    #[arg(long, value_name = "KEY=VALUE")]
    pub storage: Vec<Override>,
    /// Print JSON for programs
    #[arg(long)]
    pub json: bool,
}

impl OnRun {
    /// How the run's store is reached.
    ///
    /// # Errors
    /// `InvalidRecipe` for an unknown key or a wrong value.
    pub fn storage(&self) -> Result<Storage> {
        Storage::from_overrides(&self.storage)
    }
}

/// `unseen config`.
#[derive(Clone, Debug, Subcommand)]
pub enum ConfigCommand {
    /// Print the recipe with every default filled in, as TOML
    Show {
        /// What to show.
        #[command(flatten)]
        on: OnRecipe,
        /// Print JSON instead of TOML
        #[arg(long)]
        json: bool,
    },
    /// Print the JSON Schema of recipes, for editors and programs
    Schema,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_grammar_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn arguments_arrive_where_they_belong() {
        let line = "unseen run r.toml --set seed=1 --set select.by=margin --threads 2 --quiet";
        let args = Args::try_parse_from(line.split(' ')).unwrap();
        let Command::Run(run) = args.command else { panic!("not a run") };
        let set: Vec<_> = run.on.set.iter().map(|s| (s.key.as_str(), s.value.as_str())).collect();
        assert_eq!(run.on.recipe, "r.toml");
        assert_eq!(set, [("seed", "1"), ("select.by", "margin")]);
        assert_eq!(run.on.on_device.device, None);
        assert_eq!((run.effort.threads, run.effort.quiet, run.json), (Some(2), true, false));
    }

    #[test]
    fn whatever_trains_or_scores_takes_a_device() {
        for line in [
            "unseen run r.toml",
            "unseen evaluate r",
            "unseen extend r --data d --output o.parquet",
            "unseen task run --run r --id train-s1-m0",
            "unseen sweep r.toml",
        ] {
            let line = format!("{line} --device cuda:0,1");
            assert!(Args::try_parse_from(line.split(' ')).is_ok(), "{line}");
        }
        assert!(Args::try_parse_from("unseen verify r --device cuda".split(' ')).is_err());
    }

    #[test]
    fn ages_have_units() {
        assert_eq!(
            ["90s", "30m", "12h", "7d"].map(|t| seconds(t).unwrap()),
            [90, 1800, 43_200, 604_800]
        );
    }

    #[test]
    fn wrong_usage_is_refused_with_exit_code_2() {
        let wrong = [
            "unseen",
            "unseen prune r.toml",
            "unseen run",
            "unseen run r.toml --set keep",
            "unseen run r.toml --threads 0",
            "unseen status",
            "unseen task run --run r",
            "unseen clean r --older-than 7",
            "unseen clean r --older-than x",
            "unseen config",
            "unseen explain r",
            "unseen diff r",
            "unseen select --keep 0.5 --dry-run",
            "unseen select r --scores s.parquet --dry-run",
            "unseen select r",
            "unseen score --output s.parquet",
            "unseen score --predictions p --output s --methods margn",
            "unseen score --predictions p --output s --mode seen",
            "unseen extend r --output s",
            "unseen plot r --what scores",
            "unseen plot r --what score --out a.svg",
            "unseen plot r --what scores --out a.pdf",
            "unseen report r --replace",
            "unseen report",
        ];
        for line in wrong {
            let error = Args::try_parse_from(line.split(' ')).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{line}: {error}");
        }
    }
}
