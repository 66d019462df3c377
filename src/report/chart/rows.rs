//! Accuracies one below the other: a row for each, with its interval and the models behind it.

use super::interval::{across, range};
use super::panel::{Panel, tick, ticks};
use super::{Chart, WIDTH, shortened, text_width};
use crate::evaluation::Interval;
use crate::report::words::ranged;

const ROW: f64 = 34.0;

/// The room at the right for numbers.
const NUMBERS: f64 = 124.0;

/// The most characters of a name.
const NAME: usize = 34;

/// One row, in per cent.
pub(super) struct Row {
    pub(super) name: String,
    pub(super) class: &'static str,
    pub(super) mean: Interval,
    /// What the mean is of, if it is to be seen.
    pub(super) values: Vec<f64>,
}

/// A picture of rows; `marks` are lines across all of them, with their names.
pub(super) fn rows(
    title: &str,
    described: String,
    rows: &[Row],
    marks: &[(f64, &str)],
    x_name: &str,
) -> Chart {
    let names = rows.iter().map(|row| text_width(&shortened(&row.name, NAME)));
    let left = names.fold(60.0, f64::max) + 22.0;
    let values = rows.iter().flat_map(|row| row.values.iter().copied().chain([row.mean.mean]));
    let values = values.chain(marks.iter().map(|(at, _)| *at));
    let means: Vec<Interval> = rows.iter().map(|row| row.mean).collect();
    let panel = Panel {
        left,
        top: if marks.is_empty() { 44.0 } else { 62.0 },
        width: WIDTH - left - NUMBERS,
        height: ROW * rows.len() as f64,
        x: range(values, &means, 1.0),
        y: (0.0, 1.0),
    };
    let mut chart = Chart::new(title, described, panel.bottom() + 50.0);
    chart.text("head", (16.0, 24.0), "start", &shortened(title, 76));
    panel.x_axis(&mut chart, &ticks(panel.x, 5), |x| format!("{} %", tick(x)));
    panel.x_name(&mut chart, x_name);
    for (at, name) in marks {
        let x = panel.at_x(*at);
        chart.draw(format_args!(
            "<path class=\"mark\" d=\"M{x:.1} {}v{}\"/>",
            panel.top, panel.height
        ));
        chart.text("soft", (x, panel.top - 6.0), "middle", name);
    }
    for (at, row) in rows.iter().enumerate() {
        draw(&mut chart, &panel, row, panel.top + ROW * (at as f64 + 0.5));
    }
    chart
}

fn draw(chart: &mut Chart, panel: &Panel, row: &Row, y: f64) {
    let Row { name, class, mean, values } = row;
    chart.text("name", (panel.left - 12.0, y + 4.5), "end", &shortened(name, NAME));
    across(chart, panel, class, *mean, y);
    for value in values {
        let x = panel.at_x(*value);
        chart.draw(format_args!(
            "<circle class=\"{class}\" fill-opacity=\"0.5\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\"/>"
        ));
    }
    let told = ranged(*mean);
    let middle = panel.at_x(mean.mean);
    chart.bar(class, 1.0, (middle - 2.0, y - 10.0, 4.0, 20.0), &format!("{name}: {told} %"));
    chart.text("value", (WIDTH - 16.0, y + 4.5), "end", &told);
}
