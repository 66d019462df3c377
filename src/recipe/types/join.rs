//! `[[join]]`: tables with more about the samples.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A table with more about the samples, one row for each at most.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Join {
    /// A Parquet (`.parquet`), CSV (`.csv`) or JSON file (`.json`, or one object a line: `.jsonl`,
    /// `.ndjson`). `${NAME}` takes an environment variable.
    pub uri: String,
    /// The column that holds the id of the sample.
    #[serde(default = "id")]
    #[schemars(length(min = 1))]
    pub on: String,
    /// The columns to take; all others if it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub columns: Option<Vec<String>>,
    /// What a sample without a row means.
    #[serde(default)]
    pub missing: Missing,
}

fn id() -> String {
    "id".to_owned()
}

/// What a sample without a row in a joined table means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Missing {
    /// Its columns are null, and the run says how many there are.
    #[default]
    Report,
    /// The run stops and names some.
    Refuse,
}

impl Join {
    /// How the table is written, by the end of its address: `parquet`, `csv`, `json`, `jsonl` or
    /// `ndjson`; `None` for any other.
    pub fn format(&self) -> Option<&'static str> {
        let end = self.uri.rsplit_once('.').map(|(_, end)| end.to_ascii_lowercase())?;
        ["parquet", "csv", "json", "jsonl", "ndjson"].into_iter().find(|known| *known == end)
    }
}
