//! What the judge of a run found: the coreset against its random twin, by proxy models.
//!
//! They are tested on a part of the training data. No proxy model trains on it, but the selection has
//! scored it: a guard against bad coresets, no proof of good ones.

use serde::{Deserialize, Serialize};

use super::compare::in_words;
use super::proxies::{Job, Proxied, Proxy, proxied};
use super::{Compared, Subset, ledger_of};
use crate::error::{Place, Result};
use crate::evaluation::{Interval, test_noise, verdict};
use crate::run::Observer;
use crate::run::attempt::Attempt;
use crate::run::task::{CORESET, INGEST, JUDGE};
use crate::run::worker::Run;
use crate::storage::Ledger;

/// What the judge compares.
const COMPARED: &[Subset] = &[Subset::Coreset, Subset::RandomStratified];

/// What the judge of a run found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Judgement {
    /// How the coreset stands against the random twin in plain words, or why that is not known.
    pub verdict: String,
    /// Whether models do worse on the coreset: by a tenth of a point, sure or not.
    pub below_random: bool,
    /// The figures; none if they are not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub figures: Option<Figures>,
}

/// The figures of a judgement.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Samples that the models were tested on.
    pub test_samples: u64,
    /// Models trained on each subset.
    pub seeds: u32,
    /// The accuracy of models trained on the coreset, a share.
    pub coreset: Interval,
    /// That of models trained on its random twin.
    pub random_stratified: Interval,
    /// The first minus the second, in points.
    pub points: Interval,
}

impl Judgement {
    /// That of the run behind `ledger`; none if it was not judged.
    ///
    /// # Errors
    /// `CorruptData` if its record cannot be read.
    pub(in crate::run) fn find(ledger: &Ledger) -> Result<Option<Self>> {
        let Some(record) = ledger.find(JUDGE)? else { return Ok(None) };
        let facts = serde_json::json!(record.facts);
        serde_json::from_value(facts).map(Some).at(|| format!("the record of {JUDGE}"))
    }

    /// What nobody may overlook.
    pub fn warning(&self) -> Option<String> {
        self.below_random.then(|| format!("WORSE than random: {}", self.verdict))
    }

    /// What the figures are worth; empty without them.
    pub fn caveat(&self) -> String {
        self.figures.map_or_else(String::new, |figures| {
            format!(
                "proxy models, {} on each, tested on {} training samples held out from them, which the selection has scored: \
                 a guard, no proof",
                figures.seeds, figures.test_samples
            )
        })
    }

    fn unknown(why: &str) -> Self {
        Self { verdict: format!("Not judged: {why}."), below_random: false, figures: None }
    }

    /// What these models say of a coreset that keeps this share.
    fn of(keep: f64, proxies: &[Proxy], seeds: u32) -> Self {
        let accuracies = |subset: Subset| -> Vec<f64> {
            let of = proxies.iter().filter(|proxy| proxy.subset == subset);
            of.map(|proxy| proxy.tested.metrics.accuracy).collect()
        };
        let [coreset, random] = [Subset::Coreset, Subset::RandomStratified].map(accuracies);
        let percent = |shares: &[f64]| shares.iter().map(|x| 100.0 * x).collect::<Vec<_>>();
        let points = Interval::of_difference(&percent(&coreset), &percent(&random));
        let (coreset, random_stratified) = (Interval::of(&coreset), Interval::of(&random));
        let test_samples = proxies.first().map_or(0, |proxy| proxy.tested.test_samples);
        let noise = test_noise(f64::midpoint(coreset.mean, random_stratified.mean), test_samples);
        let compared = Compared { subset: Subset::RandomStratified, points };
        Self {
            verdict: verdict(keep, &[in_words(&compared, noise)]),
            // As the verdict rounds.
            below_random: (10.0 * points.mean).round() < 0.0,
            figures: Some(Figures { test_samples, seeds, coreset, random_stratified, points }),
        }
    }
}

