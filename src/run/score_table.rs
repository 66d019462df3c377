//! A score table that grows batch by batch.

use std::sync::Arc;

use arrow::array::{ArrayRef, FixedSizeListArray, Float32Array, Int32Array, StringArray};
use arrow::datatypes::{DataType, Field};
use arrow::record_batch::RecordBatch;

use crate::error::Result;
use crate::recipe::{Average, Method, Outputs, Recipe};
use crate::samples::Samples;
use crate::scoring::{self, Block, Criterion, Values};
use crate::tables;

/// A score table that grows batch by batch; logits are kept only when asked for.
pub(super) struct ScoreTable {
    methods: Vec<Method>,
    outputs: Outputs,
    classes: usize,
    scores: Vec<Vec<f32>>,
    logits: Option<Vec<f32>>,
    probabilities: Option<Vec<f32>>,
    predicted: Vec<i32>,
    right: usize,
}

impl ScoreTable {
    pub(super) fn new(recipe: &Recipe, classes: usize) -> Self {
        let methods = recipe.score.methods.clone();
        Self {
            scores: vec![Vec::new(); methods.len()],
            methods,
            outputs: recipe.score.outputs,
            classes,
            logits: recipe.score.logits.then(Vec::new),
            probabilities: (recipe.score.average == Average::Probabilities).then(Vec::new),
            predicted: Vec::new(),
            right: 0,
        }
    }

    /// Scores one batch of logits, `indices.len() x classes`.
    pub(super) fn push(
        &mut self,
        samples: &Samples,
        indices: &[u32],
        logits: &[f32],
    ) -> Result<()> {
        let labels: Vec<u32> = indices.iter().map(|i| samples.labels[*i as usize]).collect();
        let criteria: Vec<&dyn Criterion> =
            self.methods.iter().filter_map(|m| scoring::criterion(*m)).collect();
        let mut scores = vec![0.0; indices.len() * criteria.len()];
        let (values, classes) = (Values::Logits(logits), self.classes);
        let block = Block { values, classes, labels: &labels, embedding_norms: None };
        scoring::score_block(&block, &criteria, &mut scores)
            .map_err(|e| e.at(format!("samples from `{}`", samples.ids[indices[0] as usize])))?;
        for row in scores.chunks(criteria.len()) {
            self.scores.iter_mut().zip(row).for_each(|(all, score)| all.push(*score));
        }
        if let Some(all) = &mut self.probabilities {
            let mut row = vec![0.0; self.classes];
            for logits in logits.chunks(self.classes) {
                scoring::softmax(logits, &mut row);
                all.extend_from_slice(&row);
            }
        }
        if let Some(all) = &mut self.logits {
            all.extend_from_slice(logits);
        }
        for (logits, label) in logits.chunks(self.classes).zip(&labels) {
            let predicted = argmax(logits);
            self.right += usize::from(predicted == *label as usize);
            self.predicted.push(predicted as i32);
        }
        Ok(())
    }

    /// The share of samples whose largest logit is at their label.
    pub(super) fn accuracy(&self) -> f64 {
        self.right as f64 / self.predicted.len().max(1) as f64
    }

    /// The table, one row for each of the `scored` samples.
    pub(super) fn finish(
        self,
        samples: &Samples,
        scored: &[u32],
        folds: Int32Array,
        stage: usize,
        model: usize,
    ) -> Result<RecordBatch> {
        let n = scored.len();
        let ids = StringArray::from_iter_values(scored.iter().map(|i| &samples.ids[*i as usize]));
        let labels =
            Int32Array::from_iter_values(scored.iter().map(|i| samples.labels[*i as usize] as i32));
        let constant = |value: usize| Int32Array::from(vec![value as i32; n]);
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(ids),
            Arc::new(labels),
            Arc::new(folds),
            Arc::new(constant(stage)),
            Arc::new(constant(model)),
            Arc::new(Int32Array::from(self.predicted)),
        ];
        columns
            .extend(self.scores.into_iter().map(|s| Arc::new(Float32Array::from(s)) as ArrayRef));
        let mut lists = Vec::new();
        for (name, values) in [("logits", self.logits), ("probabilities", self.probabilities)] {
            if let Some(values) = values {
                lists.push((name, self.classes));
                columns.push(Arc::new(list(values, self.classes)?));
            }
        }
        let schema = tables::scores(&self.methods, &lists, self.outputs);
        Ok(RecordBatch::try_new(schema, columns)?)
    }
}

fn list(values: Vec<f32>, width: usize) -> Result<FixedSizeListArray> {
    let item = Arc::new(Field::new("item", DataType::Float32, false));
    Ok(FixedSizeListArray::try_new(item, width as i32, Arc::new(Float32Array::from(values)), None)?)
}

fn argmax(logits: &[f32]) -> usize {
    let mut best = 0;
    for (i, z) in logits.iter().enumerate() {
        if *z > logits[best] {
            best = i;
        }
    }
    best
}
