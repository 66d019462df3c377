//! `unseen config`: the resolved recipe and the schema.

use std::io::Write;

use super::args::ConfigCommand;
use crate::error::{Error, ErrorKind, Result};
use crate::recipe::json_schema;

/// Carries out `unseen config`, printing to `out`.
///
/// # Errors
/// `InvalidRecipe` if the recipe is wrong; `Unavailable` if `out` takes no more.
pub fn config(command: &ConfigCommand, out: &mut dyn Write) -> Result<()> {
    let text = match command {
        ConfigCommand::Show { on, json: false } => on.load()?.to_toml()?,
        ConfigCommand::Show { on, json: true } => {
            format!("{}\n", serde_json::to_string_pretty(&on.load()?)?)
        }
        ConfigCommand::Schema => format!("{}\n", serde_json::to_string_pretty(&json_schema())?),
    };
    out.write_all(text.as_bytes())
        .map_err(|e| Error::new(ErrorKind::Unavailable, "cannot print").because(e))
}
