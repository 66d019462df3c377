//! Parquet bytes in and out. Only the columns, row groups and rows asked for are fetched.

mod stream;
mod windows;

pub use stream::{Request, read_groups};

use std::io::Write;
use std::sync::Arc;

use ::parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder, RowSelection,
    RowSelector,
};
use ::parquet::arrow::{ARROW_SCHEMA_META_KEY, ArrowWriter, ProjectionMask};
use ::parquet::basic::{Compression, Type, ZstdLevel};
use ::parquet::errors::ParquetError;
use ::parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaDataReader, RowGroupMetaData};
use ::parquet::file::properties::WriterProperties;
use arrow::compute::concat_batches;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use bytes::Bytes;

use self::windows::Windows;
use super::fetch::footer;
use super::foreign::{
    Chunk, Guarded, Refusal, as_views, batch_rows, check_footer, holds_views, panicked,
};
use super::object::Object;
use super::wait;
use crate::error::{Error, Result};
use crate::fence::fence;

pub use super::foreign::{BATCH_ROWS, Limits, Pieces as Batches};

/// The bytes that a batch of average rows of one of our own files may have.
const BATCH_BYTES: i64 = 256 << 20;

/// A Parquet file whose footer has been read.
#[derive(Clone, Debug)]
pub struct ParquetFile {
    object: Object,
    limits: Limits,
    /// With the schema in which rows are decoded: texts and bytes as views.
    metadata: ArrowReaderMetadata,
    /// The fields of the file's own types.
    schema: SchemaRef,
}

/// Which top-level columns to read.
#[derive(Clone, Copy, Debug)]
pub enum Columns<'a> {
    /// All of them.
    All,
    /// These, in the order of the file.
    Named(&'a [&'a str]),
}

/// The size of one row group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct RowGroup {
    /// Its rows.
    pub rows: u64,
    /// Its bytes, encoded but not compressed.
    pub bytes: u64,
}

impl ParquetFile {
    /// Reads the footer of `object`, which is believed as far as `limits` say.
    ///
    /// # Errors
    /// `InvalidInput` if it is not a complete Parquet file; `LimitExceeded` if it has too many columns
    /// or they are nested too deep.
    pub fn open(object: Object, limits: Limits) -> Result<Self> {
        let uri = object.uri.clone();
        let opened = fence(|| Self::load(object, limits));
        opened.unwrap_or_else(|| Err(panicked())).map_err(|e| e.at(uri))
    }

    fn load(object: Object, limits: Limits) -> Result<Self> {
        if object.bytes == 0 {
            return Err(Error::input("the file is empty (0 bytes); remove it or write it again"));
        }
        let footer = wait(footer(&object))?.map_err(incomplete)?;
        check_footer(&footer, &limits)?;
        let metadata = ParquetMetaDataReader::decode_metadata(&footer).map_err(incomplete)?;
        if metadata.row_groups().iter().any(|g| g.num_rows() < 0 || g.total_byte_size() < 0) {
            return Err(Error::input("the footer is damaged: a row group has a size below zero"));
        }
        metadata.row_groups().iter().try_for_each(|group| check_fixed(group, &limits))?;
        let (metadata, options) = (Arc::new(metadata), ArrowReaderOptions::new());
        let plain = ArrowReaderMetadata::try_new(Arc::clone(&metadata), options.clone());
        let plain = plain.map_err(incomplete)?;
        let views = options.with_schema(as_views(plain.schema()));
        let schema = with_footer_keys(&plain);
        let metadata = ArrowReaderMetadata::try_new(metadata, views).unwrap_or(plain);
        Ok(Self { object, limits, metadata, schema })
    }

    /// The object that is read.
    pub fn object(&self) -> &Object {
        &self.object
    }

    /// The Arrow schema, with the footer's keys among its metadata.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The sizes of the row groups.
    pub fn row_groups(&self) -> Vec<RowGroup> {
        let groups = self.metadata.metadata().row_groups().iter();
        groups
            .map(|g| RowGroup { rows: g.num_rows() as u64, bytes: g.total_byte_size() as u64 })
            .collect()
    }

    /// Reads one row group: `columns`, and of the rows only `rows` (ascending), if given.
    ///
    /// # Errors
    /// As [`ParquetFile::batches`], also for what that tells only later.
    pub fn read(
        &self,
        row_group: usize,
        columns: Columns<'_>,
        rows: Option<&[u32]>,
    ) -> Result<Vec<RecordBatch>> {
        self.batches(row_group, columns, rows)?.collect()
    }

