//! The rows of all shards that are left to write, read from the source once and sorted by the row
//! group they go to. What does not fit in memory waits in a scratch file.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use arrow::array::{AsArray, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, UInt32Type};
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use arrow::record_batch::RecordBatch;

use super::Kept;
use super::encode::parts;
use super::rows::{Conform, Rows, plain_schema};
use crate::error::{Error, Place, Result};
use crate::samples::ReadAt;
use crate::storage::Scratch;
use crate::storage::parquet::{Batches, Columns, ParquetFile, Request, read_groups};

/// How much memory reading the source may take. It changes nothing in the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Bytes of rows that wait in memory; more go to a scratch file.
    pub rows: u64,
    /// Row groups of the source that are read at once.
    pub lanes: usize,
}

/// The kept rows of some shards.
pub struct Spill {
    schema: SchemaRef,
    /// The columns as they wait: without dictionaries and views, and each row's position in its group.
    waiting: SchemaRef,
    shards: BTreeMap<usize, Shard>,
    groups: Vec<Mutex<Group>>,
    /// Bytes that wait in memory, and how many may.
    held: AtomicU64,
    room: Room,
    scratch: OnceLock<Scratch>,
    flushing: Mutex<()>,
}

/// One shard: its rows in order, and the ranges of them that are its row groups.
struct Shard {
    rows: Vec<Kept>,
    parts: Vec<Range<usize>>,
    /// The first of its row groups among those of all shards.
    first: usize,
}

/// The rows of a row group, in the order in which they came.
#[derive(Default)]
struct Group {
    pieces: Vec<RecordBatch>,
    /// Places in the scratch file.
    segments: Vec<Range<u64>>,
}

/// A row on its way: its row in the source, its row group among those of all shards, its position.
type Wanted = (u32, u32, u32);

impl Spill {
    /// Reads all columns of the rows of these shards, each row group of the source once. Shards are
    /// named by their number and cut into row groups of `row_group_bytes`.
    ///
    /// # Errors
    /// `InvalidInput` if a file cannot be read or has other columns than `schema`, `CorruptData` if
    /// a row is named twice or is not in its file.
    pub fn read(
        files: &[ParquetFile],
        schema: &SchemaRef,
        shards: BTreeMap<usize, Vec<Kept>>,
        row_group_bytes: u64,
        room: Room,
    ) -> Result<Self> {
        let mut spill = Self::empty(schema, room);
        for (index, rows) in shards {
            let parts = parts(&rows, 0..rows.len(), row_group_bytes);
            let first = spill.groups.len();
            spill.groups.extend(parts.iter().map(|_| Mutex::default()));
            spill.shards.insert(index, Shard { rows, parts, first });
        }
        let (places, wanted): (Vec<_>, Vec<_>) = spill.wanted().into_iter().unzip();
        let requests =
            places.iter().zip(&wanted).map(|(place, wanted)| request(files, *place, wanted));
        let requests = requests.collect::<Result<Vec<_>>>()?;
        read_groups(&requests, room.lanes, |number, batches| {
            let request = &requests[number];
            let place =
                || format!("{}, row group {}", request.file.object().uri, request.row_group);
            let conform = Conform::new(request.file, &plain_schema(schema)).at(place)?;
            spill.take(&wanted[number], &conform, batches).at(place)
        })?;
        Ok(spill)
    }

    fn empty(schema: &SchemaRef, room: Room) -> Self {
        let plain = plain_schema(schema);
        let position = Arc::new(Field::new("position", DataType::UInt32, false));
        let fields: Vec<_> = plain.fields().iter().cloned().chain([position]).collect();
        Self {
            schema: Arc::clone(schema),
            waiting: Arc::new(Schema::new(fields)),
            shards: BTreeMap::new(),
            groups: Vec::new(),
            held: AtomicU64::new(0),
            room,
            scratch: OnceLock::new(),
            flushing: Mutex::default(),
        }
    }

    /// The source's schema.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The rows of a shard in their order.
    ///
    /// # Errors
    /// `Internal` if the shard is not among those that were read.
    pub fn kept(&self, shard: usize) -> Result<&[Kept]> {
        Ok(&self.shard(shard)?.rows)
    }

    /// The ranges of a shard's rows that are its row groups.
    pub(super) fn parts(&self, shard: usize) -> Result<&[Range<usize>]> {
        Ok(&self.shard(shard)?.parts)
    }

    fn shard(&self, index: usize) -> Result<&Shard> {
        let missing = || Error::internal(format!("the rows of shard {index} were not read"));
        self.shards.get(&index).ok_or_else(missing)
    }

    /// The rows of all shards by row group of the source.
    fn wanted(&self) -> BTreeMap<(u32, u32), Vec<Wanted>> {
        let mut groups: BTreeMap<(u32, u32), Vec<Wanted>> = BTreeMap::new();
        for shard in self.shards.values() {
            for (part, group) in shard.parts.iter().zip(shard.first..) {
                for (position, row) in shard.rows[part.clone()].iter().enumerate() {
                    let wanted = (row.row, group as u32, position as u32);
                    groups.entry((row.file, row.row_group)).or_default().push(wanted);
                }
            }
        }
        for wanted in groups.values_mut() {
            wanted.sort_unstable();
        }
        groups
    }

