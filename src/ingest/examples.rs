//! A count with its first few examples, for errors that say which rows are meant.

use std::fmt;

const SHOWN: usize = 5;

/// How many there are, and the first five of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Examples {
    count: usize,
    first: Vec<String>,
}

impl Examples {
    /// Counts one more; its text is built only if it will be shown.
    pub(crate) fn add(&mut self, text: impl FnOnce() -> String) {
        self.count += 1;
        if self.first.len() < SHOWN {
            self.first.push(text());
        }
    }

    /// Counts those of `other` after these.
    pub(crate) fn extend(&mut self, other: Self) {
        self.count += other.count;
        let room = SHOWN - self.first.len();
        self.first.extend(other.first.into_iter().take(room));
    }

    pub(crate) fn count(&self) -> usize {
        self.count
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }
}

impl fmt::Display for Examples {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.first.join("; "))?;
        match self.count - self.first.len() {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}

/// `1 row`, `2 rows`.
pub(crate) fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}
