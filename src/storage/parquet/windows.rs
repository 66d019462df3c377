//! The bytes of some columns of a row group, fetched in windows ahead of whoever reads them.

use std::io::Read;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ::parquet::errors::{ParquetError, Result};
use ::parquet::file::reader::{ChunkReader, Length};
use bytes::{Bytes, BytesMut};
use tokio::task::JoinHandle;

use super::super::fetch::get;
use super::super::{begin, wait};
use super::Object;

/// The bytes of one window of all columns together. Of a column two windows are in memory: the one
/// in use and the one on its way.
const WINDOW: u64 = 4 << 20;

/// The least window of one column, so that wide tables are not fetched in crumbs.
const MIN_WINDOW: u64 = 32 << 10;

/// Columns that are fetched whole and lie this near to each other are fetched together.
const GAP: u64 = 1 << 20;

/// Column chunks as a file that can be read at any place, best from front to back.
#[derive(Clone)]
pub(super) struct Windows(Arc<Shared>);

struct Shared {
    object: Object,
    /// Ascending.
    chunks: Vec<Chunk>,
}

/// A range of the object that is read from front to back.
struct Chunk {
    place: Range<u64>,
    /// The most bytes to fetch at once. If it is all of them they stay, to be read in any order.
    window: u64,
    state: Mutex<State>,
}

/// What is in memory of a chunk, and what is on its way.
#[derive(Default)]
struct State {
    start: u64,
    bytes: Bytes,
    next: Option<(Range<u64>, JoinHandle<Result<Bytes>>)>,
}

impl Windows {
    /// The column chunks of `object` at these places; the first bytes of each are on their way.
    pub(super) fn new(object: &Object, mut places: Vec<Range<u64>>) -> Result<Self> {
        places.sort_by_key(|place| (place.start, place.end));
        let sizes: Vec<u64> = places.iter().map(|p| p.end - p.start).collect();
        let (places, window) = match window(&sizes) {
            Some(window) => (places, window),
            None => (joined(places), u64::MAX),
        };
        let chunks = places.into_iter().map(|place| {
            let mut state = State::default();
            state.start = place.start;
            Chunk { place, window, state: Mutex::new(state) }
        });
        let this = Self(Arc::new(Shared { object: object.clone(), chunks: chunks.collect() }));
        for chunk in &this.0.chunks {
            this.0.fetch_next(chunk, &mut chunk.lock())?;
        }
        Ok(this)
    }

    /// About how many bytes are in memory for column chunks of these sizes.
    pub(super) fn memory(sizes: &[u64]) -> u64 {
        let held = window(sizes).map_or(u64::MAX, |window| 2 * window);
        sizes.iter().map(|size| held.min(*size)).sum()
    }

    /// What is in memory from `start` on, at least one byte.
    fn some(&self, start: u64) -> Result<Bytes> {
        let chunk = self.0.chunk(&(start..start + 1))?;
        let mut state = chunk.lock();
        self.0.fill(chunk, &mut state, &(start..start + 1))?;
        Ok(state.slice(start..state.end()))
    }
}

/// The window of one column, or `None` if all columns are so small that they are fetched whole.
fn window(sizes: &[u64]) -> Option<u64> {
    let window = (WINDOW / sizes.len().max(1) as u64).max(MIN_WINDOW);
    let small = sizes.iter().sum::<u64>() <= 2 * window * sizes.len() as u64;
    (!small).then_some(window)
}

fn joined(places: Vec<Range<u64>>) -> Vec<Range<u64>> {
    let mut joined: Vec<Range<u64>> = Vec::new();
    for place in places {
        match joined.last_mut() {
            Some(last) if place.start <= last.end.saturating_add(GAP) => {
                last.end = last.end.max(place.end);
            }
            _ => joined.push(place),
        }
    }
    joined
}

impl Shared {
    fn chunk(&self, wanted: &Range<u64>) -> Result<&Chunk> {
        let holds = |c: &&Chunk| c.place.start <= wanted.start && wanted.end <= c.place.end;
        self.chunks.iter().find(holds).ok_or_else(|| {
            let (from, to) = (wanted.start, wanted.end);
            ParquetError::EOF(format!("bytes {from} to {to} lie outside of the column"))
        })
    }

