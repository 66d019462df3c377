//! How scores are distributed: the paper's first figure.

use arrow::array::AsArray;
use arrow::datatypes::Float64Type;

use super::facts::Facts;
use super::types::{Bin, Histogram};
use crate::error::Result;
use crate::recipe::Mode;
use crate::run::rows::{column, kept_ids, strings};
use crate::run::summary::score_range;

/// How many bins a histogram has.
const BINS: usize = 50;

/// One histogram for each run; runs with the same score share the range of the bins.
pub(super) fn histograms(runs: &[&Facts]) -> Result<Vec<Histogram>> {
    let alike = runs.iter().all(|run| by(run) == by(runs[0]));
    let ranges: Vec<(f64, f64)> = runs.iter().map(|run| range(run)).collect();
    let shared = ranges.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |both, range| {
        (both.0.min(range.0), both.1.max(range.1))
    });
    let of = |(run, own): (&&Facts, &(f64, f64))| histogram(run, if alike { shared } else { *own });
    runs.iter().zip(&ranges).map(of).collect()
}

fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Unseen => "unseen",
        Mode::Fitting => "fitting",
    }
}

fn by(run: &Facts) -> &str {
    run.file.recipe.select.by.name()
}

/// All that the scores can be, or else all that they are.
fn range(run: &Facts) -> (f64, f64) {
    let spread = &run.summary.spread;
    score_range(&run.file.recipe, run.names.len()).unwrap_or((spread.min, spread.max))
}

fn histogram(run: &Facts, (low, high): (f64, f64)) -> Result<Histogram> {
    let state = &run.states[0];
    let kept = kept_ids(&run.selection);
    let scores = column(state, "score")?.as_primitive::<Float64Type>();
    let mut bins = vec![Bin::default(); BINS];
    for (id, score) in strings(state, "id")?.iter().flatten().zip(scores) {
        let Some(score) = score.filter(|score| !score.is_nan()) else { continue };
        // Casting saturates, so what lies outside falls into the end bins.
        let at = ((score - low) / (high - low) * BINS as f64) as usize;
        let bin = &mut bins[at.min(BINS - 1)];
        bin.all += 1;
        bin.kept += u64::from(kept.contains(id));
    }
    Ok(Histogram {
        uri: run.uri.clone(),
        mode: mode(run.file.recipe.mode),
        by: by(run).to_owned(),
        low,
        high,
        bins,
        spread: run.summary.spread,
    })
}
