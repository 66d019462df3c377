//! The training loop.

use candle_core::{Device, Tensor};

use super::augment::Augment;
use super::inputs::Gather;
use super::optimizer::Optimizer;
use super::predict::Predictor;
use super::schedule::learning_rate;
use super::snapshot::{Moment, Progress};
use super::{batches, full, loss, scaling, sizing, snapshot};
use crate::models::{Architecture, Checkpoint, ModelCard, Net, Pass, open};
use crate::recipe;
use crate::samples::Samples;
use crate::seed::Seed;
use crate::{Error, Result};

/// Everything that decides a training.
pub struct Job<'a> {
    /// The dataset.
    pub samples: &'a Samples,
    /// Indices of the samples to train on, ascending.
    pub members: &'a [u32],
    /// The architecture.
    pub model: &'a recipe::Model,
    /// Optimiser, schedule and augmentation.
    pub train: &'a recipe::Train,
    /// Decides initial weights, orders and augmentation.
    pub seed: Seed,
    /// `cpu` or `cuda:N`.
    pub device: &'a str,
    /// Continue from these weights, and with the scaling of inputs that they were trained for.
    pub start: Option<&'a Checkpoint>,
}

/// One epoch as seen while training: batches in training mode, weights still moving.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct EpochReport {
    /// The epoch just finished, from 1.
    pub epoch: usize,
    /// How many there are.
    pub epochs: usize,
    /// Mean cross-entropy.
    pub loss: f64,
    /// The share of samples whose largest logit was at their label.
    pub accuracy: f64,
    /// How many samples the epoch had.
    pub samples: usize,
}

/// A trained model and how it went.
#[derive(Clone, Debug, PartialEq)]
pub struct Trained {
    /// The model.
    pub checkpoint: Checkpoint,
    /// One report per epoch.
    pub history: Vec<EpochReport>,
}

/// Looks at an epoch that has just finished, and at the model as it is then.
pub type OnEpoch<'a> = dyn FnMut(&EpochReport, &Predictor<'_>) -> Result<()> + 'a;

/// Goes along with a training, which nothing that it looks at changes.
pub trait Follow {
    /// Before each step.
    ///
    /// # Errors
    /// Any, which ends the training.
    fn step(&mut self, moment: &Moment<'_>) -> Result<()>;

    /// After each epoch; as [`OnEpoch`].
    ///
    /// # Errors
    /// Any, which ends the training.
    fn epoch(&mut self, report: &EpochReport, model: &Predictor<'_>) -> Result<()>;
}

/// Trains one model. On the CPU equal jobs give equal bytes, whatever the number of threads and
/// whatever `on_epoch` looks at.
///
/// # Errors
/// As [`Training::begin`] and [`Training::run`].
pub fn train(job: &Job<'_>, on_epoch: &mut OnEpoch<'_>) -> Result<Trained> {
    struct Epochs<'a, 'b>(&'a mut OnEpoch<'b>);
    impl Follow for Epochs<'_, '_> {
        fn step(&mut self, _: &Moment<'_>) -> Result<()> {
            Ok(())
        }

        fn epoch(&mut self, report: &EpochReport, model: &Predictor<'_>) -> Result<()> {
            (self.0)(report, model)
        }
    }
    Training::begin(job)?.run(&mut Epochs(on_epoch))
}

fn check(job: &Job<'_>) -> Result<()> {
    let samples = job.samples;
    sizing::check(job.model, job.train, samples.inputs.shape(), samples.classes.len())?;
    if job.members.is_empty() {
        return Err(Error::input("there is no sample to train on"));
    }
    if job.members.iter().any(|i| *i as usize >= samples.len()) {
        return Err(Error::internal("a training sample's index is out of range"));
    }
    if job.members.iter().any(|i| samples.labels[*i as usize] as usize >= samples.classes.len()) {
        return Err(Error::internal("a training sample's label is no class"));
    }
    Ok(())
}

fn card(job: &Job<'_>) -> Result<ModelCard> {
    let shape = job.samples.inputs.shape();
    let scaling = match job.start {
        Some(start) => start.card.scaling.clone(),
        None => scaling::scaling(job.model, &job.samples.inputs, job.members)?,
    };
    let architecture = Architecture::from(job.model);
    let card = ModelCard::new(architecture, shape, job.samples.classes.len(), scaling);
    match job.start {
        Some(start) if start.card != card => Err(Error::input(
            "the weights to continue from belong to another architecture, input shape or \
             number of classes",
        )),
        _ => Ok(card),
    }
}

/// A training that waits for its next step.
pub struct Training<'a> {
    job: &'a Job<'a>,
    card: ModelCard,
    augment: Option<Augment>,
    gather: Gather<'a>,
    optimizer: Optimizer,
    device: Device,
    net: Net,
    progress: Progress,
}

impl<'a> Training<'a> {
    /// At its beginning.
    ///
    /// # Errors
    /// `InvalidRecipe` if model and data do not go together; `InvalidInput` without members or for a
    /// start of another kind; `DeviceUnavailable`; `LimitExceeded` if the model does not fit the device.
    pub fn begin(job: &'a Job<'a>) -> Result<Self> {
        check(job)?;
        let device = open(job.device)?;
        let card = card(job)?;
        let net = match job.start {
            Some(start) => start.net(&device),
            None => Net::new(&card.model, card.input, card.classes, &job.seed.of("init"), &device),
        };
        let net = net.map_err(|e| full::in_net(e, &device))?.training_in(job.train.precision);
        Ok(Self {
            job,
            augment: Augment::new(job.train, card.input)?,
            gather: Gather::new(&job.samples.inputs, &card.scaling),
            optimizer: Optimizer::new(job.train),
            device,
            net,
            card,
            progress: Progress::default(),
        })
    }

