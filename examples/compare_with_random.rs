//! The honest question: does a model learn more from the coreset than from a random subset?
//!
//! ```text
//! cargo run --example compare_with_random -- RUN [--test "split = 'test'"] [--seeds 3]
//! ```
//!
//! Trains fresh models, with the recipe's architecture and training, on four sets: the coreset of
//! a finished run, as many random samples, as many random samples with each class keeping its
//! share, and everything. Measures the accuracy of the last epoch on rows that no model saw.
//!
//! With every seed come other weights, another order and other random subsets; the coreset stays
//! the same, so its deviation is that of the training alone. Equal arguments give equal numbers.
#![allow(clippy::print_stdout, clippy::print_stderr, clippy::disallowed_methods)]

use std::collections::BTreeSet;

use arrow::array::AsArray;
use clap::Parser;
use serde::Serialize;
use unseen::ingest::{self, Row};
use unseen::recipe::{Data, Recipe, Storage, Train};
use unseen::run::RunFile;
use unseen::samples::Samples;
use unseen::seed::Seed;
use unseen::selection::quota::{Quota, proportional};
use unseen::storage::{Dir, parquet};
use unseen::training::{Job, Request, View, predict, steps_per_epoch, train};
use unseen::{Error, Result, tables};

/// Compares a coreset with random subsets of its size.
#[derive(Parser, Serialize)]
struct Args {
    /// The directory of a finished run. Relative addresses in its recipe must still hold.
    run: String,
    /// The rows to measure on, in place of the recipe's `data.filter`.
    #[arg(long, default_value = "split = 'test'")]
    test: String,
    /// How many models are trained on each set.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
    /// Epochs, if not those of the recipe; warm-up and steps of the schedule scale along.
    #[arg(long)]
    epochs: Option<usize>,
    /// As many optimiser steps on every set as on everything, instead of as many epochs.
    #[arg(long)]
    same_steps: bool,
    /// A file for the raw numbers.
    #[arg(long)]
    #[serde(skip)]
    json: Option<String>,
}

#[derive(Clone, Copy, Debug, Serialize)]
enum Subset {
    Coreset,
    Random,
    Stratified,
    Everything,
}

/// One arm of the experiment: what its models were trained on, and one test accuracy a seed.
#[derive(Serialize)]
struct Arm {
    trained_on: Subset,
    samples: usize,
    epochs: usize,
    steps: usize,
    accuracy: Vec<f64>,
}

/// What all arms share.
struct Bench {
    recipe: Recipe,
    train: Samples,
    test: Samples,
    coreset: Vec<u32>,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let bench = Bench::open(&args)?;
    let subsets = [Subset::Coreset, Subset::Random, Subset::Stratified, Subset::Everything];
    let arms: Result<Vec<Arm>> = subsets.into_iter().map(|s| bench.arm(s, &args)).collect();
    let (arms, rows) = (arms?, bench.test.len());
    let same = if args.same_steps { "optimiser steps (in whole epochs)" } else { "epochs" };
    println!("Accuracy in % on {rows} rows ({}), mean ± standard deviation of", args.test);
    println!("{} seeds. Every set gets the same number of {same}.\n", args.seeds);
    println!("| trained on | samples | epochs | steps | accuracy |");
    println!("| --- | ---: | ---: | ---: | ---: |");
    for Arm { trained_on, samples, epochs, steps, accuracy } in &arms {
        println!("| {trained_on:?} | {samples} | {epochs} | {steps} | {} |", percent(accuracy));
    }
    println!("\nDifference in points, seed by seed:");
    for other in &arms[1..] {
        let pairs = arms[0].accuracy.iter().zip(&other.accuracy);
        let more = percent(&pairs.map(|(a, b)| a - b).collect::<Vec<_>>());
        println!("- coreset minus {}: {more}", format!("{:?}", other.trained_on).to_lowercase());
    }
    if let Some(path) = &args.json {
        let numbers = serde_json::json!({ "arguments": args, "arms": arms });
        std::fs::write(path, serde_json::to_vec_pretty(&numbers)?)?;
    }
    Ok(())
}

impl Bench {
    fn open(args: &Args) -> Result<Self> {
        let dir = Dir::open(&args.run, &Storage::default())?;
        let no_run = || Error::input(format!("{} holds no run", args.run));
        let mut recipe = RunFile::find(&dir)?.ok_or_else(no_run)?.recipe;
        if let Some(epochs) = args.epochs {
            recipe.train = recipe.train.stretched(epochs as f64 / recipe.train.epochs as f64);
        }
        let test = Data { filter: Some(args.test.clone()), ..recipe.data.clone() };
        let load = |data: &Data| {
            ingest::load(&ingest::survey(data, None)?, data, &ingest::Room::default())
        };
        let (train, test) = (load(&recipe.data)?, load(&test)?);
        let place = |row: &Row| (row.file, row.row_group, row.row);
        let seen: BTreeSet<_> = train.rows.iter().map(place).collect();
        if test.rows.iter().any(|row| seen.contains(&place(row))) {
            return Err(Error::input("the run used rows that should measure it; choose others"));
        }
        let (train, test) = (train.samples, test.samples);
        if train.classes != test.classes {
            return Err(Error::input("the rows to measure on have other classes; choose others"));
        }
        let coreset = coreset(&dir, &train)?;
        Ok(Self { recipe, train, test, coreset })
    }

