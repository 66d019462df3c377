//! The table contracts: column names, Arrow schemas and what each row promises.
//!
//! Every table that `unseen` writes is described here once, published under `schemas/`, and a
//! test holds the two equal. This room does no I/O.

mod columns;
mod describe;

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use crate::recipe::{Method, Outputs};
pub use columns::Column;
pub use describe::{ColumnContract, TableContract, contracts};

fn schema(columns: &[Column]) -> SchemaRef {
    let field = |c: &Column| Field::new(c.name, c.kind.clone(), c.nullable);
    Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()))
}

/// The usable samples, ascending by id: where each comes from.
pub fn samples() -> SchemaRef {
    schema(columns::SAMPLES)
}

/// The samples that cannot be used, ascending by id, with the reason.
pub fn quarantine() -> SchemaRef {
    schema(columns::QUARANTINE)
}

/// The fold of each usable sample, ascending by id.
pub fn folds() -> SchemaRef {
    schema(columns::FOLDS)
}

/// The samples a model was trained on, ascending by id.
pub fn members() -> SchemaRef {
    schema(columns::MEMBERS)
}

/// What a training did to the samples that its model scores, ascending by id: a column for each of
/// `methods`, which watch the training. The metadata are those of [`scores`].
pub fn dynamics(methods: &[Method], outputs: Outputs) -> SchemaRef {
    with_scores(columns::DYNAMICS, methods, &[], outputs)
}

/// The samples and how well their labels agree with the models that never saw them, ascending by id.
pub fn label_errors() -> SchemaRef {
    schema(columns::LABEL_ERRORS)
}

/// The scores that one model gave, ascending by id. `fold` is the sample's fold (null in fitting
/// mode), `model` the scoring model within the stage. `logits` and `probabilities` are there when
/// asked for: `lists` gives the name of each and the number of classes. The schema's metadata says
/// under [`OUTPUTS`] what the scores were computed from.
pub fn scores(methods: &[Method], lists: &[(&str, usize)], outputs: Outputs) -> SchemaRef {
    with_scores(columns::SCORES, methods, lists, outputs)
}

fn with_scores(
    first: &[Column],
    methods: &[Method],
    lists: &[(&str, usize)],
    outputs: Outputs,
) -> SchemaRef {
    let mut columns = first.to_vec();
    columns.extend(methods.iter().map(|method| columns::score(*method)));
    let mut fields = schema(&columns).fields().to_vec();
    fields.extend(lists.iter().map(|(name, classes)| Arc::new(list(name, *classes))));
    let metadata = HashMap::from([(OUTPUTS.to_owned(), outputs.name().to_owned())]);
    Arc::new(Schema::new_with_metadata(fields, metadata))
}

/// The key of a score table's metadata that names the outputs its scores were computed from.
pub const OUTPUTS: &str = "unseen.outputs";

fn list(name: &str, classes: usize) -> Field {
    let item = Arc::new(Field::new("item", DataType::Float32, false));
    Field::new(name, DataType::FixedSizeList(item, classes as i32), false)
}

/// What became of every sample, ascending by id. `score` is the aggregated score that decided
/// (of the stage of entry for kept samples, of the last stage that scored it otherwise), `rank`
/// counts from 1 (the most wanted) within that stage, `stage` is the stage of entry.
/// `random` and `random_stratified` are subsets of the same size, for comparison.
pub fn selection() -> SchemaRef {
    schema(&[columns::SELECTED, columns::TWINS].concat())
}

/// The selection after one stage: its columns, and how often stage 1 was wrong about a sample.
pub fn state() -> SchemaRef {
    schema(&[columns::SELECTED, columns::WRONG].concat())
}

/// The kept rows in the order of the shards: a subset without a copy.
pub fn view() -> SchemaRef {
    schema(columns::VIEW)
}

/// What one model says about the test samples, ascending by id.
pub fn judged() -> SchemaRef {
    schema(columns::JUDGED)
}

/// How good models are that were trained on the coreset, on its random twins and on everything: a row
/// for each model, ascending by test, budget, subset and seed.
pub fn evaluation() -> SchemaRef {
    schema(columns::EVALUATION)
}

/// The evaluations of all runs of a sweep: a row for each model, in the order of the grid.
pub fn sweep() -> SchemaRef {
    schema(&[columns::SWEEP, columns::EVALUATION].concat())
}
