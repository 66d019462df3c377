//! Does the open tasks of a run round by round, and shares them with other processes by claims.
//!
//! A round is one task on all threads, or several trainings side by side, each on its share of the
//! threads: a small model trains faster on a thread of its own than on all of them in turn. Of several
//! CUDA devices each trains or scores with one model of a round.

use std::collections::BTreeSet;
use std::mem::discriminant;
use std::panic::resume_unwind;
use std::thread;

use super::Observer;
use super::plan::Plan;
use super::status::known_tasks;
use super::task::Task;
use super::worker::Run;
use crate::error::{Error, Result};
use crate::recipe::Needs;
use crate::storage::claim::{Claim, Claims, Taken};
use crate::storage::process::Worker;

/// What a process does next.
enum Next {
    /// This round, whose tasks are claimed, unless one is done together with others.
    Do(Vec<(Task, Option<Claim>)>),
    /// Wait for whoever works on this task.
    Wait(Task, Worker),
    /// Look again.
    Again,
}

impl Run {
    /// Does what is open, and publishes when all is done.
    pub(super) fn do_tasks(&self, plan: &Plan, observer: &dyn Observer) -> Result<()> {
        self.take_over()?;
        self.do_open(plan, &|| known_tasks(&self.ledger, &self.recipe), observer)?;
        match self.settled()? {
            Some(run) => run.do_tasks(&Plan::new(&run)?, observer),
            None => self.publish(observer),
        }
    }

    /// Does those of the `known` tasks that are open, which may be more each time that it looks.
    pub(super) fn do_open(
        &self,
        plan: &Plan,
        known: &dyn Fn() -> Result<Vec<Task>>,
        observer: &dyn Observer,
    ) -> Result<()> {
        let claims = Claims::new(self.ledger.dir().clone(), &self.recipe.storage)?;
        let mut waited_for = None;
        loop {
            let (done, open) = self.open_tasks(known()?)?;
            if open.is_empty() {
                return Ok(());
            }
            match self.next(&claims, &done, &open, plan)? {
                Next::Do(round) => {
                    let left = open.iter().map(|task| plan.work(*task)).sum();
                    let tasks: Vec<Task> = round.iter().map(|(task, _)| *task).collect();
                    self.do_round(&tasks, plan, left, observer)?;
                    drop(round);
                }
                Next::Wait(task, worker) => {
                    let whom = (task, worker);
                    if waited_for.as_ref() != Some(&whom) {
                        observer.wait(&whom.0.to_string(), &whom.1.to_string());
                        waited_for = Some(whom);
                    }
                    claims.wait()?;
                }
                Next::Again => {}
            }
        }
    }

    /// The tasks that are committed, and those that are not, in the order in which they can be done.
    fn open_tasks(&self, all: Vec<Task>) -> Result<(BTreeSet<Task>, Vec<Task>)> {
        let committed: BTreeSet<String> = self.ledger.committed()?;
        let is_done = |task: &Task| committed.contains(&task.to_string());
        let (done, open): (Vec<_>, Vec<_>) = all.into_iter().partition(is_done);
        Ok((done.into_iter().collect(), open))
    }

    /// How many tasks of this kind run side by side.
    fn at_once(&self, task: Task, plan: &Plan) -> usize {
        // Vectors are compared with memory for one comparison.
        let compares = !self.recipe.score.computed(Needs::Embeddings).is_empty();
        match task {
            Task::Train { .. } => plan.trainings_side_by_side,
            Task::Score { .. } if !compares => plan.devices.len().min(plan.trainings_side_by_side),
            _ => 1,
        }
    }

