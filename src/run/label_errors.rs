//! Wrong labels, looked for in what stage 1 gives anyway: probabilities of models that never saw the
//! sample.

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Float32Type, SchemaRef};

use super::attempt::Attempt;
use super::rows::{column, ids, labels, strings};
use super::scored::stored_lists;
use super::task::{Task, models};
use super::worker::Run;
use crate::error::{Error, Place, Result};
use crate::external::label_error_table;
use crate::recipe::Recipe;
use crate::scoring::MeanProbabilities;
use crate::tables;

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
    let ids = ids(samples)?;
    let mut means = MeanProbabilities::new(ids.len(), classes);
    for model in 0..models(recipe, 1) {
        let task = Task::Score { stage: 1, model }.to_string();
        add(&mut means, &ids, &read(&task, &schema)?).at(|| format!("scores of {task}"))?;
    }
    Ok(label_error_table(&ids, &labels(samples)?, means)?.0)
}

/// Adds the score table of one model.
fn add(means: &mut MeanProbabilities, samples: &[String], table: &RecordBatch) -> Result<()> {
    let lists = column(table, "probabilities")?.as_fixed_size_list();
    let rows = lists.values().as_primitive::<Float32Type>().values().chunks(means.classes());
    for (id, row) in strings(table, "id")?.iter().flatten().zip(rows) {
        let at = samples.binary_search_by(|other| other.as_str().cmp(id));
        means.add(at.map_err(|_| Error::corrupt(format!("`{id}` is no sample")))?, row);
    }
    Ok(())
}
