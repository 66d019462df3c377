//! How alike scores are: of two runs, two tables, or the models of one run; and how they spread.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Float32Type, Float64Type, Int64Type, Schema};
use arrow::record_batch::RecordBatch;
use serde::Serialize;

use super::rows::{column, decode, ints, strings};
use super::status::open;
use super::stored::Stored;
use super::task::{Task, models};
use crate::error::{Error, Place, Result};
use crate::evaluation::{Gate, Gated, jaccard, pearson, spearman};
use crate::external::Scores;
use crate::recipe::{By, Override, Recipe, Storage};
use crate::scoring::{self, Direction};
use crate::selection::{Spread, spread_of};
use crate::{external, tables};

/// What to compare.
#[derive(Clone, Debug)]
pub struct StabilityJob<'a> {
    /// A run directory, a selection table, or, with `by`, a score table.
    pub a: &'a str,
    /// Another; without it the models of stage 1 of the run A.
    pub b: Option<&'a str>,
    /// The score, if not the one that decided.
    pub by: Option<&'a str>,
    /// The share of common samples that counts as kept, if not that of A or else of B.
    pub keep: Option<f64>,
    /// What must hold; made by [`stability_gate`].
    pub gates: &'a [Gate],
    /// How stores are reached.
    pub storage: &'a Storage,
}

/// How alike scores are.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Stability {
    /// The share of common samples that counts as kept.
    pub keep: f64,
    /// The scores of each side, in one histogram range for all.
    pub sides: Vec<Dispersion>,
    /// Each two of them.
    pub pairs: Vec<Pair>,
    /// The mean over pairs of [`Pair::pearson`]; `None` if one is.
    pub pearson: Option<f64>,
    /// The mean over pairs of [`Pair::spearman`]; `None` if one is.
    pub spearman: Option<f64>,
    /// The mean over pairs of [`Pair::jaccard`]; `None` if one is.
    pub jaccard: Option<f64>,
    /// The gates.
    pub gates: Vec<Gated>,
    /// Whether all gates hold.
    pub passed: bool,
}

/// The scores of one side.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Dispersion {
    /// The run, table or model.
    pub name: String,
    /// How its scores spread. The histogram of [`Spread::evenness`] ranges from the lowest to the
    /// highest score of all sides.
    pub spread: Spread,
}

/// Two sides.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Pair {
    /// The first.
    pub a: String,
    /// The second.
    pub b: String,
    /// Samples with a score on both sides; the rest counts for nothing here.
    pub common: u64,
    /// Pearson's correlation of the scores; `None` with fewer than two, or if a side has one score only.
    pub pearson: Option<f64>,
    /// Spearman's correlation, that of the ranks; `None` as above.
    pub spearman: Option<f64>,
    /// How many of them each side keeps, its most wanted ones.
    pub top: u64,
    /// What both keep over what either keeps (Jaccard); `None` if nobody is kept.
    pub jaccard: Option<f64>,
}

/// A gate on [`Stability::pearson`], `spearman` or `jaccard`: `pearson >= 0.8`.
///
/// # Errors
/// `InvalidRecipe` that says what is wrong with it.
pub fn stability_gate(text: &str) -> Result<Gate> {
    Gate::parse(text, &["pearson", "spearman", "jaccard"], &[])
}

/// Compares the scores of two runs or tables, or of the models of one run.
///
/// # Errors
/// `InvalidInput` if there are no scores to compare; `InvalidRecipe` for an unknown score, or if
/// nothing says which share is kept.
pub fn stability(job: &StabilityJob<'_>) -> Result<Stability> {
    let sides = match job.b {
        Some(b) => vec![Side::open(job.a, job)?, Side::open(b, job)?],
        None => models_of(job)?,
    };
    let keep = job.keep.or_else(|| sides.iter().find_map(|side| side.keep));
    let keep = keep.filter(|keep| *keep > 0.0 && *keep <= 1.0).ok_or_else(|| {
        Error::recipe("nothing says which share is kept: give --keep, above 0 and at most 1")
    })?;
    let mut pairs = Vec::new();
    for (at, a) in sides.iter().enumerate() {
        pairs.extend(sides[at + 1..].iter().map(|b| a.pair(b, keep)));
    }
    if let Some(pair) = pairs.iter().find(|pair| pair.common == 0) {
        return Err(Error::input(format!("{} and {} have no sample in common", pair.a, pair.b)));
    }
    let (pearson, spearman) =
        (mean(pairs.iter().map(|p| p.pearson)), mean(pairs.iter().map(|p| p.spearman)));
    let jaccard = mean(pairs.iter().map(|p| p.jaccard));
    let value = |name: &str| match name {
        "pearson" => pearson,
        "spearman" => spearman,
        _ => jaccard,
    };
    let gates: Vec<Gated> =
        job.gates.iter().map(|gate| gate.check(value(gate.metric()), None)).collect();
    Ok(Stability {
        keep,
        sides: dispersions(&sides)?,
        pairs,
        pearson,
        spearman,
        jaccard,
        passed: gates.iter().all(|gate| gate.passed),
        gates,
    })
}

