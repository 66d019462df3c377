//! The one error type: what happened, to which object, and what to do about it.

use std::fmt;

use crate::secret::scrub;

/// What went wrong, sorted by what the user has to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The recipe or the command line is wrong. Correct it; nothing has run. Exit code 2.
    InvalidRecipe,
    /// The dataset does not fit the recipe or the contract. Correct the data or the recipe.
    InvalidInput,
    /// The run directory belongs to another recipe, input or version. Use another `output.uri`.
    Conflict,
    /// An object or a place could not be reached, read or written. Check it and run again.
    Unavailable,
    /// Stored bytes are not what their record says. Remove the object's run and start afresh.
    CorruptData,
    /// A stated limit was reached (quarantine, pixels, bytes). Raise it or mend the data.
    LimitExceeded,
    /// The device asked for is not there or not built in. Choose another or rebuild.
    DeviceUnavailable,
    /// A defect of `unseen`. Please report it.
    Internal,
}

/// A result whose error is an [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of `unseen`: a kind, one sentence, where it happened, and its cause.
///
/// `Display` prints one paragraph for a person; `Debug` adds the kind and the source.
pub struct Error {
    kind: ErrorKind,
    message: String,
    context: Vec<String>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error of `kind` with one sentence that says what happened and what to do.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), context: Vec::new(), source: None }
    }

    /// A wrong recipe or command line.
    pub fn recipe(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidRecipe, message)
    }

    /// A dataset that does not fit.
    pub fn input(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidInput, message)
    }

    /// Stored bytes that do not match their record.
    pub fn corrupt(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::CorruptData, message)
    }

    /// A broken promise inside `unseen` itself.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, message)
    }

    /// Keeps the error that caused this one.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Says where it happened, outermost last: `file x.parquet`, `task train-s1-m0`.
    #[must_use]
    pub fn at(mut self, place: impl Into<String>) -> Self {
        self.context.push(place.into());
        self
    }

    /// What the user has to do next.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The process exit code: 2 for a wrong recipe or usage, 1 for everything else.
    pub fn exit_code(&self) -> u8 {
        if self.kind == ErrorKind::InvalidRecipe { 2 } else { 1 }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&scrub(&self.text()))
    }
}

impl Error {
    fn text(&self) -> String {
        let mut text = String::new();
        for place in self.context.iter().rev() {
            text.push_str(place);
            text.push_str(": ");
        }
        text.push_str(&self.message);
        let mut cause = self.source.as_deref().map(|e| e as &dyn std::error::Error);
        let mut said = self.message.clone();
        while let Some(error) = cause {
            let why = without_plan(error.to_string());
            if !said.contains(&why) {
                text.push_str(": ");
                text.push_str(&why);
                said.push_str(&why);
            }
            cause = error.source();
        }
        text
    }
}

/// Polars prints the whole query behind an error; a person needs the error.
fn without_plan(mut text: String) -> String {
    if let Some(plan) = text.find("Resolved plan until failure") {
        text.truncate(text[..plan].trim_end().len());
    }
    text
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.kind)
            .field("message", &self.to_string())
            .field("source", &self.source.as_ref().map(|e| scrub(&format!("{e:?}")).into_owned()))
            .finish_non_exhaustive()
    }
}

// `Display` tells the causes too, scrubbed; `source` would hand out texts that are not.
impl std::error::Error for Error {}

/// Adds the place to an error on its way up.
pub trait Place<T> {
    /// Says where it happened; the text is built only for an error.
    ///
    /// # Errors
    /// The same error, with the place in front.
    fn at(self, place: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: Into<Error>> Place<T> for std::result::Result<T, E> {
    fn at(self, place: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|e| e.into().at(place()))
    }
}

impl From<arrow::error::ArrowError> for Error {
    fn from(e: arrow::error::ArrowError) -> Self {
        Self::input("the Arrow data cannot be used").because(e)
    }
}

impl From<parquet::errors::ParquetError> for Error {
    fn from(e: parquet::errors::ParquetError) -> Self {
        Self::input("the Parquet data cannot be read").because(e)
    }
}

impl From<polars::error::PolarsError> for Error {
    fn from(e: polars::error::PolarsError) -> Self {
        Self::internal("a table query failed").because(e)
    }
}

impl From<std::io::Error> for Error {
    fn from(e: std::io::Error) -> Self {
        Self::new(ErrorKind::Unavailable, "a file cannot be read or written").because(e)
    }
}

impl From<serde_json::Error> for Error {
    fn from(e: serde_json::Error) -> Self {
        Self::corrupt("the JSON document cannot be read").because(e)
    }
}

#[cfg(feature = "train")]
impl From<candle_core::Error> for Error {
    fn from(e: candle_core::Error) -> Self {
        Self::internal("a tensor operation failed").because(e)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn displays_place_message_and_cause_once() {
        let cause = std::io::Error::other("disk on fire");
        let error = Error::input("no rows").because(cause).at("file a.parquet").at("ingest");
        assert_eq!(error.to_string(), "ingest: file a.parquet: no rows: disk on fire");
        assert_eq!(error.exit_code(), 1);
        assert_eq!(Error::recipe("x").exit_code(), 2);
    }

    #[test]
    fn plans_of_queries_are_left_out() {
        let cause = "not found: x\n\nResolved plan until failure:\n\n\t---> FAILED HERE";
        assert_eq!(Error::input("no table").because(cause).to_string(), "no table: not found: x");
    }
}
