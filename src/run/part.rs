//! An observer of a part of something larger: it puts the name of the whole before that of each task, and
//! adds the work that is left beyond the part.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use super::Observer;

/// Tells `inner` of a part.
pub(super) struct Part<'a> {
    inner: &'a dyn Observer,
    /// The name of the part.
    whole: String,
    /// The work beyond it, in sample passes.
    after: u64,
    /// What was warned of already, in this part or in others.
    warned: Option<&'a Mutex<BTreeSet<String>>>,
}

impl<'a> Part<'a> {
    pub(super) fn of(inner: &'a dyn Observer, whole: &str, after: u64) -> Self {
        Self { inner, whole: whole.to_owned(), after, warned: None }
    }

    /// The same that warns of nothing twice: parts that share `warned` do so together.
    pub(super) fn warning_once(self, warned: &'a Mutex<BTreeSet<String>>) -> Self {
        Self { warned: Some(warned), ..self }
    }

    fn name(&self, task: &str) -> String {
        format!("{} {task}", self.whole)
    }
}

impl Observer for Part<'_> {
    fn begin(&self, task: &str, work: u64, left: u64) {
        self.inner.begin(&self.name(task), work, left + self.after);
    }

    fn advance(&self, task: &str, done: u64, note: &str) {
        self.inner.advance(&self.name(task), done, note);
    }

    fn end(&self, task: &str, note: &str) {
        self.inner.end(&self.name(task), note);
    }

    fn wait(&self, task: &str, worker: &str) {
        self.inner.wait(&self.name(task), worker);
    }

    fn warn(&self, text: &str) {
        let first = |warned: &Mutex<BTreeSet<String>>| {
            warned.lock().unwrap_or_else(PoisonError::into_inner).insert(text.to_owned())
        };
        if self.warned.is_none_or(first) {
            self.inner.warn(text);
        }
    }
}
