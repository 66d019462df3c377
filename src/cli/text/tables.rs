//! What commands that make tables tell.

use std::fmt::Write as _;

use super::{counted, grouped};
use crate::external::{ClassKept, Quantiles, Scored, Selected};
use crate::recipe::Mode;
use crate::run::{Extended, FoldsOf};

/// Folds that were written.
pub(in crate::cli) fn folds(folds: &FoldsOf) -> String {
    let sizes: Vec<String> = folds.folds.iter().map(|size| grouped(*size)).collect();
    format!(
        "{}: {} in {} folds of {}; {} quarantined\n",
        folds.output,
        counted(folds.samples, "sample"),
        folds.folds.len(),
        sizes.join(", "),
        grouped(folds.quarantined)
    )
}

/// Scores that were written.
pub(in crate::cli) fn scored(scored: &Scored) -> String {
    let mut text = String::new();
    let whose = match scored.mode {
        Mode::Unseen => "by models that never saw them",
        Mode::Fitting => "in fitting mode (the scores are not unseen)",
    };
    let _ = writeln!(
        text,
        "{}: {} of {} classes scored {whose}, {} over {}",
        scored.output,
        counted(scored.samples, "sample"),
        scored.classes,
        counted(scored.rows, "row"),
        counted(scored.epochs as u64, "epoch")
    );
    let _ = writeln!(text, "Scores    {}", scored.methods.join(", "));
    if scored.dropped > 0 {
        let dropped = counted(scored.dropped, "prediction");
        let _ = writeln!(text, "Dropped   {dropped} by models that were trained on the sample");
    }
    if scored.untrained > 0 {
        let strangers = counted(scored.untrained, "sample");
        let _ = writeln!(text, "Strangers {strangers} in no model's training set");
    }
    if let Some(labels) = scored.suspected_labels {
        let _ = writeln!(text, "Labels    {} suspected to be wrong", counted(labels, "label"));
    }
    let _ = writeln!(
        text,
        "\n  {:<8}{:<24}{:>12}{:>12}{:>11}",
        "model", "called", "trained on", "scored", "accuracy"
    );
    for model in &scored.models {
        let _ = writeln!(
            text,
            "  {:<8}{:<24}{:>12}{:>12}{:>9.1} %",
            model.number,
            model.name,
            grouped(model.members),
            grouped(model.scored),
            100.0 * model.accuracy
        );
    }
    text
}

/// A selection from score tables.
pub(in crate::cli) fn selected(selected: &Selected) -> String {
    let mut text = String::new();
    let _ = writeln!(
        text,
        "{} {} of {} samples: keep {:.1} %, prune {:.1} %, by {}{}",
        if selected.output.is_some() { "Kept" } else { "Would keep" },
        grouped(selected.kept),
        grouped(selected.samples),
        100.0 * selected.keep,
        100.0 * selected.prune,
        selected.by,
        selected.cut.map_or(String::new(), |cut| format!(", the last at {cut:.4}"))
    );
    let _ = writeln!(text, "\n  {:<24}{:>10}{:>10}{:>9}", "class", "kept", "of", "");
    for ClassKept { name, total, kept } in &selected.classes {
        let share = 100.0 * *kept as f64 / (*total).max(1) as f64;
        let (kept, total) = (grouped(*kept), grouped(*total));
        let _ = writeln!(text, "  {name:<24}{kept:>10}{total:>10}{share:>7.1} %");
    }
    let not_kept: Vec<String> = selected
        .reasons
        .iter()
        .filter(|(reason, _)| *reason != "kept")
        .map(|(reason, count)| format!("{} {reason}", grouped(*count)))
        .collect();
    let none = || "none".to_owned();
    let _ = writeln!(
        text,
        "\n  not kept: {}",
        if not_kept.is_empty() { none() } else { not_kept.join(", ") }
    );
    if selected.later_rows > 0 {
        let rows = counted(selected.later_rows, "row");
        let _ = writeln!(
            text,
            "  {rows} of later stages played no part: they score only what was left"
        );
    }
    if let Some(note) = &selected.note {
        let _ = writeln!(text, "  {note}");
    }
    match &selected.output {
        Some(output) => {
            let _ = writeln!(text, "  written to {output}");
        }
        None => text.push_str("  Nothing was written.\n"),
    }
    text
}

/// New samples beside a run.
pub(in crate::cli) fn extended(found: &Extended) -> String {
    let mut text = String::new();
    let _ = writeln!(
        text,
        "{}: {} scored, {} quarantined, {} left alone (the run has these ids; their content is not compared)",
        found.output,
        counted(found.new, "new sample"),
        grouped(found.quarantined),
        counted(found.known, "row")
    );
    let _ = writeln!(
        text,
        "\n  {:<10}{:>9}{:>9}{:>9}{:>9}{:>9}{:>9}{:>9}{:>9}",
        found.method, "mean", "min", "5 %", "25 %", "median", "75 %", "95 %", "max"
    );
    if !found.left_out.is_empty() {
        let _ = writeln!(
            text,
            "  not computed, since finished models cannot tell it of new samples: {}",
            found.left_out.join(", ")
        );
    }
    let row = |text: &mut String, name: &str, q: &Quantiles| {
        let _ = write!(text, "  {name:<10}");
        for value in [q.mean, q.min, q.q05, q.q25, q.q50, q.q75, q.q95, q.max] {
            let _ = write!(text, "{value:>9.4}");
        }
        text.push('\n');
    };
    row(&mut text, "old", &found.drift.old);
    row(&mut text, "new", &found.drift.new);
    let _ = writeln!(
        text,
        "  Kolmogorov-Smirnov {:.4}, population stability index {:.4} ({})",
        found.drift.ks,
        found.drift.psi,
        match found.drift.psi {
            psi if psi < 0.1 => "stable",
            psi if psi < 0.25 => "some shift",
            _ => "a shift",
        }
    );
    let _ = writeln!(
        text,
        "  accuracy of the models: old {:.1} %, new {:.1} %",
        100.0 * found.accuracy_old,
        100.0 * found.accuracy_new
    );
    if let (Some(cut), Some(above)) = (found.cut, found.above_cut) {
        let share = 100.0 * above as f64 / found.new.max(1) as f64;
        let above = counted(above, "new sample");
        let _ = writeln!(
            text,
            "  {above} ({share:.1} %) wanted as much as what the run keeps (cut {cut:.4})"
        );
    }
    let _ = writeln!(text, "\n  {:<24}{:>10}{:>9}{:>10}{:>9}", "class", "old", "", "new", "");
    for class in &found.classes {
        let _ = writeln!(
            text,
            "  {:<24}{:>10}{:>7.1} %{:>10}{:>7.1} %",
            class.name,
            grouped(class.old),
            100.0 * class.old_share,
            grouped(class.new),
            100.0 * class.new_share
        );
    }
    text
}
