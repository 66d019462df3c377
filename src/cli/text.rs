//! What people read: plans, states, proofs and summaries as text.

mod ask;
mod evaluation;
mod judge;
mod status;
mod tables;

use std::fmt::Write as _;

use crate::report::{counted, grouped, ranged, size};
use crate::run::{Cleaned, Plan, Summary, Verification};
use crate::storage::doctor::Diagnosis;

pub(super) use ask::{curve, difference, explanation};
pub(super) use evaluation::{evaluation, stability, swept};
pub(super) use status::status;
pub(super) use tables::{extended, folds, scored, selected};

/// A plan as text.
pub(super) fn plan(plan: &Plan) -> String {
    let mut text = String::new();
    let shape = plan.shape;
    let _ = writeln!(
        text,
        "Input     {} rows of {}, {} classes, {shape}",
        grouped(plan.rows),
        grouped(plan.source_rows),
        plan.classes.len()
    );
    let _ = writeln!(
        text,
        "          {}, {}",
        counted(plan.files as u64, "file"),
        size(plan.input_bytes)
    );
    let on_cpu = plan.devices == ["cpu"];
    let place = if on_cpu { String::new() } else { format!(" on {}", plan.devices.join(", ")) };
    let _ = writeln!(
        text,
        "Models    {} of {} parameters, {} sample-epochs of training, {} side by side{place}",
        plan.models,
        grouped(plan.parameters as u64),
        grouped(plan.sample_epochs),
        plan.trainings_side_by_side
    );
    let percent = 100.0 * plan.keep_rows as f64 / plan.rows.max(1) as f64;
    let stages: Vec<String> = plan.stage_rows.iter().map(|rows| grouped(*rows)).collect();
    let _ = writeln!(
        text,
        "Keep      {} rows (keep {percent:.1} %, prune {:.1} %, about {}), by stage: {}",
        grouped(plan.keep_rows),
        100.0 - percent,
        size(plan.keep_bytes),
        stages.join(" + ")
    );
    let inputs = if plan.inputs_in_memory { "in memory" } else { "in a scratch file" };
    let beside = if on_cpu { "" } else { "; what lies on devices is not counted" };
    let _ = writeln!(
        text,
        "Memory    about {} of {} allowed, decoded inputs {inputs}{beside}",
        size(plan.memory_bytes),
        size(plan.memory_limit)
    );
    if plan.scratch_bytes > 0 {
        let _ = writeln!(text, "Scratch   about {} of disk in TMPDIR", size(plan.scratch_bytes));
    }
    if plan.checkpoint_bytes > 0 {
        let bytes = size(plan.checkpoint_bytes);
        let _ = writeln!(text, "Resume    a training keeps about {bytes} in the run directory");
    }
    let _ = writeln!(text, "Output    {}", plan.output);
    let _ = writeln!(text, "\n{:<16}{:>12}{:>16}", "task", "rows", "sample passes");
    for task in &plan.tasks {
        let _ =
            writeln!(text, "{:<16}{:>12}{:>16}", task.task, grouped(task.rows), grouped(task.work));
    }
    let _ = writeln!(text, "shards and manifest follow. Nothing was written.");
    text
}

/// A verification as text.
pub(super) fn verification(result: &Verification) -> String {
    let mut text = String::new();
    for check in &result.checks {
        let mark = if check.passed { "ok    " } else { "FAILED" };
        let _ = writeln!(text, "{mark}  {:<10} {}", check.name, check.detail);
    }
    let end = if result.passed { "everything holds" } else { "NOT proven: see the failed checks" };
    let _ = writeln!(text, "{}: {end}", result.uri);
    text
}

/// What `doctor` found as text.
pub(super) fn diagnosis(found: &Diagnosis) -> String {
    let mut text = String::new();
    for finding in &found.findings {
        let mark = match (finding.works, finding.needed) {
            (true, _) => "ok    ",
            (false, true) => "FAILED",
            (false, false) => "weak  ",
        };
        let _ =
            writeln!(text, "{mark}  {:<18}{:<38}{}", finding.name, finding.used_for, finding.seen);
        if let Some(fix) = finding.fix {
            let _ = writeln!(text, "        -> {fix}");
        }
    }
    let end =
        if found.fit { "a run can be kept here" } else { "NOT fit for a run: see what failed" };
    let _ = writeln!(text, "{}: {end}", found.uri);
    text
}

/// What `clean` found as text.
pub(super) fn cleaned(cleaned: &Cleaned) -> String {
    let mut text = String::new();
    for object in &cleaned.litter {
        let days = object.age_seconds / 86_400;
        let _ = writeln!(text, "{:>10}  {days:>4} d old  {}", size(object.bytes), object.path);
    }
    let what =
        format!("{}, {}", counted(cleaned.litter.len() as u64, "object"), size(cleaned.bytes));
    let end = match (cleaned.removed, cleaned.litter.is_empty()) {
        (_, true) => "nothing to remove".to_owned(),
        (true, _) => format!("{what} removed"),
        (false, _) => format!("{what} to remove; nothing was changed, --delete removes them"),
    };
    let _ = writeln!(text, "{}: {end}; {} spared (young or in use)", cleaned.uri, cleaned.spared);
    text
}

