//! How far a foreign file is believed: what it may make of the bytes that it really has.

use crate::error::{Error, ErrorKind, Result};
use crate::recipe::Data;

/// What any page or row group may decode to, however few bytes it has.
const FREE_BYTES: u64 = 128 << 20;

/// The limits that a recipe sets for foreign Parquet files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Columns, those inside of structs and lists counted each.
    pub columns: usize,
    /// How many times more bytes than are stored a page or a row group may decode to.
    pub expansion: u64,
}

impl Limits {
    /// None: for files that we wrote and whose checksum was checked.
    pub const OURS: Self = Self { columns: usize::MAX, expansion: u64::MAX };

    /// For files that no recipe speaks of: the defaults of a recipe.
    pub const USUAL: Self = Self { columns: 5_000, expansion: 100 };

    /// The limits of a recipe.
    pub fn new(data: &Data) -> Self {
        Self { columns: data.max_columns, expansion: data.max_expansion }
    }

    /// What `stored` bytes may decode to.
    pub(super) fn decoded(&self, stored: u64) -> u64 {
        stored.saturating_mul(self.expansion).max(FREE_BYTES)
    }

    /// Refuses `what` if it decodes to more than `stored` bytes may.
    pub(in crate::storage) fn allow(&self, what: &str, decoded: u64, stored: u64) -> Result<()> {
        if decoded > self.decoded(stored) {
            return Err(self.exceeded(what, decoded, stored));
        }
        Ok(())
    }

    /// The refusal of `what` that decodes to more.
    pub(super) fn exceeded(&self, what: &str, decoded: u64, stored: u64) -> Error {
        let message = format!(
            "{what} decodes to {decoded} bytes or more, but only {stored} are stored: more than \
             data.max_expansion = {} times as many; if the file is to be trusted, raise that limit",
            self.expansion
        );
        Error::new(ErrorKind::LimitExceeded, message)
    }
}
