//! Every page header of a foreign file, looked at before the decoder makes room for what it claims.
//!
//! Source: apache/parquet-format, parquet.thrift.

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ::parquet::basic::{Encoding, Type};
use ::parquet::errors::{ParquetError, Result as Decoded};
use ::parquet::file::metadata::ColumnChunkMetaData;
use ::parquet::file::reader::{ChunkReader, Length};
use bytes::Bytes;

use super::inflate::inflates_beyond;
use super::limits::Limits;
use super::pieces::NARROW_ROWS;
use super::thrift::{Compact, Kind, Known, Shape};
use crate::error::{Error, Result};

/// The bytes that nearly every page header fits into; they are fetched first.
const HEADER_BYTES: u64 = 4 << 10;

const I32: Shape = Shape::Plain(Kind::I32);
const BOOL: Shape = Shape::Plain(Kind::Bool);
const EMPTY: Shape = Shape::Struct(&[]);

const DATA: Known = &[(1, I32), (2, I32), (3, I32), (4, I32), (5, EMPTY)];
const DICTIONARY: Known = &[(1, I32), (2, I32), (3, BOOL)];
const DATA_V2: Known =
    &[(1, I32), (2, I32), (3, I32), (4, I32), (5, I32), (6, I32), (7, BOOL), (8, EMPTY)];

/// `PageHeader`.
const HEADER: Known = &[
    (1, I32),
    (2, I32),
    (3, I32),
    (4, I32),
    (5, Shape::Struct(DATA)),
    (6, EMPTY),
    (7, Shape::Struct(DICTIONARY)),
    (8, Shape::Struct(DATA_V2)),
];

/// What a page header claims.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Header {
    /// Bytes after it that are the page.
    stored: i32,
    /// Bytes of the page without compression.
    decoded: i32,
    /// Bytes of levels before the compressed part.
    levels: i32,
    /// Its values, nulls included.
    values: i32,
    dictionary: bool,
    /// A value can be written as the one before it and a few bytes more.
    repeats: bool,
}

/// Why the guard refused, as an error of ours; the decoder passes on no more than a text.
#[derive(Clone, Debug, Default)]
pub(in crate::storage) struct Refusal(Arc<Mutex<Option<Error>>>);

impl Refusal {
    /// The reason, if the guard refused.
    pub(super) fn take(&self) -> Option<Error> {
        locked(&self.0).take()
    }