impl Run {
    /// Judges the coreset and notes what was found.
    pub(in crate::run) fn judge(
        &self,
        attempt: &mut Attempt,
        observer: &dyn Observer,
    ) -> Result<String> {
        let judgement = self.judgement(Some(observer))?;
        if let Some(warning) = judgement.warning() {
            observer.warn(&warning);
        }
        if let serde_json::Value::Object(facts) = serde_json::to_value(&judgement)? {
            facts.into_iter().for_each(|(name, value)| attempt.fact(&name, value));
        }
        Ok(judgement.verdict)
    }

    /// What the models in the run's ledger of evaluations say; those that are not there are trained, or,
    /// without an observer, missed.
    ///
    /// # Errors
    /// Whatever training says; without an observer `CorruptData` if a model is not there or its record does
    /// not follow from its predictions.
    pub(in crate::run) fn judgement(&self, observer: Option<&dyn Observer>) -> Result<Judgement> {
        let rows = |task: &str, name: &str| -> Result<u64> {
            Ok(self.ledger.get(task)?.output(name)?.rows.unwrap_or(0))
        };
        let (usable, kept) = (rows(INGEST, "samples.parquet")?, rows(CORESET, "view.parquet")?);
        if kept == usable {
            return Ok(Judgement::unknown("every sample is kept"));
        }
        let (subsets, seeds) = (COMPARED, self.recipe.judge.seeds);
        let job = Job { run: self, ledger: ledger_of(&self.ledger), subsets, seeds };
        Ok(match proxied(&job, observer)? {
            Proxied::Tested(proxies) => {
                Judgement::of(kept as f64 / usable.max(1) as f64, &proxies, seeds)
            }
            Proxied::Impossible(why) => Judgement::unknown(&why),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluation::Metrics;
    use crate::recipe::TrainBudget;
    use crate::run::evaluate::Tested;

    fn proxy(subset: Subset, accuracy: f64) -> Proxy {
        let metrics = Metrics { accuracy, worst_class: 0.0, class_spread: 0.0, ece: 0.0 };
        let tested = Tested {
            test: "held-out".to_owned(),
            test_samples: 1000,
            budget: TrainBudget::Epochs,
            subset,
            seed: 0,
            samples: 1,
            keep: 0.5,
            epochs: 1,
            steps: 1,
            metrics,
        };
        Proxy { subset, key: String::new(), tested }
    }

    fn judged(coreset: [f64; 2], random: [f64; 2]) -> Judgement {
        let of = |subset: Subset, shares: [f64; 2]| shares.map(|share| proxy(subset, share));
        let both = [of(Subset::Coreset, coreset), of(Subset::RandomStratified, random)].concat();
        Judgement::of(0.5, &both, 2)
    }

    #[test]
    fn below_random_is_what_the_verdict_says() {
        let worse = judged([0.5, 0.502], [0.8, 0.798]);
        assert!(worse.below_random);
        assert!(worse.warning().unwrap().starts_with("WORSE than random: 50 % kept: 29.8 points"));
        let level = judged([0.7999, 0.8], [0.8, 0.8]);
        assert!(!level.below_random && level.warning().is_none(), "{level:?}");
        assert!(level.verdict.contains("level with stratified random"), "{level:?}");
        let better = judged([0.9, 0.9], [0.8, 0.8]);
        assert_eq!(better.verdict, "50 % kept: 10.0 points above stratified random.");
        assert!(better.caveat().contains("1000 training samples"));
        let figures = better.figures.unwrap();
        assert!((figures.points.mean - 10.0).abs() < 1e-9 && figures.coreset.n == 2);
    }

    #[test]
    fn a_judgement_reads_back() {
        for told in [judged([0.5, 0.6], [0.8, 0.7]), Judgement::unknown("every sample is kept")] {
            let json = serde_json::to_string(&told).unwrap();
            assert_eq!(serde_json::from_str::<Judgement>(&json).unwrap(), told);
        }
    }
}
