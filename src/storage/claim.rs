//! Claims: who works on which task, so that several processes share a run instead of doing it twice.
//!
//! ```text
//! claims/<task>/000001.json    create-only: the worker of the first attempt
//! claims/<task>/000001.beat    its sign of life, written again and again
//! claims/<task>/000002.json    the next worker, after the first one died
//! ```
//!
//! Nothing depends on claims but the sharing of work: a result is committed create-only whoever
//! holds what. So a worker that is wrongly taken for dead costs a repeated task and no more.
//!
//! Whether a worker lives is told without comparing clocks: on its own machine its process is looked
//! up; from elsewhere its sign of life must change while one waits for it.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::task::AbortHandle;

use super::crash::Point;
use super::location::{Dir, Written};
use super::process::{Worker, Working};
use super::{runtime, wait};
use crate::error::Result;
use crate::recipe::Storage;

/// Signs of life within a lease: one that is late by a little must not look like a death.
const BEATS: f64 = 4.0;

/// The claims of one process on the tasks of one run.
#[derive(Debug)]
pub struct Claims {
    dir: Dir,
    working: Working,
    lease: Duration,
    /// Workers elsewhere: what was last seen of them, and for how long we waited for more.
    watched: Mutex<BTreeMap<String, (Sign, Duration)>>,
}

/// The number of a claim and the last sign of life of its worker.
type Sign = (u32, Option<bytes::Bytes>);

/// The answer to [`Claims::take`].
#[derive(Debug)]
pub enum Taken {
    /// The task is ours until the claim is dropped.
    Mine(Claim),
    /// Somebody else works on it.
    Busy(Worker),
}

/// A task that this process works on. Gives signs of life until it is dropped.
#[derive(Debug)]
pub struct Claim(AbortHandle);

impl Drop for Claim {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Claims {
    /// The claims of this process in `dir`.
    ///
    /// # Errors
    /// `Unavailable` if the system gives no random bytes.
    pub fn new(dir: Dir, storage: &Storage) -> Result<Self> {
        let lease = Duration::from_secs_f64(storage.lease_seconds);
        Ok(Self { dir, working: Working::begin()?, lease, watched: Mutex::default() })
    }

    /// Claims a task, unless somebody who lives works on it.
    ///
    /// # Errors
    /// `Unavailable` if the store cannot be asked.
    pub fn take(&self, task: &str) -> Result<Taken> {
        let mut number = last(&self.dir, task)?;
        loop {
            if number > 0 {
                match worker(&self.dir, task, number)? {
                    Some(worker) if worker == *self.working.worker() => {
                        return self.mine(task, number);
                    }
                    Some(worker) if self.lives(task, number, &worker)? => {
                        return Ok(Taken::Busy(worker));
                    }
                    _ => {}
                }
            }
            number += 1;
            let note = serde_json::to_vec(self.working.worker())?;
            if self.dir.create(&path(task, number, NOTE), note)? == Written::Created {
                return self.mine(task, number);
            }
        }
    }

    fn mine(&self, task: &str, number: u32) -> Result<Taken> {
        Point::Claimed.pass();
        let (dir, path) = (self.dir.clone(), path(task, number, BEAT));
        let every = self.lease.div_f64(BEATS);
        let beating = runtime()?.spawn(async move {
            for beat in 1_u64.. {
                tokio::time::sleep(every).await;
                // A lost sign of life is no failure: the next one may arrive.
                let _ = dir.overwrite(&path, beat.to_string()).await;
            }
        });
        Ok(Taken::Mine(Claim(beating.abort_handle())))
    }

    /// Whether a worker lives, or, elsewhere, was silent for less than the lease while we waited.
    fn lives(&self, task: &str, number: u32, worker: &Worker) -> Result<bool> {
        if let Some(lives) = worker.lives() {
            return Ok(lives);
        }
        let sign = (number, self.dir.find(&path(task, number, BEAT))?);
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        let (seen, silent) =
            watched.entry(task.to_owned()).or_insert_with(|| (sign.clone(), Duration::ZERO));
        if *seen != sign {
            (*seen, *silent) = (sign, Duration::ZERO);
        }
        Ok(*silent < self.lease)
    }

    /// Waits a little for others. Only time spent here counts against their lease.
    ///
    /// # Errors
    /// `Unavailable` without I/O threads.
    pub fn wait(&self) -> Result<()> {
        let pause = self.lease.div_f64(10.0 * BEATS).min(Duration::from_secs(2));
        wait(async move { tokio::time::sleep(pause).await })?;
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        watched.values_mut().for_each(|(_, silent)| *silent += pause);
        Ok(())
    }
}

/// The attempts at one task, as `status` sees them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempts {
    /// How many there were.
    pub count: usize,
    /// The worker of the last one; `None` if its note is damaged or gone.
    pub worker: Option<Worker>,
    /// When it last gave a sign of life, by the store's clock, in seconds since 1970.
    pub seen: i64,
}

