//! The integration tests, in one binary so that Polars and Candle link once.

// A test that cannot go on says so by panicking; clippy knows that of `#[test]` functions only.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::disallowed_methods, clippy::print_stdout, clippy::print_stderr)]
#![allow(clippy::type_complexity, clippy::needless_for_each, clippy::float_cmp)]

mod architecture;
mod bad_input;
mod bombs;
mod checkpoints;
mod commands;
mod contract;
mod coverage;
mod damage;
mod datasets;
mod determinism;
mod evaluating;
mod examples;
mod faults;
mod interop;
mod kills;
mod memory;
mod mutations;
mod options;
mod paths;
mod pipeline;
mod race;
mod recipe;
mod recipe_words;
mod report;
mod results;
mod s3;
mod schemas;
mod scores;
mod secrets;
mod selecting;
mod server;
mod stability;
mod support;
mod suspects;
mod sweeping;
mod tasks;
