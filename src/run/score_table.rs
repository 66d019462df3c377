//! A score table that grows batch by batch.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, FixedSizeListArray, Float32Array, Int32Array, StringArray};
use arrow::datatypes::{DataType, Field, Float32Type};
use arrow::record_batch::RecordBatch;

use super::rows::{column, strings};
use super::scored::stored_lists;
use crate::error::{Error, Place, Result};
use crate::recipe::{EmbeddingFrom, Method, Needs, Recipe};
use crate::samples::Samples;
use crate::scoring::{self, Block, Criterion, Values};
use crate::tables;
use crate::training::Batch;

/// The scores of one model. Logits, probabilities and embeddings are kept only if something needs
/// them.
pub(super) struct ScoreTable<'a> {
    recipe: &'a Recipe,
    samples: &'a Samples,
    /// The samples to score, ascending.
    scored: &'a [u32],
    stage: usize,
    snapshots: Vec<Method>,
    /// The scores by method; also of methods that are no column but that others need.
    pub(super) scores: BTreeMap<Method, Vec<f32>>,
    pub(super) logits: Option<Vec<f32>>,
    pub(super) probabilities: Option<Vec<f32>>,
    pub(super) embeddings: Option<Vec<f32>>,
    predicted: Vec<i32>,
    right: usize,
}

impl<'a> ScoreTable<'a> {
    pub(super) fn new(
        recipe: &'a Recipe,
        samples: &'a Samples,
        scored: &'a [u32],
        stage: usize,
    ) -> Self {
        let score = &recipe.score;
        let lists = stored_lists(recipe, stage);
        // As large as they get, or they would take twice that while they grow.
        let room = scored.len() * samples.classes.len();
        let compared = !score.computed(Needs::Embeddings).is_empty();
        let from_model = compared && score.embedding.from == EmbeddingFrom::Model;
        let probabilities =
            lists.contains(&"probabilities") || score.methods.contains(&Method::Cal);
        Self {
            recipe,
            samples,
            scored,
            stage,
            snapshots: score.computed(Needs::Snapshot),
            scores: BTreeMap::new(),
            logits: lists.contains(&"logits").then(|| Vec::with_capacity(room)),
            probabilities: probabilities.then(|| Vec::with_capacity(room)),
            embeddings: from_model.then(Vec::new),
            predicted: Vec::new(),
            right: 0,
        }
    }

    /// Whether batches must bring embeddings.
    pub(super) fn needs_embeddings(&self) -> bool {
        self.embeddings.is_some() || self.snapshots.contains(&Method::Grand)
    }

    /// Scores one batch of outputs.
    pub(super) fn push(&mut self, batch: &Batch<'_>) -> Result<()> {
        let classes = self.samples.classes.len();
        let labels = labels_of(self.samples, batch.indices);
        let norms = batch.embeddings.map(|rows| norms(rows, labels.len()));
        let block = Block {
            values: Values::Logits(batch.logits),
            classes,
            labels: &labels,
            embedding_norms: norms.as_deref(),
        };
        self.score(&block)
            .at(|| format!("samples from `{}`", self.samples.ids[batch.indices[0] as usize]))?;
        if let Some(all) = &mut self.probabilities {
            let mut row = vec![0.0; classes];
            for logits in batch.logits.chunks(classes) {
                scoring::softmax(logits, &mut row);
                all.extend_from_slice(&row);
            }
        }
        if let Some(all) = &mut self.logits {
            all.extend_from_slice(batch.logits);
        }
        if let (Some(all), Some(rows)) = (&mut self.embeddings, batch.embeddings) {
            if all.is_empty() {
                all.reserve_exact(rows.len() / labels.len().max(1) * self.scored.len());
            }
            all.extend_from_slice(rows);
        }
        for (logits, label) in batch.logits.chunks(classes).zip(&labels) {
            let predicted = argmax(logits);
            self.right += usize::from(predicted == *label as usize);
            self.predicted.push(predicted as i32);
        }
        Ok(())
    }

