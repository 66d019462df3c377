//! What proxy models say: the choice of `auto`, and the verdict of the judge.

use super::Section;
use crate::report::markup::{Table, paragraph};
use crate::report::words::percent;
use crate::run::{Choice, Evidence, Figures};

pub(super) fn judge(run: &Evidence) -> Option<Section> {
    let judgement = run.summary.judge.as_ref()?;
    let mut body = paragraph(&judgement.warning().unwrap_or_else(|| judgement.verdict.clone()));
    if let Some(figures) = &judgement.figures {
        body.push_str(&compared(figures).html());
        body.push_str(&paragraph(&format!("By {}.", judgement.caveat())));
    }
    if let Some(choice) = &run.summary.auto {
        body.push_str(&paragraph(&format!("How to select was left open: {}.", choice.in_words())));
        body.push_str(&candidates(choice).html());
    }
    Some(Section::new("judge", "Judge", "Is it better than random?", body))
}

fn compared(figures: &Figures) -> Table {
    let caption = "Accuracy of models on held-out training samples, and half of its 95 % interval";
    let mut table = Table::new(caption, &["trained on", "#seeds", "#accuracy"]);
    let random = ("random, each class its share", figures.random_stratified);
    for (name, accuracy) in [("coreset", figures.coreset), random] {
        let ranged = ranged(accuracy.mean, accuracy.half_width);
        table.row([name.to_owned(), accuracy.n.to_string(), ranged]);
    }
    table
}

fn candidates(choice: &Choice) -> Table {
    let caption = "What there was to choose from, and the accuracy of models on it";
    let mut table = Table::new(caption, &["candidate", "#accuracy", "chosen"]);
    for candidate in &choice.candidates {
        let ranged = ranged(candidate.accuracy.mean, candidate.accuracy.half_width);
        let mark = if candidate == choice.chosen() { "yes" } else { "" };
        table.row([candidate.name.clone(), ranged, mark.to_owned()]);
    }
    table
}

/// The mean, and how sure it is where that is known.
fn ranged(mean: f64, half_width: Option<f64>) -> String {
    let half = half_width.map(|half| format!(" ± {:.1}", 100.0 * half));
    format!("{}{}", percent(mean), half.unwrap_or_default())
}
