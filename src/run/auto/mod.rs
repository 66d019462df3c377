//! `select.strategy = "auto"`: candidates are selected and judged, and the run goes on with the best, if that
//! is better than random.
//!
//! ```text
//! auto/<number>/      a run of its own for each candidate, without shards: stage 1 is that of the run
//! auto/evaluate/      the proxy models of all candidates, and of the run-off
//! commits/auto.json   the candidates, how they did, the run-off, and the chosen one
//! ```
//!
//! Once the record is there, the run is one with the chosen selection, and nobody beyond this room has to
//! know that it was chosen. `choose` does the work.

mod choose;

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::evaluate::{EVALUATE, Proxy, ledger_of};
use super::identity::RunFile;
use super::task::AUTO;
use crate::error::{Error, Place, Result};
use crate::evaluation::{Against, Gap, Interval, Standing};
use crate::recipe::{Recipe, Select, Strategy};
use crate::storage::Ledger;

/// Where candidates lie, below the run directory.
const PLACE: &str = "auto";

/// What `auto` chose, and from what.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Choice {
    /// The candidates, in their order.
    pub candidates: Vec<Candidate>,
    /// The place of the chosen one among them, from 0.
    pub chosen: usize,
    /// What the random candidate had to be beaten in; none if no other was above it, or there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runoff: Option<Runoff>,
}

/// The best of the other candidates against the random one, by models with fresh seeds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Runoff {
    /// The place of the former among the candidates, from 0.
    pub challenger: usize,
    /// Its accuracy minus that of the random one.
    #[serde(flatten)]
    pub gap: Gap,
    /// The keys of the tests.
    pub tests: Vec<String>,
}

/// One selection and how models do that were trained on it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// What sets it apart.
    pub name: String,
    /// The selection.
    pub select: Select,
    /// The accuracy of proxy models on held-out training samples, a share; none if nothing else was tried.
    pub accuracy: Option<Interval>,
    /// The keys of their tests.
    pub tests: Vec<String>,
}

impl Candidate {
    /// How a selection does by its proxy models, if it has any.
    fn new(select: Select, proxies: &[Proxy]) -> Self {
        let shares: Vec<f64> = proxies.iter().map(|proxy| proxy.tested.metrics.accuracy).collect();
        Self {
            name: select.in_words(),
            accuracy: (!shares.is_empty()).then(|| Interval::of(&shares)),
            tests: proxies.iter().map(|proxy| proxy.key.clone()).collect(),
            select,
        }
    }

    fn mean(&self) -> f64 {
        self.accuracy.map_or(0.0, |accuracy| accuracy.mean)
    }
}

/// The seeds of proxy models of candidates, and those of the run-off, which needs two at least: one says
/// nothing of its noise.
pub(super) fn seeds(judge: u32) -> [Range<u32>; 2] {
    [0..judge, judge..judge + judge.max(2)]
}

/// The first seed that no model of a choice has.
pub(super) fn unused(judge: u32) -> u32 {
    seeds(judge)[1].end
}

/// The place of the best candidate, of equal ones the first, and of the random one, if the former is
/// another and above it: they are for a run-off.
fn finalists(candidates: &[Candidate]) -> Option<[usize; 2]> {
    let (best, random) = (best(candidates), random(candidates)?);
    (candidates[best].mean() > candidates[random].mean()).then_some([best, random])
}

fn best(candidates: &[Candidate]) -> usize {
    let mean = |at: usize| candidates[at].mean();
    (0..candidates.len()).fold(0, |best, at| if mean(at) > mean(best) { at } else { best })
}

fn random(candidates: &[Candidate]) -> Option<usize> {
    candidates.iter().position(|candidate| candidate.select.is_random())
}

impl Choice {
    /// The random candidate, unless another is surely better in a run-off with fresh seeds: the best of
    /// several on few samples is above random by luck alone. Without a random candidate the best.
    /// `candidates` must not be empty.
    fn of(candidates: Vec<Candidate>, runoff: Option<Runoff>) -> Self {
        let winner = runoff.as_ref().filter(|runoff| runoff.standing() == Standing::Better);
        let chosen = match (winner, random(&candidates)) {
            (Some(runoff), _) => runoff.challenger,
            (None, Some(random)) => random,
            (None, None) => best(&candidates),
        };
        Self { candidates, chosen, runoff }
    }