/// The mean, unless one value is missing or there is none.
fn mean(values: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let values = values.collect::<Option<Vec<f64>>>()?;
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// The scores of one run, table or model.
struct Side {
    name: String,
    scores: BTreeMap<String, Scored>,
    /// The share that it keeps itself.
    keep: Option<f64>,
}

/// One sample.
#[derive(Clone, Copy)]
struct Scored {
    score: f64,
    /// Ascends with how little it is wanted.
    place: f64,
}

impl Side {
    fn open(uri: &str, job: &StabilityJob<'_>) -> Result<Self> {
        let is_table = std::path::Path::new(uri).extension().is_some_and(|e| e == "parquet");
        match (is_table, job.by) {
            (false, _) => Self::of_run(uri, job),
            (true, Some(by)) => Self::of_scores(uri, by, job),
            (true, None) => Self::of_selection(uri, job),
        }
        .at(|| uri.to_owned())
    }

    /// The scores of stage 1, aggregated as the recipe says.
    fn of_run(uri: &str, job: &StabilityJob<'_>) -> Result<Self> {
        let stored = Stored::read(uri, job.storage)?;
        let recipe = stored.file.recipe.in_one_step(&by(job.by))?;
        let stored = stored.beside(&recipe, job.storage)?;
        let table = stored.scores.select(&recipe)?;
        Self::of(uri, &table, true)
    }

    fn of_scores(uri: &str, name: &str, job: &StabilityJob<'_>) -> Result<Self> {
        let changes = [by(Some(name)), vec!["select.keep=1.0".parse()?]].concat();
        let recipe = Recipe::for_scores(&changes)?;
        let scores = Scores::read(&[uri.to_owned()], &recipe, job.storage)?;
        Self::of(uri, &scores.select(&recipe)?, false)
    }

    fn of_selection(uri: &str, job: &StabilityJob<'_>) -> Result<Self> {
        let contract = tables::selection();
        let read = ["id", "score", "rank", "stage", "kept"]
            .map(|name| contract.field_with_name(name).cloned());
        let read = read.into_iter().collect::<Result<Vec<_>, _>>()?;
        let schema = Schema::new(read).into();
        let table = external::read_as(uri, "selection", &schema, job.storage)
            .map_err(|e| e.at("without --by this must be a selection table"))?;
        if ints(&table, "stage")?.iter().flatten().any(|stage| stage > 1) {
            return Err(Error::input(format!(
                "{uri}: the selection took several stages, whose scores are of different models; name the run instead, and stage 1 is compared"
            )));
        }
        Self::of(uri, &table, true)
    }

    fn of(name: &str, table: &RecordBatch, keeps: bool) -> Result<Self> {
        let score = column(table, "score")?.as_primitive::<Float64Type>();
        let rank = column(table, "rank")?.as_primitive::<Int64Type>();
        let kept = column(table, "kept")?.as_boolean().true_count();
        let mut scores = BTreeMap::new();
        for (at, id) in strings(table, "id")?.iter().enumerate() {
            // What was set aside before ranking is wanted least.
            let place = if rank.is_valid(at) { rank.value(at) as f64 } else { f64::INFINITY };
            if let Some(id) = id.filter(|_| score.is_valid(at) && !score.value(at).is_nan()) {
                scores.insert(id.to_owned(), Scored { score: score.value(at), place });
            }
        }
        let share = kept as f64 / table.num_rows().max(1) as f64;
        Ok(Self { name: name.to_owned(), scores, keep: keeps.then_some(share) })
    }

    fn pair(&self, other: &Self, keep: f64) -> Pair {
        let both = self.scores.iter().filter_map(|(id, a)| Some((id, *a, *other.scores.get(id)?)));
        let both: Vec<(&String, Scored, Scored)> = both.collect();
        let scores =
            |of: fn(&(&String, Scored, Scored)) -> f64| both.iter().map(of).collect::<Vec<_>>();
        let (a, b) = (scores(|row| row.1.score), scores(|row| row.2.score));
        let top = (keep * both.len() as f64).round() as usize;
        let (first, second) = (
            most_wanted(both.iter().map(|row| (row.0, row.1.place)), top),
            most_wanted(both.iter().map(|row| (row.0, row.2.place)), top),
        );
        Pair {
            a: self.name.clone(),
            b: other.name.clone(),
            common: both.len() as u64,
            pearson: pearson(&a, &b),
            spearman: spearman(&a, &b),
            top: top as u64,
            jaccard: if top > 0 { Some(jaccard(&first, &second)) } else { None },
        }
    }
}

/// The change of the recipe that `--by` makes.
fn by(name: Option<&str>) -> Vec<Override> {
    let change = |name: &str| Override { key: "select.by".to_owned(), value: name.to_owned() };
    name.map(change).into_iter().collect()
}

/// The `top` ids with the lowest places; of equal ones those with the lowest ids.
fn most_wanted<'a>(
    rows: impl Iterator<Item = (&'a String, f64)>,
    top: usize,
) -> BTreeSet<&'a String> {
    let mut rows: Vec<_> = rows.collect();
    rows.sort_by(|a, b| a.1.total_cmp(&b.1).then_with(|| a.0.cmp(b.0)));
    rows.into_iter().take(top).map(|(id, _)| id).collect()
}

