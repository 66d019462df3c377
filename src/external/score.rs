//! From the predictions of anybody's models to a score table.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float32Array, Int32Array, StringArray};
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use serde::Serialize;

use super::checks::{Checked, Rules, check};
use super::members::{Labels, Members};
use super::predictions::{Outputs, Predictions, Row};
use crate::error::{Error, Result};
use crate::recipe::{self, Method, Mode, Needs, Storage, Trajectory};
use crate::scoring::{
    Block, Criterion, Dynamics, Values, check_trajectory, criterion, score_block, trajectory,
};
use crate::storage::NewFile;
use crate::tables;

/// The bytes of predictions that are scored at a time.
const BATCH_BYTES: usize = 32 << 20;

/// What is to be scored, and how.
#[derive(Clone, Debug)]
pub struct Job<'a> {
    /// The predictions: `id`, `model`, `epoch` if there are several, `logits` or `probabilities`, and
    /// `label` unless `labels` is given.
    pub predictions: &'a [String],
    /// Who was in which model's training set: `id`, `model`. Needed in mode `unseen`.
    pub members: Option<&'a str>,
    /// The classes: `id`, `label`.
    pub labels: Option<&'a str>,
    /// Whether a model may have been trained on what it scores.
    pub mode: Mode,
    /// Leave out predictions by models that were trained on the sample, instead of refusing them.
    pub drop_seen: bool,
    /// The scores to compute.
    pub methods: &'a [Method],
    /// Options of the methods that watch a training.
    pub trajectory: &'a Trajectory,
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

/// Scores predictions and writes the score table, in the contract of [`tables::scores`]: stage 1,
/// ascending by model and id, `fold` the one model that was trained on the sample. In memory are some
/// bytes a prediction and one batch; the predictions go through a scratch file.
///
/// # Errors
/// `InvalidRecipe` for methods that predictions do not suffice for; `InvalidInput`, naming rows, for
/// tables that break their contract; `Unavailable` if something cannot be read or written.
pub fn score(job: &Job<'_>, output: &NewFile) -> Result<Scored> {
    if job.mode == Mode::Unseen && job.members.is_none() {
        return Err(Error::recipe(
            "--members is missing: the table with `id` and `model` that says which samples each model was trained on (mode fitting needs none)",
        ));
    }
    let labels = job.labels.map(|uri| Labels::read(uri, job.storage)).transpose()?;
    let members = job.members.map(|uri| Members::read(uri, job.storage)).transpose()?;
    let mut predictions = Predictions::read(job.predictions, labels.as_ref(), job.storage)?;
    job.methods.iter().try_for_each(|method| can_score(*method, predictions.epochs))?;
    let rules = Rules { mode: job.mode, drop_seen: job.drop_seen };
    let checked = check(&mut predictions, members.as_ref(), labels.as_ref(), rules)?;
    for method in job.methods {
        check_trajectory(*method, job.trajectory, checked.epochs)?;
    }
    let models = checked.models.iter().enumerate().map(|(number, name)| ScoredModel {
        number,
        name: name.clone(),
        members: checked.members[number],
        scored: 0,
        accuracy: 0.0,
    });
    let mut models: Vec<ScoredModel> = models.collect();
    let scorer = Scorer::new(job, &predictions);
    let batches = scorer.pieces(&checked).map(|rows| {
        let (batch, right) = scorer.batch(&checked, rows)?;
        let model = &mut models[rows[0].model as usize];
        model.scored += batch.num_rows() as u64;
        model.accuracy += right as f64;
        Ok(batch)
    });
    output.write_batches(&scorer.schema, batches)?;
    for model in &mut models {
        model.accuracy /= model.scored.max(1) as f64;
    }
    Ok(Scored {
        output: output.uri().to_owned(),
        mode: job.mode,
        samples: checked.ids.len() as u64,
        classes: predictions.classes,
        rows: models.iter().map(|model| model.scored).sum(),
        epochs: checked.epochs,
        methods: job.methods.iter().map(|method| method.name()).collect(),
        models,
        dropped: checked.dropped,
    })
}

/// Turns sorted predictions into batches of the score table.
struct Scorer<'a> {
    predictions: &'a Predictions,
    methods: &'a [Method],
    trajectory: &'a Trajectory,
    schema: SchemaRef,
}

impl<'a> Scorer<'a> {
    fn new(job: &Job<'a>, predictions: &'a Predictions) -> Self {
        // Whoever wrote the predictions chose what they were computed from; a clean pass is the rule.
        let schema = tables::scores(job.methods, &[], recipe::Outputs::Clean);
        Self { predictions, methods: job.methods, trajectory: job.trajectory, schema }
    }

