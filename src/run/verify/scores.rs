//! The proofs about what stands beside the scores: trajectories and label errors.

use std::collections::BTreeSet;

use arrow::array::{AsArray, RecordBatch};

use super::super::label_errors::{LABEL_ERRORS, judged};
use super::super::rows::{column, ids};
use super::super::task::{DYNAMICS, INGEST, Task};
use super::Prover;
use crate::error::{Error, Result};
use crate::recipe::{Method, Needs};
use crate::storage::frame;
use crate::tables;

impl Prover {
    /// Trajectories are those of what the model scored and never saw, and the score tables took them
    /// over unchanged.
    pub(super) fn dynamics(&self) -> Result<String> {
        let watched = self.run.recipe.score.computed(Needs::Trajectory);
        if watched.is_empty() {
            return Ok("no score watches a training".to_owned());
        }
        let mut rows = 0;
        for (stage, model) in self.models() {
            let dynamics = self.watched(stage, model, &watched)?;
            rows += dynamics.num_rows();
            let of = || format!("model {model} of stage {stage}");
            if !self.seen_by_design(stage) {
                let members: BTreeSet<String> =
                    ids(&self.train_table(stage, model)?)?.into_iter().collect();
                if let Some(id) = ids(&dynamics)?.iter().find(|id| members.contains(*id)) {
                    return Err(Error::corrupt(format!(
                        "`{id}` was watched as unseen by {}, which was trained on it",
                        of()
                    )));
                }
            }
            let stored: Vec<Method> = watched.iter().copied().filter(|m| self.stores(*m)).collect();
            let schema = tables::dynamics(&stored, self.run.recipe.score.outputs);
            let scores = frame::to_arrow(frame::decode(&self.scores(stage, model)?)?, &schema)?;
            for name in schema.fields().iter().map(|field| field.name()) {
                if column(&scores, name)? != column(&dynamics, name)? {
                    return Err(Error::corrupt(format!(
                        "`{name}` of {} is not what was watched",
                        of()
                    )));
                }
            }
        }
        Ok(format!(
            "{rows} trajectories of samples that the model never saw are in the score tables"
        ))
    }

    fn stores(&self, method: Method) -> bool {
        self.run.recipe.score.methods.contains(&method)
    }

    fn watched(&self, stage: usize, model: usize, methods: &[Method]) -> Result<RecordBatch> {
        let schema = tables::dynamics(methods, self.run.recipe.score.outputs);
        self.table(&Task::Train { stage, model }.to_string(), DYNAMICS, &schema)
    }

    /// The label errors follow from the probabilities.
    pub(super) fn label_errors(&self) -> Result<String> {
        if !self.run.recipe.score.label_errors {
            return Ok("not asked for".to_owned());
        }
        let samples = self.table(INGEST, "samples.parquet", &tables::samples())?;
        let (bytes, _) = self.output(INGEST, "classes.json")?;
        let classes: Vec<String> = serde_json::from_slice(&bytes)?;
        let derived = judged(&self.run.recipe, &samples, classes.len(), |task, schema| {
            self.table(task, "scores.parquet", schema)
        })?;
        let task = Task::Select { stage: 1 }.to_string();
        if derived != self.table(&task, LABEL_ERRORS, &tables::label_errors())? {
            return Err(Error::corrupt("the label errors are not what the score tables give"));
        }
        let suspected = column(&derived, "suspected")?.as_boolean().true_count();
        Ok(format!("{suspected} suspected, derived again from the probabilities of stage 1"))
    }
}