    fn score(&mut self, block: &Block<'_>) -> Result<()> {
        let criteria: Vec<&dyn Criterion> =
            self.snapshots.iter().filter_map(|m| scoring::criterion(*m)).collect();
        let mut scores = vec![0.0; block.labels.len() * criteria.len()];
        scoring::score_block(block, &criteria, &mut scores)?;
        for (i, method) in self.snapshots.iter().enumerate() {
            let column = scores.iter().skip(i).step_by(criteria.len());
            self.scores.entry(*method).or_default().extend(column);
        }
        Ok(())
    }

    /// Takes over what was seen while the model was trained.
    pub(super) fn join(&mut self, dynamics: &RecordBatch) -> Result<()> {
        let ids = self.scored.iter().map(|i| Some(self.samples.ids[*i as usize].as_str()));
        if !strings(dynamics, "id")?.iter().eq(ids) {
            return Err(Error::corrupt("the dynamics table does not hold exactly what is scored"));
        }
        for method in self.recipe.score.computed(Needs::Trajectory) {
            let scores = column(dynamics, method.name())?.as_primitive::<Float32Type>();
            self.scores.insert(method, scores.values().to_vec());
        }
        Ok(())
    }

    /// The labels of the scored samples.
    pub(super) fn labels(&self) -> Vec<u32> {
        labels_of(self.samples, self.scored)
    }

    /// The share of samples whose largest logit is at their label.
    pub(super) fn accuracy(&self) -> f64 {
        self.right as f64 / self.predicted.len().max(1) as f64
    }

    /// The table, one row for each sample.
    pub(super) fn finish(mut self, folds: Int32Array, model: usize) -> Result<RecordBatch> {
        let n = self.scored.len();
        let ids = self.scored.iter().map(|i| &self.samples.ids[*i as usize]);
        let labels = self.labels().into_iter().map(|label| label as i32);
        let constant = |value: usize| Int32Array::from(vec![value as i32; n]);
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from_iter_values(ids)),
            Arc::new(Int32Array::from_iter_values(labels)),
            Arc::new(folds),
            Arc::new(constant(self.stage)),
            Arc::new(constant(model)),
            Arc::new(Int32Array::from(self.predicted)),
        ];
        let methods = &self.recipe.score.methods;
        for method in methods {
            let scores = self
                .scores
                .remove(method)
                .ok_or_else(|| Error::internal(format!("`{}` was not computed", method.name())))?;
            columns.push(Arc::new(Float32Array::from(scores)));
        }
        let classes = self.samples.classes.len();
        let lists = stored_lists(self.recipe, self.stage);
        for name in &lists {
            let values = if *name == "logits" { &mut self.logits } else { &mut self.probabilities };
            columns.push(Arc::new(list(values.take().unwrap_or_default(), classes)?));
        }
        let lists: Vec<(&str, usize)> = lists.into_iter().map(|name| (name, classes)).collect();
        let schema = tables::scores(methods, &lists, self.recipe.score.outputs);
        Ok(RecordBatch::try_new(schema, columns)?)
    }
}

/// The labels of samples.
pub(super) fn labels_of(samples: &Samples, indices: &[u32]) -> Vec<u32> {
    indices.iter().map(|i| samples.labels[*i as usize]).collect()
}

/// The Euclidean norm of each of so many `rows`.
fn norms(embeddings: &[f32], rows: usize) -> Vec<f32> {
    let norm = |row: &[f32]| row.iter().fold(0.0, |sum, &x| sum + f64::from(x).powi(2)).sqrt();
    embeddings.chunks(embeddings.len() / rows.max(1)).map(|row| norm(row) as f32).collect()
}

fn list(values: Vec<f32>, width: usize) -> Result<FixedSizeListArray> {
    let item = Arc::new(Field::new("item", DataType::Float32, false));
    Ok(FixedSizeListArray::try_new(item, width as i32, Arc::new(Float32Array::from(values)), None)?)
}

/// The class with the largest logit, the first of several.
pub(super) fn argmax(logits: &[f32]) -> usize {
    let mut best = 0;
    for (i, z) in logits.iter().enumerate() {
        if *z > logits[best] {
            best = i;
        }
    }
    best
}
