//! What is drawn in a panel of a sweep: lines of coresets, and what they are held against.

use super::MOST_LINES;
use crate::report::chart::Chart;
use crate::report::chart::interval::upright;
use crate::report::chart::panel::Panel;
use crate::report::words::{percent, ranged};
use crate::run::SweptPoint;

/// The looks of the lines.
pub(super) const SERIES: [&str; MOST_LINES] = ["a", "b", "c", "d"];

/// Where models stand that were trained on random subsets, and on everything.
pub(super) fn references(chart: &mut Chart, panel: &Panel, points: &[&SweptPoint]) {
    let of = |point: &SweptPoint, sign: f64| {
        let at = point.random.mean + sign * point.random.half_width.unwrap_or(0.0);
        (panel.at_x(point.select_keep), panel.at_y(at.clamp(panel.y.0, panel.y.1)))
    };
    let up = points.iter().map(|point| of(point, 1.0));
    let down = points.iter().rev().map(|point| of(point, -1.0));
    chart.draw(format_args!(
        "<path class=\"n\" fill-opacity=\"0.22\" d=\"{}Z\"/>",
        path(up.chain(down))
    ));
    let middle = path(points.iter().map(|point| of(point, 0.0)));
    chart.draw(format_args!("<path class=\"line n\" d=\"{middle}\"/>"));
    if let Some(point) = points.first() {
        let y = panel.at_y(point.full.mean);
        chart.draw(format_args!(
            "<path class=\"mark\" d=\"M{} {y:.1}h{}\"/>",
            panel.left, panel.width
        ));
    }
}

/// One combination over the shares; lines stand a little apart, so that their intervals can be told.
pub(super) fn line(
    chart: &mut Chart,
    panel: &Panel,
    at: usize,
    shift: f64,
    points: &[&SweptPoint],
) {
    let class = SERIES[at % SERIES.len()];
    let place = |point: &SweptPoint| {
        (panel.at_x(point.select_keep) + shift, panel.at_y(point.coreset.mean))
    };
    let through = path(points.iter().map(|point| place(point)));
    chart.draw(format_args!("<path class=\"line {class}\" d=\"{through}\"/>"));
    for point in points {
        upright(chart, panel, class, point.coreset, place(point).0);
        let says = format!("{}: {} %", percent(point.select_keep), ranged(point.coreset));
        marker(chart, at, place(point), &says);
    }
}

/// A mark of the shape of a line.
pub(super) fn marker(chart: &mut Chart, at: usize, (x, y): (f64, f64), says: &str) {
    let shape = match at % SERIES.len() {
        0 => format!("M{:.1} {y:.1}a4 4 0 1 0 8 0a4 4 0 1 0 -8 0Z", x - 4.0),
        1 => format!("M{:.1} {:.1}h7.4v7.4h-7.4Z", x - 3.7, y - 3.7),
        2 => format!("M{x:.1} {:.1}l5 5l-5 5l-5 -5Z", y - 5.0),
        _ => format!("M{x:.1} {:.1}l4.9 8.4h-9.8Z", y - 5.0),
    };
    chart.mark(SERIES[at % SERIES.len()], &shape, says);
}

fn path(places: impl Iterator<Item = (f64, f64)>) -> String {
    let told: Vec<String> = places.map(|(x, y)| format!("{x:.1} {y:.1}")).collect();
    if told.is_empty() { String::new() } else { format!("M{}", told.join("L")) }
}
