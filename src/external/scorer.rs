//! Scores of checked predictions, batch by batch.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, FixedSizeListArray, Float32Array, Int32Array, StringArray};
use arrow::datatypes::{DataType, SchemaRef};
use arrow::record_batch::RecordBatch;

use super::checks::Checked;
use super::predictions::{Outputs, Predictions, Row};
use super::score::Job;
use crate::error::{Error, Result};
use crate::recipe::{self, Average, Method, Needs};
use crate::scoring::{
    Block, Criterion, Dynamics, Values, criterion, score_block, softmax, trajectory,
};
use crate::seed::Seed;
use crate::tables;

/// The bytes of predictions that are scored at a time.
const BATCH_BYTES: usize = 32 << 20;

/// Turns sorted predictions into batches of the score table.
pub(super) struct Scorer<'a> {
    pub(super) predictions: &'a Predictions,
    pub(super) score: &'a recipe::Score,
    pub(super) seed: &'a Seed,
    pub(super) schema: SchemaRef,
}

/// Rows of one model that are scored at a time, all epochs of each sample.
pub(super) struct Piece<'a> {
    /// All rows of the model.
    pub(super) model: &'a [Row],
    pub(super) rows: &'a [Row],
    /// How many of the model's samples come before.
    pub(super) from: usize,
}

/// What some rows of one model come to.
pub(super) struct Columns {
    /// A row for each sample.
    pub(super) pairs: Vec<Row>,
    pub(super) labels: Vec<u32>,
    /// The outputs at the last epoch.
    pub(super) outputs: Vec<f32>,
    pub(super) predicted: Vec<i32>,
    pub(super) scores: BTreeMap<Method, Vec<f32>>,
}

impl Columns {
    /// With these columns of the whole model, from the sample `from` on.
    pub(super) fn with(mut self, compared: &[(Method, Vec<f32>)], from: usize) -> Self {
        let rows = from..from + self.pairs.len();
        self.scores.extend(compared.iter().map(|(of, all)| (*of, all[rows.clone()].to_vec())));
        self
    }
}

impl<'a> Scorer<'a> {
    pub(super) fn new(job: &Job<'a>, predictions: &'a Predictions) -> Self {
        let lists = stored(job.score).map(|name| (name, predictions.classes));
        // Whoever wrote the predictions chose what they were computed from; a clean pass is the rule.
        let lists: Vec<_> = lists.collect();
        let schema = tables::scores(&job.score.methods, &lists, recipe::Outputs::Clean);
        Self { predictions, score: job.score, seed: job.seed, schema }
    }

