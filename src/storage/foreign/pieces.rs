//! Foreign rows, in batches of bounded size whatever their values are.
//!
//! Texts and bytes are decoded as views: a long value that a dictionary repeats is in memory once.
//! Only what is given on has the file's own types, piece by piece.

use std::collections::VecDeque;
use std::sync::Arc;

use ::parquet::file::metadata::RowGroupMetaData;
use arrow::array::{ArrayRef, UInt32Array};
use arrow::compute::{CastOptions, cast_with_options, take_record_batch};
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;

use super::super::size::row_bytes;
use super::limits::Limits;
use super::pages::{Chunk, Refusal};
use crate::error::{Error, Result};
use crate::fence::fence;

/// The most rows of a batch.
const BATCH_ROWS: usize = 1024;

/// The most rows of a batch in which each value may be as long as a page.
pub(super) const NARROW_ROWS: usize = 64;

/// The bytes of a batch, unless one row has more.
const BATCH_BYTES: u64 = 32 << 20;

/// How many rows of these columns to decode at a time.
pub(in crate::storage) fn batch_rows(group: &RowGroupMetaData, chunks: &[Chunk]) -> usize {
    // A value of fixed length may be in a dictionary, too.
    let fixed: u64 = chunks.iter().map(Chunk::fixed_length).sum();
    let average = (group.total_byte_size().max(0) / group.num_rows().max(1)) as u64;
    let rows = BATCH_BYTES / average.saturating_add(fixed).max(1);
    let most = if chunks.iter().any(Chunk::may_repeat) { NARROW_ROWS } else { BATCH_ROWS };
    (rows as usize).clamp(1, most)
}

/// The schema with views in the place of texts and bytes.
pub(in crate::storage) fn as_views(schema: &Schema) -> SchemaRef {
    let fields: Fields = schema.fields().iter().map(viewed).collect();
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}

fn viewed(field: &FieldRef) -> FieldRef {
    use DataType::{
        Binary, BinaryView, FixedSizeList, LargeBinary, LargeList, LargeUtf8, List, Map, Struct,
        Utf8, Utf8View,
    };
    let kind = match field.data_type() {
        Utf8 | LargeUtf8 => Utf8View,
        Binary | LargeBinary => BinaryView,
        List(item) => List(viewed(item)),
        LargeList(item) => LargeList(viewed(item)),
        FixedSizeList(item, length) => FixedSizeList(viewed(item), *length),
        Struct(fields) => Struct(fields.iter().map(viewed).collect()),
        Map(entries, sorted) => Map(viewed(entries), *sorted),
        other => other.clone(),
    };
    Arc::new(Field::clone(field).with_data_type(kind))
}

/// Whether a value of this type is in memory once, however often its dictionary repeats it.
pub(in crate::storage) fn holds_views(field: &Field) -> bool {
    use DataType::{FixedSizeList, LargeList, List, Map, Struct};
    match field.data_type() {
        List(item) | LargeList(item) | FixedSizeList(item, _) | Map(item, _) => holds_views(item),
        Struct(fields) => fields.iter().all(|field| holds_views(field)),
        DataType::Utf8View | DataType::BinaryView => true,
        kind => {
            kind.is_primitive() || matches!(kind, DataType::Boolean | DataType::FixedSizeBinary(_))
        }
    }
}

/// The rows of a row group, batch by batch.
pub struct Pieces {
    decoder: Option<Decoder>,
    schema: SchemaRef,
    /// Decoded rows, and the bytes of each row that is still to be given on.
    current: (RecordBatch, VecDeque<u64>),
    decoded: u64,
    stored: u64,
    limits: Limits,
    refusal: Refusal,
    place: String,
}

type Decoder = Box<dyn Iterator<Item = Result<RecordBatch, ArrowError>> + Send>;

impl Pieces {
    /// What `decoder` gives, in the types of `schema`. The rows may take what `stored` bytes of the
    /// file may; `place` is told with every error.
    pub(in crate::storage) fn new(
        decoder: Decoder,
        schema: SchemaRef,
        (stored, limits): (u64, Limits),
        refusal: Refusal,
        place: String,
    ) -> Self {
        let current = (RecordBatch::new_empty(Arc::clone(&schema)), VecDeque::new());
        Self { decoder: Some(decoder), schema, current, decoded: 0, stored, limits, refusal, place }
    }

    /// Decodes until there are rows to give; `false` at the end.
    fn advance(&mut self) -> Result<bool> {
        while self.current.1.is_empty() {
            let Some(decoder) = self.decoder.as_mut() else { return Ok(false) };
            let next = fence(|| decoder.next()).ok_or_else(panicked)?;
            let Some(batch) = next else { return Ok(false) };
            let batch = batch.map_err(|e| self.refusal.take().unwrap_or_else(|| e.into()))?;
            let bytes = row_bytes(&batch);
            self.decoded = bytes.iter().fold(self.decoded, |sum, row| sum.saturating_add(*row));
            if self.decoded > self.limits.decoded(self.stored) {
                return Err(self.limits.exceeded("the row group", self.decoded, self.stored));
            }
            self.current = (batch, bytes.into());
        }
        Ok(true)
    }

    /// The next rows whose bytes fit a batch, at least one.
    fn piece(&mut self) -> Result<RecordBatch> {
        let (batch, left) = &mut self.current;
        let start = batch.num_rows() - left.len();
        let (mut rows, mut sum) = (0, 0_u64);
        while let Some(bytes) = left.front() {
            sum = sum.saturating_add(*bytes);
            if rows > 0 && sum > BATCH_BYTES {
                break;
            }
            left.pop_front();
            rows += 1;
        }
        if rows == batch.num_rows() {
            return typed(batch, &self.schema);
        }
        // Not a slice: a cast of one converts the values of all rows of some types.
        let rows = UInt32Array::from_iter_values(start as u32..(start + rows) as u32);
        typed(&take_record_batch(batch, &rows)?, &self.schema)
    }
}

impl Iterator for Pieces {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = match self.advance() {
            Ok(false) => return None,
            Ok(true) => fence(|| self.piece()).unwrap_or_else(|| Err(panicked())),
            Err(e) => Err(e),
        };
        if next.is_err() {
            self.decoder = None;
            self.current.1.clear();
        }
        Some(next.map_err(|e| e.at(self.place.clone())))
    }
}

/// The answer where a decoder panics.
pub(in crate::storage) fn panicked() -> Error {
    Error::input("the Parquet decoder failed: the file is damaged; write it again")
}

/// The rows in the types of `schema`.
fn typed(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    // Not `safe`, which would turn a value that does not fit into null.
    let options = CastOptions { safe: false, ..CastOptions::default() };
    let column = |(column, field): (&ArrayRef, &FieldRef)| {
        if column.data_type() == field.data_type() {
            return Ok(Arc::clone(column));
        }
        cast_with_options(column, field.data_type(), &options)
    };
    let columns = batch.columns().iter().zip(schema.fields()).map(column);
    Ok(RecordBatch::try_new(Arc::clone(schema), columns.collect::<Result<_, _>>()?)?)
}
