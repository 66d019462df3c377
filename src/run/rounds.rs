//! Does the open tasks of a run round by round, and shares them with other processes by claims.
//!
//! A round is one task on all threads, or several trainings side by side, each on its share of the
//! threads: a small model trains faster on a thread of its own than on all of them in turn.

use std::collections::BTreeSet;
use std::panic::resume_unwind;
use std::thread;

use super::Observer;
use super::plan::Plan;
use super::status::known_tasks;
use super::task::Task;
use super::worker::Run;
use crate::error::{Error, Result};
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
            match self.next(&claims, &done, &open, plan.trainings_side_by_side)? {
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

    /// The first open task that can be begun and that nobody works on; if it is a training, with
    /// others like it, `trainings` at most.
    fn next(
        &self,
        claims: &Claims,
        done: &BTreeSet<Task>,
        open: &[Task],
        trainings: usize,
    ) -> Result<Next> {
        let is_training = |task: &Task| matches!(task, Task::Train { .. });
        let ready = |task: &Task| task.needs(&self.recipe).iter().all(|need| done.contains(need));
        let (mut round, mut busy) = (Vec::new(), None);
        for task in open.iter().filter(|task| ready(task)) {
            if !round.is_empty() && !is_training(task) {
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
            let most = if is_training(task) { trainings } else { 1 };
            if round.len() >= most {
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

    /// One task on all threads, or each of several on its share of them. All come to their end: what
    /// one has trained is not lost when another fails.
    fn do_round(
        &self,
        tasks: &[Task],
        plan: &Plan,
        left: u64,
        observer: &dyn Observer,
    ) -> Result<()> {
        let one = |task: Task| self.do_task(task, plan.work(task), left, observer);
        if let [task] = tasks {
            return one(*task);
        }
        // By all threads, before they are shared out.
        self.loaded()?;
        let (all, count) = (rayon::current_num_threads(), tasks.len());
        thread::scope(|scope| {
            let share = |(i, task): (usize, &Task)| {
                let (task, threads) = (*task, all / count + usize::from(i < all % count));
                let one = &one;
                scope.spawn(move || pool(threads)?.install(|| one(task)))
            };
            let begun: Vec<_> = tasks.iter().enumerate().map(share).collect();
            let ends = begun.into_iter().map(thread::ScopedJoinHandle::join);
            let ends: Vec<_> =
                ends.map(|end| end.unwrap_or_else(|panic| resume_unwind(panic))).collect();
            ends.into_iter().collect()
        })
    }
}

fn pool(threads: usize) -> Result<rayon::ThreadPool> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    pool.map_err(|e| Error::internal("the thread pool cannot be made").because(e))
}
