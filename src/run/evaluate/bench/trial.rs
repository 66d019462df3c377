//! One training and its test: two tasks, each with a key of everything that decides it.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

use arrow::array::{Float32Array, Int32Array, StringArray};
use arrow::record_batch::RecordBatch;
use serde::Serialize;

use super::super::Subset;
use super::super::results::{JUDGE, JUDGED, Tested};
use super::Bench;
use crate::error::{Error, Place, Result};
use crate::evaluation::{Judged, Metrics};
use crate::ingest::Loaded;
use crate::models::Checkpoint;
use crate::recipe::{Devices, Train, TrainBudget};
use crate::run::Observer;
use crate::run::attempt::Attempt;
use crate::run::score_table::argmax;
use crate::run::task::TRAIN_WORK;
use crate::run::under_way::UnderWay;
use crate::storage::sha256_hex;
use crate::training::{self, View, steps_per_epoch};
use crate::{scoring, tables};

/// One model of an evaluation.
pub(super) struct Trial<'a> {
    pub(super) subset: Subset,
    pub(super) seed: u32,
    pub(super) members: &'a [u32],
    /// The recipe's training, as long as the budget allows.
    pub(super) training: Train,
    /// Optimiser steps.
    pub(super) steps: u64,
    /// The key of its training.
    pub(super) train: String,
    /// The key of its test.
    pub(super) judge: String,
}

impl Trial<'_> {
    /// What is shown while it is done.
    pub(super) fn name(&self) -> String {
        format!("{} seed {}", self.subset.name(), self.seed)
    }
}

