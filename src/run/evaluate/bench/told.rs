//! What came out of an evaluation.

use super::super::results::Tested;
use super::super::{Compared, Evaluate, Evaluated, Evaluation, Subset};
use super::trial::Trial;
use super::{Bench, TABLE};
use crate::error::{Error, Result};
use crate::evaluation::{Gated, Interval, Metrics, test_noise, verdict};

impl Bench<'_> {
    /// Compares the subsets, all of whose trials are done.
    pub(super) fn told(&self, job: &Evaluate<'_>, trials: &[Trial<'_>]) -> Result<Evaluation> {
        let mut rows = Vec::new();
        for trial in trials {
            rows.push((trial.subset, Tested::read(&self.ledger, &trial.judge)?));
        }
        let subsets = Subset::ALL.map(|subset| evaluated(subset, &rows));
        let subsets = subsets.into_iter().collect::<Result<Vec<_>>>()?;
        let against = compared(&rows);
        let accuracy =
            subsets.iter().map(|one| one.accuracy.mean).sum::<f64>() / subsets.len() as f64;
        let noise = test_noise(accuracy, self.test.indices.len() as u64);
        let in_words = |compared: &Compared| compared.in_words(noise);
        let gates: Vec<Gated> = job
            .gates
            .iter()
            .map(|gate| {
                let mean = |subset: &str| mean_percent(&rows, subset, gate.metric());
                gate.check(mean(Subset::Coreset.name()), gate.reference().and_then(mean))
            })
            .collect();
        let keep = self.keep(self.subsets.get(Subset::Coreset, 0));
        Ok(Evaluation {
            uri: job.run.to_owned(),
            table: self.ledger.dir().uri_of(TABLE),
            test: self.test.name.clone(),
            held_out: self.test.is_held_out(),
            test_samples: self.test.indices.len() as u64,
            test_copies: self.test.copies,
            budget: self.budget,
            seeds: self.seeds,
            verdict: verdict(keep, &against.iter().map(in_words).collect::<Vec<_>>()),
            passed: gates.iter().all(|gate| gate.passed),
            subsets,
            against,
            gates,
        })
    }
}

/// A subset's rows, in the order of their seeds.
fn of(subset: Subset, rows: &[(Subset, Tested)]) -> impl Iterator<Item = &Tested> {
    rows.iter().filter(move |(own, _)| *own == subset).map(|(_, row)| row)
}

fn evaluated(subset: Subset, rows: &[(Subset, Tested)]) -> Result<Evaluated> {
    let first = of(subset, rows).next().ok_or_else(|| Error::internal("a subset has no model"))?;
    let interval = |metric: fn(&Metrics) -> f64| {
        Interval::of(&of(subset, rows).map(|row| metric(&row.metrics)).collect::<Vec<_>>())
    };
    Ok(Evaluated {
        subset,
        samples: first.samples,
        keep: first.keep,
        epochs: first.epochs,
        steps: first.steps,
        accuracy: interval(|metrics| metrics.accuracy),
        worst_class: interval(|metrics| metrics.worst_class),
        class_spread: interval(|metrics| metrics.class_spread),
        ece: interval(|metrics| metrics.ece),
    })
}

fn compared(rows: &[(Subset, Tested)]) -> Vec<Compared> {
    let percent =
        |subset| -> Vec<f64> { of(subset, rows).map(|row| 100.0 * row.metrics.accuracy).collect() };
    let coreset = percent(Subset::Coreset);
    let others = Subset::ALL.into_iter().filter(|subset| *subset != Subset::Coreset);
    let one = |subset| {
        let points = Interval::of_difference(&coreset, &percent(subset));
        Compared { subset, points }
    };
    others.map(one).collect()
}

/// The mean of a metric over the models of a subset, in per cent.
fn mean_percent(rows: &[(Subset, Tested)], subset: &str, metric: &str) -> Option<f64> {
    let rows = rows.iter().filter(|(own, _)| own.name() == subset);
    let values = rows.map(|(_, row)| row.metrics.get(metric)).collect::<Option<Vec<_>>>()?;
    (!values.is_empty()).then(|| 100.0 * Interval::of(&values).mean)
}
