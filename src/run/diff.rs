//! What differs between two selections: runs, or selection tables at any address.

use std::collections::BTreeMap;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Float64Type, Int64Type, Schema};
use arrow::record_batch::RecordBatch;
use serde::Serialize;

use super::identity::RunFile;
use super::rows::{column, decode, ints, strings};
use super::status::open_in;
use super::task::{CORESET, INGEST, Task};
use crate::error::{Error, Place, Result};
use crate::evaluation::spearman;
use crate::recipe::{Recipe, Storage};
use crate::storage::Dir;
use crate::{external, tables};

/// What differs between two selections, A and B.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// The first.
    pub a: Side,
    /// The second.
    pub b: Side,
    /// Samples that both keep.
    pub both: u64,
    /// Samples that both keep over samples that either keeps (Jaccard), 1 if neither keeps any.
    pub jaccard: f64,
    /// The rank correlation (Spearman) of the scores of samples that both scored: of stage 1 for runs,
    /// of the table otherwise. `None` with fewer than two, or if all scores of a side are equal.
    pub spearman: Option<f64>,
    /// The samples that correlation is of.
    pub scored_by_both: u64,
    /// Samples that only A keeps, with the reason of B.
    pub only_a: Vec<Moved>,
    /// Samples that only B keeps, with the reason of A.
    pub only_b: Vec<Moved>,
    /// The classes, ascending by label.
    pub classes: Vec<ClassShift>,
    /// What differs between the recipes: key, A, B. `None` unless both are runs.
    pub recipe: Option<Vec<(String, String, String)>>,
}

/// One of two selections.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Side {
    /// Its address.
    pub uri: String,
    /// Its samples, those in quarantine included.
    pub samples: u64,
    /// Those of them that are kept.
    pub kept: u64,
    /// The score that decided, if it is a run.
    pub by: Option<String>,
}

/// A sample that one side keeps and the other does not.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Moved {
    /// The sample.
    pub id: String,
    /// Why the other side does not keep it; `not a sample` if it does not know it.
    pub reason: String,
}

/// A class in both selections.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClassShift {
    /// Its number.
    pub label: i32,
    /// Its name, if a side is a run.
    pub name: Option<String>,
    /// Its samples that A keeps.
    pub a: u64,
    /// Its samples that B keeps.
    pub b: u64,
    /// Its share of what B keeps minus its share of what A keeps.
    pub shift: f64,
}

/// The reason of a side that does not know the sample.
const STRANGER: &str = "not a sample";

/// The columns that are compared.
const READ: [&str; 7] = ["id", "label", "score", "rank", "stage", "kept", "reason"];

/// Compares the selections at two addresses, each a run directory or a Parquet file in the contract of
/// [`tables::selection`].
///
/// # Errors
/// `InvalidInput` if there is neither, or the run has not selected yet.
pub fn diff(a: &str, b: &str, storage: &Storage) -> Result<Difference> {
    let (a, b) = (Selection::open(a, storage)?, Selection::open(b, storage)?);
    let both: u64 = a.rows.iter().filter(|(id, row)| row.kept && b.keeps(id)).count() as u64;
    let (side_a, side_b) = (a.side(), b.side());
    let either = side_a.kept + side_b.kept - both;
    let (spearman, scored_by_both) = correlation(&a.scores, &b.scores);
    let recipes = a.recipe.as_ref().zip(b.recipe.as_ref());
    Ok(Difference {
        both,
        jaccard: if either == 0 { 1.0 } else { both as f64 / either as f64 },
        spearman,
        scored_by_both,
        only_a: a.only(&b),
        only_b: b.only(&a),
        classes: classes(&a, &b),
        recipe: recipes.map(|(a, b)| a.diff(b)),
        a: side_a,
        b: side_b,
    })
}

/// One selection, by id.
struct Selection {
    uri: String,
    rows: BTreeMap<String, Row>,
    scores: BTreeMap<String, f64>,
    recipe: Option<Recipe>,
    classes: Vec<String>,
}

struct Row {
    label: Option<i32>,
    kept: bool,
    reason: String,
}

impl Selection {
    fn open(uri: &str, storage: &Storage) -> Result<Self> {
        let is_table = std::path::Path::new(uri).extension().is_some_and(|e| e == "parquet");
        if is_table { Self::of_table(uri, storage) } else { Self::of_run(uri, storage) }
            .at(|| uri.to_owned())
    }

    fn of_table(uri: &str, storage: &Storage) -> Result<Self> {
        let contract = tables::selection();
        let read = READ.map(|name| contract.field_with_name(name).cloned());
        let read = read.into_iter().collect::<Result<Vec<_>, _>>()?;
        let table = external::read_as(uri, "selection", &Schema::new(read).into(), storage)?;
        let scores = scores(&table)?;
        let rows = rows(&table)?;
        Ok(Self { uri: uri.to_owned(), rows, scores, recipe: None, classes: Vec::new() })
    }

    fn of_run(uri: &str, storage: &Storage) -> Result<Self> {
        let dir = Dir::open(uri, storage)?;
        if RunFile::find(&dir)?.is_none() {
            let message = "this is neither a run (there is no run.json) nor a .parquet file";
            return Err(Error::input(message));
        }
        let (file, ledger) = open_in(dir)?;
        let table = |task: &str| -> Result<RecordBatch> {
            let record = ledger.find(task)?.ok_or_else(|| {
                Error::input(format!("the run has not selected yet: `{task}` is not done"))
            })?;
            let bytes = ledger.output(&record, "selection.parquet")?.0;
            decode(bytes)
        };
        let bytes = ledger.output(&ledger.get(INGEST)?, "classes.json")?.0;
        Ok(Self {
            uri: uri.to_owned(),
            rows: rows(&table(CORESET)?)?,
            // Of stage 1: later stages score only what was left, by other models.
            scores: scores(&table(&Task::Select { stage: 1 }.to_string())?)?,
            recipe: Some(file.recipe),
            classes: serde_json::from_slice(&bytes)?,
        })
    }