    /// That of the run behind `ledger`; none if nothing was chosen (yet).
    ///
    /// # Errors
    /// `CorruptData` if its record cannot be read or names no candidate.
    pub(super) fn find(ledger: &Ledger) -> Result<Option<Self>> {
        let Some(record) = ledger.find(AUTO)? else { return Ok(None) };
        let place = || format!("the record of {AUTO}");
        let facts = serde_json::json!(record.facts);
        let choice: Self = serde_json::from_value(facts).at(place)?;
        let challenger = choice.runoff.as_ref().map_or(0, |runoff| runoff.challenger);
        if choice.chosen.max(challenger) >= choice.candidates.len() {
            return Err(Error::corrupt("it chooses no candidate").at(place()));
        }
        Ok(Some(choice))
    }

    /// The chosen candidate.
    pub fn chosen(&self) -> &Candidate {
        &self.candidates[self.chosen]
    }

    /// `auto chose strata: 2.1 points above random_stratified in a run-off`.
    pub fn in_words(&self) -> String {
        let chosen = self.chosen();
        let Some(accuracy) = chosen.accuracy else {
            return format!("auto had nothing to choose from but {}", chosen.name);
        };
        match &self.runoff {
            Some(runoff) if runoff.challenger == self.chosen => {
                let over = random(&self.candidates).map_or("", |at| &self.candidates[at].name);
                let points = runoff.gap.points.mean;
                format!("auto chose {}: {points:.1} points above {over} in a run-off", chosen.name)
            }
            Some(runoff) => format!(
                "no candidate of auto is surely better than random samples, so it took {} (the best, {}, came to {:+.1} \
                 points in a run-off)",
                chosen.name, self.candidates[runoff.challenger].name, runoff.gap.points.mean
            ),
            None if chosen.select.is_random() => {
                format!("no candidate of auto beat random samples, so it took {}", chosen.name)
            }
            None => {
                let percent = 100.0 * accuracy.mean;
                format!("auto chose {} ({percent:.1} % on held-out samples)", chosen.name)
            }
        }
    }
}

impl Runoff {
    /// How the challenger stands against random samples.
    fn standing(&self) -> Standing {
        Standing::of(&[Against { name: "random", random: true, gap: self.gap }])
    }
}

/// Replaces the strategy `auto` by what it chose, if it has: the one place where that happens.
///
/// # Errors
/// As [`Choice::find`].
pub(super) fn settle(recipe: &mut Recipe, ledger: &Ledger) -> Result<()> {
    if recipe.select.strategy == Strategy::Auto
        && let Some(choice) = Choice::find(ledger)?
    {
        recipe.select = choice.chosen().select.clone();
    }
    Ok(())
}

/// As [`settle`], for a run that is about to begin or to go on in its directory; nothing happens if
/// another run lies there, which [`RunFile::same_as`] refuses later.
///
/// # Errors
/// As [`Choice::find`].
pub(super) fn settle_own(recipe: &mut Recipe, file: &RunFile, ledger: &Ledger) -> Result<()> {
    if recipe.select.strategy != Strategy::Auto {
        return Ok(());
    }
    match RunFile::find(ledger.dir())? {
        Some(old) if old.fingerprint == file.fingerprint => settle(recipe, ledger),
        _ => Ok(()),
    }
}

/// The ledgers of the candidates and of their proxy models, with their places in the run directory.
///
/// # Errors
/// `CorruptData` if a candidate's `run.json` cannot be read.
pub(super) fn ledgers(run: &Ledger) -> Result<Vec<(String, Ledger)>> {
    let mut all = Vec::new();
    for number in 1.. {
        let place = format!("{PLACE}/{number}");
        let dir = run.dir().below(&place);
        let Some(file) = RunFile::find(&dir)? else { break };
        all.push((format!("{place}/"), Ledger::new(dir, file.fingerprint)));
    }
    all.push((format!("{PLACE}/{EVALUATE}/"), trials(run)));
    Ok(all)
}

