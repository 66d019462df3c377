//! Quotas over several columns: cells of samples, and bounds on how many of them are kept.

use std::collections::BTreeMap;

use super::beside::Beside;
use super::quota::{Bounds, total};
use crate::recipe::{Amount, CellQuota, nearest};
use crate::{Error, Result};

/// Shares of what is kept are rounded inwards, but not by what decimals lose in `f64`.
const ROUNDING: f64 = 1e-9;

/// A bound on how many samples of some cells are kept in the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Demand {
    /// The group it speaks of, for messages.
    pub(super) name: String,
    pub(super) sense: Sense,
    pub(super) rows: u64,
    /// The cells of the group, ascending.
    pub(super) cells: Vec<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sense {
    AtLeast,
    AtMost,
}

/// Samples that all demands treat alike are one cell.
#[derive(Clone, Debug)]
pub(super) struct Cells {
    /// The cell of each sample.
    pub(super) of: Vec<usize>,
    pub(super) count: usize,
    pub(super) demands: Vec<Demand>,
}

/// A partition of the samples, as far as they belong to a group.
struct Split {
    group: Vec<Option<usize>>,
    names: Vec<String>,
    bounds: Vec<Bounds>,
}

impl Cells {
    /// The cells of quotas and class rules, when `kept` samples are kept in the end.
    ///
    /// # Errors
    /// `InvalidRecipe` if a quota names a column or a value that does not exist.
    pub(super) fn new(
        quotas: &[CellQuota],
        beside: &Beside,
        classes: Classes<'_>,
        kept: u64,
    ) -> Result<Self> {
        let mut splits = vec![classes.split()];
        for quota in quotas {
            splits.push(Split::new(quota, beside, classes.labels.len(), kept)?);
        }
        Ok(Self::of_splits(&splits, classes.labels.len()))
    }

    fn of_splits(splits: &[Split], rows: usize) -> Self {
        let mut known: BTreeMap<Vec<Option<usize>>, usize> = BTreeMap::new();
        let mut of = Vec::with_capacity(rows);
        for row in 0..rows {
            let groups = splits.iter().map(|split| split.bounded(row)).collect();
            let next = known.len();
            of.push(*known.entry(groups).or_insert(next));
        }
        let mut demands = Vec::new();
        for (i, split) in splits.iter().enumerate() {
            let mut inside = vec![Vec::new(); split.names.len()];
            for (groups, cell) in &known {
                if let Some(group) = groups[i] {
                    inside[group].push(*cell);
                }
            }
            for ((name, bounds), mut cells) in split.names.iter().zip(&split.bounds).zip(inside) {
                cells.sort_unstable();
                demands.extend(demanded(name, *bounds, &cells));
            }
        }
        Self { of, count: known.len(), demands }
    }

    /// How many of `samples` are in each cell.
    pub(super) fn counts(&self, samples: &[usize]) -> Vec<u64> {
        let mut counts = vec![0; self.count];
        for i in samples {
            counts[self.of[*i]] += 1;
        }
        counts
    }
}

/// The demands that bounds make, without those that say nothing.
fn demanded(name: &str, bounds: Bounds, cells: &[usize]) -> Vec<Demand> {
    let demand = |sense, rows| Demand { name: name.to_owned(), sense, rows, cells: cells.to_vec() };
    let least = (bounds.least > 0).then(|| demand(Sense::AtLeast, bounds.least));
    let most = (bounds.most < u64::MAX).then(|| demand(Sense::AtMost, bounds.most));
    least.into_iter().chain(most).collect()
}

/// The class rules as bounds, for the labels of all samples.
#[derive(Clone, Copy)]
pub(super) struct Classes<'a> {
    pub(super) names: &'a [String],
    pub(super) labels: &'a [usize],
    pub(super) bounds: &'a [Bounds],
    /// How many samples of each class may be kept at all.
    pub(super) eligible: &'a [u64],
}

impl Classes<'_> {
    fn split(&self) -> Split {
        // A class that may keep all it has is not bounded.
        let bounds = self.bounds.iter().zip(self.eligible).map(|(bounds, eligible)| Bounds {
            least: bounds.least,
            most: if bounds.most >= *eligible { u64::MAX } else { bounds.most },
        });
        Split {
            group: self.labels.iter().map(|label| Some(*label)).collect(),
            names: self.names.iter().map(|name| format!("class {name}")).collect(),
            bounds: bounds.collect(),
        }
    }
}

