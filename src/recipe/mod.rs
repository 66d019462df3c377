//! The recipe: everything that decides a run, as one TOML file.
//!
//! [`Recipe`] is both what the file says and, with every default filled in, what the run saves.
//! This room does no I/O; it asks the machine for environment variables and the current directory. A text becomes a recipe in six steps:
//!
//! - `document`: TOML and overrides, merged; every key knows its line and column.
//! - `shape`: keys, types, choices and ranges, held against the published JSON Schema.
//! - `expand`: environment variables in addresses.
//! - `address`: what an address means.
//! - `check`: the laws between fields.
//! - `file`: puts them together. `show` is the way back, to TOML and to a list of differences; `change`
//!   asks what if.
//! - `auto`: what `select.strategy = "auto"` chooses from.
//! - `sql`: the words of an SQL text, `suggest`: the name that was meant.

mod address;
mod auto;
mod change;
mod check;
mod devices;
mod document;
mod expand;
mod file;
mod shape;
mod show;
mod sql;
mod storage;
mod suggest;
mod types;

pub use address::{Address, Scheme};
pub use devices::Devices;
pub use document::Override;
pub use file::{json_schema, parse, parse_with};
pub(crate) use sql::words;
pub use storage::Storage;
pub(crate) use suggest::{near, nearest};
pub use types::*;