/// The models of stage 1 of a run.
fn models_of(job: &StabilityJob<'_>) -> Result<Vec<Side>> {
    let (file, ledger) = open(job.a, job.storage)?;
    let recipe = file.recipe.in_one_step(&by(job.by))?;
    let By::Method(method) = recipe.select.by else {
        let message =
            "the run decides by a score of its own, which its models do not have; give --by";
        return Err(Error::recipe(message));
    };
    let count = models(&recipe, 1);
    if count < 2 {
        return Err(Error::input(format!(
            "{}: stage 1 has one model, so there is nothing to compare; give a second run",
            job.a
        )));
    }
    let low = scoring::direction(method) == Direction::KeepLow;
    let one = |model: usize| {
        let task = Task::Score { stage: 1, model }.to_string();
        let record = ledger.find(&task)?.ok_or_else(|| {
            Error::input(format!("{}: stage 1 has not scored yet: `{task}` is not done", job.a))
        })?;
        let table = decode(ledger.output(&record, "scores.parquet")?.0)?;
        let missing =
            || Error::recipe(format!("{}: the run has no scores `{}`", job.a, method.name()));
        let scores = table.column_by_name(method.name()).ok_or_else(missing)?;
        let rows = strings(&table, "id")?.iter().zip(scores.as_primitive::<Float32Type>().values());
        let rated = |score: &f32| {
            let score = f64::from(*score);
            Scored { score, place: if low { score } else { -score } }
        };
        let scores = rows.filter_map(|(id, score)| Some((id?.to_owned(), rated(score)))).collect();
        Ok(Side { name: format!("model {model}"), scores, keep: recipe.select.keep_share() })
    };
    (0..count).map(one).collect()
}

fn dispersions(sides: &[Side]) -> Result<Vec<Dispersion>> {
    let all = || sides.iter().flat_map(|side| side.scores.values().map(|scored| scored.score));
    let range = (all().fold(f64::INFINITY, f64::min), all().fold(f64::NEG_INFINITY, f64::max));
    let one = |side: &Side| {
        let scores = side.scores.values().map(|scored| scored.score);
        Ok(Dispersion { name: side.name.clone(), spread: spread_of(scores, Some(range))? })
    };
    sides.iter().map(one).collect()
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "hand values are exact")]
mod tests {
    use super::*;

    fn side(name: &str, rows: &[(&str, f64)]) -> Side {
        let rated = |score: f64| Scored { score, place: -score };
        let scores = rows.iter().map(|(id, score)| ((*id).to_owned(), rated(*score))).collect();
        Side { name: name.to_owned(), scores, keep: None }
    }

    #[test]
    fn only_common_samples_count() {
        let a = side("a", &[("p", 9.0), ("q", 1.0), ("r", 2.0), ("s", 3.0)]);
        let b = side("b", &[("q", 1.0), ("r", 3.0), ("s", 2.0), ("t", 9.0)]);
        let pair = a.pair(&b, 1.0 / 3.0);
        assert_eq!((pair.common, pair.top, pair.jaccard), (3, 1, Some(0.0)));
        assert!((pair.spearman.unwrap() - 0.5).abs() < 1e-12);
        assert_eq!(a.pair(&b, 0.7).jaccard, Some(1.0));
        assert_eq!(a.pair(&b, 0.01).jaccard, None, "nobody is kept");
        assert_eq!(a.pair(&side("c", &[]), 0.5).common, 0);
    }

    #[test]
    fn ties_go_to_the_lower_id() {
        let ids: Vec<String> = ["b", "a", "c"].map(str::to_owned).to_vec();
        let top = most_wanted(ids.iter().map(|id| (id, 1.0)), 2);
        assert_eq!(top.into_iter().collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn spreads_share_their_range() {
        let wide = side("wide", &[("a", 0.0), ("b", 0.5), ("c", 1.0)]);
        let narrow = side("narrow", &[("a", 0.50), ("b", 0.51), ("c", 0.52)]);
        let both = dispersions(&[wide, narrow]).unwrap();
        assert!(both[0].spread.evenness > 0.3 && both[1].spread.evenness == 0.0);
    }

    #[test]
    fn a_missing_correlation_leaves_no_mean() {
        assert_eq!(mean([Some(1.0), Some(2.0)].into_iter()), Some(1.5));
        assert_eq!(mean([Some(1.0), None].into_iter()), None);
        assert_eq!(mean(std::iter::empty()), None);
    }
}
