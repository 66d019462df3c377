//! Feature vectors out of a list column or of numeric columns.

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, LargeListArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Float64Type};
use arrow::record_batch::RecordBatch;

use super::input::is_list_of_numbers;
use super::load::Fault;
use crate::error::{Error, Result};

/// The feature vectors of one batch, as doubles: every input type fits (integers beyond 2^53
/// are rounded).
pub(super) enum FeatureRows {
    List { lists: LargeListArray, items: Float64Array },
    Columns { names: Vec<String>, columns: Vec<Float64Array> },
}

impl FeatureRows {
    pub(super) fn new(batch: &RecordBatch, names: &[String]) -> Result<Self> {
        let arrays = names.iter().map(|name| {
            let missing = || Error::internal(format!("the column `{name}` was not read"));
            batch.column_by_name(name).ok_or_else(missing)
        });
        let arrays: Vec<&ArrayRef> = arrays.collect::<Result<_>>()?;
        if let [one] = arrays[..]
            && is_list_of_numbers(one.data_type())
        {
            return Self::list(one);
        }
        let columns = arrays.into_iter().map(doubles).collect::<Result<_>>()?;
        Ok(Self::Columns { names: names.to_vec(), columns })
    }

    fn list(array: &ArrayRef) -> Result<Self> {
        let item = Field::new("item", DataType::Float64, true);
        let lists = cast(array, &DataType::LargeList(item.into()))?.as_list::<i64>().clone();
        let items = lists.values().as_primitive::<Float64Type>().clone();
        Ok(Self::List { lists, items })
    }

    /// How many features the row has; `None` if it is null.
    pub(super) fn width(&self, row: usize) -> Option<usize> {
        match self {
            Self::List { lists, .. } => {
                (!lists.is_null(row)).then(|| lists.value_length(row) as usize)
            }
            Self::Columns { columns, .. } => Some(columns.len()),
        }
    }

    fn item(&self, row: usize, i: usize) -> Option<f64> {
        let (items, at) = match self {
            Self::List { lists, items } => (items, lists.value_offsets()[row] as usize + i),
            Self::Columns { columns, .. } => (&columns[i], row),
        };
        items.is_valid(at).then(|| items.value(at))
    }

    fn name(&self, i: usize) -> String {
        match self {
            Self::List { .. } => format!("feature {i}"),
            Self::Columns { names, .. } => format!("feature `{}`", names[i]),
        }
    }

    /// The row's features as they are hashed: little-endian 32-bit floats, null as NaN.
    pub(super) fn content(&self, row: usize) -> Option<Vec<u8>> {
        let number = |i| self.item(row, i).map_or(f32::NAN, |v| v as f32);
        Some((0..self.width(row)?).flat_map(|i| number(i).to_le_bytes()).collect())
    }

    /// Puts the row's features into `out`, which has the dataset's width, as they are stored:
    /// little-endian 32-bit floats.
    pub(super) fn decode(&self, row: usize, out: &mut [u8]) -> Result<(), Fault> {
        let (out, _) = out.as_chunks_mut::<{ size_of::<f32>() }>();
        let unusable = |why: String| Err(Fault::Unusable(why));
        match self.width(row) {
            None => return unusable("the feature vector is null".to_owned()),
            Some(width) if width != out.len() => {
                return Err(Fault::Shape(format!("{width} features")));
            }
            Some(_) => {}
        }
        for (i, out) in out.iter_mut().enumerate() {
            let Some(value) = self.item(row, i) else {
                return unusable(format!("{} is null", self.name(i)));
            };
            let number = value as f32;
            *out = number.to_le_bytes();
            if !value.is_finite() {
                return unusable(format!("{} is {value}", self.name(i)));
            }
            if !number.is_finite() {
                let name = self.name(i);
                return unusable(format!("{name} is {value:e}, too large for a 32-bit float"));
            }
        }
        Ok(())
    }
}

fn doubles(array: &ArrayRef) -> Result<Float64Array> {
    Ok(cast(array, &DataType::Float64)?.as_primitive::<Float64Type>().clone())
}