/// The ledger of the proxy models of candidates.
fn trials(run: &Ledger) -> Ledger {
    ledger_of(&Ledger::new(run.dir().below(PLACE), run.run()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::parse;

    /// Candidates with these accuracies, the last of which is that of random samples.
    fn candidates(accuracies: &[f64]) -> Vec<Candidate> {
        let text = "data = {uri = 'a', image = 'i'}\noutput.uri = 'b'\nselect.keep = 0.5";
        let select = parse(text, "choice", &[]).unwrap().select;
        let last = accuracies.len() - 1;
        let candidate = |(at, mean): (usize, &f64)| {
            let strategy = if at == last { Strategy::RandomStratified } else { Strategy::Top };
            let select = Select { strategy, ..select.clone() };
            let accuracy = Some(Interval { mean: *mean, half_width: None, n: 1 });
            Candidate { name: format!("number {at}"), select, accuracy, tests: Vec::new() }
        };
        accuracies.iter().enumerate().map(candidate).collect()
    }

    /// A choice between them after a run-off with this outcome.
    fn choice(accuracies: &[f64], mean: f64, half: f64) -> Choice {
        let points = Interval { mean, half_width: Some(half), n: 2 };
        let gap = Gap { points, seed_noise: Some(half), test_samples: 100 };
        let candidates = candidates(accuracies);
        let runoff = finalists(&candidates).map(|[challenger, _]| Runoff {
            challenger,
            gap,
            tests: Vec::new(),
        });
        Choice::of(candidates, runoff)
    }

    #[test]
    fn the_best_is_chosen_if_it_is_surely_above_chance() {
        assert_eq!(choice(&[0.5, 0.7, 0.6, 0.55], 3.0, 1.0).chosen, 1);
        assert_eq!(choice(&[0.5, 0.7, 0.7, 0.55], 3.0, 1.0).chosen, 1, "of equals the first");
        for (mean, half) in [(0.5, 1.0), (0.04, 0.01), (-2.0, 1.0)] {
            let noise = choice(&[0.5, 0.7, 0.6, 0.55], mean, half);
            assert_eq!(noise.chosen, 3, "{mean} ± {half} is not enough");
        }
        assert_eq!(choice(&[0.5], 3.0, 1.0).chosen, 0);
    }

    #[test]
    fn who_is_not_above_chance_is_in_no_runoff() {
        for level in [&[0.5, 0.7, 0.6, 0.7][..], &[0.5, 0.6, 0.7]] {
            let choice = choice(level, 3.0, 1.0);
            assert_eq!((choice.chosen, choice.runoff), (level.len() - 1, None));
        }
        let mut budget = candidates(&[0.5, 0.7, 0.6]);
        budget.pop();
        assert_eq!(finalists(&budget), None);
        assert_eq!(Choice::of(budget, None).chosen, 1, "nobody is random");
    }

    #[test]
    fn no_seed_is_used_twice() {
        assert_eq!((seeds(2), unused(2)), ([0..2, 2..4], 4));
        assert_eq!((seeds(1), unused(1)), ([0..1, 1..3], 3));
    }

    #[test]
    fn the_choice_is_told_plainly() {
        let words = |mean| choice(&[0.552, 0.549], mean, 1.0).in_words();
        assert_eq!(words(3.0), "auto chose number 0: 3.0 points above number 1 in a run-off");
        assert_eq!(
            words(0.5),
            "no candidate of auto is surely better than random samples, so it took number 1 (the best, number 0, \
             came to +0.5 points in a run-off)"
        );
        let random = choice(&[0.5, 0.549], 0.0, 1.0).in_words();
        assert!(random.starts_with("no candidate of auto beat random samples"), "{random}");
        let alone =
            Choice::of(vec![Candidate { accuracy: None, ..candidates(&[0.5]).remove(0) }], None);
        assert_eq!(alone.in_words(), "auto had nothing to choose from but number 0");
    }
}
