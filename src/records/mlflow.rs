//! The coreset as an MLflow dataset, as `mlflow.entities.Dataset` and the REST call `runs/log-inputs` take
//! it: all values are texts, some of which are JSON themselves.
//!
//! Source: <https://mlflow.org/docs/latest/api_reference/_modules/mlflow/data/dataset.html>.

use arrow::datatypes::{DataType, Field};
use serde_json::{Value, json};

use super::name;
use crate::error::Result;
use crate::recipe::Address;
use crate::run::Finished;

/// MLflow wants a digest of at most ten characters.
const DIGEST: usize = 10;

pub(super) fn dataset(run: &Finished) -> Result<Value> {
    let uri = format!("{}/coreset", run.uri);
    let source_type = match Address::parse(&uri)? {
        Address::Local(_) => "local",
        Address::Object { scheme, .. } => scheme.name(),
    };
    let columns: Vec<Value> = run.columns.fields().iter().map(|field| column(field)).collect();
    let size: u64 = run.data.iter().map(|file| file.bytes).sum();
    let profile = json!({
        "num_rows": run.manifest.kept,
        "num_bytes": size,
        "selection_sha256": run.manifest.selection_sha256,
    });
    Ok(json!({
        "name": name(run),
        "digest": run.manifest.selection_sha256.chars().take(DIGEST).collect::<String>(),
        "source_type": source_type,
        "source": json!({ "uri": uri }).to_string(),
        "schema": json!({ "mlflow_colspec": columns }).to_string(),
        "profile": profile.to_string(),
    }))
}

fn column(field: &Field) -> Value {
    let mut column = kind(field.data_type());
    column["name"] = json!(field.name());
    column["required"] = json!(!field.is_nullable());
    column
}

/// A type as MLflow's signatures write it.
fn kind(kind: &DataType) -> Value {
    use DataType as D;
    let simple = match kind {
        D::Boolean => "boolean",
        D::Int8 | D::Int16 | D::Int32 | D::UInt8 | D::UInt16 => "integer",
        D::Int64 | D::UInt32 | D::UInt64 => "long",
        D::Float16 | D::Float32 => "float",
        D::Float64 => "double",
        D::Binary | D::LargeBinary | D::BinaryView | D::FixedSizeBinary(_) => "binary",
        D::Date32 | D::Date64 | D::Timestamp(..) => "datetime",
        D::Dictionary(_, values) => return self::kind(values),
        D::List(item) | D::LargeList(item) | D::FixedSizeList(item, _) => {
            return json!({ "type": "array", "items": self::kind(item.data_type()) });
        }
        D::Struct(fields) => {
            let properties = fields.iter().map(|field| {
                let mut property = self::kind(field.data_type());
                property["required"] = json!(!field.is_nullable());
                (field.name().clone(), property)
            });
            return json!({ "type": "object", "properties": Value::Object(properties.collect()) });
        }
        _ => "string",
    };
    json!({ "type": simple })
}
