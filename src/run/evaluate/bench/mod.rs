//! The bench: subsets, test samples and trainings of one evaluation.
//!
//! - `members`: who is in which subset, and who is held out. `test_set`: what models are tested on.
//! - `trial`: one training and its test. `told`: what came out. `proxied`: the bench of a judge.

mod members;
mod proxied;
mod test_set;
mod told;
mod trial;

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use super::results::{Tested, table};
use super::{Evaluate, Evaluation, Subset, ledger_of};
use crate::error::Result;
use crate::ingest::Loaded;
use crate::recipe::TrainBudget;
use crate::run::Observer;
use crate::run::fit;
use crate::run::rounds::{dealt, side_by_side};
use crate::run::worker::{Run, once};
use crate::storage::claim::{Claim, Claims, Taken};
use crate::storage::process::Worker;
use crate::storage::{Ledger, parquet};
use members::{Pool, Subsets};
pub(in crate::run) use proxied::impossible;
pub(super) use proxied::proxied;
use test_set::{Named, TestSet};
use trial::Trial;

/// The name of the table of results, below `evaluate/`.
const TABLE: &str = "evaluation.parquet";

pub(super) fn evaluate(job: &Evaluate<'_>, observer: &dyn Observer) -> Result<Evaluation> {
    let run = Run::resume(job.run, job.storage)?.within(job.memory).on_devices(job.device)?;
    let bench = Bench::new(&run, ledger_of(&run.ledger), job)?;
    let trials = bench.trials()?;
    bench.do_trials(&trials, observer)?;
    let results = parquet::encode_table(&table(&bench.ledger)?)?;
    bench.ledger.dir().replace(TABLE, results)?;
    bench.told(job, &trials)
}

/// Evaluates a run as its recipe says, with the models in this ledger, which runs may share.
///
/// # Errors
/// As [`evaluate`](super::evaluate).
pub(in crate::run) fn rows_in(
    run: &Run,
    ledger: Ledger,
    observer: &dyn Observer,
) -> Result<Vec<Tested>> {
    let job = Evaluate {
        run: run.dir().uri(),
        test: &[],
        filter: None,
        seeds: None,
        budget: None,
        gates: &[],
        storage: &run.recipe.storage,
        memory: run.memory,
        device: None,
    };
    let bench = Bench::new(run, ledger, &job)?;
    let trials = bench.trials()?;
    bench.do_trials(&trials, observer)?;
    trials.iter().map(|trial| Tested::read(&bench.ledger, &trial.judge)).collect()
}

/// Everything that the trainings of one evaluation share.
struct Bench<'a> {
    run: &'a Run,
    ledger: Ledger,
    train: Arc<Loaded>,
    test: TestSet,
    subsets: Subsets,
    /// Those of them that models are trained on.
    compared: &'static [Subset],
    seeds: Range<u32>,
    budget: TrainBudget,
    /// The share of the run's samples that its coreset has.
    keep: f64,
    /// How many trainings memory has room for.
    trainings: usize,
    /// Where models run, once one is wanted: what is done can be read on any machine.
    devices: OnceLock<Vec<String>>,
}

impl<'a> Bench<'a> {
    fn new(run: &'a Run, ledger: Ledger, job: &Evaluate<'_>) -> Result<Self> {
        let given = &run.recipe.evaluate;
        let seeds = 0..job.seeds.unwrap_or(given.seeds);
        let pool = Pool::of(run)?;
        let named = Named::find(run, job)?;
        let needs = named.as_ref().map(|named| named.needs).unwrap_or_default();
        let train = run.loaded_beside(needs)?;
        let test = TestSet::open(run, named, &train)?;
        Ok(Self {
            run,
            ledger,
            subsets: pool.subsets(seeds.clone(), test.held_out(), false),
            train,
            test,
            compared: &Subset::ALL,
            seeds,
            budget: job.budget.unwrap_or(given.budget),
            keep: pool.keep(),
            trainings: run.split_beside(needs)?.trainings,
            devices: OnceLock::new(),
        })
    }

    fn devices(&self) -> Result<&[String]> {
        once(&self.devices, || fit::devices(&self.run.recipe)).map(Vec::as_slice)
    }

    /// Does what is not yet done, and shares it with other processes.
    fn do_trials(&self, trials: &[Trial<'_>], observer: &dyn Observer) -> Result<()> {
        let claims = Claims::new(self.ledger.dir().clone(), &self.run.recipe.storage)?;
        let mut waited_for = None;
        loop {
            let committed = self.ledger.committed()?;
            let open: Vec<_> = trials.iter().filter(|t| !committed.contains(&t.judge)).collect();
            if open.is_empty() {
                return Ok(());
            }
            let Some((trial, worker)) = self.do_next(&claims, &committed, &open, observer)? else {
                continue;
            };
            if waited_for.as_ref() != Some(&(trial.clone(), worker.clone())) {
                observer.wait(&trial, &worker);
                waited_for = Some((trial, worker));
            }
            claims.wait()?;
        }
    }

    /// Does the first open trials that nobody works on, as many as run side by side; or gives one and who
    /// works on it.
    fn do_next(
        &self,
        claims: &Claims,
        committed: &BTreeSet<String>,
        open: &[&Trial<'_>],
        observer: &dyn Observer,
    ) -> Result<Option<(String, String)>> {
        let (mut round, mut busy) = (Vec::new(), None);
        for trial in open {
            let (mine, other) = self.take(claims, trial)?;
            if let Some(worker) = other {
                busy = busy.or_else(|| Some((trial.name(), worker.to_string())));
                continue;
            }
            // It may have been committed since we looked.
            if self.ledger.find(&trial.judge)?.is_some() {
                return Ok(None);
            }
            round.push((trial, mine));
            if round.len() >= self.trainings.max(self.devices()?.len()) {
                break;
            }
        }
        if round.is_empty() {
            return Ok(busy);
        }
        let left = open.iter().map(|trial| self.work(trial, committed)).sum();
        side_by_side(round.len(), |place| {
            let (trial, device) = (round[place].0, dealt(self.devices()?, place));
            self.do_trial(trial, device, self.work(trial, committed), left, observer)
        })?;
        Ok(None)
    }

    /// Claims the training of a trial, unless it is done, and then its test; or gives who works on it.
    /// Trials may share a training, so always in this order: a claim on a test alone would keep others
    /// from it for as long as this process lives.
    fn take(&self, claims: &Claims, trial: &Trial<'_>) -> Result<(Vec<Claim>, Option<Worker>)> {
        let trained = self.ledger.find(&trial.train)?.is_some();
        let tasks = (!trained).then_some(&trial.train).into_iter().chain([&trial.judge]);
        let mut mine = Vec::new();
        for task in tasks {
            match claims.take(task)? {
                Taken::Mine(claim) => mine.push(claim),
                Taken::Busy(worker) => return Ok((mine, Some(worker))),
            }
        }
        Ok((mine, None))
    }
}
