//! The tasks of a stage: train, score, select.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, FixedSizeListArray, Float32Array, Int32Array, RecordBatch, StringArray,
};
use arrow::datatypes::{DataType, Field};

use super::Observer;
use super::attempt::Attempt;
use super::task::{Task, models};
use super::worker::{FOLDS, INGEST, Run, ints, kept_ids, strings};
use crate::error::{Error, Result};
use crate::models::Checkpoint;
use crate::recipe::{Average, FitOn, Method, Mode, Recipe, Start};
use crate::samples::Samples;
use crate::scoring::Criterion;
use crate::seed::Seed;
use crate::{scoring, selection, storage, tables, training};

impl Run {
    /// Trains one scoring model; writes its weights, its card and who it saw.
    pub(super) fn train(
        &self,
        attempt: &mut Attempt,
        stage: usize,
        model: usize,
        observer: &dyn Observer,
    ) -> Result<String> {
        let samples = &self.loaded()?.samples;
        let members = self.members(attempt, samples, stage, model)?;
        let start = self.start(attempt, stage, model)?;
        let job = training::Job {
            samples,
            members: &members,
            model: &self.recipe.model,
            train: &self.recipe.train,
            seed: self.model_seed(stage, model),
            device: &self.recipe.device,
            start: start.as_ref(),
        };
        let mut seen = 0;
        let trained = training::train(&job, &mut |epoch| {
            seen += TRAIN_WORK * epoch.samples as u64;
            observer.advance(
                seen,
                &format!("epoch {}/{}, loss {:.3}", epoch.epoch, epoch.epochs, epoch.loss),
            );
            Ok(())
        })?;
        let ids = StringArray::from_iter_values(members.iter().map(|m| &samples.ids[*m as usize]));
        attempt.write_table(
            "members.parquet",
            &RecordBatch::try_new(tables::members(), vec![Arc::new(ids)])?,
        )?;
        let card = trained.checkpoint.card.to_json()?;
        attempt.write("model.safetensors", trained.checkpoint.weights, None)?;
        attempt.write("model.json", card, None)?;
        attempt.fact("members", members.len());
        let Some(last) = trained.history.last() else {
            return Err(Error::internal("a training of no epochs"));
        };
        attempt.fact("loss", last.loss);
        attempt.fact("accuracy", last.accuracy);
        Ok(format!(
            "{} samples, loss {:.3}, training accuracy {:.1} %",
            members.len(),
            last.loss,
            100.0 * last.accuracy
        ))
    }

    /// Scores with one model every sample it has to score, and none that it saw.
    pub(super) fn score(
        &self,
        attempt: &mut Attempt,
        stage: usize,
        model: usize,
        observer: &dyn Observer,
    ) -> Result<String> {
        let samples = &self.loaded()?.samples;
        let train = Task::Train { stage, model }.to_string();
        let checkpoint = read_checkpoint(attempt, &train)?;
        let members = attempt.table(&train, "members.parquet", &tables::members())?;
        let scored = self.scored(samples, &members, stage)?;
        let mut table = ScoreTable::new(&self.recipe, samples.classes.len());
        let mut done = 0;
        training::predict(
            &checkpoint,
            samples,
            &scored,
            &self.recipe.device,
            &mut |indices, logits| {
                table.push(samples, indices, logits)?;
                done += indices.len() as u64;
                observer.advance(done, "");
                Ok(())
            },
        )?;
        let folds = self.folds_of(attempt, &scored)?;
        let accuracy = table.accuracy();
        let batch = table.finish(samples, &scored, folds, stage, model)?;
        attempt.write_table("scores.parquet", &batch)?;
        attempt.fact("scored", scored.len());
        attempt.fact("accuracy", accuracy);
        let whose = if self.recipe.mode == Mode::Fitting && stage == 1 { "seen" } else { "unseen" };
        Ok(format!("{} {whose} samples, accuracy {:.1} %", scored.len(), 100.0 * accuracy))
    }

    /// Adds the stage's best to the coreset.
    pub(super) fn select(&self, attempt: &mut Attempt, stage: usize) -> Result<String> {
        let mut scores = Vec::new();
        for model in 0..models(&self.recipe, stage) {
            let task = Task::Score { stage, model }.to_string();
            scores.push(attempt.frame(&task, "scores.parquet")?);
        }
        let samples = attempt.table(INGEST, "samples.parquet", &tables::samples())?;
        let classes: Vec<String> = serde_json::from_slice(&attempt.read(INGEST, "classes.json")?)?;
        let plan = self.selection_plan(&super::worker::labels(&samples)?, classes.len())?;
        let previous = match stage {
            1 => None,
            _ => Some(
                attempt
                    .frame(&Task::Select { stage: stage - 1 }.to_string(), "selection.parquet")?,
            ),
        };
        let scores = storage::frame::stack(scores)?;
        let state = selection::stage(previous, scores, &plan, stage, &self.recipe, &self.seed)?;
        let batch = storage::frame::to_arrow(state, &tables::selection())?;
        let kept = kept_ids(&batch).len();
        attempt.write_table("selection.parquet", &batch)?;
        attempt.fact("kept", kept);
        Ok(format!("{kept} of {} samples kept so far", batch.num_rows()))
    }

