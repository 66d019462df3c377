//! Class names: from the files' metadata or from the labels themselves.

use std::collections::BTreeSet;

use arrow::datatypes::Schema;
use serde_json::Value;

use super::column::{ClassValue, plain};
use crate::error::{Error, Result};
use crate::storage::parquet::ParquetFile;

/// The names that the files' metadata give to the integers of column `label`, if they do: those
/// of a `ClassLabel` under `huggingface`, or else the JSON list `class_names`.
pub(super) fn declared(
    files: &[ParquetFile],
    label: &str,
    warnings: &mut BTreeSet<String>,
) -> Result<Option<Vec<String>>> {
    let mut found: Option<(Vec<String>, &str)> = None;
    for file in files {
        let field = file.schema().field_with_name(label);
        if !field.is_ok_and(|f| plain(f.data_type()).is_integer()) {
            continue;
        }
        let here = file.object().uri.as_str();
        match (names_of(file.schema(), label, warnings), &found) {
            (Some(names), None) => found = Some((names, here)),
            (Some(names), Some((before, there))) if names != *before => {
                return Err(Error::input(format!(
                    "{there} and {here} give different class names to the column `{label}`; \
                     write them with one list of names"
                )));
            }
            _ => {}
        }
    }
    Ok(found.map(|(names, _)| names))
}

fn names_of(schema: &Schema, label: &str, warnings: &mut BTreeSet<String>) -> Option<Vec<String>> {
    let mut json = |key: &str| {
        let text = schema.metadata().get(key)?;
        let value = serde_json::from_str::<Value>(text).ok();
        if value.is_none() {
            warnings.insert(format!("the metadata `{key}` is no JSON and was ignored"));
        }
        value
    };
    let features = json("huggingface").and_then(|value| class_label(&value, label));
    features.or_else(|| strings(&json("class_names")?))
}

/// `datasets` nests the features under `info`; some writers leave that level out.
fn class_label(huggingface: &Value, label: &str) -> Option<Vec<String>> {
    let root = huggingface.get("info").unwrap_or(huggingface);
    strings(root.get("features")?.get(label)?.get("names")?)
}

fn strings(value: &Value) -> Option<Vec<String>> {
    let names = value.as_array()?.iter().map(|v| v.as_str().map(str::to_owned));
    names.collect::<Option<Vec<_>>>().filter(|names| !names.is_empty())
}

/// The classes and how a label finds its index.
pub(super) enum Classes {
    /// The label is the index into these names.
    Declared(Vec<String>),
    /// The distinct labels, ascending; the index is the position.
    Distinct(Vec<ClassValue>),
}

impl Classes {
    pub(super) fn new(declared: Option<Vec<String>>, values: BTreeSet<ClassValue>) -> Self {
        match declared {
            Some(names) => Self::Declared(names),
            None => Self::Distinct(values.into_iter().collect()),
        }
    }

    /// The class index of a label, or `None` if it is no index into the declared names.
    pub(super) fn index(&self, value: &ClassValue) -> Option<u32> {
        match (self, value) {
            (Self::Declared(names), ClassValue::Number(number)) => {
                u32::try_from(*number).ok().filter(|&i| (i as usize) < names.len())
            }
            (Self::Declared(_), ClassValue::Name(_)) => None,
            (Self::Distinct(values), value) => values.binary_search(value).ok().map(|i| i as u32),
        }
    }

    pub(super) fn names(&self) -> Vec<String> {
        match self {
            Self::Declared(names) => names.clone(),
            Self::Distinct(values) => values.iter().map(ToString::to_string).collect(),
        }
    }
}
