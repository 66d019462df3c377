//! What a coreset is worth, as text.

use std::fmt::Write as _;

use super::{counted, grouped};
use crate::evaluation::{Gated, Interval};
use crate::recipe::TrainBudget;
use crate::run::{Evaluated, Evaluation};

/// An evaluation.
pub(in crate::cli) fn evaluation(told: &Evaluation) -> String {
    let mut text = String::new();
    let same = match told.budget {
        TrainBudget::Epochs => "the same epochs on every subset",
        TrainBudget::Iterations => "the same optimiser steps on every subset, in whole epochs",
    };
    let _ = writeln!(text, "\n{}\n", told.verdict);
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
    told.subsets.iter().for_each(|subset| row(&mut text, subset));
    let _ = writeln!(text, "\nTested on  {}", tested_on(told));
    let _ = writeln!(text, "Budget     {same}");
    let _ = writeln!(text, "Numbers    {}", numbers(told));
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
        let _ = write!(text, "{:>16}", percent(interval));
    }
    text.push('\n');
}

/// `84.52 ± 0.31`.
fn percent(interval: Interval) -> String {
    let half = interval.half_width.map(|half| format!(" ± {:.2}", 100.0 * half));
    format!("{:.2}{}", 100.0 * interval.mean, half.unwrap_or_default())
}

fn tested_on(told: &Evaluation) -> String {
    let samples = counted(told.test_samples, "sample");
    if told.held_out {
        return format!(
            "{samples} of the training data, held out by keyed hash: no model here trained on them, but the selection has seen them; give --test or --test-filter for an independent test"
        );
    }
    format!("{samples}: {}", told.test)
}

fn numbers(told: &Evaluation) -> String {
    let accuracy = told.subsets.first().map_or(0.0, |subset| subset.accuracy.mean);
    let error = (accuracy * (1.0 - accuracy) / told.test_samples.max(1) as f64).sqrt();
    let over = match told.seeds {
        1 => "one seed, so no interval".to_owned(),
        n => format!("mean of {n} seeds ± half of the 95 % t interval"),
    };
    format!(
        "per cent, last epoch, {over}; the random subsets are one draw each; other test samples of this number would move an accuracy by about {:.1}",
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
