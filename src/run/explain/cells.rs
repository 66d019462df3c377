//! The cells of `select.quota` and the cost of one sample.

use std::collections::BTreeMap;

use arrow::array::{Array, AsArray, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};

use super::super::rows::{column, decode, ints, strings};
use super::super::task::METADATA;
use super::{QuotaCell, Told};
use crate::error::{Place, Result};
use crate::recipe::CellQuota;
use crate::selection;

impl Told<'_> {
    /// The cells that hold the sample, in the order of the quotas, and what it costs.
    pub(super) fn beside(&self, selection: &RecordBatch) -> Result<(Vec<QuotaCell>, Option<f64>)> {
        let select = &self.file.recipe.select;
        if select.quota.is_empty() && select.budget.is_none() {
            return Ok((Vec::new(), None));
        }
        let Some(metadata) = self.metadata()? else { return Ok((Vec::new(), None)) };
        let Some(row) = self.row(&metadata)? else { return Ok((Vec::new(), None)) };
        let known = Known::new(&metadata, selection, &self.classes()?)?;
        let cells = select.quota.iter().filter_map(|quota| known.cell(quota, row).transpose());
        let cost = match &select.budget {
            Some(budget) => {
                let costs = cast(column(&metadata, &budget.column)?, &DataType::Float64)?;
                Some(costs.as_primitive::<Float64Type>().value(row))
            }
            None => None,
        };
        Ok((cells.collect::<Result<_>>()?, cost))
    }

    /// What is known of the usable samples, ascending by id, if it is gathered.
    fn metadata(&self) -> Result<Option<RecordBatch>> {
        let Some(record) = self.ledger.find(METADATA)? else { return Ok(None) };
        decode(self.ledger.output(&record, "metadata.parquet")?.0)
            .map(Some)
            .at(|| METADATA.to_owned())
    }
}

/// What is known of all usable samples.
struct Known<'a> {
    metadata: &'a RecordBatch,
    /// The class of each.
    labels: StringArray,
    kept: Vec<bool>,
}

impl<'a> Known<'a> {
    fn new(metadata: &'a RecordBatch, selection: &RecordBatch, classes: &[String]) -> Result<Self> {
        let (labels, kept) = (ints(selection, "label")?, column(selection, "kept")?.as_boolean());
        let rows: BTreeMap<&str, (i32, bool)> = strings(selection, "id")?
            .iter()
            .flatten()
            .enumerate()
            .map(|(row, id)| (id, (labels.value(row), kept.value(row))))
            .collect();
        let ids = strings(metadata, "id")?;
        let found = || ids.iter().flatten().map(|id| rows.get(id));
        let class = |label: i32| classes.get(label as usize).map(String::as_str);
        Ok(Self {
            metadata,
            labels: found().map(|row| row.and_then(|(label, _)| class(*label))).collect(),
            kept: found().map(|row| row.is_some_and(|(_, kept)| *kept)).collect(),
        })
    }

    fn texts(&self, name: &str) -> Result<StringArray> {
        if name == "label" {
            return Ok(self.labels.clone());
        }
        let values = cast(column(self.metadata, name)?, &DataType::Utf8)?;
        Ok(values.as_string::<i32>().clone())
    }

    /// The cell of a quota that holds the sample in `row`; `None` if it speaks of another.
    fn cell(&self, quota: &CellQuota, row: usize) -> Result<Option<QuotaCell>> {
        let names: Vec<&str> = quota.columns().collect();
        let columns: Vec<StringArray> =
            names.iter().map(|name| self.texts(name)).collect::<Result<_>>()?;
        let value = |column: &StringArray, row: usize| {
            column.is_valid(row).then(|| column.value(row).to_owned())
        };
        let own: Vec<Option<String>> = columns.iter().map(|column| value(column, row)).collect();
        let other = |is: &BTreeMap<String, String>| {
            names.iter().zip(&own).any(|(name, value)| is.get(*name) != value.as_ref())
        };
        if quota.is.as_ref().is_some_and(other) {
            return Ok(None);
        }
        let alike =
            |row: &usize| columns.iter().zip(&own).all(|(column, own)| value(column, *row) == *own);
        let rows: Vec<usize> = (0..self.kept.len()).filter(alike).collect();
        let kept = rows.iter().filter(|row| self.kept[**row]).count() as u64;
        let all = self.kept.iter().filter(|kept| **kept).count() as u64;
        let bounds = selection::cell_bounds(quota, rows.len() as u64, all);
        Ok(Some(QuotaCell {
            name: selection::cell_name(&names, &own),
            samples: rows.len() as u64,
            kept,
            least: Some(bounds.least).filter(|least| *least > 0),
            most: Some(bounds.most).filter(|most| *most < rows.len() as u64),
        }))
    }
}
