//! What fresh models reach that were trained on the coreset, and what that says of it.

use std::fmt::Write as _;

use super::Section;
use crate::evaluation::{Interval, Standing};
use crate::report::chart;
use crate::report::markup::{Table, callout, escaped, figure, note, paragraph};
use crate::report::words::{counted, grouped, percent, ranged};
use crate::run::{Comparison, Evaluated, Evidence, Subset};

const HELD_OUT: &str = "No test data were given, so these are samples of the training data, held out by keyed hash. No model here \
     was trained on them, but the selection has seen them: this guards against a bad coreset and proves no good \
     one. An independent test: unseen evaluate RUN --test URI, or --test-filter for rows of the same data.";

const FIGURE: &str = "Where intervals overlap widely, the difference is noise. An interval without a cap goes on beyond the picture: \
     few seeds know little of their own scatter.";

pub(super) fn evaluation(run: &Evidence) -> Option<Section> {
    if run.evaluations.is_empty() && run.swept.is_none() {
        return None;
    }
    let mut body = paragraph(
        "Fresh models were trained on each of these sets and measured on samples that none of them saw. Random \
         subsets are as large as the coreset and drawn anew for each seed.",
    );
    for one in &run.evaluations {
        if run.evaluations.len() > 1 {
            let name = format!("On {}, same {}", one.test, one.budget.name());
            let _ = writeln!(body, "<h3>{}</h3>", escaped(&name));
        }
        body.push_str(&compared(one));
    }
    if let Some(swept) = &run.swept {
        let caption =
            format!("What {} found with other recipes, on {}. {FIGURE}", swept.uri, swept.test);
        body.push_str(&figure(&chart::sweep(swept).inline(), &caption));
    }
    Some(Section::new("evaluation", "Evaluation", "Does it train as well?", body))
}

/// What an evaluation says, for the head of the page: that of the first test, and whatever is bad news.
pub(super) fn verdicts(run: &Evidence) -> String {
    let told = run.evaluations.iter().enumerate();
    let told = told.filter(|(at, one)| *at == 0 || one.standing == Standing::Worse);
    told.map(|(_, one)| verdict(one)).collect()
}

fn compared(one: &Comparison) -> String {
    let mut html = verdict(one);
    if one.held_out {
        html.push_str(&note(HELD_OUT));
    }
    html.push_str(&figure(&chart::evaluation(one).inline(), FIGURE));
    html.push_str(&table(one).html());
    html
}

/// The plain sentence, behind what it comes to.
fn verdict(one: &Comparison) -> String {
    let on = if one.held_out {
        format!("On {} held out of the training data:", counted(one.test_samples, "sample"))
    } else {
        format!("On {}:", counted(one.test_samples, "test sample"))
    };
    stands(one.standing, &format!("{on} {}", one.verdict))
}

/// A callout that is as loud as the standing of a coreset asks.
pub(super) fn stands(standing: Standing, text: &str) -> String {
    let class = match standing {
        Standing::Worse => "worse",
        Standing::Below | Standing::NotProven => "below",
        Standing::Better => "better",
    };
    callout(class, standing.headline(), text)
}

fn table(one: &Comparison) -> Table {
    let columns = [
        "trained on",
        "#samples",
        "#steps",
        "#accuracy",
        "#coreset minus it",
        "#worst class",
        "#class spread",
        "#calibration error",
    ];
    let caption = format!(
        "Per cent on {} ({}), mean of up to {} \u{b1} half of the 95 % t interval; the accuracy of the coreset minus that of a row in points, \
         whose interval also counts the test samples",
        one.test,
        counted(one.test_samples, "sample"),
        counted(u64::from(one.seeds), "seed")
    );
    let mut table = Table::new(caption, &columns);
    for subset in &one.subsets {
        table.row(row(subset, points(one, subset.subset)));
    }
    table
}

fn row(one: &Evaluated, points: Option<Interval>) -> [String; 8] {
    let ranged = |interval: Interval| ranged(interval.percent());
    [
        chart::subset(one.subset).to_owned(),
        format!("{} ({})", grouped(one.samples), percent(one.keep)),
        grouped(one.steps),
        ranged(one.accuracy),
        points.map_or_else(|| "\u{2013}".to_owned(), signed),
        ranged(one.worst_class),
        ranged(one.class_spread),
        ranged(one.ece),
    ]
}

fn points(one: &Comparison, other: Subset) -> Option<Interval> {
    one.against.iter().find(|compared| compared.subset == other).map(|compared| compared.gap.points)
}

/// As [`ranged`], with a sign: `+0.31 ± 0.12`.
pub(super) fn signed(points: Interval) -> String {
    let sign = if points.mean > 0.0 { "+" } else { "" };
    format!("{sign}{}", ranged(points))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::chart::evaluation_tests::comparison;

    #[test]
    fn bad_news_cannot_be_overlooked() {
        let subsets: [(Subset, &[f64]); 2] =
            [(Subset::Coreset, &[0.6, 0.61]), (Subset::Random, &[0.7])];
        let bad = comparison(&subsets, Standing::Worse);
        let html = compared(&bad);
        assert!(
            html.contains("<p class=\"verdict worse\"><strong>WORSE than random</strong>"),
            "{html}"
        );
        assert!(html.contains("On 100 test samples: 50 % &lt;kept&gt;."), "{html}");
        assert!(!html.contains("No test data were given"), "{html}");
        let held_out = compared(&Comparison { held_out: true, ..bad });
        assert!(held_out.contains("No test data were given"), "{held_out}");
        // t(0.975, 1) * 0.5.
        assert!(html.contains("+1.50 \u{b1} 6.35") && html.contains("60.50 \u{b1} 6.35"), "{html}");
    }
}