/// The end of a run as text.
pub(super) fn summary(summary: &Summary) -> String {
    let mut text = String::new();
    headline(&mut text, summary);
    classes(&mut text, summary);
    scores(&mut text, summary);
    places(&mut text, summary);
    judge::judge(&mut text, summary);
    text
}

fn headline(text: &mut String, s: &Summary) {
    let keep = 100.0 * s.kept as f64 / s.usable.max(1) as f64;
    let _ = writeln!(
        text,
        "\nKept {} of {} samples: keep {keep:.1} %, prune {:.1} %, {}",
        grouped(s.kept),
        grouped(s.usable),
        100.0 - keep,
        s.order
    );
    let _ = writeln!(text, "Scored by {}\n", s.scored_by);
}

/// Classes of which a table shows all; of more it shows the most and the least kept.
const CLASSES_SHOWN: usize = 20;

fn classes(text: &mut String, s: &Summary) {
    let mut rows: Vec<_> = s.classes.iter().collect();
    let share = |kept: u64, total: u64| kept as f64 / total.max(1) as f64;
    rows.sort_by(|a, b| {
        share(b.kept, b.total).total_cmp(&share(a.kept, a.total)).then_with(|| a.name.cmp(&b.name))
    });
    let width = rows.iter().map(|c| c.name.chars().count()).max().unwrap_or(0).clamp(5, 32);
    let _ = writeln!(text, "  {:<width$} {:>9} {:>9}   kept", "class", "kept", "of");
    let half = CLASSES_SHOWN / 2;
    for (i, class) in rows.iter().enumerate() {
        if rows.len() > CLASSES_SHOWN && (half..rows.len() - half).contains(&i) {
            if i == half {
                let _ = writeln!(text, "  … {} classes between …", rows.len() - CLASSES_SHOWN);
            }
            continue;
        }
        let kept = share(class.kept, class.total);
        let name: String = class.name.chars().take(width).collect();
        let bar = "█".repeat((kept * 24.0).round() as usize);
        let _ = writeln!(
            text,
            "  {name:<width$} {:>9} {:>9} {:>5.1} %  {bar}",
            grouped(class.kept),
            grouped(class.total),
            100.0 * kept
        );
    }
}

fn scores(text: &mut String, s: &Summary) {
    let _ = writeln!(
        text,
        "\n  {:<8}{:>8}{:>10}{:>12}{:>22}",
        "stage", "models", "added", "cut", "accuracy of models"
    );
    for stage in &s.stages {
        let _ = writeln!(
            text,
            "  {:<8}{:>8}{:>10}{:>12.4}{:>20.1} %",
            stage.stage,
            stage.models,
            grouped(stage.added),
            stage.cut,
            100.0 * stage.accuracy
        );
    }
    if s.tied > 0 {
        let _ = writeln!(
            text,
            "  {} left out with the score of a kept sample: a keyed hash of the ids decided",
            grouped(s.tied)
        );
    }
    let q = &s.spread;
    let _ = writeln!(
        text,
        "\n  {} in stage 1: min {:.3}, 5 % {:.3}, 25 % {:.3}, median {:.3}, 75 % {:.3}, 95 % {:.3}, max {:.3}",
        s.method, q.min, q.q05, q.q25, q.q50, q.q75, q.q95, q.max
    );
    let _ = writeln!(
        text,
        "  evenness {:.2} (entropy of the histogram: 0 all alike, 1 uniform)",
        q.evenness
    );
    let reasons: Vec<String> = s
        .reasons
        .iter()
        .filter(|(r, _)| *r != "kept")
        .map(|(r, n)| format!("{} {r}", grouped(*n)))
        .collect();
    let _ = writeln!(
        text,
        "  not kept: {}",
        if reasons.is_empty() { "none".to_owned() } else { reasons.join(", ") }
    );
}

fn places(text: &mut String, s: &Summary) {
    let _ = writeln!(
        text,
        "\nCoreset    {}/coreset  ({}, {})",
        s.uri,
        counted(s.shards as u64, "shard"),
        size(s.coreset_bytes)
    );
    let _ = writeln!(
        text,
        "Why        {}/tables/selection.parquet  (id, score, rank, stage, kept, reason)",
        s.uri
    );
    let _ = writeln!(text, "Scores     {}/tables/scores/*.parquet", s.uri);
    if let Some(suspected) = s.suspected_labels {
        let labels = counted(suspected, "suspected label");
        let _ = writeln!(text, "Labels     {}/tables/label_errors.parquet  ({labels})", s.uri);
    }
    let _ = writeln!(text, "Digest     {}  (SHA-256 of the kept ids)", s.selection_sha256);
    let _ = writeln!(text, "Check      unseen verify {}", s.uri);
    if let Some(line) = &s.python {
        let _ = writeln!(text, "Load       {line}");
    }
}