impl Split {
    /// The group of a row, if anything bounds it: groups without a bound need no cells of their own.
    fn bounded(&self, row: usize) -> Option<usize> {
        self.group[row].filter(|group| {
            let bounds = &self.bounds[*group];
            bounds.least > 0 || bounds.most < u64::MAX
        })
    }

    fn new(quota: &CellQuota, beside: &Beside, rows: usize, kept: u64) -> Result<Self> {
        let columns: Vec<&str> = quota.columns().collect();
        let mut values = Vec::with_capacity(columns.len());
        for name in &columns {
            values.push(beside.texts("select.quota", name)?);
        }
        let cell = |row: usize| values.iter().map(|column| column[row].clone()).collect();
        let (keys, group) = match &quota.is {
            Some(is) => {
                known(is.values().map(String::as_str), &columns, &values)?;
                let wanted: Cell = is.values().cloned().map(Some).collect();
                let inside = |row| (cell(row) == wanted).then_some(0);
                let group = (0..rows).map(inside).collect();
                (vec![wanted.clone()], group)
            }
            None => grouped(rows, cell),
        };
        let mut sizes = vec![0; keys.len()];
        group.iter().flatten().for_each(|group: &usize| sizes[*group] += 1);
        Ok(Self {
            group,
            names: keys.iter().map(|key| named(&columns, key)).collect(),
            bounds: sizes.into_iter().map(|size| cell_bounds(quota, size, kept)).collect(),
        })
    }
}

type Cell = Vec<Option<String>>;

/// All cells there are, ascending, and the one of each row.
fn grouped(rows: usize, cell: impl Fn(usize) -> Cell) -> (Vec<Cell>, Vec<Option<usize>>) {
    let cells: Vec<Cell> = (0..rows).map(cell).collect();
    let mut keys = cells.clone();
    keys.sort();
    keys.dedup();
    let group = cells.iter().map(|cell| keys.binary_search(cell).ok()).collect();
    (keys, group)
}

fn named(columns: &[&str], cell: &Cell) -> String {
    format!("cell {}", cell_name(columns, cell))
}

/// The cell of these values for people: `source=web,label=cat`.
pub fn cell_name(columns: &[&str], cell: &[Option<String>]) -> String {
    let part = |(name, value): (&&str, &Option<String>)| {
        format!("{name}={}", value.as_deref().unwrap_or("null"))
    };
    let parts: Vec<String> = columns.iter().zip(cell).map(part).collect();
    parts.join(",")
}

/// Refuses a value that no sample has.
fn known<'a>(
    wanted: impl Iterator<Item = &'a str>,
    columns: &[&str],
    values: &[Vec<Option<String>>],
) -> Result<()> {
    for ((name, value), column) in columns.iter().zip(wanted).zip(values) {
        if column.iter().any(|known| known.as_deref() == Some(value)) {
            continue;
        }
        let mut known: Vec<&str> = column.iter().flatten().map(String::as_str).collect();
        known.sort_unstable();
        known.dedup();
        let hint = match nearest(value, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("there are {}", super::beside::examples(&known)),
        };
        return Err(Error::recipe(format!(
            "select.quota asks for {name} = `{value}`, which no sample has; {hint}"
        )));
    }
    Ok(())
}

/// What one cell of `size` usable samples keeps, at least and at most, where `kept` are kept in all.
pub fn cell_bounds(quota: &CellQuota, size: u64, kept: u64) -> Bounds {
    let amount = |amount| match amount {
        Amount::Rows(rows) => rows,
        Amount::Share(share) => total(size, share),
    };
    let of_kept = |share: f64| share * kept as f64;
    let least = quota.min_of_kept.map_or(0, |share| (of_kept(share) - ROUNDING).ceil() as u64);
    let most =
        quota.max_of_kept.map_or(u64::MAX, |share| (of_kept(share) + ROUNDING).floor() as u64);
    // A share of at least so much asks for no more than whole samples can give.
    let at_least = |floor| match floor {
        Amount::Rows(rows) => rows,
        Amount::Share(share) => (share * size as f64 + ROUNDING).floor() as u64,
    };
    Bounds {
        least: quota.min.map_or(0, at_least).max(least),
        most: quota.max.map_or(u64::MAX, amount).min(most),
    }
}
