//! The contracts as published under `schemas/`, for readers in other languages.

use std::collections::BTreeMap;

use serde::Serialize;

use super::OUTPUTS;
use super::columns::{self, Column};
use crate::recipe::{Method, Needs};

/// What a table promises.
#[derive(Clone, Debug, Serialize)]
pub struct TableContract {
    /// The name of the table and of its file under `schemas/`.
    pub table: &'static str,
    /// What a row is, and the order of rows.
    pub description: &'static str,
    /// The columns, in order.
    pub columns: Vec<ColumnContract>,
    /// The keys of the table's metadata (Arrow schema and Parquet footer) and what their values say.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<&'static str, &'static str>,
}

/// What a column promises.
#[derive(Clone, Debug, Serialize)]
pub struct ColumnContract {
    /// The name.
    pub name: &'static str,
    /// The Arrow type, as Arrow writes it.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether a value may be null.
    pub nullable: bool,
    /// What a value means.
    pub meaning: &'static str,
    /// When the table has this column; always, if this is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub present: Option<String>,
}

impl From<&Column> for ColumnContract {
    fn from(column: &Column) -> Self {
        Self {
            name: column.name,
            kind: column.kind.to_string(),
            nullable: column.nullable,
            meaning: column.meaning,
            present: None,
        }
    }
}

/// The contract of every table.
pub fn contracts() -> Vec<TableContract> {
    let table = |table, description, columns: &[Column]| TableContract {
        table,
        description,
        columns: columns.iter().map(ColumnContract::from).collect(),
        metadata: BTreeMap::new(),
    };
    vec![
        table("samples", "A row for each usable sample, ascending by id.", columns::SAMPLES),
        table(
            "quarantine",
            "A row for each sample that cannot be used, ascending by id.",
            columns::QUARANTINE,
        ),
        table("folds", "The fold of each usable sample, ascending by id.", columns::FOLDS),
        table(
            "members",
            "The samples that one model was trained on, ascending by id.",
            columns::MEMBERS,
        ),
        dynamics(),
        scores(),
        table(
            "label_errors",
            "How well the label of each usable sample agrees with the models of stage 1 that never saw it, ascending by id.",
            columns::LABEL_ERRORS,
        ),
        table(
            "selection",
            "What became of every sample, ascending by id.",
            &[columns::SELECTED, columns::TWINS].concat(),
        ),
        table(
            "state",
            "The selection after one stage, without the quarantine, ascending by id.",
            &[columns::SELECTED, columns::WRONG].concat(),
        ),
        table("view", "The kept samples, in the order of the shards.", columns::VIEW),
        table(
            "judged",
            "What one model of an evaluation says about the test samples, ascending by id.",
            columns::JUDGED,
        ),
        table(
            "evaluation",
            "A row for each model of the evaluations of a run, ascending by test, budget, subset and seed.",
            columns::EVALUATION,
        ),
        table(
            "sweep",
            "A row for each model of the evaluations of all runs of a sweep, in the order of the grid.",
            &[columns::SWEEP, columns::EVALUATION].concat(),
        ),
    ]
}

fn dynamics() -> TableContract {
    let watched = Method::ALL.into_iter().filter(|method| method.needs() == Needs::Trajectory);
    let mut columns: Vec<ColumnContract> =
        columns::DYNAMICS.iter().map(ColumnContract::from).collect();
    columns.extend(watched.map(|method| ColumnContract {
        present: Some(format!(
            "`score.methods` has `{name}`, or it has `d2` and `score.embedding.difficulty` is `{name}`",
            name = method.name()
        )),
        ..(&columns::score(method)).into()
    }));
    let description = "What the training of one model did to the samples that it scores, ascending by id. It never saw them, except in mode `fitting`.";
    TableContract { table: "dynamics", description, columns, metadata: outputs() }
}

fn outputs() -> BTreeMap<&'static str, &'static str> {
    let meaning = "What the scores were computed from, as `score.outputs` says: `clean` or `training`. Scores of both kinds must not be mixed.";
    BTreeMap::from([(OUTPUTS, meaning)])
}

fn scores() -> TableContract {
    let mut columns: Vec<ColumnContract> =
        columns::SCORES.iter().map(ColumnContract::from).collect();
    columns.extend(Method::ALL.map(|method| ColumnContract {
        present: Some(format!("`score.methods` has `{}`", method.name())),
        ..(&columns::score(method)).into()
    }));
    columns.extend([
        list("logits", "The outputs of the model, one per class.", "`score.logits` is true"),
        list(
            "probabilities",
            "The softmax of the outputs, one per class.",
            "`score.average` is `probabilities`, or in stage 1 `score.label_errors` is true",
        ),
    ]);
    let description = "The scores that one model gave, ascending by id. It never saw these samples, except in mode `fitting`.";
    TableContract { table: "scores", description, columns, metadata: outputs() }
}

fn list(name: &'static str, meaning: &'static str, present: &str) -> ColumnContract {
    ColumnContract {
        name,
        kind: "FixedSizeList(C x non-null Float32)".to_owned(),
        nullable: false,
        meaning,
        present: Some(present.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::Outputs;
    use crate::tables;

    #[test]
    fn the_contracts_are_the_schemas() {
        let lists = [("logits", 7), ("probabilities", 7)];
        let watched: Vec<Method> =
            Method::ALL.into_iter().filter(|m| m.needs() == Needs::Trajectory).collect();
        let schemas = [
            tables::samples(),
            tables::quarantine(),
            tables::folds(),
            tables::members(),
            tables::dynamics(&watched, Outputs::Training),
            tables::scores(&Method::ALL, &lists, Outputs::Training),
            tables::label_errors(),
            tables::selection(),
            tables::state(),
            tables::view(),
            tables::judged(),
            tables::evaluation(),
            tables::sweep(),
        ];
        let contracts = contracts();
        assert_eq!(contracts.len(), schemas.len());
        for (contract, schema) in contracts.iter().zip(schemas) {
            let told: Vec<_> = contract.columns.iter().map(|c| (c.name, c.nullable)).collect();
            let fields = schema.fields().iter();
            let real: Vec<_> = fields.map(|f| (f.name().as_str(), f.is_nullable())).collect();
            assert_eq!(told, real, "{}", contract.table);
            let keys: Vec<&String> = schema.metadata().keys().collect();
            assert_eq!(contract.metadata.keys().collect::<Vec<_>>(), keys, "{}", contract.table);
            for (column, field) in contract.columns.iter().zip(schema.fields()) {
                let kind = field.data_type().to_string().replace("(7 x", "(C x");
                assert_eq!(column.kind, kind, "{}.{}", contract.table, column.name);
            }
        }
    }
}
