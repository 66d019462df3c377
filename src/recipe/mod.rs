//! The recipe: everything that decides a run, as one TOML file.
//!
//! [`Recipe`] is both what the file says and, with every default filled in, what the run saves.
//! `file` reads TOML and points at lines; `check` holds the values to their laws.

mod check;
mod file;
mod types;

pub use file::{Override, json_schema, parse};
pub use types::*;
