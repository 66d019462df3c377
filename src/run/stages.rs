//! What a stage needs to know and does apart from models: who trains, who is scored, who is kept.

use arrow::record_batch::RecordBatch;

use super::attempt::Attempt;
use super::rows::{ints, kept_ids, labels, strings};
use super::task::{FOLDS, INGEST, Task, models};
use super::worker::Run;
use crate::error::Result;
use crate::recipe::{FitOn, Mode};
use crate::samples::Samples;
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
        let plan = self.selection_plan(&labels(&samples)?, classes.len())?;
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

    /// Canonical indices of the training samples of a model, ascending.
    pub(super) fn members(
        &self,
        attempt: &mut Attempt,
        samples: &Samples,
        stage: usize,
        model: usize,
    ) -> Result<Vec<u32>> {
        let all = 0..samples.len() as u32;
        if stage > 1 {
            let before = Task::Select { stage: stage - 1 }.to_string();
            let kept =
                kept_ids(&attempt.table(&before, "selection.parquet", &tables::selection())?);
            return Ok(all.filter(|i| kept.contains(&samples.ids[*i as usize])).collect());
        }
        if self.recipe.mode == Mode::Fitting {
            return Ok(all.collect());
        }
        let folds = attempt.table(FOLDS, "folds.parquet", &tables::folds())?;
        let folds = ints(&folds, "fold")?;
        let inside = self.recipe.folds.fit_on == FitOn::Fold;
        Ok(all.filter(|i| (folds.value(*i as usize) as usize == model) == inside).collect())
    }

    /// Canonical indices of the samples that a model scores, ascending: those it never saw, or in
    /// fitting mode all of them.
    pub(super) fn scored(
        &self,
        samples: &Samples,
        members: &RecordBatch,
        stage: usize,
    ) -> Result<Vec<u32>> {
        let all = 0..samples.len() as u32;
        if self.recipe.mode == Mode::Fitting && stage == 1 {
            return Ok(all.collect());
        }
        let mut saw = strings(members, "id")?.iter().flatten().peekable();
        // Both ascend by id.
        Ok(all.filter(|i| saw.next_if(|id| *id == samples.ids[*i as usize]).is_none()).collect())
    }
}
