//! What the model will see: an image column or feature columns.

use arrow::datatypes::{DataType, Schema};

use super::schema::{find, wrong_type};
use crate::error::{Error, Result};
use crate::recipe::Data;

const IMAGE_TYPES: &str = "a struct with a field `bytes`, and binary,";
const FEATURE_TYPES: &str = "one list of numbers, and one or more columns of numbers or booleans,";

/// The input columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Encoded images: `struct<bytes, path>` or binary.
    Image {
        /// The column.
        column: String,
    },
    /// Feature vectors: one list column, or one numeric column per feature.
    Features {
        /// The columns, in the recipe's order.
        columns: Vec<String>,
    },
}

impl Input {
    /// The input that the recipe names, held against the schema.
    pub(super) fn new(data: &Data, schema: &Schema) -> Result<Self> {
        match (&data.image, &data.features) {
            (Some(column), None) => Self::image(column, schema),
            (None, Some(columns)) => Self::features(columns.as_slice(), schema),
            (Some(_), Some(_)) => {
                Err(Error::recipe("data.image and data.features exclude each other; remove one"))
            }
            (None, None) => Err(Error::recipe("give data.image or data.features")),
        }
    }

    /// The names of the columns.
    pub fn columns(&self) -> Vec<&str> {
        match self {
            Self::Image { column } => vec![column],
            Self::Features { columns } => columns.iter().map(String::as_str).collect(),
        }
    }

    fn image(column: &str, schema: &Schema) -> Result<Self> {
        let field = find(schema, "data.image", column)?;
        let usable = match field.data_type() {
            DataType::Struct(fields) => {
                fields.find("bytes").is_some_and(|(_, f)| is_binary(f.data_type()))
            }
            kind => is_binary(kind),
        };
        if !usable {
            return Err(wrong_type("data.image", field, IMAGE_TYPES));
        }
        Ok(Self::Image { column: column.to_owned() })
    }

    fn features(columns: &[String], schema: &Schema) -> Result<Self> {
        if columns.is_empty() {
            return Err(Error::recipe("data.features names no column"));
        }
        for (i, column) in columns.iter().enumerate() {
            let field = find(schema, "data.features", column)?;
            let kind = field.data_type();
            if !(is_number(kind) || columns.len() == 1 && is_list_of_numbers(kind)) {
                return Err(wrong_type("data.features", field, FEATURE_TYPES));
            }
            if columns[..i].contains(column) {
                return Err(Error::recipe(format!("data.features names `{column}` twice")));
            }
        }
        Ok(Self::Features { columns: columns.to_vec() })
    }
}

fn is_binary(kind: &DataType) -> bool {
    matches!(kind, DataType::Binary | DataType::LargeBinary | DataType::BinaryView)
}

fn is_number(kind: &DataType) -> bool {
    kind.is_integer() || kind.is_floating() || *kind == DataType::Boolean
}

pub(super) fn is_list_of_numbers(kind: &DataType) -> bool {
    match kind {
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            item.data_type().is_integer() || item.data_type().is_floating()
        }
        _ => false,
    }
}
