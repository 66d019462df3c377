//! Progress on stderr: a bar with an ETA on a terminal, a line per task elsewhere.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write as _};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use crate::run::Observer;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// The bar of this process, which log lines have to go around.
static BAR: OnceLock<ProgressBar> = OnceLock::new();

/// Writes a line to stderr without tearing the bar.
pub(super) fn beside_the_bar(text: &str) {
    let write = || {
        let _ = std::io::stderr().write_all(text.as_bytes());
    };
    BAR.get().map_or_else(write, |bar| bar.suspend(write));
}

/// Shows a run to a person.
pub(super) struct Progress {
    bar: ProgressBar,
    terminal: bool,
    quiet: bool,
    place: Mutex<Place>,
}

/// Where the run is, in sample passes.
#[derive(Default)]
struct Place {
    total: u64,
    /// That of the tasks that are done.
    before: u64,
    /// The tasks that are not: how much of each is done, and of how much.
    running: BTreeMap<String, (u64, u64)>,
}

impl Place {
    fn position(&self) -> u64 {
        self.before + self.running.values().map(|(done, work)| done.min(work)).sum::<u64>()
    }
}

impl Progress {
    pub(super) fn new(quiet: bool) -> Self {
        let terminal = std::io::stderr().is_terminal() && !quiet;
        let bar = BAR.get_or_init(ProgressBar::no_length).clone();
        bar.set_draw_target(if terminal {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        });
        if let Ok(style) = ProgressStyle::with_template(
            "{bar:24} {percent:>3} %  {elapsed} gone, ETA {eta}  {msg}",
        ) {
            bar.set_style(style);
        }
        if terminal {
            bar.enable_steady_tick(Duration::from_millis(250));
        }
        Self { bar, terminal, quiet, place: Mutex::default() }
    }

    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }

    fn line(&self, text: &str) {
        if self.terminal {
            self.bar.println(text);
        } else if !self.quiet {
            let _ = writeln!(std::io::stderr(), "{text}");
        }
    }

    fn with_place<T>(&self, change: impl FnOnce(&mut Place) -> T) -> T {
        change(&mut self.place.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}

impl Observer for Progress {
    fn begin(&self, task: &str, work: u64, left: u64) {
        let (total, position) = self.with_place(|place| {
            place.total = place.total.max(left);
            place.before = place.total - left;
            place.running.insert(task.to_owned(), (0, work));
            (place.total, place.position())
        });
        if self.bar.length().is_none() {
            self.bar.reset();
        }
        self.bar.set_length(total);
        self.bar.set_position(position);
        self.bar.set_message(task.to_owned());
    }

    fn advance(&self, task: &str, done: u64, note: &str) {
        let position = self.with_place(|place| {
            if let Some((now, _)) = place.running.get_mut(task) {
                *now = done;
            }
            place.position()
        });
        self.bar.set_position(position);
        self.bar.set_message(format!("{task}  {note}"));
    }

    fn end(&self, task: &str, note: &str) {
        let (done, total) = self.with_place(|place| {
            place.before += place.running.remove(task).map_or(0, |(_, work)| work);
            (place.position(), place.total)
        });
        self.bar.set_position(done);
        let percent = (100 * done).checked_div(total).unwrap_or(100);
        let eta = self.bar.eta().as_secs();
        self.line(&format!(
            "{percent:>3} %  {task:<12}  {note}  (ETA {}:{:02})",
            eta / 60,
            eta % 60
        ));
    }

    fn wait(&self, task: &str, worker: &str) {
        self.line(&format!("waiting for {task}: {worker} works on it"));
    }

    fn warn(&self, text: &str) {
        self.line(&format!("warning: {text}"));
    }
}
