//! Answers about runs as text.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{counted, grouped, size};
use crate::run::{Curve, Difference, Explanation, Moved, Side, StageOf};

/// Why a sample is kept or not.
pub(in crate::cli) fn explanation(told: &Explanation) -> String {
    let mut text = String::new();
    let verdict = match told.kept {
        Some(true) => "kept",
        Some(false) => "not kept",
        None => "not decided yet",
    };
    let _ = writeln!(text, "{}: {verdict}. {}\n", told.id, told.why);
    if let Some(class) = &told.class {
        let (kept, all) = (grouped(class.kept), grouped(class.samples));
        let _ = writeln!(
            text,
            "Class     {} (label {}), {kept} of {all} kept",
            class.name, class.label
        );
    }
    if let Some(fold) = told.fold {
        let _ = writeln!(text, "Fold      {fold}");
    }
    if let Some(cluster) = &told.cluster {
        let kept =
            if cluster.kept.is_empty() { "none".to_owned() } else { cluster.kept.join(", ") };
        let _ = writeln!(
            text,
            "Cluster   {}, {} of duplicates, kept: {kept}",
            cluster.name,
            counted(cluster.samples, "sample")
        );
    }
    for cell in &told.cells {
        let least = cell.least.map_or(String::new(), |n| format!(", at least {}", grouped(n)));
        let most = cell.most.map_or(String::new(), |n| format!(", at most {}", grouped(n)));
        let (kept, all) = (grouped(cell.kept), grouped(cell.samples));
        let _ = writeln!(text, "Cell      {}, {kept} of {all} kept{least}{most}", cell.name);
    }
    if let Some(cost) = told.cost {
        let _ = writeln!(text, "Cost      {cost}");
    }
    let source = &told.source;
    let bytes = source.bytes.map_or(String::new(), |bytes| format!(", {}", size(bytes)));
    let _ = writeln!(
        text,
        "Source    {}, row group {}, row {}{bytes}",
        source.file, source.row_group, source.row
    );
    if let Some(shard) = &told.shard {
        let _ = writeln!(text, "Shard     {}/{shard}", told.uri.trim_end_matches('/'));
    }
    told.stages.iter().for_each(|told| stage(&mut text, told));
    text
}

fn stage(text: &mut String, stage: &StageOf) {
    let _ = write!(text, "\nStage {}", stage.stage);
    if let (Some(score), Some(rank)) = (stage.score, stage.rank) {
        let _ = write!(
            text,
            ": score {score:.4}, rank {} of {}, {} added",
            grouped(rank as u64),
            grouped(stage.ranked),
            grouped(stage.added)
        );
    }
    for (cut, whose) in [(stage.cut, "the last"), (stage.class_cut, "the last of its class")] {
        if let Some(cut) = cut {
            let _ = write!(text, ", {whose} at {cut:.4}");
        }
    }
    text.push('\n');
    let methods: Vec<&String> =
        stage.models.first().map_or(Vec::new(), |m| m.scores.keys().collect());
    let _ = write!(text, "  {:<8}{:<24}{:<18}", "model", "trained on", "predicted");
    for method in &methods {
        let _ = write!(text, "{:>width$}", method, width = method.len().max(9) + 2);
    }
    text.push('\n');
    for model in &stage.models {
        let _ = write!(text, "  {:<8}{:<24}{:<18}", model.model, model.trained_on, model.predicted);
        for (method, score) in &model.scores {
            let _ = write!(text, "{score:>width$.4}", width = method.len().max(9) + 2);
        }
        text.push('\n');
    }
}

