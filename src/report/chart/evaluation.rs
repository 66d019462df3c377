//! What fresh models reach that were trained on a coreset and on what it is compared with.

use super::rows::{Row, rows};
use super::{Chart, brief};
use crate::report::words::{percent, ranged};
use crate::run::{Comparison, Evaluated, Subset};

/// A subset's name for people.
pub(in crate::report) fn subset(subset: Subset) -> &'static str {
    match subset {
        Subset::Full => "everything",
        Subset::Coreset => "coreset",
        Subset::Random => "random",
        Subset::RandomStratified => "random, stratified",
    }
}

fn colour(subset: Subset) -> &'static str {
    match subset {
        Subset::Full => "n",
        Subset::Coreset => "a",
        Subset::Random => "b",
        Subset::RandomStratified => "c",
    }
}

/// A row for each subset; a line where the models stand that were trained on a random one.
pub(in crate::report) fn evaluation(one: &Comparison) -> Chart {
    let title = format!("Accuracy, same {}, on {}", one.budget.name(), brief(&one.test));
    let all: Vec<Row> = one.subsets.iter().map(row).collect();
    let random = one.subsets.iter().find(|one| is_random(one.subset));
    let mark = random.map(|one| (one.accuracy.percent().mean, subset(one.subset)));
    let x_name = "accuracy: a dot for each model, a bar for their mean with its 95 % interval";
    rows(&title, described(one), &all, mark.as_slice(), x_name)
}

fn is_random(subset: Subset) -> bool {
    matches!(subset, Subset::Random | Subset::RandomStratified)
}

fn row(one: &Evaluated) -> Row {
    Row {
        name: name(one),
        class: colour(one.subset),
        mean: one.accuracy.percent(),
        values: one.accuracies.iter().map(|share| 100.0 * share).collect(),
    }
}

fn name(one: &Evaluated) -> String {
    let name = subset(one.subset);
    if one.subset == Subset::Full {
        name.to_owned()
    } else {
        format!("{name}, {}", percent(one.keep))
    }
}

fn described(one: &Comparison) -> String {
    let told = |one: &Evaluated| format!("{}: {} %", name(one), ranged(one.accuracy.percent()));
    let means: Vec<String> = one.subsets.iter().map(told).collect();
    format!(
        "{} Mean accuracy by training set, \u{b1} half of the 95 % interval: {}.",
        one.verdict,
        means.join("; ")
    )
}
