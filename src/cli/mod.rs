//! The command line: what is typed, and what is printed for it.
//!
//! `args` is the grammar; each command has a file and writes to a sink that it is given, so that
//! tests read what a user reads.

mod args;
mod config;

pub use args::{Args, Command, ConfigCommand, OnRecipe, OnRun, Plan, Run};
pub use config::config;