    fn side(&self) -> Side {
        Side {
            uri: self.uri.clone(),
            samples: self.rows.len() as u64,
            kept: self.rows.values().filter(|row| row.kept).count() as u64,
            by: self.recipe.as_ref().map(|recipe| recipe.select.by.name().to_owned()),
        }
    }

    fn keeps(&self, id: &str) -> bool {
        self.rows.get(id).is_some_and(|row| row.kept)
    }

    /// What this one keeps and the other does not.
    fn only(&self, other: &Self) -> Vec<Moved> {
        let mine = self.rows.iter().filter(|(id, row)| row.kept && !other.keeps(id));
        let reason = |id: &String| other.rows.get(id).map_or(STRANGER, |row| row.reason.as_str());
        mine.map(|(id, _)| Moved { id: id.clone(), reason: reason(id).to_owned() }).collect()
    }

    fn kept_by_class(&self) -> BTreeMap<i32, u64> {
        let mut kept = BTreeMap::new();
        for row in self.rows.values() {
            if let Some(label) = row.label {
                *kept.entry(label).or_default() += u64::from(row.kept);
            }
        }
        kept
    }
}

fn rows(table: &RecordBatch) -> Result<BTreeMap<String, Row>> {
    let (id, reason) = (strings(table, "id")?, strings(table, "reason")?);
    let (label, kept) = (ints(table, "label")?, column(table, "kept")?.as_boolean());
    let row = |at: usize| Row {
        label: label.is_valid(at).then(|| label.value(at)),
        kept: kept.value(at),
        reason: reason.value(at).to_owned(),
    };
    Ok((0..table.num_rows()).map(|at| (id.value(at).to_owned(), row(at))).collect())
}

/// The scores with the kept end up; none if they are of several stages, whose models differ.
fn scores(table: &RecordBatch) -> Result<BTreeMap<String, f64>> {
    let score = column(table, "score")?.as_primitive::<Float64Type>();
    let rank = column(table, "rank")?.as_primitive::<Int64Type>();
    if ints(table, "stage")?.iter().flatten().any(|stage| stage > 1) {
        return Ok(BTreeMap::new());
    }
    let ranked = || (0..table.num_rows()).filter(|at| rank.is_valid(*at) && score.is_valid(*at));
    let (first, last) =
        (ranked().min_by_key(|at| rank.value(*at)), ranked().max_by_key(|at| rank.value(*at)));
    let low = first.zip(last).is_some_and(|(first, last)| score.value(first) < score.value(last));
    let sign = if low { -1.0 } else { 1.0 };
    let both = strings(table, "id")?.iter().zip(score.iter());
    Ok(both.filter_map(|(id, score)| Some((id?.to_owned(), sign * score?))).collect())
}

fn classes(a: &Selection, b: &Selection) -> Vec<ClassShift> {
    let (in_a, in_b) = (a.kept_by_class(), b.kept_by_class());
    let mut labels: Vec<i32> = in_a.keys().chain(in_b.keys()).copied().collect();
    labels.sort_unstable();
    labels.dedup();
    let (all_a, all_b) = (in_a.values().sum::<u64>(), in_b.values().sum::<u64>());
    let names = if a.classes.is_empty() { &b.classes } else { &a.classes };
    let share = |kept: u64, all: u64| kept as f64 / all.max(1) as f64;
    let class = |label: i32| {
        let kept = |side: &BTreeMap<i32, u64>| side.get(&label).copied().unwrap_or(0);
        let (a, b) = (kept(&in_a), kept(&in_b));
        let name = usize::try_from(label).ok().and_then(|label| names.get(label).cloned());
        ClassShift { label, name, a, b, shift: share(b, all_b) - share(a, all_a) }
    };
    labels.into_iter().map(class).collect()
}

/// Spearman's rank correlation over the ids that both have, and how many these are.
fn correlation(a: &BTreeMap<String, f64>, b: &BTreeMap<String, f64>) -> (Option<f64>, u64) {
    let both = a.iter().filter_map(|(id, a)| Some((*a, *b.get(id)?)));
    let (a, b): (Vec<f64>, Vec<f64>) = both.filter(|(a, b)| !a.is_nan() && !b.is_nan()).unzip();
    (spearman(&a, &b), a.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_correlate_over_the_ids_that_both_have() {
        let map = |values: &[(&str, f64)]| -> BTreeMap<String, f64> {
            values.iter().map(|(id, value)| ((*id).to_owned(), *value)).collect()
        };
        let a = map(&[("a", 1.0), ("b", 2.0), ("c", 3.0), ("d", f64::NAN)]);
        let b = map(&[("b", 10.0), ("c", 99.0), ("d", 1.0), ("e", 0.0)]);
        let (found, both) = correlation(&a, &b);
        assert!((found.unwrap() - 1.0).abs() < 1e-12 && both == 2);
        assert_eq!(correlation(&a, &map(&[("a", 1.0)])), (None, 1));
    }
}
