//! The training loop.

use candle_core::{Device, Tensor};

use super::inputs::{Augment, Gather};
use super::optimizer::Optimizer;
use super::predict::Predictor;
use super::schedule::learning_rate;
use super::{batches, inputs, loss, sizing};
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
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
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

/// Trains one model. On the CPU equal jobs give equal bytes, whatever the number of threads and
/// whatever `on_epoch` looks at.
///
/// # Errors
/// `InvalidRecipe` if model and data do not go together; `InvalidInput` without members or if the
/// loss stops being finite; `DeviceUnavailable`; and whatever `on_epoch` returns.
pub fn train(job: &Job<'_>, on_epoch: &mut OnEpoch<'_>) -> Result<Trained> {
    check(job)?;
    let device = open(job.device)?;
    let card = card(job)?;
    let net = match job.start {
        Some(start) => start.net(&device)?,
        None => Net::new(&card.model, card.input, card.classes, &job.seed.of("init"), &device)?,
    };
    let mut run = Epochs {
        job,
        augment: Augment::new(job.train, card.input)?,
        gather: Gather::new(&job.samples.inputs, &card.scaling),
        optimizer: Optimizer::new(job.train),
        device,
        net,
    };
    let mut history = Vec::with_capacity(job.train.epochs);
    for epoch in 0..job.train.epochs {
        let report = run.epoch(epoch)?;
        on_epoch(&report, &run.predictor())?;
        history.push(report);
    }
    if !run.net.is_finite()? {
        return Err(diverged(job.train.epochs));
    }
    Ok(Trained { checkpoint: Checkpoint::of(&run.net, card)?, history })
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
        None => inputs::scaling(job.model, &job.samples.inputs, job.members)?,
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

/// The state of a training.
struct Epochs<'a> {
    job: &'a Job<'a>,
    augment: Option<Augment>,
    gather: Gather<'a>,
    optimizer: Optimizer,
    device: Device,
    net: Net,
}

impl Epochs<'_> {
    fn predictor(&self) -> Predictor<'_> {
        let Self { job, gather, device, net, .. } = self;
        Predictor { net, gather, samples: job.samples, device }
    }

    fn epoch(&mut self, epoch: usize) -> Result<EpochReport> {
        let (members, train) = (self.job.members, self.job.train);
        let order = batches::shuffled(members, &self.job.seed, epoch);
        let steps = batches::steps_per_epoch(members.len(), train.batch_size);
        let augment_seed = self.job.seed.of(&format!("augment={epoch}"));
        let (mut sum, mut correct) = (0.0, 0);
        let augment = self.augment.map(|a| (a, &augment_seed));
        let mut step = epoch * steps;
        let Self { job, gather, optimizer, device, net, .. } = self;
        gather.ahead(batches::cut(&order, train.batch_size), augment, |batch, values| {
            let lr = learning_rate(train, step, steps);
            let inputs = Tensor::from_vec(values, (batch.len(), ()), device)?;
            let labels: Vec<u32> = batch.iter().map(|i| job.samples.labels[*i as usize]).collect();
            let loss = loss::cross_entropy(&net.forward(&inputs, Pass::Train)?, &labels)?;
            if !loss.sum.is_finite() {
                return Err(diverged(epoch + 1));
            }
            optimizer.step(net, &loss.objective.backward()?, lr)?;
            sum += loss.sum;
            correct += loss.correct;
            step += 1;
            Ok(())
        })?;
        let n = members.len() as f64;
        let (loss, accuracy) = (sum / n, correct as f64 / n);
        let epochs = train.epochs;
        Ok(EpochReport { epoch: epoch + 1, epochs, loss, accuracy, samples: members.len() })
    }
}

fn diverged(epoch: usize) -> Error {
    Error::input(format!(
        "training diverged in epoch {epoch}: the loss is not finite. Lower train.lr or raise \
         train.warmup_epochs"
    ))
}