    /// Brings `wanted` into memory and sends for what follows.
    fn fill(&self, chunk: &Chunk, state: &mut State, wanted: &Range<u64>) -> Result<()> {
        while !state.holds(wanted) {
            let keep = if chunk.is_whole() { chunk.place.start } else { wanted.start };
            state.drop_before(keep);
            let from = state.end();
            let next = state.next.take().filter(|(range, _)| range.contains(&from));
            let (start, bytes) = if let Some((range, fetch)) = next {
                (range.start, wait(fetch).map_err(outside)?.map_err(outside)??)
            } else {
                let end = wanted.end.max(chunk.window_from(from).end);
                (from, wait(get(&self.object, from..end)).map_err(outside)??)
            };
            if bytes.is_empty() {
                return Err(ParquetError::EOF("the file ends within a column".to_owned()));
            }
            state.push(&bytes.slice((from - start) as usize..));
        }
        if state.next.is_none() {
            self.fetch_next(chunk, state)?;
        }
        Ok(())
    }

    fn fetch_next(&self, chunk: &Chunk, state: &mut State) -> Result<()> {
        let range = chunk.window_from(state.end());
        if !range.is_empty() {
            let (object, wanted) = (self.object.clone(), range.clone());
            let fetch = begin(async move { get(&object, wanted).await }).map_err(outside)?;
            state.next = Some((range, fetch));
        }
        Ok(())
    }
}

impl Chunk {
    fn is_whole(&self) -> bool {
        self.window >= self.place.end - self.place.start
    }

    fn window_from(&self, start: u64) -> Range<u64> {
        start..start.saturating_add(self.window).min(self.place.end)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn end(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }

    fn holds(&self, wanted: &Range<u64>) -> bool {
        self.start <= wanted.start && wanted.end <= self.end()
    }

    fn slice(&self, wanted: Range<u64>) -> Bytes {
        self.bytes.slice((wanted.start - self.start) as usize..(wanted.end - self.start) as usize)
    }

    /// Keeps what is in memory from `start` on, which may be nothing.
    fn drop_before(&mut self, start: u64) {
        let kept = if self.start <= start && start <= self.end() {
            self.slice(start..self.end())
        } else {
            Bytes::new()
        };
        (self.start, self.bytes) = (start, kept);
    }

    fn push(&mut self, more: &Bytes) {
        if self.bytes.is_empty() {
            self.bytes = more.clone();
            return;
        }
        let mut joined = BytesMut::with_capacity(self.bytes.len() + more.len());
        joined.extend_from_slice(&self.bytes);
        joined.extend_from_slice(more);
        self.bytes = joined.freeze();
    }
}

impl Drop for State {
    fn drop(&mut self) {
        if let Some((_, fetch)) = &self.next {
            fetch.abort();
        }
    }
}

fn outside(e: impl std::error::Error + Send + Sync + 'static) -> ParquetError {
    ParquetError::External(Box::new(e))
}

impl Length for Windows {
    fn len(&self) -> u64 {
        self.0.object.bytes
    }
}

impl ChunkReader for Windows {
    type T = Header;

    fn get_read(&self, start: u64) -> Result<Header> {
        Ok(Header { windows: self.clone(), at: start, rest: Bytes::new() })
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        let wanted = start..start.saturating_add(length as u64);
        let chunk = self.0.chunk(&wanted)?;
        let mut state = chunk.lock();
        self.0.fill(chunk, &mut state, &wanted)?;
        Ok(state.slice(wanted))
    }
}

/// Reads on from a place; the decoder reads the headers of pages so.
pub(super) struct Header {
    windows: Windows,
    at: u64,
    rest: Bytes,
}

impl Read for Header {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        if self.rest.is_empty() {
            self.rest = self.windows.some(self.at).map_err(std::io::Error::other)?;
        }
        let taken = self.rest.split_to(out.len().min(self.rest.len()));
        out[..taken.len()].copy_from_slice(&taken);
        self.at += taken.len() as u64;
        Ok(taken.len())
    }
}
