//! The table contracts: column names, Arrow schemas and what each row promises.
//!
//! Every table that `unseen` writes is described here once, published under `schemas/`, and a
//! test holds the two equal. This room does no I/O.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use crate::recipe::Method;

fn schema(fields: Vec<Field>) -> SchemaRef {
    Arc::new(Schema::new(fields))
}

fn required(name: &str, kind: DataType) -> Field {
    Field::new(name, kind, false)
}

fn optional(name: &str, kind: DataType) -> Field {
    Field::new(name, kind, true)
}

/// The usable samples, ascending by id: where each comes from.
pub fn samples() -> SchemaRef {
    schema(vec![
        required("id", DataType::Utf8),
        required("label", DataType::Int32),
        required("file", DataType::Int32),
        required("row_group", DataType::Int32),
        required("row", DataType::Int64),
        required("bytes", DataType::Int64),
        optional("group", DataType::Utf8),
    ])
}

/// The samples that cannot be used, ascending by id, with the reason.
pub fn quarantine() -> SchemaRef {
    schema(vec![
        required("id", DataType::Utf8),
        required("file", DataType::Int32),
        required("row_group", DataType::Int32),
        required("row", DataType::Int64),
        required("reason", DataType::Utf8),
    ])
}

/// The fold of each usable sample, ascending by id.
pub fn folds() -> SchemaRef {
    schema(vec![required("id", DataType::Utf8), required("fold", DataType::Int32)])
}

/// The samples a model was trained on, ascending by id.
pub fn members() -> SchemaRef {
    schema(vec![required("id", DataType::Utf8)])
}

/// The scores that one model gave, ascending by id. `fold` is the sample's fold (null in fitting
/// mode), `model` the scoring model within the stage. `logits` and `probabilities` are there when
/// asked for.
pub fn scores(methods: &[Method], lists: &[(&str, usize)]) -> SchemaRef {
    let mut fields = vec![
        required("id", DataType::Utf8),
        required("label", DataType::Int32),
        optional("fold", DataType::Int32),
        required("stage", DataType::Int32),
        required("model", DataType::Int32),
    ];
    fields.extend(methods.iter().map(|m| required(m.name(), DataType::Float32)));
    for (name, classes) in lists {
        let item = Arc::new(required("item", DataType::Float32));
        fields.push(required(name, DataType::FixedSizeList(item, *classes as i32)));
    }
    schema(fields)
}

/// What became of every sample, ascending by id. `score` is the aggregated score that decided
/// (of the stage of entry for kept samples, of the last stage that scored it otherwise), `rank`
/// counts from 1 (the most wanted) within that stage, `stage` is the stage of entry.
pub fn selection() -> SchemaRef {
    schema(vec![
        required("id", DataType::Utf8),
        optional("label", DataType::Int32),
        optional("fold", DataType::Int32),
        optional("score", DataType::Float64),
        optional("rank", DataType::Int64),
        optional("stage", DataType::Int32),
        required("kept", DataType::Boolean),
        required("reason", DataType::Utf8),
    ])
}

/// The kept rows in the order of the shards: a subset without a copy.
pub fn view() -> SchemaRef {
    schema(vec![
        required("id", DataType::Utf8),
        required("file", DataType::Utf8),
        required("row_group", DataType::Int32),
        required("row", DataType::Int64),
        required("shard", DataType::Int32),
    ])
}
