//! The table of a sweep, and its summary.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, StringArray};
use arrow::record_batch::RecordBatch;

use super::super::evaluate::{Subset, columns};
use super::{Cell, Swept, SweptPoint, TABLE};
use crate::error::Result;
use crate::evaluation::Interval;
use crate::recipe::{Recipe, Stages};
use crate::storage::Dir;
use crate::tables;

/// A row for each model of each run.
pub(super) fn table(cells: &[Cell]) -> Result<RecordBatch> {
    let each = || cells.iter().flat_map(|cell| cell.rows.iter().map(move |_| cell));
    let texts = |of: fn(&Cell) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(each().map(of)))
    };
    let seeds = Int64Array::from_iter_values(each().map(|cell| cell.recipe.seed as i64));
    let keep: Float64Array = each().map(|cell| cell.recipe.select.keep_share()).collect();
    let rows: Vec<_> = cells.iter().flat_map(|cell| cell.rows.iter().cloned()).collect();
    let mut all = vec![
        texts(|cell| cell.place.clone()),
        Arc::new(seeds) as ArrayRef,
        texts(|cell| name(&cell.recipe.mode)),
        texts(|cell| cell.recipe.select.by.name().to_owned()),
        texts(|cell| cell.recipe.select.strategy.name().to_owned()),
        Arc::new(keep),
        texts(|cell| stages(&cell.recipe)),
    ];
    all.extend(columns(&rows));
    Ok(RecordBatch::try_new(tables::sweep(), all)?)
}

/// A value of a recipe as it is written there.
fn name(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(name)) => name,
        Ok(other) => other.to_string(),
        Err(_) => String::new(),
    }
}

fn stages(recipe: &Recipe) -> String {
    match &recipe.select.stages {
        Stages::Equal(number) => number.to_string(),
        Stages::Shares(shares) => name(shares),
    }
}

/// The summary of a sweep.
pub(super) fn told(dir: &Dir, cells: &[Cell]) -> Swept {
    let test = cells.iter().flat_map(|cell| &cell.rows).map(|row| row.test.clone()).next();
    Swept {
        uri: dir.uri().to_owned(),
        table: dir.uri_of(TABLE),
        runs: cells.len(),
        test: test.unwrap_or_default(),
        points: points(cells),
    }
}

/// The combinations without their seeds, in the order of the grid.
fn points(cells: &[Cell]) -> Vec<SweptPoint> {
    let key = |cell: &Cell| {
        let recipe = Recipe { seed: 0, ..cell.recipe.clone() };
        serde_json::to_string(&recipe).unwrap_or_default()
    };
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    let mut groups: Vec<Vec<&Cell>> = Vec::new();
    for cell in cells {
        let place = *places.entry(key(cell)).or_insert(groups.len());
        match groups.get_mut(place) {
            Some(group) => group.push(cell),
            None => groups.push(vec![cell]),
        }
    }
    groups.iter().filter_map(|group| point(group)).collect()
}

fn point(group: &[&Cell]) -> Option<SweptPoint> {
    let recipe = &group.first()?.recipe;
    let mut rows = group.iter().flat_map(|cell| &cell.rows);
    let keep = rows.find(|row| row.subset == Subset::Coreset.name())?.keep;
    Some(SweptPoint {
        mode: recipe.mode,
        by: recipe.select.by.name().to_owned(),
        strategy: recipe.select.strategy.name().to_owned(),
        keep,
        stages: stages(recipe),
        coreset: accuracy(group, Subset::Coreset),
        full: accuracy(group, Subset::Full),
        random: accuracy(group, Subset::Random),
        random_stratified: accuracy(group, Subset::RandomStratified),
    })
}

/// The accuracy of the models that were trained on a subset, in per cent.
fn accuracy(group: &[&Cell], subset: Subset) -> Interval {
    let of_run = |cell: &&Cell| -> Vec<f64> {
        let rows = cell.rows.iter().filter(|row| row.subset == subset.name());
        rows.map(|row| 100.0 * row.metrics.accuracy).collect()
    };
    let runs: Vec<Vec<f64>> = group.iter().map(of_run).collect();
    match runs.as_slice() {
        [alone] => Interval::of(alone),
        runs => Interval::of(&runs.iter().map(|run| Interval::of(run).mean).collect::<Vec<_>>()),
    }
}
