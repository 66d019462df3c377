//! How far models agree: a square for each pair.

use super::{Chart, WIDTH};
use crate::report::words::perhaps;
use crate::run::Agreement;

/// Rank correlation of each model with each.
pub(in crate::report) fn agreement(models: &Agreement) -> Chart {
    let n = models.spearman.len();
    let (left, top) = (96.0, 66.0);
    let cell = ((WIDTH - left - 16.0) / n as f64).min(76.0);
    let height = cell.min(44.0);
    let described = format!(
        "Spearman's rank correlation of the scores of {n} models over samples that two of them scored; the mean is {}.",
        perhaps(models.mean_spearman)
    );
    let title = "Rank correlation between the models of stage 1";
    let mut chart = Chart::new(title, described, top + height * n as f64 + 14.0);
    chart.text("head", (16.0, 22.0), "start", title);
    for (row, values) in models.spearman.iter().enumerate() {
        let y = top + height * row as f64;
        chart.text("soft", (left - 10.0, y + height / 2.0 + 4.5), "end", &format!("model {row}"));
        let x = left + cell * row as f64 + cell / 2.0;
        chart.text("soft", (x, top - 10.0), "middle", &row.to_string());
        for (column, value) in values.iter().enumerate().filter(|(column, _)| *column != row) {
            let x = left + cell * column as f64;
            let says = format!("models {row} and {column}: {}", perhaps(*value));
            // The text on top of it must stay readable.
            let opacity = 0.06 + 0.34 * value.unwrap_or(0.0).clamp(0.0, 1.0);
            chart.bar("a", opacity, (x + 1.0, y + 1.0, cell - 2.0, height - 2.0), &says);
            let told = value.map_or_else(|| perhaps(None), |value| format!("{value:.2}"));
            let middle = (x + cell / 2.0, y + height / 2.0 + 4.5);
            chart.text("value", middle, "middle", &told);
        }
    }
    chart
}