    /// Canonical indices of the training samples of a model, ascending.
    fn members(
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
    fn scored(&self, samples: &Samples, members: &RecordBatch, stage: usize) -> Result<Vec<u32>> {
        let all = 0..samples.len() as u32;
        if self.recipe.mode == Mode::Fitting && stage == 1 {
            return Ok(all.collect());
        }
        let mut saw = strings(members, "id")?.iter().flatten().peekable();
        // Both ascend by id.
        Ok(all.filter(|i| saw.next_if(|id| *id == samples.ids[*i as usize]).is_none()).collect())
    }

    fn folds_of(&self, attempt: &mut Attempt, scored: &[u32]) -> Result<Int32Array> {
        if self.recipe.mode == Mode::Fitting {
            return Ok(Int32Array::new_null(scored.len()));
        }
        let folds = attempt.table(FOLDS, "folds.parquet", &tables::folds())?;
        let folds = ints(&folds, "fold")?;
        Ok(Int32Array::from_iter_values(scored.iter().map(|i| folds.value(*i as usize))))
    }

    fn start(
        &self,
        attempt: &mut Attempt,
        stage: usize,
        model: usize,
    ) -> Result<Option<Checkpoint>> {
        // Stage 2 always starts afresh: a fold model saw samples outside of the coreset.
        if self.recipe.select.start == Start::Scratch || stage < 3 {
            return Ok(None);
        }
        read_checkpoint(attempt, &Task::Train { stage: stage - 1, model }.to_string()).map(Some)
    }

    /// In stage 1 a model's seed follows from the folds it is trained on, so that with two folds
    /// both directions train the same models.
    fn model_seed(&self, stage: usize, model: usize) -> Seed {
        let seed = self.seed.of("model");
        if stage > 1 || self.recipe.mode == Mode::Fitting {
            return seed.of(&format!("stage={stage}/model={model}"));
        }
        let inside = self.recipe.folds.fit_on == FitOn::Fold;
        let folds: Vec<usize> =
            (0..self.recipe.folds.k).filter(|fold| (*fold == model) == inside).collect();
        seed.of(&format!("folds={folds:?}"))
    }
}

/// A pass forward and backward costs about three passes forward.
pub(super) const TRAIN_WORK: u64 = 3;

fn read_checkpoint(attempt: &mut Attempt, task: &str) -> Result<Checkpoint> {
    let weights = attempt.read(task, "model.safetensors")?;
    Checkpoint::load(&weights, &attempt.read(task, "model.json")?)
}

/// A score table that grows batch by batch; logits are kept only when asked for.
struct ScoreTable {
    methods: Vec<Method>,
    classes: usize,
    scores: Vec<Vec<f32>>,
    logits: Option<Vec<f32>>,
    probabilities: Option<Vec<f32>>,
    right: usize,
    rows: usize,
}

impl ScoreTable {
    fn new(recipe: &Recipe, classes: usize) -> Self {
        let methods = recipe.score.methods.clone();
        Self {
            scores: vec![Vec::new(); methods.len()],
            methods,
            classes,
            logits: recipe.score.logits.then(Vec::new),
            probabilities: (recipe.score.average == Average::Probabilities).then(Vec::new),
            right: 0,
            rows: 0,
        }
    }

    fn push(&mut self, samples: &Samples, indices: &[u32], logits: &[f32]) -> Result<()> {
        let labels: Vec<u32> = indices.iter().map(|i| samples.labels[*i as usize]).collect();
        let criteria: Vec<&dyn Criterion> =
            self.methods.iter().map(|m| scoring::builtin(*m)).collect();
        let mut scores = vec![0.0; indices.len() * criteria.len()];
        scoring::score_rows(logits, self.classes, &labels, &criteria, &mut scores)
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
        self.right += logits
            .chunks(self.classes)
            .zip(&labels)
            .filter(|(z, y)| argmax(z) == **y as usize)
            .count();
        self.rows += indices.len();
        Ok(())
    }

    fn accuracy(&self) -> f64 {
        self.right as f64 / self.rows.max(1) as f64
    }

    fn finish(
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
        Ok(RecordBatch::try_new(tables::scores(&self.methods, &lists), columns)?)
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
