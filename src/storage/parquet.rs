//! Parquet bytes in and out. Only the columns, row groups and rows asked for are fetched.

mod stream;
mod windows;

pub use stream::{Batches, Request, read_groups};

use std::io::Write;
use std::ops::Range;
use std::sync::Arc;

use ::parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder, RowSelection,
    RowSelector,
};
use ::parquet::arrow::async_reader::{AsyncFileReader, ParquetRecordBatchStreamBuilder};
use ::parquet::arrow::{ARROW_SCHEMA_META_KEY, ArrowWriter, ProjectionMask};
use ::parquet::basic::{Compression, ZstdLevel};
use ::parquet::errors::ParquetError;
use ::parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader, RowGroupMetaData};
use ::parquet::file::properties::WriterProperties;
use arrow::compute::concat_batches;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt, TryStreamExt};
use object_store::{GetOptions, OBJECT_STORE_COALESCE_DEFAULT, ObjectStore, coalesce_ranges};

use super::location::Object;
use super::wait;
use crate::error::{Error, Place, Result};

/// The most rows of a batch when reading.
pub const BATCH_ROWS: usize = 1024;

/// The bytes that a batch of average rows may have: well below the 2 GiB that Arrow's 32-bit
/// offsets can address, so that large images fit too.
const BATCH_BYTES: i64 = 256 << 20;

/// A Parquet file whose footer has been read.
#[derive(Clone, Debug)]
pub struct ParquetFile {
    object: Object,
    metadata: ArrowReaderMetadata,
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
    /// Reads the footer of `object`.
    ///
    /// # Errors
    /// `InvalidInput` if it is not a complete Parquet file.
    pub fn open(object: Object) -> Result<Self> {
        let uri = object.uri.clone();
        if object.bytes == 0 {
            return Err(
                Error::input("the file is empty (0 bytes); remove it or write it again").at(uri)
            );
        }
        let mut reader = Reader { object: object.clone(), metadata: None };
        let options = ArrowReaderOptions::new();
        let metadata = wait(ArrowReaderMetadata::load_async(&mut reader, options))?
            .map_err(|e| Error::input("this is not a complete Parquet file").because(e).at(uri))?;
        let schema = with_footer_keys(&metadata);
        Ok(Self { object, metadata, schema })
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
    /// `InvalidInput` naming file and row group if the data cannot be decoded or a column is missing.
    pub fn read(
        &self,
        row_group: usize,
        columns: Columns<'_>,
        rows: Option<&[u32]>,
    ) -> Result<Vec<RecordBatch>> {
        let place = || format!("{}, row group {row_group}", self.object.uri);
        let metadata = Arc::clone(self.metadata.metadata());
        let reader = Reader { object: self.object.clone(), metadata: Some(metadata) };
        let mut builder =
            ParquetRecordBatchStreamBuilder::new_with_metadata(reader, self.metadata.clone())
                .with_row_groups(vec![row_group])
                .with_batch_size(batch_rows(self.metadata.metadata().row_groups()));
        if let Columns::Named(names) = columns {
            let roots = self.roots(names).at(place)?;
            let mask = ProjectionMask::roots(builder.parquet_schema(), roots);
            builder = builder.with_projection(mask);
        }
        if let Some(rows) = rows {
            builder = builder.with_row_selection(selection(rows));
        }
        let stream = builder.build().at(place)?;
        wait(stream.try_collect::<Vec<_>>())?.at(place)
    }

    fn roots(&self, names: &[&str]) -> Result<Vec<usize>> {
        let index = |name: &&str| {
            let missing = || Error::input(format!("there is no column `{name}`"));
            self.schema.index_of(name).map_err(|_| missing())
        };
        names.iter().map(index).collect()
    }
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

/// How many rows a batch of any of these row groups may have.
fn batch_rows(groups: &[RowGroupMetaData]) -> usize {
    let row_bytes = |g: &RowGroupMetaData| g.total_byte_size() / g.num_rows().max(1);
    let largest = groups.iter().map(row_bytes).max().unwrap_or(0);
    ((BATCH_BYTES / largest.max(1)) as usize).clamp(1, BATCH_ROWS)
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

/// Ranged reads of one object for the Parquet reader.
struct Reader {
    object: Object,
    metadata: Option<Arc<ParquetMetaData>>,
}

/// Reads a range of the version of the object that the run has looked at, and of no other.
async fn get(object: &Object, range: Range<u64>) -> ::parquet::errors::Result<Bytes> {
    let options = GetOptions::new().with_range(Some(range)).with_if_match(object.etag.clone());
    let got = async { object.store.get_opts(&object.path, options).await?.bytes().await };
    got.await.map_err(external)
}

fn external(e: object_store::Error) -> ParquetError {
    ParquetError::External(match e {
        object_store::Error::Precondition { .. } => {
            "the file was written again after the run had looked at it; start a new run".into()
        }
        other => Box::new(other),
    })
}

impl AsyncFileReader for Reader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, ::parquet::errors::Result<Bytes>> {
        get(&self.object, range).boxed()
    }

    fn get_byte_ranges(
        &mut self,
        ranges: Vec<Range<u64>>,
    ) -> BoxFuture<'_, ::parquet::errors::Result<Vec<Bytes>>> {
        let object = &self.object;
        async move { coalesce_ranges(&ranges, |r| get(object, r), OBJECT_STORE_COALESCE_DEFAULT).await }
            .boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        _options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, ::parquet::errors::Result<Arc<ParquetMetaData>>> {
        async move {
            if let Some(metadata) = &self.metadata {
                return Ok(Arc::clone(metadata));
            }
            let size = self.object.bytes;
            let metadata = ParquetMetaDataReader::new().load_and_finish(&mut *self, size).await?;
            Ok(Arc::new(metadata))
        }
        .boxed()
    }
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
    let metadata = ArrowReaderMetadata::load(&bytes, ArrowReaderOptions::new())?;
    let schema = with_footer_keys(&metadata);
    let rows = batch_rows(metadata.metadata().row_groups());
    let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(bytes, metadata);
    let batches = reader.with_batch_size(rows).build()?;
    Ok((schema, batches.map(|batch| Ok(batch?))))
}

/// Encodes one of our own tables.
///
/// # Errors
/// `Internal` if the batch cannot be written.
pub fn encode_table(batch: &RecordBatch) -> Result<Vec<u8>> {
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_created_by(concat!("unseen ", env!("CARGO_PKG_VERSION")).to_owned())
        .build();
    encode(Vec::new(), &batch.schema(), [Ok([Ok(batch.clone())])], properties)
        .map_err(|e| Error::internal("a table cannot be encoded").because(e))
}

/// Decodes one of our own tables and holds it to its contract.
///
/// # Errors
/// `CorruptData` if the bytes are no Parquet table with the columns of `schema`.
pub fn decode_table(bytes: Bytes, schema: &SchemaRef) -> Result<RecordBatch> {
    let corrupt = |e: ParquetError| Error::corrupt("the table cannot be decoded").because(e);
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).map_err(corrupt)?;
    let found = Arc::clone(reader.schema());
    if found.fields() != schema.fields() {
        return Err(Error::corrupt(format!(
            "the table has the columns {found:?}, its contract says {schema:?}"
        )));
    }
    let batches: Result<Vec<_>, _> = reader.build().map_err(corrupt)?.collect();
    Ok(concat_batches(schema, &batches?)?)
}