    /// Where [`Moment::save`] left the same job. The rest of it gives the bytes that it would have
    /// given then.
    ///
    /// # Errors
    /// `CorruptData` if these are no bytes of such a job; and as [`Training::begin`].
    pub fn resume(job: &'a Job<'a>, saved: &[u8]) -> Result<Self> {
        let mut training = Self::begin(job)?;
        let progress = snapshot::restore(saved, &training.net, &mut training.optimizer)?;
        if progress.history.len() >= job.train.epochs || progress.step >= training.steps() {
            return Err(snapshot::foreign());
        }
        training.progress = progress;
        Ok(training)
    }

    /// How many epochs are done.
    pub fn epochs_done(&self) -> usize {
        self.progress.history.len()
    }

    /// Where it stands; as [`Moment::place`].
    pub fn place(&self) -> (usize, usize) {
        self.progress.place()
    }

    /// Trains to the end.
    ///
    /// # Errors
    /// `InvalidInput` if the loss stops being finite; `LimitExceeded` if the memory of the device is full,
    /// with the batch size to try; and whatever `follow` returns.
    pub fn run(mut self, follow: &mut dyn Follow) -> Result<Trained> {
        while self.epochs_done() < self.job.train.epochs {
            let report = self.epoch(follow)?;
            follow.epoch(&report, &self.predictor())?;
            let history = std::mem::take(&mut self.progress.history);
            self.progress = Progress { history, ..Progress::default() };
            self.progress.history.push(report);
        }
        if !self.net.is_finite()? {
            return Err(diverged(self.job.train.epochs));
        }
        let checkpoint = Checkpoint::of(&self.net, self.card)?;
        Ok(Trained { checkpoint, history: self.progress.history })
    }

    fn predictor(&self) -> Predictor<'_> {
        let Self { job, gather, device, net, .. } = self;
        Predictor { net, gather, samples: job.samples, device }
    }

    /// How many steps an epoch has.
    fn steps(&self) -> usize {
        batches::steps_per_epoch(self.job.members.len(), self.job.train.batch_size)
    }

    /// The steps of the present epoch that are left.
    fn epoch(&mut self, follow: &mut dyn Follow) -> Result<EpochReport> {
        let (epoch, steps) = (self.epochs_done(), self.steps());
        let Self { job, augment, gather, optimizer, device, net, progress, .. } = self;
        let (members, train) = (job.members, job.train);
        let order = batches::shuffled(members, &job.seed, epoch);
        let augment_seed = job.seed.of(&format!("augment={epoch}"));
        let augment = augment.map(|a| (a, &augment_seed));
        let left = batches::cut(&order, train.batch_size).skip(progress.step);
        gather.ahead(left, augment, |batch, values| {
            follow.step(&Moment { net, optimizer, progress })?;
            let lr = learning_rate(train, epoch * steps + progress.step, steps);
            let labels: Vec<u32> = batch.iter().map(|i| job.samples.labels[*i as usize]).collect();
            let loss = step(net, optimizer, device, values, &labels, lr);
            let loss = loss.map_err(|e| full::in_step(e, device, batch.len()))?;
            if !loss.sum.is_finite() {
                return Err(diverged(epoch + 1));
            }
            progress.loss += loss.sum;
            progress.correct += loss.correct;
            progress.step += 1;
            Ok(())
        })?;
        let n = members.len() as f64;
        let (loss, accuracy) = (progress.loss / n, progress.correct as f64 / n);
        let epochs = train.epochs;
        Ok(EpochReport { epoch: epoch + 1, epochs, loss, accuracy, samples: members.len() })
    }
}

/// One step on the inputs `values` of a batch; nothing moves if its loss is not finite.
fn step(
    net: &Net,
    optimizer: &mut Optimizer,
    device: &Device,
    values: Vec<f32>,
    labels: &[u32],
    lr: f64,
) -> Result<loss::BatchLoss> {
    let inputs = Tensor::from_vec(values, (labels.len(), ()), device)?;
    let logits = net.forward(&inputs, Pass::Train)?;
    let loss = loss::cross_entropy(&logits, labels, optimizer.loss_scale())?;
    if loss.sum.is_finite() {
        optimizer.step(net, &net.backward(&loss.objective)?, lr)?;
    }
    Ok(loss)
}

fn diverged(epoch: usize) -> Error {
    Error::input(format!(
        "training diverged in epoch {epoch}: the loss is not finite. Lower train.lr or raise \
         train.warmup_epochs"
    ))
}
