//! The way back: a recipe as TOML, and what differs between two.

use std::collections::BTreeMap;

use serde_json::Value;

use super::types::Recipe;
use crate::error::{Error, Result};

impl Recipe {
    /// The recipe as TOML, every default written out, keys in the order of the documentation.
    /// Reading it gives an equal recipe.
    ///
    /// # Errors
    /// `Internal` if TOML cannot hold a value, which no recipe that was read has.
    pub fn to_toml(&self) -> Result<String> {
        toml::to_string(self)
            .map_err(|e| Error::internal("the recipe cannot be written as TOML").because(e))
    }

    /// What differs: the dotted key, the value here and the value in `other`, sorted by key. A
    /// value that is not given reads `not set`.
    pub fn diff(&self, other: &Self) -> Vec<(String, String, String)> {
        let (here, there) = (flat(self), flat(other));
        let mut keys: Vec<&String> = here.keys().chain(there.keys()).collect();
        keys.sort();
        keys.dedup();
        let text = |side: &BTreeMap<String, String>, key: &String| {
            side.get(key).cloned().unwrap_or_else(|| "not set".to_owned())
        };
        keys.into_iter()
            .map(|key| (key.clone(), text(&here, key), text(&there, key)))
            .filter(|(_, old, new)| old != new)
            .collect()
    }
}

fn flat(recipe: &Recipe) -> BTreeMap<String, String> {
    let mut flat = BTreeMap::new();
    flatten(String::new(), &serde_json::to_value(recipe).unwrap_or_default(), &mut flat);
    flat
}

fn flatten(key: String, value: &Value, flat: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                let dot = if key.is_empty() { "" } else { "." };
                flatten(format!("{key}{dot}{name}"), field, flat);
            }
        }
        Value::String(text) => {
            flat.insert(key, text.clone());
        }
        other => {
            flat.insert(key, other.to_string());
        }
    }
}
