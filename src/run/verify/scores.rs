//! The proofs about score tables and what stands beside them: trajectories and label errors.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::Float32Type;

use super::super::label_errors::{LABEL_ERRORS, judged};
use super::super::rows::{column, ids, ints, strings};
use super::super::scored::stored_lists;
use super::super::task::{DYNAMICS, FOLDS, INGEST, Task};
use super::Prover;
use crate::error::{Error, Result};
use crate::recipe::{Method, Mode, Needs};
use crate::scoring::{self, Block, Criterion, Values};
use crate::storage::frame;
use crate::tables;

/// Label and fold of each sample.
type Known = BTreeMap<String, (i32, Option<i32>)>;

impl Prover {
    /// Score tables say of each sample what the samples and folds say, and of the model what it is. Where
    /// outputs are stored, predictions follow from them, and so do scores of single outputs from logits.
    pub(super) fn rated(&self) -> Result<String> {
        let known = self.samples_and_folds()?;
        let (mut rows, mut derived) = (0, 0);
        for (stage, model) in self.models() {
            let table = self.rated_by(stage, model)?;
            let at = |e: Error| e.at(format!("scores of model {model} of stage {stage}"));
            check_rows(&table, &known, stage as i32, model as i32).map_err(at)?;
            derived += check_outputs(&table, &self.run.recipe.score.methods).map_err(at)?;
            rows += table.num_rows();
        }
        Ok(format!(
            "{rows} rows are of the labels, folds and models they name; {derived} predictions derived again"
        ))
    }

    fn samples_and_folds(&self) -> Result<Known> {
        let samples = self.table(INGEST, "samples.parquet", &tables::samples())?;
        let labels = ints(&samples, "label")?;
        let folds = match self.run.recipe.mode {
            Mode::Unseen => Some(self.table(FOLDS, "folds.parquet", &tables::folds())?),
            Mode::Fitting => None,
        };
        let fold = folds.as_ref().map(|folds| ints(folds, "fold")).transpose()?;
        let known = |(row, id)| (id, (labels.value(row), fold.map(|fold| fold.value(row))));
        Ok(ids(&samples)?.into_iter().enumerate().map(known).collect())
    }

    fn rated_by(&self, stage: usize, model: usize) -> Result<RecordBatch> {
        let recipe = &self.run.recipe;
        let (bytes, _) = self.output(INGEST, "classes.json")?;
        let classes: Vec<String> = serde_json::from_slice(&bytes)?;
        let lists: Vec<_> =
            stored_lists(recipe, stage).into_iter().map(|name| (name, classes.len())).collect();
        let schema = tables::scores(&recipe.score.methods, &lists, recipe.score.outputs);
        self.table(&Task::Score { stage, model }.to_string(), "scores.parquet", &schema)
    }

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

fn check_rows(table: &RecordBatch, known: &Known, stage: i32, model: i32) -> Result<()> {
    let (id, label, fold) = (strings(table, "id")?, ints(table, "label")?, ints(table, "fold")?);
    let (stages, models) = (ints(table, "stage")?, ints(table, "model")?);
    for row in 0..table.num_rows() {
        let id = id.value(row);
        let of = fold.is_valid(row).then(|| fold.value(row));
        let said = (label.value(row), of);
        if known.get(id) != Some(&said) {
            return Err(Error::corrupt(format!(
                "`{id}` is in class {} and fold {of:?} there, which is not what the samples and folds say",
                said.0
            )));
        }
        if (stages.value(row), models.value(row)) != (stage, model) {
            return Err(Error::corrupt(format!("the row of `{id}` names another stage or model")));
        }
    }
    Ok(())
}

/// Holds predictions, and the scores of single outputs, against the outputs that are stored; how many
/// there are.
fn check_outputs(table: &RecordBatch, methods: &[Method]) -> Result<usize> {
    let predicted = ints(table, "predicted")?;
    let outputs =
        ["logits", "probabilities"].into_iter().find_map(|name| table.column_by_name(name));
    let Some(outputs) = outputs else { return Ok(0) };
    let lists = outputs.as_fixed_size_list();
    let (values, classes) =
        (lists.values().as_primitive::<Float32Type>(), lists.value_length() as usize);
    let id = strings(table, "id")?;
    for (row, outputs) in values.values().chunks(classes.max(1)).enumerate() {
        let told = usize::try_from(predicted.value(row)).ok().and_then(|class| outputs.get(class));
        // Of probabilities that are equal the logits may have differed.
        if !told.is_some_and(|told| outputs.iter().all(|other| other <= told)) {
            return Err(Error::corrupt(format!(
                "`{}` is predicted as {}, which is not its largest output",
                id.value(row),
                predicted.value(row)
            )));
        }
    }
    if table.column_by_name("logits").is_some() {
        check_scores(table, values.values(), classes, methods)?;
    }
    Ok(table.num_rows())
}

/// Holds the scores of single outputs against the logits, to the bit.
fn check_scores(
    table: &RecordBatch,
    logits: &[f32],
    classes: usize,
    methods: &[Method],
) -> Result<()> {
    let derivable = |method: &Method| -> Option<(Method, &'static dyn Criterion)> {
        scoring::criterion(*method).filter(|c| !c.needs_embedding()).map(|c| (*method, c))
    };
    let (methods, criteria): (Vec<Method>, Vec<_>) = methods.iter().filter_map(derivable).unzip();
    let labels: Vec<u32> = ints(table, "label")?.values().iter().map(|l| *l as u32).collect();
    let block =
        Block { values: Values::Logits(logits), classes, labels: &labels, embedding_norms: None };
    let mut scores = vec![0.0; labels.len() * criteria.len()];
    scoring::score_block(&block, &criteria, &mut scores)?;
    for (i, method) in methods.iter().enumerate() {
        let stored = column(table, method.name())?.as_primitive::<Float32Type>();
        let derived = scores.iter().skip(i).step_by(criteria.len());
        let differs =
            stored.values().iter().zip(derived).position(|(a, b)| a.to_bits() != b.to_bits());
        if let Some(row) = differs {
            let id = strings(table, "id")?.value(row).to_owned();
            let message = format!("`{}` of `{id}` is not what its logits give", method.name());
            return Err(Error::corrupt(message));
        }
    }
    Ok(())
}
