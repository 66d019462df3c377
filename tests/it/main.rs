//! The integration tests, as one binary: it links once.

// A test that cannot go on says so by panicking; clippy knows that of `#[test]` functions only.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod recipe;
mod schemas;