    /// As [`ParquetFile::read`], batch by batch: what is decoded but not yet given on, and each batch
    /// but one of a single row, has a bounded size.
    ///
    /// # Errors
    /// `InvalidInput` naming file and row group if a column is missing or, as any batch may tell, the
    /// data cannot be decoded; `LimitExceeded` if they decode to more than the limits allow.
    pub fn batches(
        &self,
        row_group: usize,
        columns: Columns<'_>,
        rows: Option<&[u32]>,
    ) -> Result<Batches> {
        let begun = fence(|| self.begin(row_group, columns, rows));
        begun.unwrap_or_else(|| Err(panicked())).map_err(|e| e.at(self.place(row_group)))
    }

    fn place(&self, row_group: usize) -> String {
        format!("{}, row group {row_group}", self.object.uri)
    }

    fn begin(
        &self,
        row_group: usize,
        columns: Columns<'_>,
        rows: Option<&[u32]>,
    ) -> Result<Batches> {
        let metadata = self.metadata.metadata();
        let missing = || Error::input(format!("there is no row group {row_group}"));
        let group = metadata.row_groups().get(row_group).ok_or_else(missing)?;
        let roots = self.roots(columns)?;
        let mask = ProjectionMask::roots(self.metadata.parquet_schema(), roots.iter().copied());
        let (chunks, trust) = (self.chunks(group, &mask)?, (self.stored(group), self.limits));
        let at_once = batch_rows(group, &chunks);
        let windows = Windows::new(&self.object, chunks.iter().map(Chunk::range).collect())?;
        let refusal = Refusal::default();
        let guarded = Guarded::new(windows, chunks, trust, refusal.clone())?;
        let mut builder =
            ParquetRecordBatchReaderBuilder::new_with_metadata(guarded, self.metadata.clone())
                .with_row_groups(vec![row_group])
                .with_batch_size(at_once)
                .with_projection(mask);
        if let Some(rows) = rows {
            builder = builder.with_row_selection(selection(rows));
        }
        let schema = Arc::new(Schema::new(self.schema.project(&roots)?.fields));
        let decoder = Box::new(builder.build()?);
        Ok(Batches::new(decoder, schema, trust, refusal, self.place(row_group)))
    }

    /// The bytes of the file that are the row group.
    fn stored(&self, group: &RowGroupMetaData) -> u64 {
        let sizes = group.columns().iter().map(|c| u64::try_from(c.compressed_size()).unwrap_or(0));
        sizes.fold(0, u64::saturating_add).min(self.object.bytes)
    }

    fn chunks(&self, group: &RowGroupMetaData, mask: &ProjectionMask) -> Result<Vec<Chunk>> {
        let (descriptor, schema) = (self.metadata.parquet_schema(), self.metadata.schema());
        let leaves = (0..group.num_columns()).filter(|leaf| mask.leaf_included(*leaf));
        let chunk = |leaf| {
            let views = holds_views(schema.field(descriptor.get_column_root_idx(leaf)));
            Chunk::new(group.column(leaf), self.object.bytes, views)
        };
        leaves.map(chunk).collect()
    }

    /// The positions of these columns, ascending.
    fn roots(&self, columns: Columns<'_>) -> Result<Vec<usize>> {
        let Columns::Named(names) = columns else {
            return Ok((0..self.schema.fields().len()).collect());
        };
        let index = |name: &&str| {
            let missing = || Error::input(format!("there is no column `{name}`"));
            self.schema.index_of(name).map_err(|_| missing())
        };
        let mut roots = names.iter().map(index).collect::<Result<Vec<_>>>()?;
        roots.sort_unstable();
        roots.dedup();
        Ok(roots)
    }
}

/// Values of fixed length need not be read to know what they decode to.
fn check_fixed(group: &RowGroupMetaData, limits: &Limits) -> Result<()> {
    let stored = |chunk: &ColumnChunkMetaData| u64::try_from(chunk.compressed_size()).unwrap_or(0);
    let fixed = |chunk: &ColumnChunkMetaData| match chunk.column_type() {
        Type::FIXED_LEN_BYTE_ARRAY => {
            u64::try_from(chunk.column_descr().type_length()).unwrap_or(0)
        }
        _ => 0,
    };
    let row = group.columns().iter().map(fixed).fold(0, u64::saturating_add);
    let all = row.saturating_mul(group.num_rows() as u64);
    let stored = group.columns().iter().map(stored).fold(0, u64::saturating_add);
    limits.allow("a row group", all, stored)
}

fn incomplete(e: ParquetError) -> Error {
    Error::input("this is not a complete Parquet file").because(e)
}

/// Batches lose the schema's metadata and some writers keep keys in the footer only: join both.
fn with_footer_keys(metadata: &ArrowReaderMetadata) -> SchemaRef {
    let mut keys = metadata.schema().metadata().clone();
    let footer = metadata.metadata().file_metadata().key_value_metadata();
    for pair in footer.into_iter().flatten() {
        let ours = pair.key == ARROW_SCHEMA_META_KEY || keys.contains_key(&pair.key);
        if let (Some(value), false) = (&pair.value, ours) {
            keys.insert(&pair.key, value);
        }
    }
    Arc::new(Schema::new_with_metadata(metadata.schema().fields().clone(), keys))
}

