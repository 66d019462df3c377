//! The end of a stage: the scores of its models become the coreset so far.

use super::attempt::Attempt;
use super::rows::{kept_ids, labels};
use super::task::{INGEST, Task, models};
use super::worker::Run;
use crate::error::Result;
use crate::{selection, storage, tables};

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
        let scores = storage::frame::stack(scores)?;
        let selected = selection::stage(previous, scores, &plan, stage, &self.recipe, &self.seed)?;
        let batch = storage::frame::to_arrow(selected, &tables::selection())?;
        let kept = kept_ids(&batch).len();
        attempt.write_table("selection.parquet", &batch)?;
        attempt.fact("kept", kept);
        Ok(format!("{kept} of {} samples kept so far", batch.num_rows()))
    }
}
