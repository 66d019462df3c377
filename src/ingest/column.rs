//! Thin columns of any supported type as texts and class values.

use std::fmt;

use arrow::array::{Array, ArrayRef, AsArray, LargeStringArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Int64Type};

use crate::error::Result;

pub(crate) const TEXT_TYPES: &str = "strings and integers";
pub(super) const LABEL_TYPES: &str = "strings, integers (ClassLabel among them) and booleans";

/// A type without its dictionary.
pub(super) fn plain(kind: &DataType) -> &DataType {
    match kind {
        DataType::Dictionary(_, values) => plain(values),
        other => other,
    }
}

pub(super) fn is_text(kind: &DataType) -> bool {
    matches!(plain(kind), DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

/// Whether ids and groups may have this type.
pub(crate) fn holds_texts(kind: &DataType) -> bool {
    is_text(kind) || plain(kind).is_integer()
}

/// Whether labels may have this type.
pub(super) fn holds_labels(kind: &DataType) -> bool {
    holds_texts(kind) || *plain(kind) == DataType::Boolean
}

/// A cast that fails where a value does not fit, instead of making it null.
pub(crate) fn cast_exactly(array: &dyn Array, kind: &DataType) -> Result<ArrayRef> {
    let options = CastOptions { safe: false, ..CastOptions::default() };
    Ok(cast_with_options(array, kind, &options)?)
}

/// The values as texts; integers in decimal.
pub(crate) fn texts(array: &dyn Array) -> Result<LargeStringArray> {
    let values = cast_exactly(array, plain(array.data_type()))?;
    Ok(cast_exactly(&values, &DataType::LargeUtf8)?.as_string::<i64>().clone())
}

/// What a label column says; integers sort as numbers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum ClassValue {
    Number(i64),
    Name(String),
}

impl fmt::Display for ClassValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Name(name) => name.fmt(f),
        }
    }
}

/// The class values of a label column.
pub(super) fn class_values(array: &dyn Array) -> Result<Vec<Option<ClassValue>>> {
    if plain(array.data_type()).is_integer() {
        let numbers = cast_exactly(array, plain(array.data_type()))?;
        let numbers = cast_exactly(&numbers, &DataType::Int64)?;
        let numbers = numbers.as_primitive::<Int64Type>();
        return Ok(numbers.iter().map(|v| v.map(ClassValue::Number)).collect());
    }
    let names = texts(array)?;
    Ok(names.iter().map(|v| v.map(|name| ClassValue::Name(name.to_owned()))).collect())
}
