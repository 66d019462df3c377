//! What came out of an evaluation.

use super::super::compare::compare;
use super::super::results::Tested;
use super::super::{Evaluate, Evaluation, Subset};
use super::trial::Trial;
use super::{Bench, TABLE};
use crate::error::{Error, Result};
use crate::evaluation::{Gated, Interval};

impl Bench<'_> {
    /// Compares the subsets, all of whose trials are done.
    pub(super) fn told(&self, job: &Evaluate<'_>, trials: &[Trial<'_>]) -> Result<Evaluation> {
        let rows: Vec<Tested> = trials
            .iter()
            .map(|trial| Tested::read(&self.ledger, &trial.judge))
            .collect::<Result<_>>()?;
        let comparison =
            compare(&rows, self.keep).ok_or_else(|| Error::internal("nothing was tested"))?;
        let gates: Vec<Gated> = job
            .gates
            .iter()
            .map(|gate| {
                let mean = |subset: &str| mean_percent(&rows, subset, gate.metric());
                gate.check(mean(Subset::Coreset.name()), gate.reference().and_then(mean))
            })
            .collect();
        Ok(Evaluation {
            uri: job.run.to_owned(),
            table: self.ledger.dir().uri_of(TABLE),
            comparison,
            test_copies: self.test.copies,
            passed: gates.iter().all(|gate| gate.passed),
            gates,
        })
    }
}

/// The mean of a metric over the models of a subset, in per cent.
fn mean_percent(rows: &[Tested], subset: &str, metric: &str) -> Option<f64> {
    let rows = rows.iter().filter(|row| row.subset.name() == subset);
    let values = rows.map(|row| row.metrics.get(metric)).collect::<Option<Vec<_>>>()?;
    (!values.is_empty()).then(|| 100.0 * Interval::of(&values).mean)
}
