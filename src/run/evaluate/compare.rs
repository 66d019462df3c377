//! The subsets of one evaluation side by side: how good their models are, and what that says of the
//! coreset.

use std::collections::BTreeMap;

use serde::Serialize;

use super::judgement::COMPARED as JUDGED;
use super::results::{Tested, is_held_out};
use super::{Compared, Evaluated, Subset};
use crate::evaluation::{Against, Gap, Interval, Metrics, Standing, verdict};
use crate::recipe::TrainBudget;

/// What the models of one test with one budget say.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// What the models were tested on.
    pub test: String,
    /// Whether that is a part of the training data, which the selection has seen.
    pub held_out: bool,
    /// Test samples.
    pub test_samples: u64,
    /// What was the same for all subsets.
    pub budget: TrainBudget,
    /// How many models were trained on the subset that has most.
    pub seeds: u32,
    /// The subsets.
    pub subsets: Vec<Evaluated>,
    /// How the accuracy of the coreset stands against each other subset.
    pub against: Vec<Compared>,
    /// How it stands against the random ones, in short.
    pub standing: Standing,
    /// The same in plain words.
    pub verdict: String,
}

/// The comparisons that these rows of a run allow, one for each test and budget: given test data before a
/// part that was held out. `keep` is the share of its samples that the run keeps. What the judge alone trained
/// is left to the judge.
pub(in crate::run) fn comparisons(rows: Vec<Tested>, keep: f64) -> Vec<Comparison> {
    let mut apart: BTreeMap<_, Vec<Tested>> = BTreeMap::new();
    for row in rows {
        let key = (is_held_out(&row.test), row.test.clone(), row.test_samples, row.budget.name());
        apart.entry(key).or_default().push(row);
    }
    let evaluated = |rows: &Vec<Tested>| rows.iter().any(|row| !JUDGED.contains(&row.subset));
    apart.into_values().filter(evaluated).filter_map(|rows| compare(&rows, keep)).collect()
}

/// Compares the models of one test and budget; `None` without a model of the coreset and one of another
/// subset.
pub(super) fn compare(rows: &[Tested], keep: f64) -> Option<Comparison> {
    let subsets: Vec<Evaluated> =
        Subset::ALL.into_iter().filter_map(|subset| evaluated(subset, rows)).collect();
    let first = rows.first()?;
    let against = against(rows);
    if against.is_empty() {
        return None;
    }
    let told: Vec<Against> = against.iter().map(in_words).collect();
    Some(Comparison {
        test: first.test.clone(),
        held_out: is_held_out(&first.test),
        test_samples: first.test_samples,
        budget: first.budget,
        seeds: subsets.iter().map(|one| one.accuracy.n as u32).max().unwrap_or(0),
        standing: Standing::of(&told),
        verdict: verdict(keep, &told),
        subsets,
        against,
    })
}

/// How the coreset of these models stands against the random subsets among them.
pub(in crate::run) fn standing(rows: &[Tested]) -> Standing {
    Standing::of(&against(rows).iter().map(in_words).collect::<Vec<_>>())
}

/// The models of the coreset against those of each other subset.
fn against(rows: &[Tested]) -> Vec<Compared> {
    let others = Subset::ALL.into_iter().filter(|subset| *subset != Subset::Coreset);
    others.filter_map(|subset| compared(rows, subset)).collect()
}

/// The models of the coreset against those of another subset; `None` if one of them has none.
pub(super) fn compared(rows: &[Tested], subset: Subset) -> Option<Compared> {
    let right = |subset: Subset| -> Vec<&[bool]> {
        let of = rows.iter().filter(|row| row.subset == subset);
        of.map(|row| row.right.as_slice()).collect()
    };
    let (coreset, other) = (right(Subset::Coreset), right(subset));
    let both = !coreset.is_empty() && !other.is_empty();
    both.then(|| Compared { subset, gap: Gap::of(&coreset, &other) })
}

