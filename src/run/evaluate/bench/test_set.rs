//! What the models of an evaluation are tested on.

use std::sync::Arc;

use super::super::Evaluate;
use super::super::results::HELD_OUT;
use super::members::held_out;
use super::trial::{digest, set};
use crate::error::{Error, Place, Result};
use crate::ingest::{self, Examples, Loaded, Survey, counted};
use crate::recipe::{Data, OneOrMany};
use crate::run::extend::take_classes;
use crate::run::memory::Beside;
use crate::run::worker::Run;
use crate::storage::resolve;

/// The test samples.
pub(super) struct TestSet {
    /// What they are, as the table of results says.
    pub(super) name: String,
    /// What pins them: a digest of what models see of each, its class and its id.
    pub(super) digest: String,
    pub(super) loaded: Arc<Loaded>,
    /// Their indices in `loaded`, ascending.
    pub(super) indices: Vec<u32>,
    /// How many of them look to models exactly like a training sample.
    pub(super) copies: u64,
    /// Whether they are training samples of the run.
    held_out: bool,
}

/// Test data that the command or the recipe names, looked at and not yet decoded.
pub(super) struct Named {
    data: Data,
    survey: Survey,
    /// What they need beside the run.
    pub(super) needs: Beside,
}

impl Named {
    /// Looks at the test data, if anything names some.
    ///
    /// # Errors
    /// `InvalidInput` if there is no row.
    pub(super) fn find(run: &Run, job: &Evaluate<'_>) -> Result<Option<Self>> {
        source(run, job).map(|data| Self::look(run, data).at(|| WHERE.to_owned())).transpose()
    }

    fn look(run: &Run, data: Data) -> Result<Self> {
        let objects = resolve(data.uri.as_slice(), &run.recipe.storage)?;
        let survey = ingest::survey_appended(objects, &data, None)?;
        if survey.rows.is_empty() {
            return Err(Error::input("there is no row"));
        }
        let needs = Beside::of(&survey, &data)?;
        Ok(Self { data, survey, needs })
    }

    /// Decodes the samples, and holds them against those of the run.
    fn read(mut self, run: &Run, train: &Loaded) -> Result<TestSet> {
        take_classes(&mut self.survey, &train.samples.classes)?;
        let room = run.split_beside(self.needs)?.load;
        let loaded = ingest::load(&self.survey, &self.data, &room)?;
        refuse_known(&loaded, train)?;
        let (given, trained) = (loaded.samples.inputs.shape(), train.samples.inputs.shape());
        if given != trained {
            return Err(Error::input(format!(
                "its inputs are {given}, those of the run {trained}; give test data of the same shape"
            )));
        }
        let indices: Vec<u32> = (0..loaded.samples.len() as u32).collect();
        let digest = digest(&set(&loaded, &indices))?;
        Ok(TestSet {
            name: name(&self.data, &digest),
            digest,
            indices,
            copies: copies(&loaded, train),
            loaded: Arc::new(loaded),
            held_out: false,
        })
    }
}

/// Where an error about test data happened.
const WHERE: &str = "the test data";

impl TestSet {
    /// The named test samples, else a part of the training data.
    ///
    /// # Errors
    /// `InvalidInput` if there is none, if the run knows them as its own, or if a class is unknown.
    pub(super) fn open(run: &Run, named: Option<Named>, train: &Arc<Loaded>) -> Result<Self> {
        match named {
            Some(named) => named.read(run, train).at(|| WHERE.to_owned()),
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
        let digest = digest(&set(train, &indices))?;
        let (name, loaded) = (HELD_OUT.to_owned(), Arc::clone(train));
        Ok(Self { name, digest, loaded, indices, copies: 0, held_out: true })
    }

    /// The training samples that no model may be trained on, ascending.
    pub(super) fn held_out(&self) -> &[u32] {
        if self.held_out { &self.indices } else { &[] }
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

/// The test data in words, and which version of them: a file that is written again at its address is
/// another test.
fn name(data: &Data, digest: &str) -> String {
    let uris = data.uri.as_slice().join(", ");
    let rows = data.filter.as_ref().map(|filter| format!(" where {filter}")).unwrap_or_default();
    format!("{uris}{rows} (content {})", &digest[..8])
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
