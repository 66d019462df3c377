//! The work of `auto`: each candidate is selected and judged; the run takes over the chosen one's tasks.

use std::ops::Range;

use super::super::Observer;
use super::super::attempt::Attempt;
use super::super::evaluate::{Job, Proxied, Proxy, Subset, impossible, proxied};
use super::super::identity::RunFile;
use super::super::part::Part;
use super::super::plan::Plan;
use super::super::share::{Place, share, share_stage_1};
use super::super::task::{CORESET, INGEST, Task, stage_1, tasks};
use super::super::work;
use super::super::worker::Run;
use super::{Candidate, Choice, PLACE, Runoff, finalists, seeds, trials};
use crate::error::{Error, Place as _, Result};
use crate::evaluation::Gap;
use crate::recipe::{Judge, Recipe, Select, Strategy};
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
        let sizes = work::auto(self, &labels, &all)?;
        let mut left = after + sizes.work();
        let (count, mut runs) = (all.len(), Vec::new());
        let mut part = |name: &str, work: u64| {
            left -= work;
            Part::of(observer, &format!("{PLACE} {name}"), left)
        };
        let mut tried = Vec::new();
        for ((number, select), size) in (1..).zip(all).zip(&sizes.candidates) {
            let name = format!("{number}/{count}");
            let (run, place) = self.candidate(&self.recipe, number, select)?;
            let selecting = part(&name, size.selecting);
            self.select_as(&run, &place, &selecting).at(|| self.dir().uri_of(&place))?;
            let judging = part(&name, size.judging);
            tried.push(self.measured(&run, count, Some(&judging))?);
            runs.push(run);
        }
        let choice = self.decided(&runs, tried, Some(&part("run-off", sizes.runoff)))?;
        if let serde_json::Value::Object(facts) = serde_json::to_value(&choice)? {
            facts.into_iter().for_each(|(name, value)| attempt.fact(&name, value));
        }
        Ok(choice.in_words())
    }

    /// Refuses, before anything is trained, data that are too few to choose by.
    ///
    /// # Errors
    /// `InvalidInput` if so few samples would be held out that they say nothing.
    pub(in crate::run) fn check_auto(&self) -> Result<()> {
        let select = &self.recipe.select;
        let rows = self.survey()?.rows.len() as u64;
        if select.strategy != Strategy::Auto || select.candidates(rows).len() < 2 {
            return Ok(());
        }
        impossible(self)?.map_or(Ok(()), |why| Err(cannot_choose(&why)))
    }

    /// What the candidates of a recipe are, and how they did by the records alone: `recipe` is the one that
    /// the run was begun with.
    ///
    /// # Errors
    /// `CorruptData` for a record that is missing or does not follow from predictions.
    pub(in crate::run) fn choice(&self, recipe: &Recipe) -> Result<Choice> {
        // Lent to all of them.
        self.loaded()?;
        let all = self.candidates(recipe)?;
        let (count, mut runs, mut tried) = (all.len(), Vec::new(), Vec::new());
        for (number, select) in (1..).zip(all) {
            let (run, place) = self.candidate(recipe, number, select)?;
            tried.push(self.measured(&run, count, None).at(|| place)?);
            runs.push(run);
        }
        self.decided(&runs, tried, None)
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

    /// How a candidate of so many does; without an observer, by its records alone. A single one is not
    /// measured.
    fn measured(
        &self,
        run: &Self,
        count: usize,
        observer: Option<&dyn Observer>,
    ) -> Result<Candidate> {
        let [first, _] = seeds(self.recipe.judge.seeds);
        let proxies = if count > 1 { self.tried(run, first, observer)? } else { Vec::new() };
        Ok(Candidate::new(run.recipe.select.clone(), &proxies))
    }

    /// The choice between candidates and their runs, after the run-off if there is one.
    fn decided(
        &self,
        runs: &[Self],
        tried: Vec<Candidate>,
        observer: Option<&dyn Observer>,
    ) -> Result<Choice> {
        let runoff = match finalists(&tried) {
            Some([challenger, random]) => {
                let [_, fresh] = seeds(self.recipe.judge.seeds);
                let one = self.tried(&runs[challenger], fresh.clone(), observer)?;
                let other = self.tried(&runs[random], fresh, observer)?;
                let tests = one.iter().chain(&other).map(|proxy| proxy.key.clone()).collect();
                Some(Runoff { challenger, gap: Gap::of(&right(&one), &right(&other)), tests })
            }
            None => None,
        };
        Ok(Choice::of(tried, runoff))
    }

    /// The proxy models of a candidate with these seeds. One that is random is drawn anew for each of them:
    /// what counts is not the luck of one draw.
    fn tried(
        &self,
        run: &Self,
        seeds: Range<u32>,
        observer: Option<&dyn Observer>,
    ) -> Result<Vec<Proxy>> {
        let (ledger, anew) = (trials(&self.ledger), run.recipe.select.is_random());
        match proxied(&Job { run, ledger, subsets: COMPARED, seeds, anew }, observer)? {
            Proxied::Tested(proxies) => Ok(proxies),
            Proxied::Impossible(why) => Err(cannot_choose(&why)),
        }
    }

    /// Takes over the tasks that the chosen candidate has done, the coreset last. Without a choice there is
    /// nothing to do.
    pub(in crate::run) fn take_over(&self) -> Result<()> {
        let Some(choice) = Choice::find(&self.ledger)? else { return Ok(()) };
        if self.ledger.find(CORESET)?.is_some() {
            return Ok(());
        }
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
}

fn cannot_choose(why: &str) -> Error {
    Error::input(format!(
        "select.strategy = \"auto\" cannot choose: {why}; name a strategy, or give more samples"
    ))
}

/// Which test samples each model predicts right.
fn right(proxies: &[Proxy]) -> Vec<&[bool]> {
    proxies.iter().map(|proxy| proxy.tested.right.as_slice()).collect()
}
