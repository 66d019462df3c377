//! What the models of an evaluation are tested on.

use std::sync::Arc;

use super::super::Evaluate;
use super::members::held_out;
use crate::error::{Error, Place, Result};
use crate::ingest::{self, Examples, Loaded, counted};
use crate::recipe::{Data, OneOrMany};
use crate::run::extend::take_classes;
use crate::run::worker::Run;
use crate::storage::resolve;

/// The test samples.
pub(super) struct TestSet {
    /// What they are, as the table of results says.
    pub(super) name: String,
    pub(super) loaded: Arc<Loaded>,
    /// Their indices in `loaded`, ascending.
    pub(super) indices: Vec<u32>,
    /// How many of them look to models exactly like a training sample.
    pub(super) copies: u64,
    /// Whether they are training samples of the run.
    held_out: bool,
}

/// The name of the part of the training data that is held out.
const HELD_OUT: &str = "held-out";

impl TestSet {
    /// The test samples that the command or the recipe names, else a part of the training data.
    ///
    /// # Errors
    /// `InvalidInput` if there is none, if the run knows them as its own, or if a class is unknown.
    pub(super) fn open(run: &Run, job: &Evaluate<'_>, train: &Arc<Loaded>) -> Result<Self> {
        match source(run, job) {
            Some(data) => Self::read(run, &data, train).at(|| "the test data".to_owned()),
            None => Self::part(run, train),
        }
    }

    /// The part of the training data that is held out.
    pub(super) fn part(run: &Run, train: &Arc<Loaded>) -> Result<Self> {
        let indices = held_out(run, train)?;
        if indices.is_empty() {
            let message = "so few samples that none would be held out for testing; give test data with --test or --test-filter";
            return Err(Error::input(message));
        }
        let (name, loaded) = (HELD_OUT.to_owned(), Arc::clone(train));
        Ok(Self { name, loaded, indices, copies: 0, held_out: true })
    }

    fn read(run: &Run, data: &Data, train: &Loaded) -> Result<Self> {
        let objects = resolve(data.uri.as_slice(), &run.recipe.storage)?;
        let mut survey = ingest::survey_appended(objects, data, None)?;
        if survey.rows.is_empty() {
            return Err(Error::input("there is no row"));
        }
        take_classes(&mut survey, &train.samples.classes)?;
        let loaded = ingest::load(&survey, data, &run.split()?.load)?;
        refuse_known(&loaded, train)?;
        let (given, trained) = (loaded.samples.inputs.shape(), train.samples.inputs.shape());
        if given != trained {
            return Err(Error::input(format!(
                "its inputs are {given}, those of the run {trained}; give test data of the same shape"
            )));
        }
        Ok(Self {
            name: name(data),
            indices: (0..loaded.samples.len() as u32).collect(),
            copies: copies(&loaded, train),
            loaded: Arc::new(loaded),
            held_out: false,
        })
    }

    /// The training samples that no model may be trained on, ascending.
    pub(super) fn held_out(&self) -> &[u32] {
        if self.held_out { &self.indices } else { &[] }
    }

    pub(super) fn is_held_out(&self) -> bool {
        self.held_out
    }
}

/// Where the test data are, if anything says so.
fn source(run: &Run, job: &Evaluate<'_>) -> Option<Data> {
    let given = &run.recipe.evaluate;
    let from_flags = !job.test.is_empty() || job.filter.is_some();
    let uri = match (job.test, from_flags) {
        ([], true) => None,
        ([], false) => given.uri.clone(),
        (uris, _) => Some(OneOrMany::Many(uris.to_vec())),
    };
    // The filter of the recipe belongs to the address of the recipe.
    let filter = job.filter.map(str::to_owned);
    let filter = if from_flags { filter } else { given.filter.clone() };
    if uri.is_none() && filter.is_none() {
        return None;
    }
    let data = &run.recipe.data;
    Some(Data { uri: uri.unwrap_or_else(|| data.uri.clone()), filter, ..data.clone() })
}

/// The test data in words.
fn name(data: &Data) -> String {
    let uris = data.uri.as_slice().join(", ");
    data.filter.as_ref().map_or(uris.clone(), |filter| format!("{uris} where {filter}"))
}

/// Refuses samples that the run has, too: same id, same input.
fn refuse_known(test: &Loaded, train: &Loaded) -> Result<()> {
    let mut known = Examples::default();
    for (id, content) in test.samples.ids.iter().zip(&test.contents) {
        let place = train.samples.ids.binary_search(id);
        if place.is_ok_and(|at| train.contents[at] == *content) {
            known.add(|| format!("`{id}`"));
        }
    }
    if known.is_empty() {
        return Ok(());
    }
    let count = counted(known.count(), "row");
    Err(Error::input(format!(
        "{count} of it are samples of the run: {known}; models would be tested on what they were trained on. Choose other rows with --test or --test-filter"
    )))
}

/// How many test samples have the input of a training sample.
fn copies(test: &Loaded, train: &Loaded) -> u64 {
    let mut known = train.contents.clone();
    known.sort_unstable();
    test.contents.iter().filter(|content| known.binary_search(content).is_ok()).count() as u64
}