/// What a run would keep at other budgets.
pub(in crate::cli) fn curve(curve: &Curve) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "{}: {} samples by {}", curve.uri, grouped(curve.usable), curve.by);
    let _ = writeln!(text, "({})\n", curve.note);
    let _ = writeln!(
        text,
        "{:>6}{:>12}{:>11}{:>12}{:>10}{:>9}{:>10}{:>9}{:>10}",
        "keep", "rows", "bytes", "cut", "least", "most", "balance", "random", "expected"
    );
    for point in &curve.points {
        let keep = format!("{:.0} %", 100.0 * point.keep);
        if let Some(why) = &point.impossible {
            let _ = writeln!(text, "{keep:>6}  {why}");
            continue;
        }
        let _ = writeln!(
            text,
            "{keep:>6}{:>12}{:>11}{:>12}{:>9.1} %{:>7.1} %{:>8.2}{:>9.3}{:>10.3}",
            grouped(point.rows),
            size(point.bytes),
            point.cut.map_or("-".to_owned(), |cut| format!("{cut:.4}")),
            100.0 * point.least_class,
            100.0 * point.most_class,
            point.balance,
            point.overlap,
            point.overlap_expected
        );
    }
    text.push_str(
        "\nleast, most: share kept of the class that keeps least and most; balance: their ratio\n\
         random: share of what is kept that a random choice keeps, too\n",
    );
    text
}

/// Ids that a text names; JSON has all.
const IDS_SHOWN: usize = 20;

/// What differs between two selections.
pub(in crate::cli) fn difference(diff: &Difference) -> String {
    let mut text = String::new();
    let side = |text: &mut String, name: &str, side: &Side| {
        let by = side.by.as_deref().map_or(String::new(), |by| format!(" by {by}"));
        let (kept, all) = (grouped(side.kept), grouped(side.samples));
        let _ = writeln!(text, "{name}  {}: {kept} of {all} kept{by}", side.uri);
    };
    side(&mut text, "A", &diff.a);
    side(&mut text, "B", &diff.b);
    let _ = writeln!(text, "\nBoth keep {}; Jaccard {:.4}", grouped(diff.both), diff.jaccard);
    if let Some(spearman) = diff.spearman {
        let scored = counted(diff.scored_by_both, "sample");
        let _ = writeln!(text, "Rank correlation of scores (Spearman) {spearman:.4} over {scored}");
    } else if diff.scored_by_both == 0 {
        text.push_str(
            "No rank correlation: no scores in common that can be compared (a table of several stages holds scores of different models; name the run instead)\n",
        );
    }
    moved(&mut text, "A", "B", &diff.only_a);
    moved(&mut text, "B", "A", &diff.only_b);
    let _ = writeln!(text, "\n  {:<24}{:>10}{:>10}{:>12}", "class", "A", "B", "shift");
    for class in &diff.classes {
        let name = class.name.clone().unwrap_or_else(|| class.label.to_string());
        let (a, b) = (grouped(class.a), grouped(class.b));
        let _ = writeln!(text, "  {name:<24}{a:>10}{b:>10}{:>+10.2} %", 100.0 * class.shift);
    }
    match &diff.recipe {
        Some(changes) if changes.is_empty() => text.push_str("\nThe recipes are equal.\n"),
        Some(changes) => {
            let _ = writeln!(text, "\n  {:<28}{:<24}B", "recipe", "A");
            for (key, a, b) in changes {
                let _ = writeln!(text, "  {key:<28}{a:<24}{b}");
            }
        }
        None => {}
    }
    text
}

fn moved(text: &mut String, keeps: &str, other: &str, moved: &[Moved]) {
    let mut reasons: BTreeMap<&str, u64> = BTreeMap::new();
    for sample in moved {
        *reasons.entry(&sample.reason).or_default() += 1;
    }
    let told: Vec<String> =
        reasons.iter().map(|(reason, count)| format!("{} {reason}", grouped(*count))).collect();
    let _ = writeln!(text, "\nOnly {keeps} keeps {}", counted(moved.len() as u64, "sample"));
    if moved.is_empty() {
        return;
    }
    let _ = writeln!(text, "  in {other}: {}", told.join(", "));
    let ids: Vec<&str> = moved.iter().take(IDS_SHOWN).map(|sample| sample.id.as_str()).collect();
    let more = if moved.len() > IDS_SHOWN { " … (--json has all)" } else { "" };
    let _ = writeln!(text, "  {}{more}", ids.join(" "));
}