/// The attempts at every task that was ever claimed.
///
/// # Errors
/// `Unavailable` if the store cannot be asked.
pub fn attempts(dir: &Dir) -> Result<BTreeMap<String, Attempts>> {
    let mut last: BTreeMap<String, (u32, i64)> = BTreeMap::new();
    for object in dir.listed(CLAIMS)? {
        if let Some((task, number)) = parts(&object.path) {
            let (highest, seen) = last.entry(task.to_owned()).or_default();
            // A worker's note and its sign of life stand side by side; the later one counts.
            *seen = if number > *highest { object.written } else { object.written.max(*seen) };
            *highest = number.max(*highest);
        }
    }
    let one = |(task, (number, seen)): (String, (u32, i64))| {
        let worker = worker(dir, &task, number)?;
        Ok((task, Attempts { count: number as usize, worker, seen }))
    };
    last.into_iter().map(one).collect()
}

const CLAIMS: &str = "claims";
const NOTE: &str = "json";
const BEAT: &str = "beat";

fn path(task: &str, number: u32, kind: &str) -> String {
    format!("{CLAIMS}/{task}/{number:06}.{kind}")
}

fn parts(path: &str) -> Option<(&str, u32)> {
    let (task, file) = path.strip_prefix(CLAIMS)?.strip_prefix('/')?.split_once('/')?;
    Some((task, file.split('.').next()?.parse().ok()?))
}

/// The number of the last claim on a task, 0 if there is none.
fn last(dir: &Dir, task: &str) -> Result<u32> {
    let names = dir.list(&format!("{CLAIMS}/{task}"))?;
    let notes = names.iter().filter(|name| name.ends_with(NOTE));
    Ok(notes.filter_map(|name| parts(name)).map(|(_, number)| number).max().unwrap_or(0))
}

/// Who made a claim. A note that is damaged or gone counts as a dead worker's: claims decide nothing,
/// so none of them may stop a run.
fn worker(dir: &Dir, task: &str, number: u32) -> Result<Option<Worker>> {
    let note = dir.find(&path(task, number, NOTE))?;
    Ok(note.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use object_store::memory::InMemory;

    use super::*;

    fn claims(dir: &Dir) -> Claims {
        Claims::new(dir.clone(), &Storage { lease_seconds: 0.2, ..Storage::default() }).unwrap()
    }

    fn dir() -> Dir {
        Dir::on(Arc::new(InMemory::new()), "memory:")
    }

    /// Makes the last claim on `t` that of a worker on another machine.
    fn elsewhere(dir: &Dir, number: u32) {
        let working = Working::begin().unwrap();
        let other = Worker { machine: "elsewhere".to_owned(), ..working.worker().clone() };
        let note = serde_json::to_vec(&other).unwrap();
        assert_eq!(dir.create(&path("t", number, NOTE), note).unwrap(), Written::Created);
    }

    #[test]
    fn a_task_has_one_worker_at_a_time() {
        let dir = dir();
        let (first, second) = (claims(&dir), claims(&dir));
        let claim = first.take("t").unwrap();
        assert!(matches!(claim, Taken::Mine(_)));
        assert!(
            matches!(second.take("t").unwrap(), Taken::Busy(w) if w == *first.working.worker())
        );
        assert!(matches!(second.take("u").unwrap(), Taken::Mine(_)));
        // The same worker may try again, and when it is gone another takes over.
        assert!(matches!(first.take("t").unwrap(), Taken::Mine(_)));
        drop((claim, first));
        assert!(matches!(second.take("t").unwrap(), Taken::Mine(_)));
        assert_eq!(dir.list("claims/t").unwrap(), ["claims/t/000001.json", "claims/t/000002.json"]);
        assert_eq!(attempts(&dir).unwrap()["t"].count, 2);
    }

    #[test]
    fn a_damaged_claim_stops_nobody() {
        let dir = dir();
        assert_eq!(dir.create(&path("t", 1, NOTE), "{").unwrap(), Written::Created);
        assert_eq!(attempts(&dir).unwrap()["t"].worker, None);
        assert!(matches!(claims(&dir).take("t").unwrap(), Taken::Mine(_)));
        assert_eq!(dir.list("claims/t").unwrap().len(), 2);
    }

    #[test]
    fn a_worker_elsewhere_is_waited_for_while_it_gives_signs_of_life() {
        let dir = dir();
        elsewhere(&dir, 1);
        let claims = claims(&dir);
        for beat in 0..100 {
            assert!(matches!(claims.take("t").unwrap(), Taken::Busy(_)));
            wait(dir.overwrite(&path("t", 1, BEAT), beat.to_string())).unwrap().unwrap();
            claims.wait().unwrap();
        }
        // It falls silent: after the lease it counts as dead, and not before.
        let mut waits = 0;
        while matches!(claims.take("t").unwrap(), Taken::Busy(_)) {
            claims.wait().unwrap();
            waits += 1;
        }
        assert!((40..=41).contains(&waits), "{waits} waits");
        // Another one elsewhere was faster: its lease begins anew.
        elsewhere(&dir, 3);
        assert!(matches!(claims.take("t").unwrap(), Taken::Busy(_)));
    }

    #[test]
    fn a_claim_gives_signs_of_life_until_it_is_dropped() {
        let dir = dir();
        let claims = claims(&dir);
        let claim = claims.take("t").unwrap();
        let beat = || dir.find(&path("t", 1, BEAT)).unwrap();
        while beat().is_none() {
            claims.wait().unwrap();
        }
        drop(claim);
        let last = beat();
        (0..30).for_each(|_| claims.wait().unwrap());
        assert_eq!(beat(), last);
    }
}