    fn give(&self, error: Error) -> ParquetError {
        let text = error.to_string();
        *locked(&self.0) = Some(error);
        ParquetError::General(text)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A column chunk that is read.
pub(in crate::storage) struct Chunk {
    range: Range<u64>,
    column: ColumnChunkMetaData,
    may_repeat: bool,
    /// The page whose header was seen last: where it begins.
    page: Mutex<Option<(u64, Header)>>,
}

impl Chunk {
    /// The column chunk in a file of `size` bytes; `views` says whether texts are decoded as such.
    ///
    /// # Errors
    /// `InvalidInput` if its bytes do not lie in the file.
    pub(in crate::storage) fn new(
        column: &ColumnChunkMetaData,
        size: u64,
        views: bool,
    ) -> Result<Self> {
        let start = column.dictionary_page_offset().unwrap_or_else(|| column.data_page_offset());
        let range = u64::try_from(start).ok().zip(u64::try_from(column.compressed_size()).ok());
        let range = range.and_then(|(start, length)| Some(start..start.checked_add(length)?));
        let range = range.filter(|range| range.end <= size).ok_or_else(|| {
            let name = column.column_path().string();
            Error::input(format!("the footer is damaged: column `{name}` lies outside of the file"))
        })?;
        // Only texts and bytes have no fixed length; a view of one is in memory once.
        let may_repeat = column.column_type() == Type::BYTE_ARRAY
            && (!views || column.encodings().any(|e| e == Encoding::DELTA_BYTE_ARRAY));
        Ok(Self { range, column: column.clone(), may_repeat, page: Mutex::new(None) })
    }

    /// The bytes that its pages decode to, as the footer says.
    pub(in crate::storage) fn decoded_bytes(&self) -> u64 {
        u64::try_from(self.column.uncompressed_size()).unwrap_or(0)
    }

    /// Where its bytes are.
    pub(in crate::storage) fn range(&self) -> Range<u64> {
        self.range.clone()
    }

    /// The bytes of a value, if the schema fixes it.
    pub(super) fn fixed_length(&self) -> u64 {
        match self.column.column_type() {
            Type::FIXED_LEN_BYTE_ARRAY => {
                u64::try_from(self.column.column_descr().type_length()).unwrap_or(0)
            }
            _ => 0,
        }
    }

    /// Whether its values may each take as many bytes as the page with the longest.
    pub(super) fn may_repeat(&self) -> bool {
        self.may_repeat
    }
}

/// The column chunks that are read, behind a guard that sees each page header first.
pub(in crate::storage) struct Guarded<R> {
    inner: R,
    limits: Limits,
    /// Ascending and disjoint.
    chunks: Vec<Chunk>,
    /// What all pages so far decode to, and what they may.
    decoded: Mutex<u64>,
    stored: u64,
    refusal: Refusal,
}

impl<R: ChunkReader> Guarded<R> {
    /// Guards these columns of a row group of which `stored` bytes are in the file.
    ///
    /// # Errors
    /// `InvalidInput` if two columns share bytes.
    pub(in crate::storage) fn new(
        inner: R,
        mut chunks: Vec<Chunk>,
        (stored, limits): (u64, Limits),
        refusal: Refusal,
    ) -> Result<Self> {
        chunks.sort_by_key(|chunk| (chunk.range.start, chunk.range.end));
        if chunks.windows(2).any(|pair| pair[1].range.start < pair[0].range.end) {
            return Err(Error::input("the footer is damaged: two columns share bytes"));
        }
        let row = chunks.iter().map(Chunk::fixed_length).sum();
        if row > limits.decoded(stored) {
            return Err(limits.exceeded("a row", row, stored));
        }
        Ok(Self { inner, limits, chunks, decoded: Mutex::new(0), stored, refusal })
    }

    fn chunk(&self, at: u64) -> Decoded<&Chunk> {
        let found = self.chunks.partition_point(|chunk| chunk.range.end <= at);
        let found = self.chunks.get(found).filter(|chunk| chunk.range.contains(&at));
        found.ok_or_else(|| self.damaged("a page lies outside of its column"))
    }

    /// Reads and judges the header at `at`; the page behind one that was read is no header.
    fn see_header(&self, chunk: &Chunk, at: u64) -> Decoded<()> {
        let mut seen = locked(&chunk.page);
        if seen.is_some_and(|(page, _)| page == at) {
            return Ok(());
        }
        let left = chunk.range.end - at;
        let mut length = HEADER_BYTES.min(left);
        let (header, taken) = loop {
            let bytes = self.inner.get_bytes(at, length as usize)?;
            match Header::read(&bytes) {
                Some(read) => break read,
                None if length == left => return Err(self.damaged("a page header is damaged")),
                None => length = (8 * length).min(left),
            }
        };
        self.judge(header, chunk)?;
        *seen = Some((at + taken as u64, header));
        Ok(())
    }

    fn judge(&self, header: Header, chunk: &Chunk) -> Decoded<()> {
        let (stored, decoded) = (self.bytes(header.stored)?, self.bytes(header.decoded)?);
        if header.repeats && chunk.column.column_type() == Type::BYTE_ARRAY && !chunk.may_repeat {
            return Err(self.damaged("a page has an encoding that the footer does not name"));
        }
        let most = decoded.max(header.room(chunk));
        if most > self.limits.decoded(stored) {
            return Err(self.refusal.give(self.limits.exceeded("a page", most, stored)));
        }
        let mut all = locked(&self.decoded);
        *all = all.saturating_add(decoded.max(header.fixed(chunk)));
        if *all > self.limits.decoded(self.stored) {
            return Err(self.refusal.give(self.limits.exceeded(
                "the row group",
                *all,
                self.stored,
            )));
        }
        Ok(())
    }

    /// Looks at the bytes of a page whose header was seen.
    fn see_page(&self, chunk: &Chunk, at: u64, page: &[u8]) -> Decoded<()> {
        let seen = *locked(&chunk.page);
        let Some((_, header)) = seen.filter(|(page, _)| *page == at) else { return Ok(()) };
        let compressed = page.get(self.bytes(header.levels)? as usize..).unwrap_or_default();
        if inflates_beyond(chunk.column.compression(), compressed, self.bytes(header.decoded)?) {
            return Err(self.damaged("a page holds more than its header says"));
        }
        Ok(())
    }
}

impl<R> Guarded<R> {
    fn bytes(&self, claimed: i32) -> Decoded<u64> {
        u64::try_from(claimed).map_err(|_| self.damaged("a page has a size below zero"))
    }

    fn damaged(&self, what: &str) -> ParquetError {
        let message = format!("{what}: the file is damaged; write it again");
        self.refusal.give(Error::input(message))
    }
}

impl<R: ChunkReader> Length for Guarded<R> {
    fn len(&self) -> u64 {
        self.inner.len()
    }
}

impl<R: ChunkReader> ChunkReader for Guarded<R> {
    type T = R::T;

    fn get_read(&self, start: u64) -> Decoded<R::T> {
        self.see_header(self.chunk(start)?, start)?;
        self.inner.get_read(start)
    }

    fn get_bytes(&self, start: u64, length: usize) -> Decoded<Bytes> {
        let page = self.inner.get_bytes(start, length)?;
        if length > 0 {
            self.see_page(self.chunk(start)?, start, &page)?;
        }
        Ok(page)
    }
}

impl Header {
    /// Reads the header at the start of `bytes`, and how many it takes.
    fn read(bytes: &[u8]) -> Option<(Self, usize)> {
        let (mut header, mut reader) = (Self::default(), Compact::new(bytes));
        reader.fields(HEADER, |reader, id| {
            match id {
                2 => header.decoded = reader.int()?,
                3 => header.stored = reader.int()?,
                5 => header.values(reader, DATA, 2)?,
                7 => header.values(reader, DICTIONARY, 2)?,
                8 => header.values(reader, DATA_V2, 4)?,
                _ => return Some(false),
            }
            header.dictionary |= id == 7;
            Some(true)
        })?;
        Some((header, reader.at()))
    }

    fn values(&mut self, reader: &mut Compact<'_>, known: Known, encoding: i16) -> Option<()> {
        reader.fields(known, |reader, id| {
            match id {
                1 => self.values = self.values.max(reader.int()?),
                id if id == encoding => {
                    let encoding = reader.int()?;
                    self.repeats |= encoding == Encoding::DELTA_BYTE_ARRAY as i32;
                }
                5 | 6 if encoding == 4 => self.levels = self.levels.checked_add(reader.int()?)?,
                _ => return Some(false),
            }
            Some(true)
        })
    }

    /// The bytes that its values may take at once.
    fn room(self, chunk: &Chunk) -> u64 {
        let longest = u64::try_from(self.decoded).unwrap_or(0);
        let repeated = chunk.may_repeat && (self.repeats || self.dictionary);
        let rows = if repeated { NARROW_ROWS as u64 } else { 1 };
        self.fixed(chunk).max(longest.saturating_mul(rows))
    }

    /// The bytes that its values take without texts and bytes, where they are decoded at once: a flat
    /// column comes in batches, but those of a list may all be in one row.
    fn fixed(self, chunk: &Chunk) -> u64 {
        let descriptor = chunk.column.column_descr();
        if descriptor.max_rep_level() == 0 && !self.dictionary {
            return 0;
        }
        let width = match chunk.column.column_type() {
            Type::BOOLEAN => 1,
            Type::INT32 | Type::FLOAT => 4,
            Type::INT64 | Type::DOUBLE => 8,
            Type::INT96 => 12,
            Type::BYTE_ARRAY => 16,
            Type::FIXED_LEN_BYTE_ARRAY => chunk.fixed_length().max(1),
        };
        u64::try_from(self.values).unwrap_or(0).saturating_mul(width)
    }
}
