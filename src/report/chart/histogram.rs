//! How scores are distributed, run by run on the same axis.

use std::fmt::Write as _;

use super::panel::{Panel, tick, ticks};
use super::{Chart, WIDTH};
use crate::report::words::{number, percent, share};
use crate::run::{Bin, Histogram};

const LEFT: f64 = 62.0;
const PANEL: f64 = 168.0;
const EACH: f64 = 262.0;

/// A panel for each run.
pub(in crate::report) fn histograms(runs: &[Histogram]) -> Chart {
    let by = runs.first().map_or("score", |run| run.by.as_str());
    let title = format!("How {by} is distributed over samples, in stage 1");
    let mut chart = Chart::new(title, described(runs), 44.0 + EACH * runs.len() as f64);
    chart.legend((LEFT, 22.0), &[("a", 1.0, "kept in the end"), ("n", 1.0, "not kept")]);
    for (at, run) in runs.iter().enumerate() {
        panel(&mut chart, run, 40.0 + EACH * at as f64);
    }
    chart
}

fn described(runs: &[Histogram]) -> String {
    let mut text = String::new();
    for run in runs {
        let s = &run.spread;
        let _ = write!(
            text,
            "{} ({}): half of the scores lie between {} and {}, all between {} and {}; evenness {:.2}. ",
            run.uri,
            mode(run.mode),
            number(s.q25),
            number(s.q75),
            number(s.min),
            number(s.max),
            s.evenness
        );
    }
    text.trim_end().to_owned()
}

/// Which models scored, for people.
pub(super) fn mode(mode: &str) -> &'static str {
    if mode == "fitting" {
        "models saw what they scored"
    } else {
        "models never saw what they scored"
    }
}

fn panel(chart: &mut Chart, run: &Histogram, top: f64) {
    let all: u64 = run.bins.iter().map(|bin| bin.all).sum();
    let most = run.bins.iter().map(|bin| share(bin.all, all)).fold(0.0, f64::max);
    let panel = Panel {
        left: LEFT,
        top: top + 26.0,
        width: WIDTH - LEFT - 16.0,
        height: PANEL,
        x: (run.low, run.high),
        y: (0.0, most.max(1e-9) * 1.05),
    };
    let head = format!("{}: {}", run.mode, mode(run.mode));
    chart.text("head", (LEFT, top + 14.0), "start", &head);
    let spread = format!("evenness {:.2}, median {}", run.spread.evenness, number(run.spread.q50));
    chart.text("soft", (panel.right(), top + 14.0), "end", &spread);
    panel.y_axis(chart, &ticks(panel.y, 4), |y| format!("{} %", tick(100.0 * y)));
    let width = (run.high - run.low) / run.bins.len() as f64;
    for (at, bin) in run.bins.iter().enumerate() {
        let from = run.low + width * at as f64;
        bars(chart, &panel, (from, from + width), *bin, all);
    }
    panel.x_axis(chart, &ticks(panel.x, 8), tick);
    panel.x_name(chart, &run.by);
}

/// The bar of one bin: what is kept below, what is not above it.
fn bars(chart: &mut Chart, panel: &Panel, (from, to): (f64, f64), bin: Bin, all: u64) {
    let (left, right) = (panel.at_x(from), panel.at_x(to));
    let (kept, top) = (panel.at_y(share(bin.kept, all)), panel.at_y(share(bin.all, all)));
    let says = format!(
        "{} to {}: {} of all, {} of them kept",
        number(from),
        number(to),
        percent(share(bin.all, all)),
        percent(share(bin.kept, bin.all))
    );
    let width = right - left - 1.0;
    chart.bar("a", 1.0, (left + 0.5, kept, width, panel.bottom() - kept), &says);
    chart.bar("n", 1.0, (left + 0.5, top, width, kept - top), &says);
}
