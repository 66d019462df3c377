//! What coresets are worth, and how stable scores are, as text.

use std::fmt::Write as _;

use super::{counted, grouped, ranged};
use crate::evaluation::{Gated, Standing};
use crate::recipe::TrainBudget;
use crate::run::{Comparison, Evaluated, Evaluation, Pair, Stability, Swept};

/// An evaluation.
pub(in crate::cli) fn evaluation(told: &Evaluation) -> String {
    let mut text = String::new();
    let comparison = &told.comparison;
    let same = match comparison.budget {
        TrainBudget::Epochs => "the same epochs on every subset",
        TrainBudget::Iterations => "the same optimiser steps on every subset, in whole epochs",
    };
    let _ = writeln!(text, "\n{}\n", comparison.verdict);
    let _ = writeln!(
        text,
        "  {:<18}{:>9}{:>8}{:>9}{:>16}{:>16}{:>16}{:>16}",
        "trained on",
        "samples",
        "epochs",
        "steps",
        "accuracy",
        "worst class",
        "class spread",
        "calibr. error"
    );
    comparison.subsets.iter().for_each(|subset| row(&mut text, subset));
    let _ = writeln!(text, "\nTested on  {}", tested_on(comparison));
    let _ = writeln!(text, "Budget     {same}");
    let _ = writeln!(text, "Numbers    {}", numbers(comparison));
    if told.test_copies > 0 {
        let copies = counted(told.test_copies, "test sample");
        let _ = writeln!(text, "Copies     {copies} look to models exactly like a training sample");
    }
    let _ = writeln!(text, "Table      {}  (a row for each model)", told.table);
    gates(&mut text, &told.gates);
    text
}

fn row(text: &mut String, subset: &Evaluated) {
    let _ = write!(
        text,
        "  {:<18}{:>9}{:>8}{:>9}",
        subset.subset.name(),
        grouped(subset.samples),
        subset.epochs,
        grouped(subset.steps)
    );
    for interval in [subset.accuracy, subset.worst_class, subset.class_spread, subset.ece] {
        let _ = write!(text, "{:>16}", ranged(interval.percent()));
    }
    text.push('\n');
}

fn tested_on(told: &Comparison) -> String {
    let samples = counted(told.test_samples, "sample");
    if told.held_out {
        return format!(
            "{samples} of the training data, held out by keyed hash: no model here trained on them, but the selection has seen them; give --test or --test-filter for an independent test"
        );
    }
    format!("{samples}: {}", told.test)
}

fn numbers(told: &Comparison) -> String {
    let accuracy = told.subsets.first().map_or(0.0, |subset| subset.accuracy.mean);
    let error = (accuracy * (1.0 - accuracy) / told.test_samples.max(1) as f64).sqrt();
    let over = match told.seeds {
        1 => "one seed, so no interval".to_owned(),
        n => format!("mean of {n} seeds ± half of the 95 % t interval"),
    };
    format!(
        "per cent, last epoch, {over}; random subsets are drawn anew for each seed; other test samples of this number would move an accuracy by about {:.1}",
        100.0 * error
    )
}

/// Gates and whether they hold.
fn gates(text: &mut String, gates: &[Gated]) {
    for gated in gates {
        let mark = if gated.passed { "ok    " } else { "FAILED" };
        let _ = writeln!(text, "{mark}     gate {}: {}", gated.gate, gated.why);
    }
}

/// Pairs of which a table shows all; of more it shows the mean alone.
const PAIRS_SHOWN: usize = 10;

/// How alike scores are.
pub(in crate::cli) fn stability(told: &Stability) -> String {
    let mut text = String::new();
    let width = told.sides.iter().map(|side| side.name.chars().count()).max().unwrap_or(0).max(8);
    let top = format!("top {:.0} %", 100.0 * told.keep);
    let both = 2 * width + 5;
    let _ = writeln!(
        text,
        "  {:<both$}{:>10}{:>10}{:>10}{:>11}",
        "", "common", "pearson", "spearman", top
    );
    let shown = if told.pairs.len() > PAIRS_SHOWN { &[] } else { &told.pairs[..] };
    for pair in shown {
        let Pair { a, b, common, pearson, spearman, jaccard, .. } = pair;
        let (name, common) = (format!("{a} and {b}"), grouped(*common));
        let (pearson, spearman, jaccard) = (known(*pearson), known(*spearman), known(*jaccard));
        let _ =
            writeln!(text, "  {name:<both$}{common:>10}{pearson:>10}{spearman:>10}{jaccard:>11}");
    }
    if told.pairs.len() > 1 {
        let name = format!("mean of {} pairs", told.pairs.len());
        let (pearson, spearman) = (known(told.pearson), known(told.spearman));
        let _ = writeln!(
            text,
            "  {name:<both$}{:>10}{pearson:>10}{spearman:>10}{:>11}",
            "",
            known(told.jaccard)
        );
    }
    let _ = writeln!(
        text,
        "\n  {:<width$}{:>9}{:>9}{:>9}{:>9}{:>9}{:>9}{:>11}",
        "scores", "number", "5 %", "25 %", "median", "75 %", "95 %", "evenness"
    );
    for side in &told.sides {
        let q = &side.spread;
        let (name, count) = (&side.name, grouped(q.count));
        let _ = write!(text, "  {name:<width$}{count:>9}");
        for value in [q.q05, q.q25, q.q50, q.q75, q.q95] {
            let _ = write!(text, "{value:>9.3}");
        }
        let _ = writeln!(text, "{:>11.2}", q.evenness);
    }
    let _ = writeln!(
        text,
        "\nPearson of scores and Spearman of ranks over common samples; top: what both would keep over what\neither would (Jaccard). Evenness: entropy of a 20-bin histogram over the range of all scores here,\n0 all alike, 1 uniform."
    );
    gates(&mut text, &told.gates);
    text
}

fn known(value: Option<f64>) -> String {
    value.map_or("-".to_owned(), |value| format!("{value:.3}"))
}

/// A sweep.
pub(in crate::cli) fn swept(told: &Swept) -> String {
    let mut text = String::new();
    let _ = writeln!(
        text,
        "\n  {:<9}{:<24}{:<18}{:>7}{:>8}{:>16}{:>16}{:>16}{:>16}",
        "mode", "by", "strategy", "keep", "stages", "coreset", "random", "stratified", "full"
    );
    for point in &told.points {
        let keep = format!("{:.1} %", 100.0 * point.keep);
        let _ = write!(
            text,
            "  {:<9}{:<24}{:<18}{keep:>7}{:>8}",
            point.mode, point.by, point.strategy, point.stages
        );
        for accuracy in [point.coreset, point.random, point.random_stratified, point.full] {
            let _ = write!(text, "{:>16}", ranged(accuracy));
        }
        if point.standing <= Standing::Below {
            let _ = write!(text, "  {}", point.standing.headline());
        }
        text.push('\n');
    }
    let _ = writeln!(
        text,
        "\nAccuracy in per cent, ± half of the 95 % t interval, tested on {}.",
        told.test
    );
    let runs = counted(told.runs as u64, "run");
    let _ = writeln!(text, "{runs} in {}/runs, each model in {}", told.uri, told.table);
    text
}
