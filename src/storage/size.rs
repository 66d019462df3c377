//! Uncompressed bytes of each row, to bound the size of shards.

use arrow::array::{Array, AsArray, OffsetSizeTrait};
use arrow::datatypes::{DataType, Schema};
use arrow::record_batch::RecordBatch;

/// The bytes that Parquet spends on the length of a value.
const LENGTH: u64 = 4;

/// The uncompressed bytes of each row over all columns.
pub(super) fn row_bytes(batch: &RecordBatch) -> Vec<u64> {
    let mut total = vec![0; batch.num_rows()];
    for column in batch.columns() {
        add(&mut total, &value_bytes(column));
    }
    total
}

/// What it takes to know the size of each row: some columns have to be read, those of fixed width
/// need not.
pub struct Sizes<'a> {
    /// The columns to read.
    pub read: Vec<&'a str>,
    /// The bytes of a row in all other columns.
    rest: u64,
}

impl<'a> Sizes<'a> {
    /// `input` are the columns that are read in any case.
    pub fn new(schema: &'a Schema, input: &[&str]) -> Self {
        let mut sizes = Self { read: Vec::new(), rest: 0 };
        for field in schema.fields() {
            match fixed_bytes(field.data_type()) {
                Some(bytes) if !input.contains(&field.name().as_str()) => sizes.rest += bytes,
                _ => sizes.read.push(field.name()),
            }
        }
        sizes
    }

    /// The uncompressed bytes of each row over all columns, of which `batch` holds those to read.
    pub fn of(&self, batch: &RecordBatch) -> Vec<u64> {
        let mut total = vec![self.rest; batch.num_rows()];
        for column in batch.columns() {
            add(&mut total, &value_bytes(column));
        }
        total
    }
}

/// The bytes of every value of this type, if all have the same; as [`value_bytes`] counts them.
fn fixed_bytes(kind: &DataType) -> Option<u64> {
    match kind {
        DataType::Null => Some(0),
        DataType::Boolean => Some(1),
        DataType::FixedSizeBinary(width) => Some(*width as u64),
        DataType::Struct(fields) => fields.iter().map(|f| fixed_bytes(f.data_type())).sum(),
        DataType::FixedSizeList(item, length) => {
            Some(fixed_bytes(item.data_type())? * (*length).max(0) as u64)
        }
        kind => kind.primitive_width().map(|width| width as u64),
    }
}

fn add(total: &mut [u64], more: &[u64]) {
    total.iter_mut().zip(more).for_each(|(total, more)| *total += more);
}

fn value_bytes(array: &dyn Array) -> Vec<u64> {
    let rows = array.len();
    match array.data_type() {
        DataType::Null => vec![0; rows],
        DataType::Boolean => vec![1; rows],
        DataType::FixedSizeBinary(width) => vec![*width as u64; rows],
        DataType::Utf8 => lengths(array.as_string::<i32>().value_offsets()),
        DataType::LargeUtf8 => lengths(array.as_string::<i64>().value_offsets()),
        DataType::Binary => lengths(array.as_binary::<i32>().value_offsets()),
        DataType::LargeBinary => lengths(array.as_binary::<i64>().value_offsets()),
        DataType::Utf8View => array.as_string_view().lengths().map(with_length).collect(),
        DataType::BinaryView => array.as_binary_view().lengths().map(with_length).collect(),
        DataType::Struct(_) => {
            let mut total = vec![0; rows];
            array.as_struct().columns().iter().for_each(|c| add(&mut total, &value_bytes(c)));
            total
        }
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            list_bytes(list.value_offsets(), list.values())
        }
        DataType::LargeList(_) => {
            let list = array.as_list::<i64>();
            list_bytes(list.value_offsets(), list.values())
        }
        DataType::Map(..) => {
            let map = array.as_map();
            list_bytes(map.value_offsets(), map.entries())
        }
        DataType::FixedSizeList(_, width) => {
            let items = value_bytes(array.as_fixed_size_list().values());
            let width = (*width as usize).max(1);
            let mut sums: Vec<u64> = items.chunks(width).map(|c| c.iter().sum()).collect();
            sums.resize(rows, 0);
            sums
        }
        DataType::Dictionary(..) => {
            let dictionary = array.as_any_dictionary();
            let values = value_bytes(dictionary.values());
            let keys = dictionary.normalized_keys();
            keys.into_iter().map(|key| values.get(key).copied().unwrap_or(0)).collect()
        }
        kind => match kind.primitive_width() {
            Some(width) => vec![width as u64; rows],
            None => vec![(array.get_array_memory_size() / rows.max(1)) as u64; rows],
        },
    }
}

fn with_length(bytes: u32) -> u64 {
    u64::from(bytes) + LENGTH
}

fn lengths<O: OffsetSizeTrait>(offsets: &[O]) -> Vec<u64> {
    offsets.windows(2).map(|w| (w[1] - w[0]).as_usize() as u64 + LENGTH).collect()
}

fn list_bytes<O: OffsetSizeTrait>(offsets: &[O], values: &dyn Array) -> Vec<u64> {
    let items = value_bytes(values);
    let sum = |w: &[O]| items[w[0].as_usize()..w[1].as_usize()].iter().sum::<u64>() + LENGTH;
    offsets.windows(2).map(sum).collect()
}
