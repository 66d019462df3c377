//! `[data]`: the dataset, where it is and which columns matter.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The dataset: where it is and which columns matter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Data {
    /// A Parquet file, a directory, a glob, or a list of them. `${NAME}` takes an environment variable.
    pub uri: OneOrMany,
    /// Rows to use, as a Polars SQL condition: `split = 'train'`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub filter: Option<String>,
    /// The column with a unique id (string or integer).
    #[serde(default = "id_column")]
    #[schemars(length(min = 1))]
    pub id: String,
    /// Where ids come from: the id column, or the SHA-256 of the input's content.
    #[serde(default)]
    pub id_from: IdFrom,
    /// The column with the class (string, integer or ClassLabel).
    #[serde(default = "label_column")]
    #[schemars(length(min = 1))]
    pub label: String,
    /// The image column (struct of bytes and path, or binary). Either this or `features`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub image: Option<String>,
    /// The feature column (a list of floats), or several numeric columns. Either this or `image`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub features: Option<OneOrMany>,
    /// A column with an embedding of each sample (a list of floats), for `score.embedding` and
    /// `folds.near`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub embedding: Option<String>,
    /// Resize images to `[height, width]` for scoring. Needed when their sizes differ.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(inner(range(min = 1, max = 65_535)))]
    pub resize: Option<[u32; 2]>,
    /// The largest share of samples that may be unusable before the run stops.
    #[serde(default = "max_quarantined")]
    #[schemars(range(min = 0, max = 1))]
    pub max_quarantined: f64,
    /// The largest image that is decoded, in pixels; a larger one is quarantined.
    #[serde(default = "max_image_pixels")]
    #[schemars(range(min = 1))]
    pub max_image_pixels: u64,
    /// The most columns a file may have, those inside of structs and lists counted each.
    #[serde(default = "max_columns")]
    #[schemars(range(min = 1))]
    pub max_columns: usize,
    /// How many times more bytes than a file stores its pages and row groups may decode to, once they
    /// exceed 128 MiB.
    #[serde(default = "max_expansion")]
    #[schemars(range(min = 1))]
    pub max_expansion: u64,
}

fn id_column() -> String {
    "id".to_owned()
}

fn label_column() -> String {
    "label".to_owned()
}

fn max_quarantined() -> f64 {
    0.001
}

fn max_image_pixels() -> u64 {
    50_000_000
}

fn max_columns() -> usize {
    5_000
}

fn max_expansion() -> u64 {
    100
}

/// One name or several.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum OneOrMany {
    /// One.
    One(String),
    /// Several.
    Many(#[schemars(length(min = 1))] Vec<String>),
}

impl OneOrMany {
    /// The names as a slice.
    pub fn as_slice(&self) -> &[String] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }

    pub(in crate::recipe) fn as_mut_slice(&mut self) -> &mut [String] {
        match self {
            Self::One(one) => std::slice::from_mut(one),
            Self::Many(many) => many,
        }
    }
}

/// Where ids come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum IdFrom {
    /// The column `data.id`.
    #[default]
    Column,
    /// SHA-256 of the image bytes or of the feature values, in hex.
    Content,
}
