//! What is known of samples beside their scores: columns of the dataset and of joined tables.

use polars::prelude::*;

use crate::recipe::{CellQuota, Select, nearest};
use crate::sql::Condition;
use crate::{Error, Result};

const FOUND: &str = "__found";

/// Ids that a message names.
const NAMED: usize = 5;

/// The metadata of all usable samples, in their order.
pub(super) struct Beside(DataFrame);

impl Beside {
    /// Brings `metadata` into the order of `ids` and adds the class names as `label`.
    ///
    /// # Errors
    /// `InvalidInput` naming ids that it holds twice or not at all.
    pub(super) fn new(
        ids: &[String],
        labels: &[usize],
        classes: &[String],
        metadata: Option<&DataFrame>,
    ) -> Result<Self> {
        let samples = df!("id" => ids)?;
        let mut table = match metadata {
            None => samples,
            Some(metadata) => aligned(samples, metadata)?,
        };
        let names: Vec<&str> = labels.iter().map(|label| classes[*label].as_str()).collect();
        table.with_column(Column::new("label".into(), names))?;
        Ok(Self(table))
    }

    /// Whether `select.filter` holds, for each sample.
    ///
    /// # Errors
    /// `InvalidRecipe` if it is no condition on the columns there are.
    pub(super) fn filter(&self, sql: &str) -> Result<Vec<bool>> {
        let condition = Condition::parse("select.filter", sql)?;
        for name in &condition.columns {
            self.column("select.filter", name)?;
        }
        condition.holds(self.0.clone())
    }

    /// The values of a column as texts.
    ///
    /// # Errors
    /// `InvalidRecipe` if there is no such column.
    pub(super) fn texts(&self, key: &str, name: &str) -> Result<Vec<Option<String>>> {
        let column = self.column(key, name)?.cast(&DataType::String)?;
        Ok(column.str()?.iter().map(|text| text.map(str::to_owned)).collect())
    }

    /// The costs in a column.
    ///
    /// # Errors
    /// `InvalidRecipe` if there is no such column; `InvalidInput` naming ids without a cost of 0 or
    /// more.
    pub(super) fn costs(&self, name: &str) -> Result<Vec<f64>> {
        let column = self.column("select.budget", name)?;
        if !column.dtype().is_primitive_numeric() {
            let kind = column.dtype();
            return Err(Error::recipe(format!(
                "select.budget names the column `{name}` of type {kind}; a cost is a number"
            )));
        }
        let column = column.cast(&DataType::Float64)?;
        let costs: Vec<f64> = column.f64()?.iter().map(|c| c.unwrap_or(f64::NAN)).collect();
        let fits = |cost: &f64| cost.is_finite() && *cost >= 0.0;
        let ids = self.0.column("id")?.str()?.iter().map(Option::unwrap_or_default);
        let bad = ids.zip(&costs).filter(|(_, cost)| !fits(cost));
        let bad: Vec<&str> = bad.map(|(id, _)| id).collect();
        if bad.is_empty() {
            return Ok(costs);
        }
        Err(Error::input(format!(
            "{} samples have no cost of 0 or more in the column `{name}`, such as {}; correct it, or leave them out with data.filter",
            bad.len(),
            examples(&bad)
        )))
    }

    fn column(&self, key: &str, name: &str) -> Result<&Column> {
        self.0.column(name).map_err(|_| {
            let names = self.0.get_column_names().into_iter().map(PlSmallStr::as_str);
            let known: Vec<&str> = names.collect();
            let hint = nearest(name, known.iter().copied())
                .map_or(String::new(), |near| format!("; did you mean `{near}`?"));
            Error::recipe(format!(
                "{key} names the column `{name}`, which does not exist; the columns are {}{hint}",
                known.join(", ")
            ))
        })
    }
}

/// Holds the filter, the quotas and the budget of `select` against columns without content: `columns`
/// is an empty table with all of them.
///
/// # Errors
/// `InvalidRecipe` if a column is missing or of the wrong type, or if the filter is no condition.
pub fn check_columns(select: &Select, columns: &DataFrame) -> Result<()> {
    let empty = columns.clear();
    let beside = Beside::new(&[], &[], &[], Some(&empty))?;
    select.filter.as_deref().map_or(Ok(()), |sql| beside.filter(sql).map(|_| ()))?;
    for name in select.quota.iter().flat_map(CellQuota::columns) {
        beside.texts("select.quota", name)?;
    }
    select.budget.as_ref().map_or(Ok(()), |budget| beside.costs(&budget.column).map(|_| ()))
}

/// The columns of the dataset or of `[[join]]` tables that `select` names, ascending.
///
/// # Errors
/// `InvalidRecipe` if the filter is no condition.
pub fn named_columns(select: &Select) -> Result<Vec<String>> {
    let mut names = match &select.filter {
        Some(sql) => Condition::parse("select.filter", sql)?.columns,
        None => Vec::new(),
    };
    names.extend(select.quota.iter().flat_map(|quota| quota.columns().map(str::to_owned)));
    names.extend(select.budget.as_ref().map(|budget| budget.column.clone()));
    // Ids and classes are known without any table.
    names.retain(|name| name != "label" && name != "id");
    names.sort();
    names.dedup();
    Ok(names)
}

fn aligned(samples: DataFrame, metadata: &DataFrame) -> Result<DataFrame> {
    let rows = samples.height();
    let options = JoinArgs::new(JoinType::Left);
    let options = JoinArgs { maintain_order: MaintainOrderJoin::Left, ..options };
    let known = metadata.clone().lazy().with_column(lit(true).alias(FOUND));
    let table = samples.lazy().join(known, [col("id")], [col("id")], options).collect()?;
    let ids = table.column("id")?.str()?.iter().map(Option::unwrap_or_default);
    if table.height() > rows {
        let ids: Vec<&str> = ids.collect();
        let twice = ids.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0]);
        let mut twice: Vec<&str> = twice.collect();
        twice.dedup();
        return Err(Error::input(format!(
            "the metadata has more than one row for {} samples, such as {}",
            twice.len(),
            examples(&twice)
        )));
    }
    let lost = ids.zip(table.column(FOUND)?.bool()?.iter()).filter(|(_, found)| found.is_none());
    let lost: Vec<&str> = lost.map(|(id, _)| id).collect();
    if lost.is_empty() {
        return Ok(table.drop(FOUND)?);
    }
    Err(Error::input(format!(
        "the metadata has no row for {} samples, such as {}",
        lost.len(),
        examples(&lost)
    )))
}

/// The first few ids of many.
pub(super) fn examples(ids: &[&str]) -> String {
    let shown: Vec<String> = ids.iter().take(NAMED).map(|id| format!("`{id}`")).collect();
    shown.join(", ")
}