    pub(super) fn pieces<'c>(
        &self,
        checked: &'c Checked,
    ) -> impl Iterator<Item = Piece<'c>> + use<'c> {
        let bytes = self.predictions.classes * size_of::<f32>() * checked.epochs;
        let samples = (BATCH_BYTES / bytes.max(1)).max(1);
        let epochs = checked.epochs;
        let models = checked.rows.chunk_by(|a, b| a.model == b.model);
        models.flat_map(move |model| {
            let pieces = model.chunks(samples * epochs).enumerate();
            pieces.map(move |(i, rows)| Piece { model, rows, from: i * samples })
        })
    }

    /// The scores of some rows by all methods that need no other rows.
    pub(super) fn columns(&self, checked: &Checked, rows: &[Row]) -> Result<Columns> {
        let epochs = checked.epochs;
        let pairs: Vec<Row> = rows.iter().step_by(epochs).copied().collect();
        let labels: Vec<u32> = pairs.iter().map(|row| checked.labels[row.id as usize]).collect();
        let watched = self.score.computed(Needs::Trajectory);
        let trajectories = watched.iter().filter_map(|m| trajectory(*m, &self.score.trajectory));
        let mut dynamics =
            Dynamics::new(trajectories.collect(), pairs.len(), self.predictions.classes);
        let watch = self.score.trajectory.epochs.unwrap_or(epochs).min(epochs);
        let watch = if watched.is_empty() { 0 } else { watch };
        for epoch in 0..watch {
            let rows = rows.iter().skip(epoch).step_by(epochs);
            let values = self.predictions.values(rows.copied())?;
            dynamics.observe(epoch, 0, &self.block(&values, &labels, None))?;
        }
        let last: Vec<Row> = rows.iter().skip(epochs - 1).step_by(epochs).copied().collect();
        let outputs = self.predictions.values(last.iter().copied())?;
        let norms = self.norms(&last)?;
        let mut scores = self.snapshot_scores(&self.block(&outputs, &labels, norms.as_deref()))?;
        scores.extend(watched.into_iter().zip(dynamics.finish(watch)));
        let predicted =
            outputs.chunks(self.predictions.classes).map(|row| highest(row) as i32).collect();
        Ok(Columns { pairs, labels, outputs, predicted, scores })
    }

    fn block<'v>(
        &self,
        values: &'v [f32],
        labels: &'v [u32],
        embedding_norms: Option<&'v [f32]>,
    ) -> Block<'v> {
        let values = match self.predictions.outputs {
            Outputs::Logits => Values::Logits(values),
            Outputs::Probabilities => Values::Probabilities(values),
        };
        Block { values, classes: self.predictions.classes, labels, embedding_norms }
    }

    /// The norms of embeddings, if GraNd asks for them.
    fn norms(&self, rows: &[Row]) -> Result<Option<Vec<f32>>> {
        let wanted = self.score.computed(Needs::Snapshot).contains(&Method::Grand);
        let Some(lists) = self.predictions.embeddings.as_ref().filter(|_| wanted) else {
            return Ok(None);
        };
        let points = lists.values(rows.iter().copied())?;
        let norm =
            |point: &[f32]| point.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt() as f32;
        Ok(Some(points.chunks(lists.width).map(norm).collect()))
    }

    fn snapshot_scores(&self, block: &Block<'_>) -> Result<BTreeMap<Method, Vec<f32>>> {
        let methods = self.score.computed(Needs::Snapshot);
        let criteria: Vec<&dyn Criterion> = methods.iter().filter_map(|m| criterion(*m)).collect();
        let mut scores = vec![0.0; block.labels.len() * criteria.len()];
        score_block(block, &criteria, &mut scores)?;
        let column = |(i, method)| {
            (method, scores.iter().skip(i).step_by(criteria.len()).copied().collect())
        };
        Ok(methods.into_iter().enumerate().map(column).collect())
    }

    /// Outputs as probabilities.
    pub(super) fn probabilities(&self, outputs: &[f32]) -> Vec<f32> {
        let mut probabilities = outputs.to_vec();
        if self.predictions.outputs == Outputs::Logits {
            let classes = self.predictions.classes;
            let rows = outputs.chunks(classes).zip(probabilities.chunks_mut(classes));
            rows.for_each(|(logits, row)| softmax(logits, row));
        }
        probabilities
    }

    pub(super) fn table(&self, checked: &Checked, of: Columns) -> Result<RecordBatch> {
        let pairs = &of.pairs;
        let ids = pairs.iter().map(|row| &checked.ids[row.id as usize]);
        let number = |of: &dyn Fn(&Row) -> i32| Int32Array::from_iter_values(pairs.iter().map(of));
        let folds: Int32Array = pairs.iter().map(|row| checked.folds[row.id as usize]).collect();
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from_iter_values(ids)),
            Arc::new(number(&|row| checked.labels[row.id as usize] as i32)),
            Arc::new(folds),
            Arc::new(number(&|_| 1)),
            Arc::new(number(&|row| row.model as i32)),
            Arc::new(Int32Array::from(of.predicted)),
        ];
        for method in &self.score.methods {
            let scores = of.scores.get(method).cloned().unwrap_or_default();
            columns.push(Arc::new(Float32Array::from(scores)));
        }
        for name in stored(self.score) {
            let values = match name {
                LOGITS => of.outputs.clone(),
                _ => self.probabilities(&of.outputs),
            };
            let DataType::FixedSizeList(item, width) = self.schema.field(columns.len()).data_type()
            else {
                return Err(Error::internal(format!("`{name}` is no list")));
            };
            let values = Arc::new(Float32Array::from(values));
            let list = FixedSizeListArray::try_new(Arc::clone(item), *width, values, None)?;
            columns.push(Arc::new(list));
        }
        Ok(RecordBatch::try_new(Arc::clone(&self.schema), columns)?)
    }
}

const LOGITS: &str = "logits";

/// The list columns of the score table.
fn stored(score: &recipe::Score) -> impl Iterator<Item = &'static str> {
    let averaged = score.average == Average::Probabilities;
    let lists = [(LOGITS, score.logits), ("probabilities", averaged)];
    lists.into_iter().filter_map(|(name, stored)| stored.then_some(name))
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