    /// The rows that are scored at a time: of one model, all epochs of each sample.
    fn pieces<'c>(&self, checked: &'c Checked) -> impl Iterator<Item = &'c [Row]> + use<'c> {
        let bytes = self.predictions.classes * size_of::<f32>() * checked.epochs;
        let rows = (BATCH_BYTES / bytes.max(1)).max(1) * checked.epochs;
        let models = checked.rows.chunk_by(|a, b| a.model == b.model);
        models.flat_map(move |model| model.chunks(rows))
    }

    /// The score table of some rows, and how many of them are predicted right.
    fn batch(&self, checked: &Checked, rows: &[Row]) -> Result<(RecordBatch, u64)> {
        let epochs = checked.epochs;
        let pairs: Vec<Row> = rows.iter().step_by(epochs).copied().collect();
        let labels: Vec<u32> = pairs.iter().map(|row| checked.labels[row.id as usize]).collect();
        let (watched, wanted) = self.watched();
        let mut dynamics = Dynamics::new(watched, pairs.len(), self.predictions.classes);
        let watch = self.trajectory.epochs.unwrap_or(epochs).min(epochs);
        let watch = if wanted.is_empty() { 0 } else { watch };
        for epoch in 0..watch {
            let values =
                self.predictions.values(rows.iter().skip(epoch).step_by(epochs).copied())?;
            dynamics.observe(epoch, 0, &self.block(&values, &labels))?;
        }
        let last = rows.iter().skip(epochs - 1).step_by(epochs).copied();
        let values = self.predictions.values(last)?;
        let mut scores = self.snapshot_scores(&self.block(&values, &labels))?;
        for (at, column) in wanted.into_iter().zip(dynamics.finish(watch)) {
            scores[at] = column;
        }
        let predicted: Vec<i32> =
            values.chunks(self.predictions.classes).map(|row| highest(row) as i32).collect();
        let right = predicted.iter().zip(&labels).filter(|(p, l)| **p as u32 == **l).count();
        Ok((self.table(checked, &pairs, predicted, scores)?, right as u64))
    }

    fn block<'v>(&self, values: &'v [f32], labels: &'v [u32]) -> Block<'v> {
        let values = match self.predictions.outputs {
            Outputs::Logits => Values::Logits(values),
            Outputs::Probabilities => Values::Probabilities(values),
        };
        Block { values, classes: self.predictions.classes, labels, embedding_norms: None }
    }

    /// The methods that watch a training, and the places of their columns.
    fn watched(&self) -> (Vec<Box<dyn crate::scoring::Trajectory>>, Vec<usize>) {
        let each = self.methods.iter().enumerate();
        each.filter_map(|(at, method)| Some((trajectory(*method, self.trajectory)?, at))).unzip()
    }

    /// A column for each method, empty for those that watch a training.
    fn snapshot_scores(&self, block: &Block<'_>) -> Result<Vec<Vec<f32>>> {
        let each = self.methods.iter().enumerate();
        let (criteria, at): (Vec<&dyn Criterion>, Vec<usize>) =
            each.filter_map(|(at, method)| Some((criterion(*method)?, at))).unzip();
        let mut scores = vec![0.0; block.labels.len() * criteria.len()];
        score_block(block, &criteria, &mut scores)?;
        let mut columns = vec![Vec::new(); self.methods.len()];
        for (i, at) in at.iter().enumerate() {
            columns[*at] = scores.iter().skip(i).step_by(criteria.len()).copied().collect();
        }
        Ok(columns)
    }

    fn table(
        &self,
        checked: &Checked,
        pairs: &[Row],
        predicted: Vec<i32>,
        scores: Vec<Vec<f32>>,
    ) -> Result<RecordBatch> {
        let ids = pairs.iter().map(|row| &checked.ids[row.id as usize]);
        let number = |of: &dyn Fn(&Row) -> i32| Int32Array::from_iter_values(pairs.iter().map(of));
        let folds: Int32Array = pairs.iter().map(|row| checked.folds[row.id as usize]).collect();
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from_iter_values(ids)),
            Arc::new(number(&|row| checked.labels[row.id as usize] as i32)),
            Arc::new(folds),
            Arc::new(number(&|_| 1)),
            Arc::new(number(&|row| row.model as i32)),
            Arc::new(Int32Array::from(predicted)),
        ];
        columns.extend(scores.into_iter().map(|s| Arc::new(Float32Array::from(s)) as ArrayRef));
        Ok(RecordBatch::try_new(Arc::clone(&self.schema), columns)?)
    }
}

/// Whether predictions suffice for a method.
fn can_score(method: Method, epochs: bool) -> Result<()> {
    let name = method.name();
    match method.needs() {
        // The closed form of GraNd needs the norm of each embedding.
        _ if method == Method::Grand => Err(Error::recipe(
            "`grand` needs the embeddings of the model, which a table of predictions does not hold; `el2n` is the same without their norm",
        )),
        Needs::Embeddings => Err(Error::recipe(format!(
            "`{name}` compares embeddings, which a table of predictions does not hold"
        ))),
        Needs::Trajectory if !epochs => Err(Error::recipe(format!(
            "`{name}` watches a training: the predictions table needs a column `epoch` and a row for each epoch"
        ))),
        _ => Ok(()),
    }
}

/// The place of the highest output, the first of several.
fn highest(row: &[f32]) -> usize {
    let mut best = 0;
    for (i, value) in row.iter().enumerate() {
        if *value > row[best] {
            best = i;
        }
    }
    best
}
