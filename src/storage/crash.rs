//! Named places where a test can have the process die, as a machine does: without a word.
//!
//! The command line arms one from `UNSEEN_CRASH_AT=<name>` or `<name>:<n>` (the n-th time it is
//! passed, from 1). Unarmed, a point costs one atomic load.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::error::{Error, Result};

/// A place where a run can be made to die.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// `run.json` is written, nothing else.
    RunBegun,
    /// A task is claimed, its work not begun.
    Claimed,
    /// A step of a training is about to begin.
    TrainingStep,
    /// A checkpoint of a training is at the store.
    Checkpointed,
    /// A part of a large output is at the store, the object is not.
    PartSent,
    /// An output is at the store, no record names it.
    OutputWritten,
    /// All outputs are there, the record is not.
    BeforeCommit,
    /// The record is there, the process does not know it.
    AfterCommit,
    /// All records are there, nothing has a public name.
    BeforePublish,
    /// One more result has its public name.
    Published,
    /// Everything has its public name, the manifest is not there.
    BeforeManifest,
    /// The manifest is there, nobody was told.
    AfterManifest,
}

impl Point {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::RunBegun,
        Self::Claimed,
        Self::TrainingStep,
        Self::Checkpointed,
        Self::PartSent,
        Self::OutputWritten,
        Self::BeforeCommit,
        Self::AfterCommit,
        Self::BeforePublish,
        Self::Published,
        Self::BeforeManifest,
        Self::AfterManifest,
    ];

    /// Its name in `UNSEEN_CRASH_AT`.
    pub fn name(self) -> &'static str {
        match self {
            Self::RunBegun => "run-begun",
            Self::Claimed => "claimed",
            Self::TrainingStep => "training-step",
            Self::Checkpointed => "checkpointed",
            Self::PartSent => "part-sent",
            Self::OutputWritten => "output-written",
            Self::BeforeCommit => "before-commit",
            Self::AfterCommit => "after-commit",
            Self::BeforePublish => "before-publish",
            Self::Published => "published",
            Self::BeforeManifest => "before-manifest",
            Self::AfterManifest => "after-manifest",
        }
    }

    /// Dies here, if this is where the process is to die.
    pub(crate) fn pass(self) {
        if let Some((point, left)) = ARMED.get()
            && *point == self
            && left.fetch_sub(1, Ordering::SeqCst) == 1
        {
            std::process::abort();
        }
    }
}

static ARMED: OnceLock<(Point, AtomicUsize)> = OnceLock::new();

/// Has this process die at `<name>` or `<name>:<n>`.
///
/// # Errors
/// `InvalidRecipe` if there is no such point.
pub fn arm(text: &str) -> Result<()> {
    let (name, times) = text.split_once(':').unwrap_or((text, "1"));
    let point = Point::ALL.into_iter().find(|point| point.name() == name);
    if let (Some(point), Ok(times)) = (point, times.parse()) {
        let _ = ARMED.set((point, AtomicUsize::new(times)));
        return Ok(());
    }
    let names = Point::ALL.map(Point::name).join(", ");
    Err(Error::recipe(format!(
        "UNSEEN_CRASH_AT={text} names no point; write one of {names}, and :n for the n-th time"
    )))
}
