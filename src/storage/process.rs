//! Which process wrote a note, and whether it still lives: told on its own machine by looking it up.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::commit::attempt_id;
use crate::error::Result;

/// A process at work, as its notes name it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Worker {
    /// A name that no other worker has.
    pub id: String,
    /// The machine's name, for people.
    pub host: String,
    /// The machine: one boot of it and the process namespace. Empty where that cannot be told.
    pub machine: String,
    /// The process on that machine.
    pub pid: u32,
    /// When the process began, in the machine's own ticks: numbers of processes are used again.
    pub began: u64,
}

/// Workers of this process that are at work. Several runs may take turns in one process.
static AT_WORK: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// A worker of this process, for as long as it is kept.
#[derive(Debug)]
pub struct Working(Worker);

impl Working {
    /// Begins to work.
    ///
    /// # Errors
    /// `Unavailable` if the system gives no random bytes.
    pub fn begin() -> Result<Self> {
        let id = attempt_id()?;
        at_work(|all| all.insert(id.clone()));
        let pid = std::process::id();
        let host = text("/proc/sys/kernel/hostname");
        Ok(Self(Worker { id, host, machine: machine(), pid, began: began(pid).unwrap_or(0) }))
    }

    /// Its name in notes.
    pub fn worker(&self) -> &Worker {
        &self.0
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        at_work(|all| all.remove(&self.0.id));
    }
}

fn at_work<T>(look: impl FnOnce(&mut BTreeSet<String>) -> T) -> T {
    look(&mut AT_WORK.lock().unwrap_or_else(PoisonError::into_inner))
}

impl fmt::Display for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = if self.host.is_empty() { "an unnamed machine" } else { &self.host };
        write!(f, "process {} on {host}", self.pid)
    }
}

impl Worker {
    /// Whether it lives; `None` if it is on another machine, or this one does not tell.
    pub fn lives(&self) -> Option<bool> {
        if self.machine.is_empty() || self.machine != machine() {
            return None;
        }
        if self.pid == std::process::id() && Some(self.began) == began(self.pid) {
            return Some(at_work(|all| all.contains(&self.id)));
        }
        Some(began(self.pid) == Some(self.began))
    }
}

/// This boot of this machine, and the namespace in which its processes have their numbers.
#[allow(clippy::disallowed_methods)]
fn machine() -> String {
    let boot = text("/proc/sys/kernel/random/boot_id");
    match std::fs::read_link("/proc/self/ns/pid") {
        Ok(namespace) if !boot.is_empty() => format!("{boot} {}", namespace.display()),
        _ => String::new(),
    }
}

/// When a process began, if there is one: field 22 of `/proc/<pid>/stat` (proc(5)), which comes after
/// the name in brackets. A process that is dead and not yet waited for does not count.
fn began(pid: u32) -> Option<u64> {
    let stat = text(&format!("/proc/{pid}/stat"));
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    (!matches!(state, "Z" | "X")).then(|| fields.nth(18)?.parse().ok())?
}

#[allow(clippy::disallowed_methods)]
fn text(path: &str) -> String {
    std::fs::read_to_string(path).map(|text| text.trim().to_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_lives_while_it_is_kept() {
        let working = Working::begin().unwrap();
        let worker = working.worker().clone();
        assert_eq!(worker.lives(), Some(true));
        drop(working);
        assert_eq!(worker.lives(), Some(false));
    }

    #[test]
    fn other_processes_are_looked_up() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let working = Working::begin().unwrap();
        let pid = child.id();
        let mut other = Worker { pid, began: began(pid).unwrap(), ..working.worker().clone() };
        assert_eq!(other.lives(), Some(true));
        child.kill().unwrap();
        // Dead, though its number is taken until somebody waits for it.
        while other.lives() == Some(true) {
            std::thread::yield_now();
        }
        child.wait().unwrap();
        assert_eq!(other.lives(), Some(false));
        // Another process with the number of a dead one.
        other.pid = std::process::id();
        assert_eq!(other.lives(), Some(false));
        other.machine = "elsewhere".to_owned();
        assert_eq!(other.lives(), None);
    }
}
