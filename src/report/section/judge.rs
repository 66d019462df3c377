//! What the judge of the run found.

use super::Section;
use crate::report::markup::{Table, paragraph};
use crate::report::words::percent;
use crate::run::{Evidence, Figures};

pub(super) fn judge(run: &Evidence) -> Option<Section> {
    let judgement = run.summary.judge.as_ref()?;
    let mut body = paragraph(&judgement.warning().unwrap_or_else(|| judgement.verdict.clone()));
    if let Some(figures) = &judgement.figures {
        body.push_str(&table(figures).html());
        body.push_str(&paragraph(&format!("By {}.", judgement.caveat())));
    }
    Some(Section::new("judge", "Judge", "Is it better than random?", body))
}

fn table(figures: &Figures) -> Table {
    let caption = "Accuracy of models on held-out training samples, and half of its 95 % interval";
    let mut table = Table::new(caption, &["trained on", "#seeds", "#accuracy"]);
    let rows =
        [("coreset", figures.coreset), ("random, each class its share", figures.random_stratified)];
    for (name, accuracy) in rows {
        let ranged = ranged(accuracy.mean, accuracy.half_width);
        table.row([name.to_owned(), accuracy.n.to_string(), ranged]);
    }
    table
}

/// The mean, and how sure it is where that is known.
fn ranged(mean: f64, half_width: Option<f64>) -> String {
    let half = half_width.map(|half| format!(" ± {:.1}", 100.0 * half));
    format!("{}{}", percent(mean), half.unwrap_or_default())
}
