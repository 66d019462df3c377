//! What proxy models say: the choice of `auto`, and the verdict of the judge.

use super::Section;
use super::evaluation::{signed, stands};
use crate::evaluation::{Interval, Standing};
use crate::report::markup::{Table, paragraph};
use crate::report::words::{counted, percent};
use crate::run::{Choice, Evidence, Figures, Judgement};

pub(super) fn judge(run: &Evidence) -> Option<Section> {
    let judgement = run.summary.judge.as_ref()?;
    let mut body = verdict(judgement);
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

/// What the judge says, for the head of the page: where nothing else was tested, or if it is bad news.
pub(super) fn headline(run: &Evidence) -> String {
    let judgement = run.summary.judge.as_ref();
    let alone = run.evaluations.is_empty();
    let told = judgement.filter(|one| alone || one.standing == Some(Standing::Worse));
    told.map(verdict).unwrap_or_default()
}

fn verdict(judgement: &Judgement) -> String {
    let Some((standing, figures)) = judgement.standing.zip(judgement.figures) else {
        return paragraph(&judgement.verdict);
    };
    let samples = counted(figures.test_samples, "training sample");
    let text = format!("By the judge, on {samples} held out: {}", judgement.verdict);
    stands(standing, &text)
}

fn compared(figures: &Figures) -> Table {
    let caption = "Per cent of held-out training samples that models predict right, mean \u{b1} half of the 95 % interval; \
                   the difference in points, whose interval also counts the test samples";
    let mut table =
        Table::new(caption, &["trained on", "#seeds", "#accuracy", "#coreset minus it"]);
    let row = |name: &str, accuracy: Interval, points: String| {
        [name.to_owned(), accuracy.n.to_string(), ranged(accuracy), points]
    };
    let none = "\u{2013}".to_owned();
    table.row(row("coreset", figures.coreset, none));
    let points = signed(figures.points);
    table.row(row("random, each class its share", figures.random_stratified, points));
    table
}

fn candidates(choice: &Choice) -> Table {
    let caption = "What there was to choose from, and the accuracy of models on it";
    let mut table = Table::new(caption, &["candidate", "#accuracy", "chosen"]);
    for candidate in &choice.candidates {
        let ranged = candidate.accuracy.map_or_else(String::new, ranged);
        let mark = if candidate == choice.chosen() { "yes" } else { "" };
        table.row([candidate.name.clone(), ranged, mark.to_owned()]);
    }
    table
}

/// The mean, and how sure it is where that is known.
fn ranged(accuracy: Interval) -> String {
    let half = accuracy.half_width.map(|half| format!(" \u{b1} {:.1}", 100.0 * half));
    format!("{}{}", percent(accuracy.mean), half.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judgement(standing: Standing) -> Judgement {
        let interval = Interval { mean: 0.8, half_width: Some(0.01), n: 2 };
        let points = Interval { mean: -3.0, half_width: Some(1.25), n: 2 };
        let figures = Figures {
            test_samples: 1000,
            seeds: 2,
            coreset: interval,
            random_stratified: interval,
            points,
            chosen_among: None,
        };
        let verdict = "50 % kept: <sentence>.".to_owned();
        Judgement { verdict, standing: Some(standing), figures: Some(figures) }
    }

    #[test]
    fn the_callout_is_as_loud_as_the_standing() {
        let html = verdict(&judgement(Standing::Worse));
        assert!(html.contains("class=\"verdict worse\"><strong>WORSE than random"), "{html}");
        assert!(html.contains("on 1,000 training samples held out: 50 % kept: &lt;sen"), "{html}");
        let html = verdict(&judgement(Standing::Below));
        assert!(html.contains("<strong>Below random, within noise</strong>"), "{html}");
        let unknown = Judgement { standing: None, figures: None, ..judgement(Standing::Below) };
        assert!(!verdict(&unknown).contains("class=\"verdict"), "nothing is known");
    }

    #[test]
    fn the_table_has_the_difference() {
        let html = compared(&judgement(Standing::Worse).figures.unwrap()).html();
        assert!(html.contains("-3.00 \u{b1} 1.25") && html.contains("80.0 % \u{b1} 1.0"), "{html}");
    }
}
