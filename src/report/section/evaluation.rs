//! What fresh models reach that were trained on the coreset.

use super::Section;
use crate::report::chart;
use crate::report::markup::{Table, figure, paragraph};
use crate::report::words::{grouped, percent};
use crate::run::{Evidence, Measured};

/// The measures of the table: their column, and their name there.
const MEASURES: [(&str, &str); 4] = [
    ("accuracy", "#accuracy"),
    ("worst_class", "#worst class"),
    ("class_spread", "#spread over classes"),
    ("ece", "#calibration error"),
];

pub(super) fn evaluation(run: &Evidence) -> Option<Section> {
    if run.evaluations.is_empty() {
        return None;
    }
    let mut body = paragraph(
        "Fresh models were trained on the coreset, on random subsets of the same size and on everything, \
         and measured on samples that none of them saw.",
    );
    for chart in chart::evaluation(&run.evaluations) {
        let noise = "Differences smaller than the scatter of the dots are noise.";
        body.push_str(&figure(&chart.inline(), &format!("{}. {noise}", chart.title())));
    }
    body.push_str(&table(&run.evaluations).html());
    Some(Section::new("evaluation", "Evaluation", "Does it train as well?", body))
}

fn table(all: &[Measured]) -> Table {
    let mut columns = vec!["trained on", "same", "test samples", "#samples", "#seeds"];
    columns.extend(MEASURES.map(|(_, name)| name));
    let caption = "Means over seeds; of the accuracy also the lowest and the highest";
    let mut table = Table::new(caption, &columns);
    for one in chart::in_order(all.iter().collect()) {
        let seeds = one.measures.values().map(Vec::len).max().unwrap_or(0);
        let mut row = vec![
            chart::subset(&one.subset).to_owned(),
            one.budget.clone(),
            format!("{} ({})", one.test, grouped(one.test_samples)),
            format!("{} ({})", grouped(one.samples), percent(one.keep)),
            seeds.to_string(),
        ];
        row.extend(MEASURES.map(|(column, _)| {
            let values = one.measures.get(column).map_or(&[][..], Vec::as_slice);
            if column == "accuracy" { ranged(values) } else { percent(chart::mean(values)) }
        }));
        table.row(row);
    }
    table
}

/// The mean, and the range where there are several.
fn ranged(values: &[f64]) -> String {
    let mean = percent(chart::mean(values));
    if values.len() < 2 {
        return mean;
    }
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    format!("{mean} ({:.1} to {:.1})", 100.0 * low, 100.0 * high)
}
