//! What if another share were kept: selections from the stored scores, without training.

use std::collections::BTreeSet;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use serde::Serialize;

use super::rows::{column, kept_ids, strings};
use super::stored::{Stored, one_step};
use crate::error::Result;
use crate::recipe::Storage;

/// The shares that a curve asks about, in per cent.
const PER_CENT: std::ops::RangeInclusive<u32> = 1..=19;

/// What a run would keep at other budgets.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Curve {
    /// The run directory.
    pub uri: String,
    /// Usable samples.
    pub usable: u64,
    /// The score that decides.
    pub by: String,
    /// The share that the run itself keeps, if its recipe gives one.
    pub run_keeps: Option<f64>,
    /// What must be known to read it.
    pub note: String,
    /// One for each share, ascending.
    pub points: Vec<Point>,
}

/// What one budget keeps.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Point {
    /// The share that is kept.
    pub keep: f64,
    /// Kept samples.
    pub rows: u64,
    /// Their uncompressed bytes.
    pub bytes: u64,
    /// The score of the last sample kept.
    pub cut: Option<f64>,
    /// The share of the class that keeps least.
    pub least_class: f64,
    /// The share of the class that keeps most.
    pub most_class: f64,
    /// The one over the other: 1 if all classes keep alike.
    pub balance: f64,
    /// The share of what is kept that a random choice of as many samples would keep, too, on average.
    pub overlap_expected: f64,
    /// The same for the random choice with the seed of the run.
    pub overlap: f64,
    /// Why this share cannot be kept under the rules of the run; everything else is 0 then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub impossible: Option<String>,
}

/// What the run in `uri` would keep at 5, 10, ... 95 %, from the scores of its stage 1, with its rules
/// for classes.
///
/// # Errors
/// `InvalidInput` if no run began there or a model of stage 1 has not scored yet.
pub fn curve(uri: &str, storage: &Storage) -> Result<Curve> {
    let stored = Stored::read(uri, storage)?;
    let recipe = stored.file.recipe.in_one_step(&["select.keep=0.5".parse()?])?;
    let stored = stored.beside(&recipe, storage)?;
    let recipe = &stored.file.recipe;
    let points = PER_CENT.map(|step| point(&stored, 5 * step)).collect::<Result<_>>()?;
    let note = one_step(recipe).unwrap_or("selected in one step, as the run does".to_owned());
    let note = match &recipe.select.budget {
        Some(_) => note + "; its budget plays no part here: each point keeps a share",
        None => note,
    };
    Ok(Curve {
        uri: uri.to_owned(),
        usable: stored.samples.num_rows() as u64,
        by: recipe.select.by.name().to_owned(),
        run_keeps: recipe.select.keep_share(),
        note,
        points,
    })
}

fn point(stored: &Stored, per_cent: u32) -> Result<Point> {
    let keep = f64::from(per_cent) / 100.0;
    let recipe = stored.file.recipe.in_one_step(&[format!("select.keep={keep}").parse()?]);
    // The rules of the run need not hold for every share: a floor may ask for more.
    let (recipe, table) = match recipe.and_then(|r| Ok((stored.scores.select(&r)?, r))) {
        Ok((table, recipe)) => (recipe, table),
        Err(e) => return Ok(Point::impossible(keep, e.to_string())),
    };
    let summary = stored.scores.summary(&recipe, &table);
    let kept = kept_ids(&table);
    let twin = column(&table, "random")?.as_boolean();
    let both = column(&table, "kept")?.as_boolean().iter().zip(twin);
    let shared = both.filter(|both| *both == (Some(true), Some(true))).count();
    let present = summary.classes.iter().filter(|class| class.total > 0);
    let rates = present.map(|class| class.kept as f64 / class.total as f64);
    let (least, most) = rates
        .fold((f64::INFINITY, 0.0_f64), |(least, most), rate| (least.min(rate), most.max(rate)));
    let rows = kept.len() as u64;
    Ok(Point {
        keep,
        rows,
        bytes: bytes(stored, &kept)?,
        cut: summary.cut,
        least_class: least,
        most_class: most,
        balance: if most > 0.0 { least / most } else { 1.0 },
        overlap_expected: rows as f64 / stored.samples.num_rows().max(1) as f64,
        overlap: shared as f64 / rows.max(1) as f64,
        impossible: None,
    })
}

impl Point {
    fn impossible(keep: f64, why: String) -> Self {
        Self {
            keep,
            rows: 0,
            bytes: 0,
            cut: None,
            least_class: 0.0,
            most_class: 0.0,
            balance: 0.0,
            overlap_expected: 0.0,
            overlap: 0.0,
            impossible: Some(why),
        }
    }
}

/// The uncompressed bytes of these samples.
fn bytes(stored: &Stored, kept: &BTreeSet<String>) -> Result<u64> {
    let bytes = column(&stored.samples, "bytes")?.as_primitive::<Int64Type>();
    let both = strings(&stored.samples, "id")?.iter().flatten().zip(bytes.values());
    Ok(both.filter(|(id, _)| kept.contains(*id)).map(|(_, bytes)| *bytes as u64).sum())
}
