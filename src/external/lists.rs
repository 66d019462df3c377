//! A column of lists of equal length, in a scratch file.

use arrow::array::{Array, AsArray, LargeListArray};
use arrow::datatypes::Float32Type;

use super::predictions::Row;
use crate::error::Result;
use crate::ingest::Examples;
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
    /// Lists of another length, and those with numbers that cannot be used.
    widths: Examples,
    unusable: Examples,
}

impl Lists {
    pub(super) fn new(name: &'static str) -> Result<Self> {
        let (widths, unusable) = (Examples::default(), Examples::default());
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
        if self.width == 0 && self.widths.is_empty() {
            self.width = width;
        }
        let (what, wanted) = (self.what(), self.width);
        let (Some(list), true) = (list, width == wanted && width > 0) else {
            self.widths.add(|| format!("{} has {width} {what}, the first has {wanted}", whose()));
            return Ok(());
        };
        let values: Vec<f32> = list.iter().map(|value| value.unwrap_or(f32::NAN)).collect();
        if let Some(why) = fault(&values) {
            self.unusable.add(|| format!("{} {why}", whose()));
        }
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.values.append(&bytes).map(|_| ())
    }

    /// What is wrong with the lists: examples, and what they have in common.
    pub(super) fn faults(&self) -> [(&Examples, &'static str); 2] {
        let other = match self.what() {
            COORDINATES => "with another number of coordinates than the first",
            _ => "with another number of outputs than the first",
        };
        [(&self.widths, other), (&self.unusable, "that cannot be scored")]
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
