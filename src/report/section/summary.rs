//! What was kept, in a few numbers.

use std::fmt::Write as _;

use super::Section;
use super::evaluation::verdicts;
use crate::report::markup::{Table, escaped, paragraph};
use crate::report::words::{grouped, percent, share, size};
use crate::run::{Evidence, Subset};

/// The head of the page.
pub(in crate::report) fn head(run: &Evidence) -> String {
    let s = &run.summary;
    format!(
        "<header>\n<h1>{} of {} samples kept</h1>\n<p class=\"soft\">{}, {}</p>\n{}</header>\n",
        grouped(s.kept),
        grouped(s.usable),
        escaped(&s.uri),
        escaped(&s.order),
        verdicts(run)
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

/// What the coreset is worth, on the first test.
fn accuracy(run: &Evidence) -> Option<(&'static str, String, String)> {
    let subsets = &run.evaluations.first()?.subsets;
    let of = |subset| {
        let one = subsets.iter().find(|one| one.subset == subset);
        one.map(|one| percent(one.accuracy.mean).replace(' ', "\u{a0}"))
    };
    let others = [(Subset::Random, "random"), (Subset::Full, "all")];
    let others = others
        .into_iter()
        .filter_map(|(subset, name)| Some(format!("{name}\u{a0}{}", of(subset)?)));
    Some(("Accuracy", of(Subset::Coreset)?, others.collect::<Vec<_>>().join(", ")))
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