    fn arm(&self, trained_on: Subset, args: &Args) -> Result<Arm> {
        let steps = |samples| steps_per_epoch(samples, self.recipe.train.batch_size);
        let all = self.train.len();
        let everything = matches!(trained_on, Subset::Everything);
        let samples = if everything { all } else { self.coreset.len() };
        let longer = if args.same_steps { steps(all) as f64 / steps(samples) as f64 } else { 1.0 };
        let training = self.recipe.train.stretched(longer);
        let mut accuracy = Vec::new();
        for number in 0..args.seeds {
            let seed = Seed::new(self.recipe.seed).of(&format!("compare={number}"));
            let right = self.accuracy(&self.members(trained_on, &seed), &training, seed)?;
            eprintln!("{trained_on:?}, seed {number}: {:.2} %", 100.0 * right);
            accuracy.push(right);
        }
        let epochs = training.epochs;
        Ok(Arm { trained_on, samples, epochs, steps: epochs * steps(samples), accuracy })
    }

    /// Indices of the samples to train on, ascending.
    fn members(&self, subset: Subset, seed: &Seed) -> Vec<u32> {
        let (labels, n) = (&self.train.labels, self.coreset.len() as u64);
        let mut sizes = vec![0; self.train.classes.len()];
        for label in labels {
            sizes[*label as usize] += 1;
        }
        let mut quota = match subset {
            Subset::Coreset => return self.coreset.clone(),
            Subset::Random => Quota::global(n, sizes.len()),
            Subset::Stratified => Quota::exactly(proportional(n, &sizes, &sizes)),
            Subset::Everything => Quota::global(labels.len() as u64, sizes.len()),
        };
        let mut members: Vec<u32> = (0..labels.len() as u32).collect();
        seed.of(&format!("{subset:?}")).rng().shuffle(&mut members);
        members.retain(|index| quota.take(labels[*index as usize] as i32));
        members.sort_unstable();
        members
    }

    /// Trains one model and returns the share of test rows that it gets right.
    fn accuracy(&self, members: &[u32], training: &Train, seed: Seed) -> Result<f64> {
        let Self { recipe: Recipe { model, device, .. }, train: samples, test, .. } = self;
        let job = Job { samples, members, model, train: training, seed, device, start: None };
        let checkpoint = train(&job, &mut |_, _| Ok(()))?.checkpoint;
        let rows: Vec<u32> = (0..test.len() as u32).collect();
        let mut right = 0;
        let request = Request { indices: &rows, view: View::Clean, embeddings: false };
        predict(&checkpoint, test, device, &request, &mut |batch| {
            let logits = batch.logits.chunks(test.classes.len());
            for (row, logits) in batch.indices.iter().zip(logits) {
                let class = (0..logits.len()).max_by(|a, b| logits[*a].total_cmp(&logits[*b]));
                right += usize::from(class == Some(test.labels[*row as usize] as usize));
            }
            Ok(())
        })?;
        Ok(right as f64 / rows.len() as f64)
    }
}

/// Indices of the samples that the run kept.
fn coreset(dir: &Dir, samples: &Samples) -> Result<Vec<u32>> {
    let bytes = dir.read("tables/selection.parquet")?;
    let table = parquet::decode_table(bytes, &tables::selection())?;
    let rows = table["id"].as_string::<i32>().iter().zip(table["kept"].as_boolean());
    let kept: BTreeSet<&str> = rows.filter(|r| r.1 == Some(true)).filter_map(|r| r.0).collect();
    let is_kept = |index: &u32| kept.contains(samples.ids[*index as usize].as_str());
    let found: Vec<u32> = (0..samples.len() as u32).filter(is_kept).collect();
    let gone = || Error::input("kept samples are not in the data; has it changed since the run?");
    if found.len() == kept.len() { Ok(found) } else { Err(gone()) }
}

/// Mean and sample standard deviation.
fn percent(values: &[f64]) -> String {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0);
    let deviation = if values.len() > 1 { 100.0 * variance.sqrt() } else { f64::NAN };
    format!("{:.2} ± {deviation:.2}", 100.0 * mean)
}
