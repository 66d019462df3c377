//! What was kept, in a few numbers.

use std::fmt::Write as _;

use super::Section;
use super::evaluation::verdicts;
use super::judge::headline;
use crate::evaluation::Interval;
use crate::report::markup::{Table, escaped, paragraph};
use crate::report::words::{grouped, percent, share, size};
use crate::run::{Evaluated, Evidence, Subset};

/// The head of the page.
pub(in crate::report) fn head(run: &Evidence) -> String {
    let s = &run.summary;
    format!(
        "<header>\n<h1>{} of {} samples kept</h1>\n<p class=\"soft\">{}, {}</p>\n{}{}</header>\n",
        grouped(s.kept),
        grouped(s.usable),
        escaped(&s.uri),
        escaped(&s.order),
        verdicts(run),
        headline(run)
    )
}

pub(super) fn summary(run: &Evidence) -> Section {
    let s = &run.summary;
    let mut body = facts(run);
    body.push_str(&paragraph(&format!("Scored by {}.", s.scored_by)));
    if s.tied > 0 {
        body.push_str(&paragraph(&format!(
            "{} samples were left out though one with their score is kept: the hash of the ids decided between them.",
            grouped(s.tied)
        )));
    }
    let mut table = Table::new("What became of the samples", &["reason", "#samples", "#share"]);
    let all: u64 = s.reasons.values().sum();
    for (reason, count) in &s.reasons {
        table.row([reason.clone(), grouped(*count), percent(share(*count, all))]);
    }
    body.push_str(&table.html());
    Section::new("summary", "Summary", "What was kept", body)
}

fn facts(run: &Evidence) -> String {
    let s = &run.summary;
    let kept = ("Kept", percent(share(s.kept, s.usable)), format!("{} samples", grouped(s.kept)));
    let mut facts: Vec<_> = [kept].into_iter().chain(accuracy(run)).collect();
    facts.extend([
        ("Classes", grouped(s.classes.len() as u64), balance(run)),
        ("Stages", s.stages.len().to_string(), format!("{} scoring models", models(run))),
        ("Quarantined", grouped(s.quarantined), "cannot be used".to_owned()),
    ]);
    if let Some(count) = s.suspected_labels {
        facts.push(("Suspect labels", grouped(count), percent(share(count, s.usable))));
    }
    if s.shards > 0 {
        let shards =
            if s.shards == 1 { "1 shard".to_owned() } else { format!("{} shards", s.shards) };
        facts.push(("Coreset", size(s.coreset_bytes), shards));
    }
    let mut html = "<dl class=\"facts\">\n".to_owned();
    for (name, value, more) in facts {
        let (value, more) = (escaped(&value), escaped(&more));
        let _ = writeln!(html, "<div><dt>{name}</dt><dd>{value}<small>{more}</small></dd></div>");
    }
    html + "</dl>\n"
}

/// What the coreset is worth, on the first test; without one, by the judge.
fn accuracy(run: &Evidence) -> Option<(&'static str, String, String)> {
    match (run.evaluations.first(), run.summary.judge.as_ref().and_then(|judge| judge.figures)) {
        (Some(tested), _) => tested_accuracy(&tested.subsets, tested.held_out),
        (None, Some(figures)) => {
            let random = format!("random\u{a0}{}", share_of(figures.random_stratified));
            Some(("Accuracy", share_of(figures.coreset), format!("{random}, held out")))
        }
        (None, None) => None,
    }
}

fn tested_accuracy(
    subsets: &[Evaluated],
    held_out: bool,
) -> Option<(&'static str, String, String)> {
    let of = |subset| {
        let one = subsets.iter().find(|one| one.subset == subset);
        one.map(|one| share_of(one.accuracy))
    };
    let random = of(Subset::Random).or_else(|| of(Subset::RandomStratified));
    let others = [("random", random), ("all", of(Subset::Full))].into_iter();
    let mut others: Vec<String> =
        others.filter_map(|(name, share)| Some(format!("{name}\u{a0}{}", share?))).collect();
    if held_out {
        others.push("held out".to_owned());
    }
    Some(("Accuracy", of(Subset::Coreset)?, others.join(", ")))
}

fn share_of(accuracy: Interval) -> String {
    percent(accuracy.mean).replace(' ', "\u{a0}")
}

fn models(run: &Evidence) -> usize {
    run.summary.stages.iter().map(|stage| stage.models).sum()
}

fn balance(run: &Evidence) -> String {
    let present = run.classes.iter().filter(|class| class.total > 0);
    let rates = present.map(|class| share(class.kept(), class.total));
    let (least, most) = rates
        .fold((f64::INFINITY, 0.0_f64), |(least, most), rate| (least.min(rate), most.max(rate)));
    if least.is_finite() {
        format!("keep {} to {}", percent(least), percent(most))
    } else {
        String::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluation::Standing;
    use crate::report::chart::evaluation_tests::comparison;

    #[test]
    fn the_accuracy_of_any_random_subset_stands_beside_that_of_the_coreset() {
        let told = |random: Subset, held_out| {
            let subsets: [(Subset, &[f64]); 2] = [(Subset::Coreset, &[0.6]), (random, &[0.7])];
            let subsets = comparison(&subsets, Standing::Worse).subsets;
            tested_accuracy(&subsets, held_out).unwrap()
        };
        let random = "random\u{a0}70.0\u{a0}%";
        let (_, coreset, others) = told(Subset::Random, false);
        assert_eq!((coreset.as_str(), others.as_str()), ("60.0\u{a0}%", random));
        assert_eq!(told(Subset::RandomStratified, false).2, random);
        assert_eq!(told(Subset::RandomStratified, true).2, format!("{random}, held out"));
    }
}
