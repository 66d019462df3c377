//! The end of a stage: the scores of its models become the coreset so far.

use polars::prelude::DataFrame;

use super::attempt::Attempt;
use super::rows::{kept_ids, labels};
use super::task::{INGEST, METADATA, Task, models, needs_metadata};
use super::worker::Run;
use crate::error::Result;
use crate::selection::{self, Terms};
use crate::{storage, tables};

impl Run {
    /// Adds the stage's best to the coreset.
    pub(super) fn select(&self, attempt: &mut Attempt, stage: usize) -> Result<String> {
        let mut scores = Vec::new();
        for model in 0..models(&self.recipe, stage) {
            let task = Task::Score { stage, model }.to_string();
            scores.push(attempt.frame(&task, "scores.parquet")?);
        }
        let samples = attempt.table(INGEST, "samples.parquet", &tables::samples())?;
        let classes: Vec<String> = serde_json::from_slice(&attempt.read(INGEST, "classes.json")?)?;
        self.label_errors(attempt, stage, &samples, classes.len())?;
        let plan = self.selection_plan(&labels(&samples)?, &classes)?;
        let previous = match stage {
            1 => None,
            _ => Some(
                attempt
                    .frame(&Task::Select { stage: stage - 1 }.to_string(), "selection.parquet")?,
            ),
        };
        let metadata = if needs_metadata(&self.recipe) {
            Some(attempt.frame(METADATA, "metadata.parquet")?)
        } else {
            None
        };
        let clusters = attempt.frame(INGEST, "samples.parquet")?;
        let terms = self.terms(&classes, metadata, clusters);
        let scores = storage::frame::stack(scores)?;
        let selected = selection::stage(previous.as_ref(), &scores, &plan, stage, &terms)?;
        let batch = storage::frame::to_arrow(selected, &tables::state())?;
        let kept = kept_ids(&batch).len();
        attempt.write_table("selection.parquet", &batch)?;
        attempt.fact("kept", kept);
        Ok(format!("{kept} of {} samples kept so far", batch.num_rows()))
    }

    /// What decides the selection beside the scores; `clusters` may be the table of samples.
    pub(super) fn terms<'a>(
        &'a self,
        classes: &'a [String],
        metadata: Option<DataFrame>,
        clusters: DataFrame,
    ) -> Terms<'a> {
        let (score, select) = (&self.recipe.score, &self.recipe.select);
        Terms { score, select, classes, metadata, clusters: Some(clusters), seed: &self.seed }
    }
}
