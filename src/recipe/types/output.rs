//! `[output]`: what is written, and where.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is written, and where.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Output {
    /// The run directory. Everything of the run lies below it. `${NAME}` takes an environment
    /// variable.
    #[schemars(length(min = 1))]
    pub uri: String,
    /// Copy the kept rows into shards, or only write the view (ids with file, row group and row).
    #[serde(default, rename = "as")]
    pub form: Form,
    /// The name of the split in shard names and in the card.
    #[serde(default = "train_split")]
    #[schemars(regex(pattern = r"^[A-Za-z0-9_]+$"))]
    pub split: String,
    /// The largest shard, in uncompressed bytes: a number or `500MB`.
    #[serde(default = "shard_bytes")]
    pub shard_bytes: Bytes,
    /// The largest row group, in uncompressed bytes.
    #[serde(default = "row_group_bytes")]
    pub row_group_bytes: Bytes,
    /// Add the columns `unseen_score`, `unseen_rank` and `unseen_stage` to the shards.
    #[serde(default)]
    pub scores: bool,
}

fn train_split() -> String {
    "train".to_owned()
}

fn shard_bytes() -> Bytes {
    Bytes(500_000_000)
}

fn row_group_bytes() -> Bytes {
    Bytes(100_000_000)
}

/// The form of the coreset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// Parquet shards and the view.
    #[default]
    Copy,
    /// Only the view.
    View,
}

/// A number of bytes; `500MB` and `2GiB` are understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "BytesText", into = "u64")]
pub struct Bytes(pub u64);

#[derive(Deserialize)]
#[serde(untagged)]
enum BytesText {
    Number(u64),
    Text(String),
}

impl From<Bytes> for u64 {
    fn from(bytes: Bytes) -> Self {
        bytes.0
    }
}

impl TryFrom<BytesText> for Bytes {
    type Error = String;

    fn try_from(text: BytesText) -> Result<Self, String> {
        match text {
            BytesText::Number(n) => Ok(Self(n)),
            BytesText::Text(text) => parse_bytes(&text)
                .map(Self)
                .ok_or_else(|| format!("`{text}` is not a size: write 500MB, 2GiB or a number")),
        }
    }
}

impl std::str::FromStr for Bytes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::try_from(BytesText::Text(text.to_owned()))
    }
}

fn parse_bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let number: f64 = text[..split].parse().ok()?;
    let unit: f64 = match text[split..].trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1.0,
        "kb" => 1e3,
        "mb" => 1e6,
        "gb" => 1e9,
        "kib" => 1024.0,
        "mib" => 1024.0 * 1024.0,
        "gib" => 1024.0 * 1024.0 * 1024.0,
        _ => return None,
    };
    let bytes = number * unit;
    (1.0..9e15).contains(&bytes).then_some(bytes as u64)
}

impl JsonSchema for Bytes {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Bytes".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "A number of bytes, or a text such as 500MB or 2GiB.",
            "anyOf": [
                {"type": "integer", "minimum": 1000},
                {"type": "string", "pattern": "^[0-9.]+ *([kKmMgG][iI]?)?[bB]?$"}
            ]
        })
    }
}
