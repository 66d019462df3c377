//! The tasks that need models: train and score.

use std::sync::Arc;

use arrow::array::{Int32Array, StringArray};
use arrow::record_batch::RecordBatch;

use super::Observer;
use super::attempt::Attempt;
use super::rows::{ints, kept_ids, strings};
use super::score_table::ScoreTable;
use super::scored::{Sizes, orders, watched_epochs};
use super::task::{DYNAMICS, FOLDS, Task};
use super::under_way::UnderWay;
use super::watch::{Watch, view};
use super::worker::Run;
use crate::error::{Error, Place, Result};
use crate::models::{self, Checkpoint};
use crate::recipe::{Devices, EmbeddingFrom, FitOn, Mode, Needs, Recipe, Start};
use crate::samples::{Samples, Shape};
use crate::seed::Seed;
use crate::training::EpochReport;
use crate::{tables, training};

impl Run {
    /// Trains one scoring model; writes its weights, its card, who it saw, and what became of those it
    /// did not, epoch by epoch.
    pub(super) fn train(
        &self,
        attempt: &mut Attempt,
        stage: usize,
        model: usize,
        observer: &dyn Observer,
    ) -> Result<String> {
        let loaded = self.loaded()?;
        let samples = &loaded.samples;
        let members = self.members(attempt, samples, stage, model)?;
        let seed = self.model_seed(stage, model);
        let start = match self.start(attempt, stage, model)? {
            Some(start) => Some(start),
            None => self.pretrained(samples, &members, &seed)?,
        };
        let scored = self.scored(samples, &members, stage);
        let watch = Watch::begin(&self.recipe, samples, scored, seed.of("outputs"));
        let device = attempt.device().to_owned();
        let job = training::Job {
            samples,
            members: &members,
            model: &self.recipe.model,
            train: &self.recipe.train,
            seed,
            device: &device,
            start: start.as_ref(),
        };
        let task = Task::Train { stage, model }.to_string();
        let train = &self.recipe.train;
        let mut under_way = UnderWay::new(&self.ledger, task, train, observer).watched(watch);
        let trained = under_way.begin(&job)?.run(&mut under_way)?;
        let ids = StringArray::from_iter_values(members.iter().map(|m| &samples.ids[*m as usize]));
        attempt.write_table(
            "members.parquet",
            &RecordBatch::try_new(tables::members(), vec![Arc::new(ids)])?,
        )?;
        if let Some(watch) = under_way.watch {
            attempt.write_table(DYNAMICS, &watch.finish()?)?;
        }
        let card = trained.checkpoint.card.to_json()?;
        attempt.write("model.safetensors", &trained.checkpoint.weights, None)?;
        attempt.write("model.json", &card, None)?;
        attempt.fact("members", members.len());
        let (Some(last), Some(best)) = (trained.history.last(), best(&trained.history)) else {
            return Err(Error::internal("a training of no epochs"));
        };
        attempt.fact("loss", last.loss);
        attempt.fact("accuracy", last.accuracy);
        attempt.fact("best_accuracy", best.accuracy);
        attempt.fact("best_epoch", best.epoch);
        Ok(format!(
            "{} samples, loss {:.3}, training accuracy {:.1} % (best {:.1} % in epoch {})",
            members.len(),
            last.loss,
            100.0 * last.accuracy,
            100.0 * best.accuracy,
            best.epoch
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
        let loaded = self.loaded()?;
        let samples = &loaded.samples;
        let train = Task::Train { stage, model }.to_string();
        let checkpoint = read_checkpoint(attempt, &train)?;
        let members =
            indices(samples, &attempt.table(&train, "members.parquet", &tables::members())?)?;
        let scored = self.scored(samples, &members, stage);
        let seed = self.model_seed(stage, model);
        let outputs = seed.of("outputs");
        let mut table = ScoreTable::new(&self.recipe, samples, &scored, stage);
        let request = training::Request {
            indices: &scored,
            view: view(&self.recipe, &outputs),
            embeddings: table.needs_embeddings(),
        };
        let task = Task::Score { stage, model }.to_string();
        let mut done = 0;
        training::predict(&checkpoint, samples, attempt.device(), &request, &mut |batch| {
            table.push(batch)?;
            done += batch.indices.len() as u64;
            observer.advance(&task, done, "");
            Ok(())
        })?;
        let watched = self.recipe.score.computed(Needs::Trajectory);
        if !watched.is_empty() {
            let schema = tables::dynamics(&watched, self.recipe.score.outputs);
            table.join(&attempt.table(&train, DYNAMICS, &schema)?)?;
        }
        let chosen =
            self.chosen(&checkpoint, samples, attempt.device(), &members, stage, &outputs)?;
        self.compare(&mut table, samples, &scored, (stage, &seed.of("embeddings")), &chosen)?;
        let folds = self.folds_of(attempt, &scored)?;
        let accuracy = table.accuracy();
        attempt.write_table("scores.parquet", &table.finish(folds, model)?)?;
        attempt.fact("scored", scored.len());
        attempt.fact("accuracy", accuracy);
        let whose = if self.recipe.mode == Mode::Fitting && stage == 1 { "seen" } else { "unseen" };
        Ok(format!("{} {whose} samples, accuracy {:.1} %", scored.len(), 100.0 * accuracy))
    }

    /// The embeddings, by the model of a later stage, of what earlier stages kept, if a method orders
    /// samples by the embeddings of models.
    fn chosen(
        &self,
        checkpoint: &Checkpoint,
        samples: &Samples,
        device: &str,
        kept: &[u32],
        stage: usize,
        outputs: &Seed,
    ) -> Result<Vec<f32>> {
        let score = &self.recipe.score;
        let ordered = score.computed(Needs::Embeddings).into_iter().any(orders);
        if stage == 1 || !ordered || score.embedding.from == EmbeddingFrom::Column {
            return Ok(Vec::new());
        }
        let view = view(&self.recipe, outputs);
        let request = training::Request { indices: kept, view, embeddings: true };
        let mut chosen = Vec::new();
        training::predict(checkpoint, samples, device, &request, &mut |batch| {
            chosen.extend_from_slice(batch.embeddings.unwrap_or_default());
            Ok(())
        })?;
        Ok(chosen)
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
            let kept = kept_ids(&attempt.table(&before, "selection.parquet", &tables::state())?);
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
    fn scored(&self, samples: &Samples, members: &[u32], stage: usize) -> Vec<u32> {
        let all = 0..samples.len() as u32;
        if self.recipe.mode == Mode::Fitting && stage == 1 {
            return all.collect();
        }
        // Both ascend.
        let mut saw = members.iter().peekable();
        all.filter(|i| saw.next_if(|member| *member == i).is_none()).collect()
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

    /// What a training from scratch starts from if the recipe gives it weights.
    pub(super) fn pretrained(
        &self,
        samples: &Samples,
        members: &[u32],
        seed: &Seed,
    ) -> Result<Option<Checkpoint>> {
        let Some(weights) = self.init_weights()? else { return Ok(None) };
        let model = &self.recipe.model;
        training::pretrained(&weights, model, samples, members, seed)
            .map(Some)
            .at(|| INIT.to_owned())
    }

    /// What of `train.init` the models of this dataset cannot take.
    ///
    /// # Errors
    /// `InvalidInput` if its weights are not those of the recipe's model.
    pub(super) fn init_note(&self, shape: Shape, classes: usize) -> Result<Option<String>> {
        let Some(weights) = self.init_weights()? else { return Ok(None) };
        let fresh = training::fresh_tensors(&weights, &self.recipe.model, shape, classes);
        let fresh = fresh.at(|| INIT.to_owned())?;
        Ok((!fresh.is_empty()).then(|| {
            format!(
                "train.init: {} start fresh, as the weights are for another number of classes than {classes}",
                fresh.join(" and ")
            )
        }))
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

/// The field that errors about given weights speak of.
const INIT: &str = "train.init";

/// The epoch with the highest training accuracy, the first of several.
fn best(history: &[EpochReport]) -> Option<&EpochReport> {
    history.iter().reduce(|best, epoch| if epoch.accuracy > best.accuracy { epoch } else { best })
}

fn read_checkpoint(attempt: &mut Attempt, task: &str) -> Result<Checkpoint> {
    let weights = attempt.read(task, "model.safetensors")?;
    Checkpoint::load(&weights, &attempt.read(task, "model.json")?)
}

/// The indices of the samples that a members table names, ascending like the table.
fn indices(samples: &Samples, members: &RecordBatch) -> Result<Vec<u32>> {
    let index = |id: &str| {
        let found = samples.ids.binary_search_by(|other| other.as_str().cmp(id));
        let unknown =
            |_| Error::corrupt(format!("a model was trained on `{id}`, which is no sample"));
        found.map(|i| i as u32).map_err(unknown)
    };
    strings(members, "id")?.iter().flatten().map(index).collect()
}

/// The devices that models of the recipe run on, each tried.
///
/// # Errors
/// `DeviceUnavailable` if this machine lacks one of them.
pub(super) fn devices(recipe: &Recipe) -> Result<Vec<String>> {
    let devices = models::devices(&recipe.device)?;
    devices.iter().try_for_each(|device| models::open(device).map(drop))?;
    Ok(devices)
}

/// What a model of the recipe takes. Nothing is opened: who only looks at a run needs no device of its kind.
///
/// # Errors
/// `InvalidRecipe` if the model does not fit the data, `LimitExceeded` if it is too large.
pub(super) fn sizes(recipe: &Recipe, shape: Shape, classes: usize) -> Result<Sizes> {
    let (model, train) = (&recipe.model, &recipe.train);
    training::check(model, train, shape, classes)?;
    let on_cpu = recipe.device.parse::<Devices>().map_err(Error::recipe)? == Devices::Cpu;
    let checkpoint = if train.keeps_checkpoints() {
        training::checkpoint_bytes(model, train, shape, classes)?
    } else {
        0
    };
    let (training, places) = if on_cpu {
        let watched = watched_epochs(recipe) > 0;
        let outputs = recipe.score.outputs;
        let bytes = training::memory_bytes(model, train, (outputs, watched), shape, classes)?;
        (bytes, rayon::current_num_threads())
    } else {
        let places = models::devices(&recipe.device).map_or(1, |devices| devices.len());
        (training::host_bytes(model, train, shape, classes)?, places)
    };
    Ok(Sizes {
        parameters: training::parameters(model, shape, classes)?,
        checkpoint,
        training,
        embedding: training::embedding_width(model, shape, classes)?,
        places,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_epoch_is_the_first_with_the_highest_accuracy() {
        let epoch = |(i, accuracy): (usize, &f64)| EpochReport {
            epoch: i + 1,
            epochs: 4,
            loss: 1.0,
            accuracy: *accuracy,
            samples: 10,
        };
        let history: Vec<_> = [0.5, 0.9, 0.9, 0.7].iter().enumerate().map(epoch).collect();
        assert_eq!(best(&history).map(|e| e.epoch), Some(2));
        assert_eq!(best(&[]), None);
    }
}
