//! The table of a sweep, and its summary.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Float64Array, Int64Array, StringArray};
use arrow::datatypes::Float64Type;
use arrow::record_batch::RecordBatch;

use super::super::evaluate::{Subset, columns, standing};
use super::super::rows::{column, strings, texts};
use super::{Cell, Swept, SweptPoint, TABLE};
use crate::error::{Error, Result};
use crate::evaluation::{Interval, Standing};
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
        texts(|cell| standing(&cell.rows).name().to_owned()),
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

/// The summary of a sweep whose table this is.
pub(super) fn told(dir: &Dir, table: &RecordBatch) -> Result<Swept> {
    let rows = rows(table)?;
    let runs: BTreeSet<&str> = rows.iter().map(|row| row.run.as_str()).collect();
    Ok(Swept {
        uri: dir.uri().to_owned(),
        table: dir.uri_of(TABLE),
        runs: runs.len(),
        test: texts(table, "test")?.into_iter().flatten().next().unwrap_or_default(),
        points: points(&rows),
    })
}

/// What the summary needs of one row.
struct Row {
    run: String,
    /// Mode, score, strategy and stages.
    of: [String; 4],
    standing: Standing,
    select_keep: f64,
    keep: f64,
    subset: String,
    /// In per cent.
    accuracy: f64,
}

fn rows(table: &RecordBatch) -> Result<Vec<Row>> {
    let [run, mode, by, strategy, stages, standing, subset] =
        ["run", "mode", "by", "strategy", "stages", "standing", "subset"]
            .map(|name| strings(table, name));
    let (run, mode, by, standing) = (run?, mode?, by?, standing?);
    let (strategy, stages, subset) = (strategy?, stages?, subset?);
    let float = |name| Ok::<_, Error>(column(table, name)?.as_primitive::<Float64Type>());
    let (select_keep, keep, accuracy) = (float("select_keep")?, float("keep")?, float("accuracy")?);
    let row = |at: usize| {
        Ok(Row {
            run: run.value(at).to_owned(),
            of: [mode, by, strategy, stages].map(|column| column.value(at).to_owned()),
            standing: serde_json::from_value(standing.value(at).into())?,
            select_keep: select_keep.value(at),
            keep: keep.value(at),
            subset: subset.value(at).to_owned(),
            accuracy: 100.0 * accuracy.value(at),
        })
    };
    (0..table.num_rows()).map(row).collect()
}

/// The combinations without their seeds, in the order of the table.
fn points(rows: &[Row]) -> Vec<SweptPoint> {
    let mut places = BTreeMap::new();
    let mut groups: Vec<Vec<&Row>> = Vec::new();
    for row in rows {
        let key = (&row.of, row.select_keep.to_bits());
        let place = *places.entry(key).or_insert(groups.len());
        match groups.get_mut(place) {
            Some(group) => group.push(row),
            None => groups.push(vec![row]),
        }
    }
    groups.iter().filter_map(|group| point(group)).collect()
}

fn point(group: &[&Row]) -> Option<SweptPoint> {
    let first = group.iter().find(|row| row.subset == Subset::Coreset.name())?;
    let [mode, by, strategy, stages] = first.of.clone();
    Some(SweptPoint {
        mode,
        by,
        strategy,
        select_keep: first.select_keep,
        keep: first.keep,
        stages,
        coreset: accuracy(group, Subset::Coreset)?,
        full: accuracy(group, Subset::Full)?,
        random: accuracy(group, Subset::Random)?,
        random_stratified: accuracy(group, Subset::RandomStratified)?,
        standing: middle(group.iter().map(|row| (row.run.as_str(), row.standing)))?,
    })
}

/// The middle one of how runs stand, of an even number the better: one unlucky run is no verdict.
fn middle<'a>(rows: impl Iterator<Item = (&'a str, Standing)>) -> Option<Standing> {
    let mut all: Vec<Standing> = rows.collect::<BTreeMap<_, _>>().into_values().collect();
    all.sort_unstable();
    all.get(all.len() / 2).copied()
}

/// The accuracy of the models that were trained on a subset.
fn accuracy(group: &[&Row], subset: Subset) -> Option<Interval> {
    let mut runs: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for row in group.iter().filter(|row| row.subset == subset.name()) {
        runs.entry(&row.run).or_default().push(row.accuracy);
    }
    let runs: Vec<Vec<f64>> = runs.into_values().collect();
    match runs.as_slice() {
        [] => None,
        [alone] => Some(Interval::of(alone)),
        runs => {
            Some(Interval::of(&runs.iter().map(|run| Interval::of(run).mean).collect::<Vec<_>>()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_run_speaks_for_all() {
        use Standing::{Below, Better, NotProven, Worse};
        let of = |all: &[Standing]| {
            let runs = ["a", "b", "c"].into_iter().zip(all.iter().copied());
            // Each run has a row for each model.
            middle(runs.clone().chain(runs))
        };
        assert_eq!(of(&[Better, Worse, Below]), Some(Below));
        assert_eq!(of(&[Worse, NotProven]), Some(NotProven));
        assert_eq!((of(&[Worse]), of(&[])), (Some(Worse), None));
    }
}
