//! The bench of a judge: some subsets only, always tested on the part of the training data that is held
//! out; done, or proven from what lies in the ledger.

use std::sync::OnceLock;

use arrow::array::AsArray;
use arrow::datatypes::Float32Type;

use super::super::proxies::{Job, Proxied, Proxy};
use super::super::results::{JUDGED, Tested};
use super::Bench;
use super::members::{Pool, foreseen, held_out};
use super::test_set::TestSet;
use super::trial::Trial;
use crate::error::{Error, Place, Result};
use crate::evaluation::Judged;
use crate::recipe::TrainBudget;
use crate::run::Observer;
use crate::run::rows::{column, ids, ints};
use crate::run::worker::Run;
use crate::storage::parquet;
use crate::tables;

/// Fewer test samples say nothing.
const LEAST_TESTS: usize = 10;

pub(in crate::run::evaluate) fn proxied(
    job: &Job<'_>,
    observer: Option<&dyn Observer>,
) -> Result<Proxied> {
    let bench = match bench(job)? {
        Ok(bench) => bench,
        Err(why) => return Ok(Proxied::Impossible(why)),
    };
    let trials = bench.trials()?;
    if let Some(observer) = observer {
        bench.do_trials(&trials, observer)?;
    }
    let read = |trial: &Trial<'_>| {
        let tested = Tested::read(&bench.ledger, &trial.judge)?;
        Ok(Proxy { key: trial.judge.clone(), tested })
    };
    let prove = |trial: &Trial<'_>| match observer {
        Some(_) => read(trial),
        None => bench.prove(trial).and_then(|()| read(trial)).at(|| trial.name()),
    };
    trials.iter().map(prove).collect::<Result<_>>().map(Proxied::Tested)
}

/// Why there can be no proxy models, as far as that is known before anything is trained.
pub(in crate::run) fn impossible(run: &Run) -> Result<Option<String>> {
    Ok(too_few(foreseen(run)?))
}

fn too_few(held_out: usize) -> Option<String> {
    (held_out < LEAST_TESTS).then(|| {
        format!(
            "of so few samples {held_out} would be held out for testing, and fewer than {LEAST_TESTS} say nothing"
        )
    })
}

/// The bench, or why there can be none.
fn bench<'a>(job: &Job<'a>) -> Result<Result<Bench<'a>, String>> {
    let (run, pool) = (job.run, Pool::of(job.run)?);
    let train = run.loaded()?;
    let held = held_out(run, &train)?;
    if let Some(why) = too_few(held.len()) {
        return Ok(Err(why));
    }
    let test = TestSet::part(run, &train)?;
    let seeds = job.seeds.clone();
    let subsets = pool.subsets(seeds.clone(), &held, job.anew);
    let pairs = seeds.clone().flat_map(|seed| job.subsets.iter().map(move |one| (*one, seed)));
    for (subset, seed) in pairs {
        if subsets.get(subset, seed).is_empty() {
            let name = subset.name();
            return Ok(Err(format!("nothing of `{name}` is left beside what is held out")));
        }
    }
    Ok(Ok(Bench {
        run,
        ledger: job.ledger.clone(),
        train,
        test,
        subsets,
        compared: job.subsets,
        seeds,
        budget: TrainBudget::Epochs,
        keep: pool.keep(),
        trainings: run.split()?.trainings,
        devices: OnceLock::new(),
    }))
}

impl Bench<'_> {
    /// Holds the record of a trial against its predictions. Its key holds its training set.
    fn prove(&self, trial: &Trial<'_>) -> Result<()> {
        for task in [&trial.train, &trial.judge] {
            let gone = || Error::corrupt(format!("there is no record {task} of it"));
            let record = self.ledger.find(task)?.ok_or_else(gone)?;
            record.outputs.iter().try_for_each(|output| self.ledger.check(output).map(|_| ()))?;
        }
        let judged = self.predictions(trial)?;
        if self.tested(trial, &judged)? == Tested::read(&self.ledger, &trial.judge)? {
            return Ok(());
        }
        Err(Error::corrupt("its record is not what its predictions say"))
    }

    /// The committed predictions of a trial, for the samples that it is tested on.
    fn predictions(&self, trial: &Trial<'_>) -> Result<Vec<Judged>> {
        let bytes = self.ledger.output(&self.ledger.get(&trial.judge)?, JUDGED)?.0;
        let table = parquet::decode_table(bytes, &tables::judged())?;
        let samples = &self.test.loaded.samples;
        let wanted = self.test.indices.iter().map(|index| *index as usize);
        let tested: Vec<(&String, u32)> =
            wanted.map(|at| (&samples.ids[at], samples.labels[at])).collect();
        let (predicted, label) = (ints(&table, "predicted")?, ints(&table, "label")?);
        let confidence = column(&table, "confidence")?.as_primitive::<Float32Type>();
        let labels = label.values().iter().map(|label| *label as u32);
        if !ids(&table)?.iter().zip(labels).eq(tested) {
            return Err(Error::corrupt(
                "its predictions are not for the samples that are held out",
            ));
        }
        let judged = |at: usize| Judged {
            label: label.value(at) as u32,
            predicted: predicted.value(at) as u32,
            confidence: confidence.value(at),
        };
        Ok((0..table.num_rows()).map(judged).collect())
    }
}

#[cfg(test)]
#[path = "elsewhere_tests.rs"]
mod elsewhere_tests;
