//! A grid of runs, each evaluated, in one directory that shares what is equal.
//!
//! ```text
//! runs/<key>/        a run like any other; the key is that of its recipe and input
//! evaluate/          the models of all evaluations: equal subsets are trained on once
//! sweep.parquet      a row for each model: follows from the rest
//! ```
//!
//! Runs of one seed and mode have the same stage 1: the first does it, the others take over its records
//! and outputs. Stopped sweeps go on; a larger grid in the same place does only what is new, unless it needs a score
//! that the runs there lack (a `by` beyond the five common ones, strategy `beta`): that makes other runs.

mod results;

use std::collections::BTreeMap;
use std::sync::Mutex;

use serde::Serialize;

use super::evaluate::{Tested, rows_in};
use super::identity::RunFile;
use super::part::Part;
use super::share::{Place, share_stage_1};
use super::worker::Run;
use super::{Manifest, Memory, Observer, Silent};
use crate::error::{Error, Place as _, Result};
use crate::evaluation::{Interval, Standing};
use crate::recipe::{Mode, Recipe, Storage};
use crate::storage::{Dir, Ledger, parquet};
use crate::tables;

/// A finished sweep.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Swept {
    /// Its directory.
    pub uri: String,
    /// The table with a row for each model.
    pub table: String,
    /// How many runs the grid has.
    pub runs: usize,
    /// What the models were tested on.
    pub test: String,
    /// Every combination but that of seeds, in the order of the grid.
    pub points: Vec<SweptPoint>,
}

/// One combination: accuracies in per cent. Intervals are over the seeds of runs, of which each counts
/// once; where there is one, over those of the evaluation.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SweptPoint {
    /// Who scored: `unseen` or `fitting`.
    pub mode: String,
    /// The score that decided.
    pub by: String,
    /// How it decided.
    pub strategy: String,
    /// The share that was asked for.
    pub select_keep: f64,
    /// The share of all samples that is kept.
    pub keep: f64,
    /// The stages.
    pub stages: String,
    /// Models trained on the coreset.
    pub coreset: Interval,
    /// Models trained on everything.
    pub full: Interval,
    /// Models trained on a random subset of the same size.
    pub random: Interval,
    /// The same, each class with its share.
    pub random_stratified: Interval,
    /// How the coreset stands against the random ones, in the middle one of its runs.
    pub standing: Standing,
}

/// One run of a sweep and the models of its evaluation.
struct Cell {
    recipe: Recipe,
    /// Its place below the directory of the sweep.
    place: String,
    rows: Vec<Tested>,
}

/// Does the runs of the grid of a recipe in its `output.uri`, evaluates each, and writes one table.
///
/// # Errors
/// `InvalidRecipe` if the recipe has no grid or a combination breaks a law; whatever runs and
/// evaluations say, with the run's place.
pub fn sweep(recipe: &Recipe, memory: Memory, observer: &dyn Observer) -> Result<Swept> {
    let dir = Dir::open(&recipe.output.uri, &recipe.storage)?;
    let grid = recipe.grid()?;
    let ledger = Ledger::new(dir.below("evaluate"), "sweep");
    let mut first: BTreeMap<(u64, bool), String> = BTreeMap::new();
    let (mut cells, warned) = (Vec::new(), Mutex::default());
    for (number, recipe) in grid.iter().enumerate() {
        let (run, place) = open(recipe, &dir, memory)?;
        let name = format!("{}/{}", number + 1, grid.len());
        // What holds for one run of the grid holds for most; once is enough.
        let here = Part::of(observer, &name, 0).warning_once(&warned);
        let stage_1 = (recipe.seed, recipe.mode == Mode::Unseen);
        let done = || -> Result<Vec<Tested>> {
            if let Some(from) = first.get(&stage_1)
                && Manifest::find(run.dir())?.is_none()
            {
                run.begin(&Silent)?;
                let ledger = dir.below(from);
                let ledger = Ledger::new(ledger.clone(), RunFile::begun(&ledger)?.fingerprint);
                share_stage_1(&dir, &Place { place: from, ledger: &ledger }, &place, &run)?;
            }
            run.execute(&here)?;
            rows_in(&run, ledger.clone(), &here)
        };
        let rows = done().at(|| dir.uri_of(&place))?;
        first.entry(stage_1).or_insert_with(|| place.clone());
        cells.push(Cell { recipe: recipe.clone(), place, rows });
    }
    let table = results::table(&cells)?;
    dir.replace(TABLE, parquet::encode_table(&table)?)?;
    results::told(&dir, &table)
}

/// Reads what a sweep in `uri` wrote when it ended.
///
/// # Errors
/// `InvalidInput` if none ended there; `CorruptData` if its table is not one.
pub fn swept(uri: &str, storage: &Storage) -> Result<Swept> {
    let dir = Dir::open(uri, storage)?;
    let table = dir
        .find(TABLE)?
        .ok_or_else(|| Error::input(format!("{uri}: no sweep ended here; there is no {TABLE}")))?;
    let table = parquet::decode_table(table, &tables::sweep()).at(|| dir.uri_of(TABLE))?;
    results::told(&dir, &table)
}

/// The name of the table, below the directory of the sweep.
const TABLE: &str = "sweep.parquet";

/// The run of a recipe of the grid, in a place of its own.
fn open(recipe: &Recipe, dir: &Dir, memory: Memory) -> Result<(Run, String)> {
    let run = Run::on(recipe.clone(), dir.clone())?;
    let place = format!("runs/{}", &run.file.fingerprint[..16]);
    let mut recipe = recipe.clone();
    recipe.output.uri = dir.uri_of(&place);
    Ok((Run::on(recipe, dir.below(&place))?.within(memory), place))
}
