//! The work of `auto`: each candidate is selected and judged; the run takes over the chosen one's tasks.

use std::collections::BTreeSet;

use super::super::Observer;
use super::super::attempt::Attempt;
use super::super::evaluate::{EVALUATE, Job, Proxied, Subset, ledger_of, proxied};
use super::super::identity::RunFile;
use super::super::part::Part;
use super::super::plan::Plan;
use super::super::share::{Place, share, share_stage_1};
use super::super::task::{CORESET, INGEST, Task, stage_1, tasks};
use super::super::work;
use super::super::worker::Run;
use super::{Candidate, Choice, PLACE, trials};
use crate::error::{Error, Place as _, Result};
use crate::recipe::{Judge, Recipe, Select};
use crate::storage::Ledger;

/// What proxy models of a candidate are trained on.
const COMPARED: &[Subset] = &[Subset::Coreset];

impl Run {
    /// Chooses. `after` is the work that is left beyond this task.
    pub(in crate::run) fn auto(
        &self,
        attempt: &mut Attempt,
        after: u64,
        observer: &dyn Observer,
    ) -> Result<String> {
        // Lent to all of them.
        self.loaded()?;
        let labels: Vec<u32> = self.survey()?.rows.iter().map(|row| row.label).collect();
        let all = self.candidates(&self.recipe)?;
        let sizes = work::candidates(self, &labels, &all)?;
        let mut left = after + sizes.iter().map(|one| one.selecting + one.judging).sum::<u64>();
        let (count, mut tried) = (all.len(), Vec::new());
        for ((number, select), size) in (1..).zip(all).zip(sizes) {
            let mut part = |work: u64| {
                left -= work;
                Part::of(observer, &format!("{PLACE} {number}/{count}"), left)
            };
            let (run, place) = self.candidate(&self.recipe, number, select)?;
            self.select_as(&run, &place, &part(size.selecting)).at(|| self.dir().uri_of(&place))?;
            tried.push(self.measured(&run, Some(&part(size.judging)))?);
        }
        let choice = Choice::of(tried);
        if let serde_json::Value::Object(facts) = serde_json::to_value(&choice)? {
            facts.into_iter().for_each(|(name, value)| attempt.fact(&name, value));
        }
        Ok(choice.in_words())
    }

    /// What the candidates of a recipe are, and how they did by the records alone: `recipe` is the one that
    /// the run was begun with.
    ///
    /// # Errors
    /// `CorruptData` for a record that is missing or does not follow from predictions.
    pub(in crate::run) fn choice(&self, recipe: &Recipe) -> Result<Choice> {
        // Lent to all of them.
        self.loaded()?;
        let mut tried = Vec::new();
        for (number, select) in (1..).zip(self.candidates(recipe)?) {
            let (run, place) = self.candidate(recipe, number, select)?;
            tried.push(self.measured(&run, None).at(|| place)?);
        }
        Ok(Choice::of(tried))
    }

    fn candidates(&self, recipe: &Recipe) -> Result<Vec<Select>> {
        let usable = self.ledger.get(INGEST)?.output("samples.parquet")?.rows;
        Ok(recipe.select.candidates(usable.unwrap_or(0)))
    }

    /// The run of a candidate, and its place.
    fn candidate(&self, recipe: &Recipe, number: u64, select: Select) -> Result<(Self, String)> {
        let place = format!("{PLACE}/{number}");
        let storage = self.recipe.storage.clone();
        let recipe = Recipe { select, judge: Judge::OFF, storage, ..recipe.clone() };
        Ok((self.lend(recipe, self.dir().below(&place))?, place))
    }

    /// Does the tasks of a candidate up to its coreset.
    fn select_as(&self, run: &Self, place: &str, observer: &dyn Observer) -> Result<()> {
        run.file.begin_or_resume(run.dir())?;
        let own = Place { place: "", ledger: &self.ledger };
        share_stage_1(self.dir(), &own, place, run)?;
        run.do_open(&Plan::new(run)?, &|| Ok(tasks(&run.recipe)), observer)
    }

    /// How a candidate does; without an observer, by its records alone.
    fn measured(&self, run: &Self, observer: Option<&dyn Observer>) -> Result<Candidate> {
        let (subsets, seeds) = (COMPARED, self.recipe.judge.seeds);
        match proxied(&Job { run, ledger: trials(&self.ledger), subsets, seeds }, observer)? {
            Proxied::Tested(proxies) => Ok(Candidate::new(run.recipe.select.clone(), &proxies)),
            Proxied::Impossible(why) => Err(Error::input(format!(
                "select.strategy = \"auto\" cannot choose: {why}; name a strategy"
            ))),
        }
    }

    /// Takes over what the chosen candidate has done: its proxy models, then its tasks, the coreset last.
    /// Without a choice there is nothing to do.
    pub(in crate::run) fn take_over(&self) -> Result<()> {
        let Some(choice) = Choice::find(&self.ledger)? else { return Ok(()) };
        if self.ledger.find(CORESET)?.is_some() {
            return Ok(());
        }
        self.take_over_models(&choice)?;
        let place = format!("{PLACE}/{}", choice.chosen + 1);
        let dir = self.dir().below(&place);
        let run = RunFile::begun(&dir)?.fingerprint;
        let ledger = Ledger::new(dir, run);
        let recipe = Recipe {
            select: choice.chosen().select.clone(),
            judge: Judge::OFF,
            ..self.recipe.clone()
        };
        let shared = stage_1(&recipe);
        let later = tasks(&recipe).into_iter().filter(|task| !shared.contains(task));
        let from = Place { place: &place, ledger: &ledger };
        let to = Place { place: "", ledger: &self.ledger };
        share(self.dir(), &from, &to, later.map(|task: Task| task.to_string()))
    }

    fn take_over_models(&self, choice: &Choice) -> Result<()> {
        let (trials, own) = (trials(&self.ledger), ledger_of(&self.ledger));
        let from = format!("{PLACE}/{EVALUATE}");
        let from = Place { place: &from, ledger: &trials };
        let to = Place { place: EVALUATE, ledger: &own };
        for test in &choice.chosen().tests {
            // The test read the model that it is of.
            let models = trials.get(test)?.inputs.into_iter().map(|input| input.task);
            let models: BTreeSet<String> = models.collect();
            share(self.dir(), &from, &to, models.into_iter().chain([test.clone()]))?;
        }
        Ok(())
    }
}
