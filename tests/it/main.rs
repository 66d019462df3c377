//! The integration tests, in one binary so that Polars and Candle link once.
#![allow(clippy::disallowed_methods, clippy::missing_panics_doc, missing_docs)]

mod architecture;
mod bad_input;
mod determinism;
mod faults;
mod interop;
mod kills;
mod pipeline;
mod support;