    /// The first open task that can be begun and that nobody works on, with others of its kind if they
    /// run side by side.
    fn next(
        &self,
        claims: &Claims,
        done: &BTreeSet<Task>,
        open: &[Task],
        plan: &Plan,
    ) -> Result<Next> {
        let ready = |task: &Task| task.needs(&self.recipe).iter().all(|need| done.contains(need));
        let (mut round, mut busy): (Vec<(Task, Option<Claim>)>, _) = (Vec::new(), None);
        for task in open.iter().filter(|task| ready(task)) {
            if round.first().is_some_and(|(first, _)| discriminant(first) != discriminant(task)) {
                continue;
            }
            match claims.take(&task.to_string())? {
                // It may have been committed since we looked.
                Taken::Mine(_) if self.ledger.find(&task.to_string())?.is_some() => {
                    return Ok(Next::Again);
                }
                Taken::Mine(claim) => round.push((*task, Some(claim))),
                // Its parts are claimed on their own.
                Taken::Busy(_) if task.is_shared() => round.push((*task, None)),
                Taken::Busy(worker) => busy = busy.or(Some((*task, worker))),
            }
            if round.len() >= self.at_once(*task, plan) {
                break;
            }
        }
        if !round.is_empty() {
            return Ok(Next::Do(round));
        }
        let (task, worker) =
            busy.ok_or_else(|| Error::internal("no task can be begun and none is under way"))?;
        Ok(Next::Wait(task, worker))
    }

    /// The tasks of a round, each on the device that falls to it.
    fn do_round(
        &self,
        tasks: &[Task],
        plan: &Plan,
        left: u64,
        observer: &dyn Observer,
    ) -> Result<()> {
        let one = |place: usize| {
            let (task, device) = (tasks[place], dealt(&plan.devices, place));
            self.do_task(task, device, plan.work(task), left, observer)
        };
        if tasks.len() > 1 {
            // By all threads, before they are shared out.
            self.loaded()?;
        }
        side_by_side(tasks.len(), one)
    }
}

/// The device that falls to the task at this place of a round, or to the model of this number.
pub(super) fn dealt(devices: &[String], place: usize) -> &str {
    match devices.len() {
        0 => "cpu",
        count => &devices[place % count],
    }
}

/// Does `work` for each place below `count`: one on all threads, each of several on its share of them. All
/// come to their end: what one has trained is not lost when another fails.
pub(super) fn side_by_side(count: usize, work: impl Fn(usize) -> Result<()> + Sync) -> Result<()> {
    if count == 1 {
        return work(0);
    }
    let all = rayon::current_num_threads();
    thread::scope(|scope| {
        let share = |place: usize| {
            let (threads, work) = (threads_of(place, count, all), &work);
            scope.spawn(move || pool(threads)?.install(|| work(place)))
        };
        let begun: Vec<_> = (0..count).map(share).collect();
        let ends = begun.into_iter().map(thread::ScopedJoinHandle::join);
        let ends: Vec<_> =
            ends.map(|end| end.unwrap_or_else(|panic| resume_unwind(panic))).collect();
        ends.into_iter().collect()
    })
}

/// The share of `all` threads of one of `count` tasks; at least one, as there may be more devices.
fn threads_of(place: usize, count: usize, all: usize) -> usize {
    (all / count + usize::from(place < all % count)).max(1)
}

fn pool(threads: usize) -> Result<rayon::ThreadPool> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    pool.map_err(|e| Error::internal("the thread pool cannot be made").because(e))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn devices_are_dealt_out_in_turn() {
        let devices = ["cuda:2", "cuda:0"].map(str::to_owned);
        let dealt = |devices: &[String]| {
            (0..5).map(|place| dealt(devices, place).to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(dealt(&devices), ["cuda:2", "cuda:0", "cuda:2", "cuda:0", "cuda:2"]);
        assert_eq!(dealt(&devices[..1]), ["cuda:2"; 5]);
        assert_eq!(dealt(&[]), ["cpu"; 5]);
    }

    #[test]
    fn threads_are_shared_out_and_nobody_goes_without() {
        let shares = |count, all| (0..count).map(|i| threads_of(i, count, all)).collect::<Vec<_>>();
        assert_eq!(shares(3, 8), [3, 3, 2]);
        assert_eq!(shares(2, 2), [1, 1]);
        assert_eq!(shares(4, 2), [1, 1, 1, 1]);
    }

    #[test]
    fn all_of_a_round_come_to_their_end_and_the_first_error_is_told() {
        let ended = AtomicUsize::new(0);
        let outcome = side_by_side(4, |place| {
            ended.fetch_add(1, Ordering::Relaxed);
            if place % 2 == 1 { Err(Error::input(format!("no {place}"))) } else { Ok(()) }
        });
        assert_eq!(ended.into_inner(), 4);
        assert_eq!(outcome.unwrap_err().to_string(), "no 1");
        side_by_side(0, |_| Err(Error::input("nobody"))).unwrap();
    }
}