impl Bench<'_> {
    /// All models of the evaluation, seed by seed.
    pub(super) fn trials(&self) -> Result<Vec<Trial<'_>>> {
        let seeds = self.seeds.clone();
        let all = seeds.flat_map(|seed| self.compared.iter().map(move |one| (*one, seed)));
        all.map(|(subset, seed)| self.trial(subset, seed)).collect()
    }

    fn trial(&self, subset: Subset, seed: u32) -> Result<Trial<'_>> {
        let recipe = &self.run.recipe;
        let members = self.subsets.get(subset, seed);
        let steps = |members: &[u32]| steps_per_epoch(members.len(), recipe.train.batch_size);
        let ratio = match self.budget {
            TrainBudget::Epochs => 1.0,
            TrainBudget::Iterations => steps(self.full()) as f64 / steps(members).max(1) as f64,
        };
        let training = recipe.train.stretched(ratio);
        let samples = &self.train.samples;
        // How often a checkpoint is kept changes no model; what the weights were at the beginning does.
        let decisive =
            Train { checkpoint_epochs: None, checkpoint_minutes: 0.0, ..training.clone() };
        let kind = recipe.device.parse::<Devices>().map_err(Error::recipe)?.kind();
        let what = (
            (env!("CARGO_PKG_VERSION"), &recipe.model, &decisive, kind),
            &self.run.file.init,
            (samples.inputs.shape(), &samples.classes, set(&self.train, members)),
            (recipe.seed, seed),
        );
        let train = format!("train-{}", digest(&what)?);
        let test = (&self.test.digest, &self.test.name);
        let judge = digest(&(&train, test, subset, self.budget, self.keep(members)))?;
        Ok(Trial {
            subset,
            seed,
            members,
            steps: (steps(members) * training.epochs) as u64,
            training,
            train,
            judge: format!("{JUDGE}-{judge}"),
        })
    }

    pub(super) fn keep(&self, members: &[u32]) -> f64 {
        members.len() as f64 / self.full().len().max(1) as f64
    }

    fn full(&self) -> &[u32] {
        self.subsets.full()
    }

    /// What a trial costs, in sample passes.
    pub(super) fn work(&self, trial: &Trial<'_>, committed: &BTreeSet<String>) -> u64 {
        let passes = TRAIN_WORK * trial.members.len() as u64 * trial.training.epochs as u64;
        let training = if committed.contains(&trial.train) { 0 } else { passes };
        training + self.test.indices.len() as u64
    }

    /// Trains the model on a device, if it is not there, and tests it.
    pub(super) fn do_trial(
        &self,
        trial: &Trial<'_>,
        device: &str,
        work: u64,
        left: u64,
        observer: &dyn Observer,
    ) -> Result<()> {
        let name = trial.name();
        observer.begin(&name, work, left);
        if self.ledger.find(&trial.train)?.is_none() {
            self.train(trial, device, observer).at(|| format!("training on {name}"))?;
        }
        let note = self.judge(trial, device).at(|| format!("testing {name}"))?;
        observer.end(&name, &note);
        Ok(())
    }

    fn train(&self, trial: &Trial<'_>, device: &str, observer: &dyn Observer) -> Result<()> {
        let recipe = &self.run.recipe;
        let mut attempt = Attempt::begin(&self.ledger, &trial.train, recipe.seed, device)?;
        let (samples, members) = (&self.train.samples, trial.members);
        let seed = self.run.seed.of("evaluate").of(&format!("seed={}", trial.seed));
        let start = self.run.pretrained(samples, members, &seed)?;
        let job = training::Job {
            samples,
            members,
            model: &recipe.model,
            train: &trial.training,
            seed,
            device,
            start: start.as_ref(),
        };
        let mut under_way =
            UnderWay::new(&self.ledger, trial.train.clone(), &trial.training, observer)
                .called(trial.name());
        let trained = under_way.begin(&job)?.run(&mut under_way)?;
        let card = trained.checkpoint.card.to_json()?;
        attempt.write("model.safetensors", &trained.checkpoint.weights, None)?;
        attempt.write("model.json", &card, None)?;
        attempt.fact("samples", trial.members.len());
        attempt.commit()?;
        // What is not removed is litter, which nobody reads.
        let _ = self.ledger.forget(&trial.train);
        Ok(())
    }

    fn judge(&self, trial: &Trial<'_>, device: &str) -> Result<String> {
        let seed = self.run.recipe.seed;
        let mut attempt = Attempt::begin(&self.ledger, &trial.judge, seed, device)?;
        let weights = attempt.read(&trial.train, "model.safetensors")?;
        let model = Checkpoint::load(&weights, &attempt.read(&trial.train, "model.json")?)?;
        let judged = self.judged(&model, device)?;
        attempt.write_table(JUDGED, &self.table(&judged)?)?;
        let tested = self.tested(trial, &judged)?;
        if let serde_json::Value::Object(facts) = serde_json::to_value(&tested)? {
            facts.into_iter().for_each(|(name, value)| attempt.fact(&name, value));
        }
        attempt.commit()?;
        let (samples, accuracy) = (trial.members.len(), 100.0 * tested.metrics.accuracy);
        Ok(format!("trained on {samples} samples, test accuracy {accuracy:.1} %"))
    }

    /// How good a model is that said this about the test samples.
    pub(super) fn tested(&self, trial: &Trial<'_>, judged: &[Judged]) -> Result<Tested> {
        Ok(Tested {
            test: self.test.name.clone(),
            test_samples: judged.len() as u64,
            budget: self.budget,
            subset: trial.subset,
            seed: trial.seed,
            samples: trial.members.len() as u64,
            keep: self.keep(trial.members),
            epochs: trial.training.epochs as u32,
            steps: trial.steps,
            metrics: Metrics::of(judged).ok_or_else(|| Error::input("no test sample"))?,
            right: judged.iter().map(|judged| judged.label == judged.predicted).collect(),
        })
    }

    /// What a model says about each test sample.
    fn judged(&self, model: &Checkpoint, device: &str) -> Result<Vec<Judged>> {
        let samples = &self.test.loaded.samples;
        let indices = &self.test.indices;
        let request = training::Request { indices, view: View::Clean, embeddings: false };
        let mut probabilities = vec![0.0; samples.classes.len()];
        let mut judged = Vec::with_capacity(indices.len());
        training::predict(model, samples, device, &request, &mut |batch| {
            let rows = batch.logits.chunks(probabilities.len());
            for (index, logits) in batch.indices.iter().zip(rows) {
                scoring::softmax(logits, &mut probabilities);
                let predicted = argmax(logits);
                let confidence = probabilities[predicted];
                if !confidence.is_finite() {
                    let id = &samples.ids[*index as usize];
                    return Err(Error::input(format!(
                        "the model's outputs for `{id}` are no numbers"
                    )));
                }
                let label = samples.labels[*index as usize];
                judged.push(Judged { label, predicted: predicted as u32, confidence });
            }
            Ok(())
        })?;
        Ok(judged)
    }

    fn table(&self, judged: &[Judged]) -> Result<RecordBatch> {
        let (ids, indices) = (&self.test.loaded.samples.ids, self.test.indices.iter());
        let ints = |of: fn(&Judged) -> u32| {
            Arc::new(Int32Array::from_iter_values(judged.iter().map(|j| of(j) as i32)))
        };
        let confidence = judged.iter().map(|judged| judged.confidence);
        let columns: Vec<arrow::array::ArrayRef> = vec![
            Arc::new(StringArray::from_iter_values(indices.map(|i| &ids[*i as usize]))),
            ints(|judged| judged.label),
            ints(|judged| judged.predicted),
            Arc::new(Float32Array::from_iter_values(confidence)),
        ];
        Ok(RecordBatch::try_new(tables::judged(), columns)?)
    }
}

/// SHA-256 over samples: what models see of each, its class and its id.
pub(super) fn set(loaded: &Loaded, indices: &[u32]) -> String {
    let mut lines = String::new();
    for index in indices {
        let at = *index as usize;
        let (id, content) = (&loaded.samples.ids[at], &loaded.contents[at]);
        let _ = writeln!(lines, "{content} {} {} {id}", loaded.samples.labels[at], id.len());
    }
    sha256_hex(lines.as_bytes())
}

/// The first 64 bits of the SHA-256 of a value, in hex: enough for the keys of one run.
pub(super) fn digest(what: &impl Serialize) -> Result<String> {
    let mut digest = sha256_hex(&serde_json::to_vec(what)?);
    digest.truncate(16);
    Ok(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_longer_training_keeps_the_shape_of_its_schedule() {
        let train = Train { epochs: 10, step_epochs: vec![5, 8], ..Train::default() };
        let longer = train.stretched(2.5);
        assert_eq!((longer.epochs, longer.step_epochs), (25, vec![13, 20]));
        assert!((longer.warmup_epochs - 2.5).abs() < 1e-12);
        assert_eq!(train.stretched(1.0), train);
        assert_eq!(train.stretched(0.01).epochs, 1);
    }
}
