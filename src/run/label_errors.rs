//! Wrong labels, looked for in what stage 1 gives anyway: probabilities of models that never saw the
//! sample.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, Float32Array, Int32Array, RecordBatch};
use arrow::datatypes::{Float32Type, SchemaRef};

use super::attempt::Attempt;
use super::rows::{column, ids, labels, strings};
use super::scored::stored_lists;
use super::task::{Task, models};
use super::worker::Run;
use crate::error::{Error, Place, Result};
use crate::recipe::Recipe;
use crate::{scoring, tables};

/// The output of the first selection that holds them.
pub(super) const LABEL_ERRORS: &str = "label_errors.parquet";

impl Run {
    /// Writes the label errors of stage 1, if the recipe asks for them.
    pub(super) fn label_errors(
        &self,
        attempt: &mut Attempt,
        stage: usize,
        samples: &RecordBatch,
        classes: usize,
    ) -> Result<()> {
        if stage != 1 || !self.recipe.score.label_errors {
            return Ok(());
        }
        let found = judged(&self.recipe, samples, classes, |task, schema| {
            attempt.table(task, "scores.parquet", schema)
        })?;
        let suspected = column(&found, "suspected")?.as_boolean().true_count();
        attempt.write_table(LABEL_ERRORS, &found)?;
        attempt.fact("suspected_labels", suspected);
        Ok(())
    }
}

/// The label errors of the samples, from the score tables of stage 1, which `read` reads.
pub(super) fn judged(
    recipe: &Recipe,
    samples: &RecordBatch,
    classes: usize,
    mut read: impl FnMut(&str, &SchemaRef) -> Result<RecordBatch>,
) -> Result<RecordBatch> {
    let lists: Vec<(&str, usize)> =
        stored_lists(recipe, 1).into_iter().map(|name| (name, classes)).collect();
    let schema = tables::scores(&recipe.score.methods, &lists, recipe.score.outputs);
    let mut means = Means::new(ids(samples)?, classes);
    for model in 0..models(recipe, 1) {
        let task = Task::Score { stage: 1, model }.to_string();
        means.add(&read(&task, &schema)?).at(|| format!("scores of {task}"))?;
    }
    let labels = labels(samples)?;
    let found = scoring::label_errors(&means.finish()?, classes, &labels)?;
    let columns: Vec<ArrayRef> = vec![
        Arc::clone(column(samples, "id")?),
        Arc::clone(column(samples, "label")?),
        Arc::new(Int32Array::from_iter_values(found.iter().map(|e| e.suggested as i32))),
        Arc::new(Float32Array::from_iter_values(found.iter().map(|e| e.self_confidence))),
        Arc::new(Float32Array::from_iter_values(found.iter().map(|e| e.normalized_margin))),
        Arc::new(found.iter().map(|e| Some(e.suspected)).collect::<BooleanArray>()),
    ];
    Ok(RecordBatch::try_new(tables::label_errors(), columns)?)
}

/// The mean probabilities of samples over models, added in the order of the models.
struct Means {
    ids: Vec<String>,
    classes: usize,
    sums: Vec<f32>,
    counts: Vec<u32>,
}

impl Means {
    fn new(ids: Vec<String>, classes: usize) -> Self {
        let (sums, counts) = (vec![0.0; ids.len() * classes], vec![0; ids.len()]);
        Self { ids, classes, sums, counts }
    }

    /// Adds the score table of one model.
    fn add(&mut self, table: &RecordBatch) -> Result<()> {
        let lists = column(table, "probabilities")?.as_fixed_size_list();
        let rows = lists.values().as_primitive::<Float32Type>().values().chunks(self.classes);
        for (id, row) in strings(table, "id")?.iter().flatten().zip(rows) {
            let at = self.ids.binary_search_by(|other| other.as_str().cmp(id));
            let at = at.map_err(|_| Error::corrupt(format!("`{id}` is no sample")))?;
            let sums = &mut self.sums[at * self.classes..(at + 1) * self.classes];
            sums.iter_mut().zip(row).for_each(|(sum, p)| *sum += p);
            self.counts[at] += 1;
        }
        Ok(())
    }

    /// `n x classes` means.
    fn finish(mut self) -> Result<Vec<f32>> {
        if let Some(at) = self.counts.iter().position(|count| *count == 0) {
            return Err(Error::corrupt(format!("`{}` has no probabilities", self.ids[at])));
        }
        for (row, count) in self.sums.chunks_mut(self.classes).zip(&self.counts) {
            for sum in row {
                *sum /= *count as f32;
            }
        }
        Ok(self.sums)
    }
}