fn selection(rows: &[u32]) -> RowSelection {
    let mut selectors = Vec::new();
    let mut next = 0;
    for &row in rows {
        if row > next {
            selectors.push(RowSelector::skip((row - next) as usize));
        }
        selectors.push(RowSelector::select(1));
        next = row + 1;
    }
    selectors.into()
}

/// How many rows a batch of any of these row groups may have.
fn own_batch_rows(groups: &[RowGroupMetaData]) -> usize {
    let row_bytes = |g: &RowGroupMetaData| g.total_byte_size() / g.num_rows().max(1);
    let largest = groups.iter().map(row_bytes).max().unwrap_or(0);
    ((BATCH_BYTES / largest.max(1)) as usize).clamp(1, BATCH_ROWS)
}

/// Encodes row groups of one schema with these properties into `out`: one item of `groups` becomes
/// one row group, and no more than that is in memory. The schema's metadata also goes into the
/// footer's keys, where readers without Arrow look for it.
///
/// # Errors
/// `InvalidInput` if a type cannot be written as Parquet or `out` takes no more; else the error of a
/// group.
pub fn encode<W: Write + Send, G: IntoIterator<Item = Result<RecordBatch>>>(
    out: W,
    schema: &SchemaRef,
    groups: impl IntoIterator<Item = Result<G>>,
    properties: WriterProperties,
) -> Result<W> {
    let mut writer = ArrowWriter::try_new(out, Arc::clone(schema), Some(properties))?;
    for (key, value) in schema.metadata() {
        writer.append_key_value_metadata(::parquet::file::metadata::KeyValue::new(
            key.clone(),
            value.clone(),
        ));
    }
    for group in groups {
        for batch in group? {
            writer.write(&batch?)?;
        }
        writer.flush()?;
    }
    Ok(writer.into_inner()?)
}

/// Decodes a whole Parquet file, batch by batch; the schema has the footer's keys among its
/// metadata.
///
/// # Errors
/// `InvalidInput` if the bytes, or later a batch, cannot be decoded.
pub fn decode(bytes: Bytes) -> Result<(SchemaRef, impl Iterator<Item = Result<RecordBatch>>)> {
    let begin = || -> Result<_> {
        let metadata = ArrowReaderMetadata::load(&bytes, ArrowReaderOptions::new())?;
        let schema = with_footer_keys(&metadata);
        let rows = own_batch_rows(metadata.metadata().row_groups());
        let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(bytes, metadata);
        Ok((schema, reader.with_batch_size(rows).build()?))
    };
    let (schema, mut reader) = fence(begin).unwrap_or_else(|| Err(panicked()))?;
    let next = move || match fence(|| reader.next()) {
        Some(next) => next.map(|batch| Ok(batch?)),
        None => Some(Err(panicked())),
    };
    Ok((schema, std::iter::from_fn(next)))
}

/// Encodes one of our own tables.
///
/// # Errors
/// `Internal` if the batch cannot be written.
pub fn encode_table(batch: &RecordBatch) -> Result<Vec<u8>> {
    encode(Vec::new(), &batch.schema(), [Ok([Ok(batch.clone())])], own_properties())
        .map_err(|e| Error::internal("a table cannot be encoded").because(e))
}

/// How our own tables are encoded.
pub(super) fn own_properties() -> WriterProperties {
    WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_created_by(concat!("unseen ", env!("CARGO_PKG_VERSION")).to_owned())
        .build()
}

/// Decodes one of our own tables and holds it to its contract.
///
/// # Errors
/// `CorruptData` if the bytes are no Parquet table with the columns of `schema`.
pub fn decode_table(bytes: Bytes, schema: &SchemaRef) -> Result<RecordBatch> {
    let undecodable = || Error::corrupt("the table cannot be decoded");
    fence(|| whole_table(bytes, schema)).unwrap_or_else(|| Err(undecodable()))
}

fn whole_table(bytes: Bytes, schema: &SchemaRef) -> Result<RecordBatch> {
    let corrupt = |e: ParquetError| Error::corrupt("the table cannot be decoded").because(e);
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).map_err(corrupt)?;
    let found = Arc::clone(reader.schema());
    if found.fields() != schema.fields() {
        return Err(Error::corrupt(format!(
            "the table has the columns {found:?}, its contract says {schema:?}"
        )));
    }
    let batches: Result<Vec<_>, _> = reader.build().map_err(corrupt)?.collect();
    let batches = batches.map_err(|e| corrupt(e.into()))?;
    Ok(concat_batches(schema, &batches)?)
}
