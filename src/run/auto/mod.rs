//! `select.strategy = "auto"`: candidates are selected and judged, and the run goes on with the best.
//!
//! ```text
//! auto/<number>/      a run of its own for each candidate, without shards: stage 1 is that of the run
//! auto/evaluate/      the proxy models of all candidates
//! commits/auto.json   the candidates, how they did, and the chosen one
//! ```
//!
//! Once the record is there, the run is one with the chosen selection, and nobody beyond this room has to
//! know that it was chosen. `choose` does the work.

mod choose;

use serde::{Deserialize, Serialize};

use super::evaluate::{EVALUATE, Proxy, ledger_of};
use super::identity::RunFile;
use super::task::AUTO;
use crate::error::{Error, Place, Result};
use crate::evaluation::Interval;
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
}

/// One selection and how models do that were trained on it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// What sets it apart.
    pub name: String,
    /// The selection.
    pub select: Select,
    /// The accuracy of proxy models on held-out training samples, a share.
    pub accuracy: Interval,
    /// The keys of their tests.
    pub tests: Vec<String>,
}

impl Candidate {
    fn new(select: Select, proxies: &[Proxy]) -> Self {
        let shares: Vec<f64> = proxies.iter().map(|proxy| proxy.tested.metrics.accuracy).collect();
        Self {
            name: select.in_words(),
            accuracy: Interval::of(&shares),
            tests: proxies.iter().map(|proxy| proxy.key.clone()).collect(),
            select,
        }
    }
}

impl Choice {
    /// The highest mean accuracy; of equal ones the first. If it does not beat the random candidate, that
    /// one. `candidates` must not be empty.
    fn of(candidates: Vec<Candidate>) -> Self {
        let mean = |at: usize| candidates[at].accuracy.mean;
        let places = 0..candidates.len();
        let best = |best: usize, at: usize| if mean(at) > mean(best) { at } else { best };
        let best = places.clone().fold(0, best);
        let random = places.into_iter().find(|at| candidates[*at].select.is_random());
        let chosen = random.filter(|random| mean(*random) >= mean(best)).unwrap_or(best);
        Self { candidates, chosen }
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
        if choice.chosen >= choice.candidates.len() {
            return Err(Error::corrupt("it chooses no candidate").at(place()));
        }
        Ok(Some(choice))
    }

    /// The chosen candidate.
    pub fn chosen(&self) -> &Candidate {
        &self.candidates[self.chosen]
    }

    /// `auto chose strata with cut-off 0.1 (55.2 % on held-out samples; random_stratified 54.9 %)`.
    pub fn in_words(&self) -> String {
        let percent = |candidate: &Candidate| format!("{:.1} %", 100.0 * candidate.accuracy.mean);
        let chosen = self.chosen();
        let told = format!("{} ({} on held-out samples", chosen.name, percent(chosen));
        let random = self.candidates.iter().find(|candidate| candidate.select.is_random());
        match random {
            Some(random) if random == chosen => {
                format!("no candidate of auto beat random samples, so it took {told})")
            }
            Some(random) => format!("auto chose {told}; {} {})", random.name, percent(random)),
            None => format!("auto chose {told})"),
        }
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

    /// A choice between these accuracies, the last of which is that of random samples.
    fn choice(accuracies: &[f64]) -> Choice {
        let text = "data = {uri = 'a', image = 'i'}\noutput.uri = 'b'\nselect.keep = 0.5";
        let select = parse(text, "choice", &[]).unwrap().select;
        let last = accuracies.len() - 1;
        let candidate = |(at, mean): (usize, &f64)| {
            let strategy = if at == last { Strategy::RandomStratified } else { Strategy::Top };
            let select = Select { strategy, ..select.clone() };
            let accuracy = Interval { mean: *mean, half_width: None, n: 1 };
            Candidate { name: format!("number {at}"), select, accuracy, tests: Vec::new() }
        };
        Choice::of(accuracies.iter().enumerate().map(candidate).collect())
    }

    #[test]
    fn the_best_is_chosen_unless_chance_is_as_good() {
        assert_eq!(choice(&[0.5, 0.7, 0.6, 0.55]).chosen, 1);
        assert_eq!(choice(&[0.5, 0.7, 0.7, 0.55]).chosen, 1, "of equals the first");
        assert_eq!(choice(&[0.5, 0.7, 0.6, 0.7]).chosen, 3, "as good as chance is not enough");
        assert_eq!(choice(&[0.5, 0.6, 0.7]).chosen, 2);
        assert_eq!(choice(&[0.5]).chosen, 0);
    }

    #[test]
    fn the_choice_is_told_plainly() {
        assert_eq!(
            choice(&[0.552, 0.549]).in_words(),
            "auto chose number 0 (55.2 % on held-out samples; number 1 54.9 %)"
        );
        let random = choice(&[0.5, 0.549]).in_words();
        assert!(random.starts_with("no candidate of auto beat random samples"), "{random}");
    }
}
