//! From the predictions of anybody's models to a score table.

use serde::Serialize;

use super::checks::{Checked, Rules, check};
use super::label_errors::label_error_table;
use super::members::{Labels, Members};
use super::predictions::Predictions;
use super::scorer::{Columns, Scorer};
use crate::error::{Error, Result};
use crate::recipe::{self, Method, Mode, Needs, Storage};
use crate::scoring::{MeanProbabilities, check_trajectory};
use crate::seed::Seed;
use crate::storage::NewFile;

/// What is to be scored, and how.
#[derive(Clone, Debug)]
pub struct Job<'a> {
    /// The predictions: `id`, `model`, `epoch` if there are several, `logits` or `probabilities`,
    /// `embedding` for GraNd and the methods that compare embeddings, and `label` unless `labels` is
    /// given.
    pub predictions: &'a [String],
    /// Who was in which model's training set: `id`, `model`. Needed in mode `unseen`.
    pub members: Option<&'a str>,
    /// The classes: `id`, `label`.
    pub labels: Option<&'a str>,
    /// Whether a model may have been trained on what it scores.
    pub mode: Mode,
    /// Leave out predictions by models that were trained on the sample, instead of refusing them.
    pub drop_seen: bool,
    /// The scores to compute and their options; `logits` and `average = "probabilities"` store these
    /// in the score table.
    pub score: &'a recipe::Score,
    /// Breaks ties in orders and starts k-means.
    pub seed: &'a Seed,
    /// How stores are reached.
    pub storage: &'a Storage,
}

/// What was scored.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Scored {
    /// The score table.
    pub output: String,
    /// Who scored: `unseen` or `fitting`.
    pub mode: Mode,
    /// Its samples.
    pub samples: u64,
    /// Its classes.
    pub classes: usize,
    /// Its rows: one for each sample and model.
    pub rows: u64,
    /// The epochs of each, 1 without a column `epoch`.
    pub epochs: usize,
    /// The scores, in the order of their columns.
    pub methods: Vec<&'static str>,
    /// The models, by their numbers.
    pub models: Vec<ScoredModel>,
    /// Predictions that were left out because their model was trained on the sample.
    pub dropped: u64,
    /// Samples that are in no model's training set, if these are known: new ones, or misspelt ids.
    pub untrained: u64,
    /// How many labels are suspected to be wrong, if they were asked for.
    pub suspected_labels: Option<u64>,
}

/// One model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ScoredModel {
    /// Its number in the score table.
    pub number: usize,
    /// Its name in the predictions.
    pub name: String,
    /// The samples that it was trained on; 0 if nobody said.
    pub members: u64,
    /// The samples that it scored.
    pub scored: u64,
    /// The share of those of which its highest output is at their label.
    pub accuracy: f64,
}

/// Scores predictions and writes the score table, in the contract of [`crate::tables::scores`]: stage 1,
/// ascending by model and id, `fold` the one model that was trained on the sample. In memory are some
/// bytes a prediction and one batch; the predictions go through a scratch file. Methods that compare
/// embeddings hold those of one model.
///
/// `label_errors` is for the table of [`crate::tables::label_errors`], by the mean probabilities of the models.
///
/// # Errors
/// `InvalidRecipe` for methods that predictions do not suffice for; `InvalidInput`, naming rows, for
/// tables that break their contract; `LimitExceeded` for too many embeddings; `Unavailable` if
/// something cannot be read or written.
pub fn score(job: &Job<'_>, output: &NewFile, label_errors: Option<&NewFile>) -> Result<Scored> {
    if job.mode == Mode::Unseen && job.members.is_none() {
        return Err(Error::recipe(
            "--members is missing: the table with `id` and `model` that says which samples each model was trained on (mode fitting needs none)",
        ));
    }
    let labels = job.labels.map(|uri| Labels::read(uri, job.storage)).transpose()?;
    let members = job.members.map(|uri| Members::read(uri, job.storage)).transpose()?;
    let mut predictions =
        Predictions::read(job.predictions, labels.as_ref(), look_at(job.score), job.storage)?;
    check_epochs(job.score, predictions.epochs)?;
    let rules = Rules { mode: job.mode, drop_seen: job.drop_seen };
    let checked = check(&mut predictions, members.as_ref(), labels.as_ref(), rules)?;
    for method in job.score.computed(Needs::Trajectory) {
        check_trajectory(method, &job.score.trajectory, checked.epochs)?;
    }
    let mut models = told(&checked);
    let mut means =
        label_errors.map(|_| MeanProbabilities::new(checked.ids.len(), predictions.classes));
    let scorer = Scorer::new(job, &predictions);
    let mut compared = Vec::new();
    let batches = scorer.pieces(&checked).map(|piece| {
        if piece.from == 0 {
            compared = scorer.compared(&checked, piece.model)?;
        }
        let columns = scorer.columns(&checked, piece.rows)?.with(&compared, piece.from);
        models[piece.rows[0].model as usize].add(&columns);
        if let Some(means) = &mut means {
            let probabilities = scorer.probabilities(&columns.outputs);
            let rows = probabilities.chunks(predictions.classes);
            columns.pairs.iter().zip(rows).for_each(|(pair, row)| means.add(pair.id as usize, row));
        }
        scorer.table(&checked, columns)
    });
    output.write_batches(&scorer.schema, batches)?;
    let suspected_labels = match (label_errors, means) {
        (Some(place), Some(means)) => {
            let (table, suspected) = label_error_table(&checked.ids, &checked.labels, means)?;
            place.write_table(&table)?;
            Some(suspected)
        }
        _ => None,
    };
    Ok(Scored {
        output: output.uri().to_owned(),
        mode: job.mode,
        samples: checked.ids.len() as u64,
        classes: predictions.classes,
        rows: models.iter().map(|model| model.scored).sum(),
        epochs: checked.epochs,
        methods: job.score.methods.iter().map(|method| method.name()).collect(),
        models,
        dropped: checked.dropped,
        untrained: checked.untrained,
        suspected_labels,
    })
}

/// The models before any of their predictions is scored.
fn told(checked: &Checked) -> Vec<ScoredModel> {
    let model = |(number, name): (usize, &String)| ScoredModel {
        number,
        name: name.clone(),
        members: checked.members[number],
        scored: 0,
        accuracy: 0.0,
    };
    checked.models.iter().enumerate().map(model).collect()
}

impl ScoredModel {
    /// Counts some of its predictions in.
    fn add(&mut self, columns: &Columns) {
        let rows = columns.labels.len() as u64;
        let right = columns.predicted.iter().zip(&columns.labels);
        let right = right.filter(|(predicted, label)| **predicted as u32 == **label).count();
        let before = self.accuracy * self.scored as f64;
        self.scored += rows;
        self.accuracy = (before + right as f64) / self.scored.max(1) as f64;
    }
}

/// Whether a method looks at embeddings.
fn look_at(score: &recipe::Score) -> bool {
    // The closed form of GraNd needs the norm of each embedding.
    !score.computed(Needs::Embeddings).is_empty()
        || score.computed(Needs::Snapshot).contains(&Method::Grand)
}

/// Whether there are epochs, if a method watches a training.
fn check_epochs(score: &recipe::Score, epochs: bool) -> Result<()> {
    match score.computed(Needs::Trajectory).first() {
        Some(method) if !epochs => Err(Error::recipe(format!(
            "`{}` watches a training: the predictions table needs a column `epoch` and a row for each epoch",
            method.name()
        ))),
        _ => Ok(()),
    }
}
