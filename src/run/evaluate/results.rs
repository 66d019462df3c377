//! The rows of all evaluations of a run, as their records hold them.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int32Array, Int64Array, StringArray};
use arrow::record_batch::RecordBatch;
use serde::{Deserialize, Serialize};

use super::{Subset, ledger_of};
use crate::error::{Place, Result};
use crate::evaluation::Metrics;
use crate::recipe::{Storage, TrainBudget};
use crate::run::rows::ints;
use crate::run::status::open;
use crate::storage::{Ledger, parquet};
use crate::tables;

/// The first word of the keys of tasks that test a model.
pub(super) const JUDGE: &str = "judge";

/// The output of such a task: what the model says about each test sample.
pub(super) const JUDGED: &str = "judged.parquet";

/// The name of the part of the training data that is held out; that of given test data ends with what
/// pins them, so none is called so.
pub(super) const HELD_OUT: &str = "held-out";

/// Whether the test with this name is a part of the training data.
pub(super) fn is_held_out(test: &str) -> bool {
    test == HELD_OUT
}

/// One row of the table: the facts in the record of one tested model, and what they follow from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in crate::run) struct Tested {
    pub(in crate::run) test: String,
    pub(in crate::run) test_samples: u64,
    pub(in crate::run) budget: TrainBudget,
    pub(in crate::run) subset: Subset,
    pub(in crate::run) seed: u32,
    pub(in crate::run) samples: u64,
    pub(in crate::run) keep: f64,
    pub(in crate::run) epochs: u32,
    pub(in crate::run) steps: u64,
    #[serde(flatten)]
    pub(in crate::run) metrics: Metrics,
    /// Which test samples it predicts right, in their order: from its predictions, not from its record.
    #[serde(skip)]
    pub(in crate::run) right: Vec<bool>,
}

impl Tested {
    /// What the record of this task tells, and its predictions.
    ///
    /// # Errors
    /// `CorruptData` if a fact is missing, or predictions are not those of the record.
    pub(super) fn read(ledger: &Ledger, task: &str) -> Result<Self> {
        let record = ledger.get(task)?;
        let judged = parquet::decode_table(ledger.output(&record, JUDGED)?.0, &tables::judged())?;
        let (label, predicted) = (ints(&judged, "label")?, ints(&judged, "predicted")?);
        let right = label.values().iter().zip(predicted.values()).map(|(a, b)| a == b).collect();
        let facts = serde_json::json!(record.facts);
        let told: Self = serde_json::from_value(facts).at(|| format!("the record of {task}"))?;
        Ok(Self { right, ..told })
    }
}

/// All models that were tested in evaluations of the run in `uri`: the contract of
/// [`tables::evaluation`]. `None` if there was none.
///
/// # Errors
/// `InvalidInput` if no run began there; `CorruptData` if a record cannot be read.
pub fn evaluations(uri: &str, storage: &Storage) -> Result<Option<RecordBatch>> {
    let table = table(&ledger_of(&open(uri, storage)?.1))?;
    Ok(Some(table).filter(|table| table.num_rows() > 0))
}

/// All models that were tested in evaluations of the run behind this ledger.
///
/// # Errors
/// `CorruptData` if a record cannot be read.
pub(in crate::run) fn tested(run: &Ledger) -> Result<Vec<Tested>> {
    all(&ledger_of(run))
}

/// The rows behind a ledger of evaluations, in the order of the table.
fn all(ledger: &Ledger) -> Result<Vec<Tested>> {
    let tasks = ledger.committed()?.into_iter();
    let judged = tasks.filter(|task| task.starts_with(JUDGE));
    let mut rows = judged.map(|task| Tested::read(ledger, &task)).collect::<Result<Vec<_>>>()?;
    rows.sort_by(|a, b| {
        let key = |row: &Tested| (row.test.clone(), row.budget.name(), row.subset.name(), row.seed);
        key(a).cmp(&key(b))
    });
    Ok(rows)
}

/// The table of all tested models behind a ledger of evaluations.
pub(super) fn table(ledger: &Ledger) -> Result<RecordBatch> {
    Ok(RecordBatch::try_new(tables::evaluation(), columns(&all(ledger)?))?)
}

/// The columns of [`tables::evaluation`].
pub(in crate::run) fn columns(rows: &[Tested]) -> Vec<ArrayRef> {
    let texts = |of: fn(&Tested) -> &str| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(rows.iter().map(of)))
    };
    let ints = |of: fn(&Tested) -> u32| -> ArrayRef {
        Arc::new(Int32Array::from_iter_values(rows.iter().map(|row| of(row) as i32)))
    };
    let counts = |of: fn(&Tested) -> u64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| of(row) as i64)))
    };
    let shares = |of: fn(&Tested) -> f64| -> ArrayRef {
        Arc::new(Float64Array::from_iter_values(rows.iter().map(of)))
    };
    vec![
        texts(|row| &row.test),
        counts(|row| row.test_samples),
        texts(|row| row.budget.name()),
        texts(|row| row.subset.name()),
        ints(|row| row.seed),
        counts(|row| row.samples),
        shares(|row| row.keep),
        ints(|row| row.epochs),
        counts(|row| row.steps),
        shares(|row| row.metrics.accuracy),
        shares(|row| row.metrics.worst_class),
        shares(|row| row.metrics.class_spread),
        shares(|row| row.metrics.ece),
    ]
}
