//! What the judge of a run found: the coreset against its random twin, by proxy models.
//!
//! They are tested on a part of the training data. No proxy model trains on it, but the selection has
//! scored it: a guard against bad coresets, no proof of good ones.

use serde::{Deserialize, Serialize};

use super::compare::{compared, in_words};
use super::proxies::{Job, Proxied, Proxy, proxied};
use super::{Subset, Tested, ledger_of};
use crate::error::{Place, Result};
use crate::evaluation::{Interval, Standing, verdict};
use crate::run::Observer;
use crate::run::attempt::Attempt;
use crate::run::auto::{Choice, unused};
use crate::run::task::{CORESET, INGEST, JUDGE};
use crate::run::worker::Run;
use crate::storage::Ledger;

/// What the judge compares.
pub(super) const COMPARED: &[Subset] = &[Subset::Coreset, Subset::RandomStratified];

/// What the judge of a run found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Judgement {
    /// How the coreset stands against the random twin in plain words, or why that is not known.
    pub verdict: String,
    /// The same in short; none if it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standing: Option<Standing>,
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
    /// The first minus the second, in points; its interval counts the scatter of seeds and of test samples.
    pub points: Interval,
    /// How many candidates `auto` chose among by the same test samples; none if it chose nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chosen_among: Option<usize>,
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

    /// What nobody may overlook: a coreset that is surely worse than random.
    pub fn warning(&self) -> Option<String> {
        let standing = self.standing.filter(|standing| *standing == Standing::Worse)?;
        Some(format!("{}: {}", standing.headline(), self.verdict))
    }

    /// What the figures are worth; empty without them.
    pub fn caveat(&self) -> String {
        let Some(figures) = self.figures else { return String::new() };
        let Figures { seeds, test_samples, chosen_among, .. } = figures;
        let chosen = chosen_among.map_or_else(String::new, |among| {
            format!(", and by which `auto` has chosen among {among} candidates")
        });
        format!(
            "proxy models, {seeds} on each, tested on {test_samples} training samples held out from them, which the selection \
             has scored{chosen}: a guard, no proof"
        )
    }

    fn unknown(why: &str) -> Self {
        Self { verdict: format!("Not judged: {why}."), standing: None, figures: None }
    }

    /// What these models say of a coreset that keeps this share.
    fn of(keep: f64, proxies: &[Proxy], chosen_among: Option<usize>) -> Self {
        let rows: Vec<Tested> = proxies.iter().map(|proxy| proxy.tested.clone()).collect();
        let Some(against) = compared(&rows, Subset::RandomStratified) else {
            return Self::unknown("no model was tested");
        };
        let accuracy = |subset: Subset| {
            let of = rows.iter().filter(|row| row.subset == subset);
            Interval::of(&of.map(|row| row.metrics.accuracy).collect::<Vec<_>>())
        };
        let coreset = accuracy(Subset::Coreset);
        let told = [in_words(&against)];
        Self {
            verdict: verdict(keep, &told),
            standing: Some(Standing::of(&told)),
            figures: Some(Figures {
                test_samples: against.gap.test_samples,
                seeds: coreset.n as u32,
                coreset,
                random_stratified: accuracy(Subset::RandomStratified),
                points: against.gap.points,
                chosen_among,
            }),
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
        // The models by which `auto` chose are the lucky ones of several: these have other seeds.
        let choice = Choice::find(&self.ledger)?.filter(|choice| choice.candidates.len() > 1);
        let number = self.recipe.judge.seeds;
        let first = if choice.is_some() { unused(number) } else { 0 };
        let seeds = first..first + number;
        let (ledger, subsets) = (ledger_of(&self.ledger), COMPARED);
        let job = Job { run: self, ledger, subsets, seeds, anew: false };
        let among = choice.map(|choice| choice.candidates.len());
        Ok(match proxied(&job, observer)? {
            Proxied::Tested(proxies) => {
                Judgement::of(kept as f64 / usable.max(1) as f64, &proxies, among)
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
            right: (0..1000).map(|at| f64::from(at) < 1000.0 * accuracy).collect(),
        };
        Proxy { key: String::new(), tested }
    }

    fn judged(coreset: [f64; 2], random: [f64; 2]) -> Judgement {
        let of = |subset: Subset, shares: [f64; 2]| shares.map(|share| proxy(subset, share));
        let both = [of(Subset::Coreset, coreset), of(Subset::RandomStratified, random)].concat();
        Judgement::of(0.5, &both, None)
    }

    #[test]
    fn only_what_is_sure_is_an_alarm() {
        // Two seeds that scatter by a point are enough for ten.
        let worse = judged([0.695, 0.705], [0.795, 0.805]);
        assert_eq!(worse.standing, Some(Standing::Worse));
        assert!(worse.warning().unwrap().starts_with("WORSE than random: 50 % kept: 10.0 points"));
        let below = judged([0.795, 0.80], [0.80, 0.797]);
        assert_eq!((below.standing, below.warning()), (Some(Standing::Below), None));
        assert!(below.verdict.contains("0.1 points below"), "{below:?}");
        let level = judged([0.7996, 0.8], [0.8, 0.8]);
        assert_eq!((level.standing, level.warning()), (Some(Standing::NotProven), None));
        assert!(level.verdict.contains("level with stratified random"), "{level:?}");
        let better = judged([0.9, 0.9], [0.8, 0.8]);
        assert_eq!(better.verdict, "50 % kept: 10.0 points above stratified random.");
        assert!(better.caveat().contains("1000 training samples"));
        let figures = better.figures.unwrap();
        assert!((figures.points.mean - 10.0).abs() < 1e-9 && figures.coreset.n == 2);
    }

    #[test]
    fn the_caveat_says_among_how_many_it_was_chosen() {
        let both = [proxy(Subset::Coreset, 0.9), proxy(Subset::RandomStratified, 0.8)];
        let told = Judgement::of(0.5, &both, Some(7)).caveat();
        assert!(told.contains("by which `auto` has chosen among 7 candidates"), "{told}");
        assert!(!Judgement::of(0.5, &both, None).caveat().contains("auto"));
    }

    #[test]
    fn a_judgement_reads_back() {
        for told in [judged([0.5, 0.6], [0.8, 0.7]), Judgement::unknown("every sample is kept")] {
            let json = serde_json::to_string(&told).unwrap();
            assert_eq!(serde_json::from_str::<Judgement>(&json).unwrap(), told);
        }
    }
}
