//! A column of lists of equal length, in a scratch file.

use std::collections::BTreeMap;

use arrow::array::{Array, AsArray, LargeListArray};
use arrow::datatypes::Float32Type;

use super::predictions::Row;
use crate::error::{Error, Result};
use crate::ingest::{Examples, counted};
use crate::samples::ReadAt;
use crate::storage::Scratch;

/// The column of embeddings.
pub(super) const EMBEDDING: &str = "embedding";
const COORDINATES: &str = "coordinates";

/// Lists of `width` numbers.
#[derive(Debug)]
pub(super) struct Lists {
    /// The name of the column.
    name: &'static str,
    /// The numbers of a list: as many as the first has.
    pub(super) width: usize,
    values: Scratch,
    /// The lists of each length.
    widths: BTreeMap<usize, Examples>,
    /// Lists with numbers that cannot be used.
    unusable: Examples,
}

impl Lists {
    pub(super) fn new(name: &'static str) -> Result<Self> {
        let (widths, unusable) = (BTreeMap::new(), Examples::default());
        Ok(Self { name, width: 0, values: Scratch::new()?, widths, unusable })
    }

    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    /// Puts a list behind those before; `fault` says why its numbers cannot be used, if so.
    pub(super) fn add(
        &mut self,
        lists: &LargeListArray,
        row: usize,
        whose: &dyn Fn() -> String,
        fault: impl Fn(&[f32]) -> Option<String>,
    ) -> Result<()> {
        let list = (!lists.is_null(row)).then(|| lists.value(row));
        let list = list.as_ref().map(AsArray::as_primitive::<Float32Type>);
        let width = list.map_or(0, Array::len);
        if self.widths.is_empty() {
            self.width = width;
        }
        self.widths.entry(width).or_default().add(|| format!("{} has {width}", whose()));
        let (Some(list), true) = (list, width == self.width && width > 0) else { return Ok(()) };
        let values: Vec<f32> = list.iter().map(|value| value.unwrap_or(f32::NAN)).collect();
        if let Some(why) = fault(&values) {
            self.unusable.add(|| format!("{} {why}", whose()));
        }
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.values.append(&bytes).map(|_| ())
    }

    /// Holds all lists to one length, that of most, and to numbers that can be used.
    ///
    /// # Errors
    /// `InvalidInput` naming the others.
    pub(super) fn check(&self) -> Result<()> {
        let most = self.widths.iter().max_by_key(|(width, lists)| (lists.count(), **width));
        let most = most.map_or(0, |(width, _)| *width);
        let mut odd = Examples::default();
        for (_, lists) in self.widths.iter().filter(|(width, _)| **width != most || most == 0) {
            odd.extend(lists.clone());
        }
        let what = self.what();
        let other = format!("with another number of {what} than the usual {most}");
        for (examples, what) in [(&odd, other.as_str()), (&self.unusable, "that cannot be scored")]
        {
            if !examples.is_empty() {
                let count = counted(examples.count(), "prediction");
                return Err(Error::input(format!("{count} {what}: {examples}")));
            }
        }
        Ok(())
    }

    /// What the numbers are called.
    fn what(&self) -> &'static str {
        if self.name == EMBEDDING { COORDINATES } else { self.name }
    }

    /// The numbers of these rows, one row after another.
    pub(super) fn values(&self, rows: impl Iterator<Item = Row>) -> Result<Vec<f32>> {
        let mut bytes = vec![0; self.width * size_of::<f32>()];
        let mut values = Vec::new();
        for row in rows {
            self.values.read_at(row.at * bytes.len() as u64, &mut bytes)?;
            values.extend(bytes.as_chunks().0.iter().map(|number| f32::from_le_bytes(*number)));
        }
        Ok(values)
    }
}

/// Which number is not finite.
pub(super) fn not_finite(values: &[f32], of: &str) -> Option<String> {
    let at = values.iter().position(|value| !value.is_finite())?;
    let value = if values[at].is_nan() { "NaN or null" } else { "infinite" };
    Some(format!("is {value} for {of} {at}"))
}
