//! A training under way: it is watched, told of, and kept so that a kill costs minutes and not hours.
//!
//! What is kept between two steps: eight bytes with the length of the training's own state, that
//! state, and the numbers of the watch as little-endian f64.

use std::time::{Duration, Instant};

use super::Observer;
use super::task::TRAIN_WORK;
use super::watch::Watch;
use crate::error::{Error, ErrorKind, Result};
use crate::recipe::Train;
use crate::storage::Ledger;
use crate::storage::crash::Point;
use crate::training::{EpochReport, Follow, Job, Moment, Predictor, Training};

/// A training in the eyes of the run or the evaluation that it belongs to.
pub(super) struct UnderWay<'a> {
    /// The task, below whose name its state is kept.
    task: String,
    /// What it is called while it is watched.
    called: String,
    ledger: &'a Ledger,
    train: &'a Train,
    pub(super) watch: Option<Watch<'a>>,
    observer: &'a dyn Observer,
    /// When its state was last kept, and where it was then.
    kept: (Instant, (usize, usize)),
}

impl<'a> UnderWay<'a> {
    /// The training of a task of this ledger.
    pub(super) fn new(
        ledger: &'a Ledger,
        task: String,
        train: &'a Train,
        observer: &'a dyn Observer,
    ) -> Self {
        let (called, kept) = (task.clone(), (now(), (0, 0)));
        Self { task, called, ledger, train, watch: None, observer, kept }
    }

    /// The same, watched.
    pub(super) fn watched(self, watch: Option<Watch<'a>>) -> Self {
        Self { watch, ..self }
    }

    /// The same under a name for people.
    pub(super) fn called(self, name: String) -> Self {
        Self { called: name, ..self }
    }

    /// The training where it was last kept, or at its beginning.
    ///
    /// # Errors
    /// As [`Training::begin`]; `Unavailable` if the store fails. What is kept and cannot be used is no
    /// error.
    pub(super) fn begin<'j>(&mut self, job: &'j Job<'j>) -> Result<Training<'j>> {
        let kept = self.ledger.kept(&self.task);
        match kept.and_then(|state| state.map(|state| self.resume(job, &state)).transpose()) {
            Ok(Some(training)) => Ok(training),
            Ok(None) => Training::begin(job),
            Err(e) if [ErrorKind::CorruptData, ErrorKind::Conflict].contains(&e.kind()) => {
                self.observer.warn(&format!("{} begins anew: {e}", self.called));
                Training::begin(job)
            }
            Err(e) => Err(e),
        }
    }

    fn resume<'j>(&mut self, job: &'j Job<'j>, state: &[u8]) -> Result<Training<'j>> {
        let foreign = || Error::corrupt("the checkpoint is of another training");
        let (length, rest) = state.split_first_chunk().ok_or_else(foreign)?;
        let length = usize::try_from(u64::from_le_bytes(*length)).map_err(|_| foreign())?;
        let (own, watched) = rest.split_at_checked(length).ok_or_else(foreign)?;
        let training = Training::resume(job, own)?;
        let numbers = watched.as_chunks().0.iter().map(|bytes| f64::from_le_bytes(*bytes));
        match &mut self.watch {
            Some(watch) => watch.resume(training.epochs_done(), numbers.collect())?,
            None if watched.is_empty() => {}
            None => return Err(foreign()),
        }
        self.kept = (now(), training.place());
        self.tell(training.epochs_done(), job.members.len(), "goes on from its checkpoint");
        Ok(training)
    }

    /// Whether the state is to be kept here.
    fn is_due(&self, place: (usize, usize)) -> bool {
        let (then, last) = self.kept;
        let every = self.train.checkpoint_epochs.unwrap_or(0);
        let epochs = every > 0 && place.1 == 0 && place.0.is_multiple_of(every);
        let wait = Duration::from_secs_f64(60.0 * self.train.checkpoint_minutes);
        let minutes = self.train.checkpoint_minutes > 0.0 && then.elapsed() >= wait;
        place != last && (epochs || minutes)
    }

    fn state(&self, moment: &Moment<'_>) -> Result<Vec<u8>> {
        let watched = self.watch.as_ref().map_or(&[][..], Watch::numbers);
        let mut state = vec![0; size_of::<u64>()];
        moment.save(&mut state)?;
        let length = (state.len() - size_of::<u64>()) as u64;
        state[..size_of::<u64>()].copy_from_slice(&length.to_le_bytes());
        state.reserve_exact(size_of_val(watched));
        state.extend(watched.iter().flat_map(|number| number.to_le_bytes()));
        Ok(state)
    }

    fn tell(&self, epochs: usize, members: usize, note: &str) {
        let watched = self.watch.as_ref().map_or(0, |watch| watch.work(epochs));
        let done = TRAIN_WORK * (epochs * members) as u64 + watched;
        self.observer.advance(&self.called, done, note);
    }
}

impl Follow for UnderWay<'_> {
    /// A state that cannot be written is no reason to lose the training.
    fn step(&mut self, moment: &Moment<'_>) -> Result<()> {
        Point::TrainingStep.pass();
        let place = moment.place();
        if !self.is_due(place) {
            return Ok(());
        }
        match self.ledger.keep(&self.task, self.state(moment)?) {
            Ok(()) => Point::Checkpointed.pass(),
            Err(e) => self.observer.warn(&format!("{} has no new checkpoint: {e}", self.called)),
        }
        self.kept = (now(), place);
        Ok(())
    }

    fn epoch(&mut self, report: &EpochReport, model: &Predictor<'_>) -> Result<()> {
        if let Some(watch) = &mut self.watch {
            watch.look(report.epoch - 1, model)?;
        }
        let EpochReport { epoch, epochs, loss, samples, .. } = report;
        self.tell(*epoch, *samples, &format!("epoch {epoch}/{epochs}, loss {loss:.3}"));
        Ok(())
    }
}

/// The clock decides when a state is kept, and nothing else.
#[allow(clippy::disallowed_methods)]
fn now() -> Instant {
    Instant::now()
}