/// A subset with its models, in the order of their seeds.
fn evaluated(subset: Subset, rows: &[Tested]) -> Option<Evaluated> {
    let mut rows: Vec<&Tested> = rows.iter().filter(|row| row.subset == subset).collect();
    rows.sort_by_key(|row| row.seed);
    let first = rows.first()?;
    let values = |metric: fn(&Metrics) -> f64| -> Vec<f64> {
        rows.iter().map(|row| metric(&row.metrics)).collect()
    };
    let interval = |metric| Interval::of(&values(metric));
    Some(Evaluated {
        subset,
        samples: first.samples,
        keep: first.keep,
        epochs: first.epochs,
        steps: first.steps,
        accuracy: interval(|metrics| metrics.accuracy),
        worst_class: interval(|metrics| metrics.worst_class),
        class_spread: interval(|metrics| metrics.class_spread),
        ece: interval(|metrics| metrics.ece),
        accuracies: values(|metrics| metrics.accuracy),
    })
}

/// For the verdict.
pub(super) fn in_words(compared: &Compared) -> Against {
    let name = match compared.subset {
        Subset::RandomStratified => "stratified random",
        other => other.name(),
    };
    let random = compared.subset != Subset::Full;
    Against { name, random, gap: compared.gap }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(test: &str, subset: Subset, seed: u32, accuracy: f64) -> Tested {
        let metrics = Metrics { accuracy, worst_class: 0.5, class_spread: 0.1, ece: 0.02 };
        Tested {
            test: test.to_owned(),
            test_samples: 1000,
            budget: TrainBudget::Epochs,
            subset,
            seed,
            samples: 50,
            keep: if subset == Subset::Full { 1.0 } else { 0.5 },
            epochs: 3,
            steps: 30,
            metrics,
            right: (0..1000).map(|at| f64::from(at) < 1000.0 * accuracy).collect(),
        }
    }

    fn rows(test: &str, coreset: f64) -> Vec<Tested> {
        let one = |subset, mean: f64| {
            (0..3).map(move |seed| row(test, subset, seed, mean + 0.001 * f64::from(seed)))
        };
        one(Subset::Full, 0.9)
            .chain(one(Subset::Coreset, coreset))
            .chain(one(Subset::Random, 0.8))
            .collect()
    }

    #[test]
    fn tests_are_compared_apart_and_given_data_come_first() {
        let all = [rows("held-out", 0.85), rows("t", 0.6)].concat();
        let found = comparisons(all, 0.5);
        let told: Vec<_> =
            found.iter().map(|one| (one.test.as_str(), one.held_out, one.standing)).collect();
        assert_eq!(told, [("t", false, Standing::Worse), ("held-out", true, Standing::Better)]);
        assert!(found[0].verdict.contains("WORSE than a subset drawn at random (random)"));
        assert!(
            found[1]
                .verdict
                .starts_with("50 % kept: 5.0 points below full; 5.0 points above random")
        );
        assert_eq!((found[0].seeds, found[0].subsets.len(), found[0].against.len()), (3, 3, 2));
        let coreset = &found[0].subsets[1];
        assert!((coreset.accuracy.mean - 0.601).abs() < 1e-12 && coreset.accuracies.len() == 3);
    }

    #[test]
    fn one_subset_alone_is_compared_with_nothing() {
        assert!(comparisons(vec![row("t", Subset::Full, 0, 0.9)], 0.5).is_empty());
        assert!(comparisons(vec![row("t", Subset::Coreset, 0, 0.9)], 0.5).is_empty());
    }

    #[test]
    fn what_the_judge_trained_is_no_evaluation() {
        let of_judge = [row("held-out", Subset::Coreset, 0, 0.9)];
        let twin = row("held-out", Subset::RandomStratified, 0, 0.8);
        let mut rows = [&of_judge[..], &[twin]].concat();
        assert!(comparisons(rows.clone(), 0.5).is_empty());
        rows.push(row("held-out", Subset::Full, 0, 0.9));
        assert_eq!(comparisons(rows, 0.5).len(), 1);
    }
}