    /// Takes the rows of one row group of the source.
    fn take(&self, wanted: &[Wanted], conform: &Conform, batches: Batches) -> Result<()> {
        let mut rest = wanted;
        for batch in batches {
            let batch = conform.batch(&batch?)?;
            let Some((now, later)) = rest.split_at_checked(batch.num_rows()) else { break };
            rest = later;
            let mut by_group: BTreeMap<u32, (Vec<u32>, Vec<u32>)> = BTreeMap::new();
            for (row, (_, group, position)) in now.iter().enumerate() {
                let (rows, positions) = by_group.entry(*group).or_default();
                rows.push(row as u32);
                positions.push(*position);
            }
            for (group, (rows, positions)) in by_group {
                let rows = take_record_batch(&batch, &UInt32Array::from(rows))?;
                let mut columns = rows.columns().to_vec();
                columns.push(Arc::new(UInt32Array::from(positions)));
                self.wait(group, RecordBatch::try_new(Arc::clone(&self.waiting), columns)?)?;
            }
        }
        if rest.is_empty() {
            return Ok(());
        }
        Err(Error::corrupt("rows are missing; was the file written again meanwhile?"))
    }

    /// Lets rows wait for their group's turn.
    fn wait(&self, group: u32, piece: RecordBatch) -> Result<()> {
        let bytes = piece.get_array_memory_size() as u64;
        // Counted before a flush by another lane can take it.
        let held = self.held.fetch_add(bytes, Ordering::Relaxed) + bytes;
        lock(&self.groups[group as usize]).pieces.push(piece);
        if held > self.room.rows {
            self.flush()?;
        }
        Ok(())
    }

    /// Moves what waits in memory to the scratch file.
    fn flush(&self) -> Result<()> {
        let _alone = lock(&self.flushing);
        // Another lane may just have done it.
        if self.held.load(Ordering::Relaxed) <= self.room.rows {
            return Ok(());
        }
        let scratch = if let Some(scratch) = self.scratch.get() {
            scratch
        } else {
            let new = Scratch::new()?;
            self.scratch.get_or_init(|| new)
        };
        for group in &self.groups {
            let pieces = std::mem::take(&mut lock(group).pieces);
            if pieces.is_empty() {
                continue;
            }
            let bytes: usize = pieces.iter().map(RecordBatch::get_array_memory_size).sum();
            let mut writer = StreamWriter::try_new(Vec::new(), &self.waiting)?;
            pieces.iter().try_for_each(|piece| writer.write(piece))?;
            let encoded = writer.into_inner()?;
            let start = scratch.append(&encoded)?;
            lock(group).segments.push(start..start + encoded.len() as u64);
            self.held.fetch_sub(bytes as u64, Ordering::Relaxed);
        }
        Ok(())
    }

    /// The rows of row group `part` of a shard, in memory.
    pub(super) fn rows(&self, shard: usize, part: usize) -> Result<Rows> {
        let shard = self.shard(shard)?;
        let missing = || Error::internal("there is no such row group");
        let (Some(range), Some(group)) =
            (shard.parts.get(part), self.groups.get(shard.first + part))
        else {
            return Err(missing());
        };
        let group = lock(group);
        let mut pieces = group.pieces.clone();
        for segment in &group.segments {
            let scratch = self.scratch.get().ok_or_else(missing)?;
            let mut bytes = vec![0; (segment.end - segment.start) as usize];
            scratch.read_at(segment.start, &mut bytes)?;
            for piece in StreamReader::try_new(Cursor::new(bytes), None)? {
                pieces.push(piece?);
            }
        }
        let mut places = vec![(0, 0); range.len()];
        let last = self.waiting.fields().len() - 1;
        for (number, piece) in pieces.iter_mut().enumerate() {
            let positions = piece.remove_column(last);
            let positions = positions.as_primitive::<UInt32Type>().values().iter().enumerate();
            positions.for_each(|(row, position)| places[*position as usize] = (number, row));
        }
        Ok(Rows::new(&self.schema, pieces, places))
    }
}

/// About how many bytes it takes to read one row group of these files: two streams, one of which is
/// only begun, and the rows that are picked out of a batch.
///
/// # Errors
/// `InvalidInput` if a file's footer contradicts itself.
pub fn lane_memory(files: &[ParquetFile]) -> Result<u64> {
    let streams = files.iter().map(|file| file.stream_memory(Columns::All));
    Ok(3 * streams.collect::<Result<Vec<_>>>()?.into_iter().max().unwrap_or(0))
}

fn request<'a>(
    files: &'a [ParquetFile],
    (file, row_group): (u32, u32),
    wanted: &[Wanted],
) -> Result<Request<'a>> {
    let found = files.get(file as usize);
    let file = found.ok_or_else(|| Error::corrupt(format!("there is no file {file}")))?;
    let place = || format!("{}, row group {row_group}", file.object().uri);
    let rows: Vec<u32> = wanted.iter().map(|(row, _, _)| *row).collect();
    let size = file.row_groups().get(row_group as usize).map_or(0, |g| g.rows);
    if rows.last().is_some_and(|&last| u64::from(last) >= size) {
        return Err(Error::corrupt(format!("the group has {size} rows, one more is wanted")))
            .at(place);
    }
    if rows.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(Error::corrupt("a row is wanted twice")).at(place);
    }
    Ok(Request { file, row_group: row_group as usize, columns: Columns::All, rows: Some(rows) })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
