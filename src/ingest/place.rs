//! Where each sample's decoded input goes: next to those of its row group, in memory or in a scratch
//! file, so that a row group is written as one piece.

use std::sync::{Arc, Mutex, PoisonError};

use super::survey::Row;
use crate::error::{Error, ErrorKind, Result};
use crate::samples::{Packed, Shape};
use crate::storage::Scratch;

/// The memory that loading may use. It changes nothing in the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Whether all decoded inputs may be held in memory; else they go to a scratch file.
    pub inputs_in_memory: bool,
    /// Bytes for what is being read and decoded.
    pub batches: u64,
}

impl Default for Room {
    /// Everything in memory.
    fn default() -> Self {
        Self { inputs_in_memory: true, batches: u64::MAX }
    }
}

impl Room {
    /// How many row groups may be decoded at once if each takes `bytes`.
    pub(super) fn lanes(&self, bytes: u64) -> usize {
        let most = rayon::current_num_threads() as u64;
        (self.batches / bytes.max(1)).clamp(1, most) as usize
    }
}

/// The order in which inputs lie: that of the source.
pub(super) struct Places {
    /// The sample at each place.
    pub(super) order: Vec<u32>,
    /// The row groups, in the order of the source.
    pub(super) groups: Vec<Part>,
}

/// The used rows of a row group.
pub(super) struct Part {
    pub(super) file: u32,
    pub(super) row_group: u32,
    /// The place of its first sample.
    pub(super) first: usize,
    length: usize,
}

impl Places {
    /// The places of samples that lie in these rows.
    pub(super) fn new(rows: &[Row]) -> Self {
        let mut order: Vec<u32> = (0..rows.len() as u32).collect();
        let row = |sample: u32| &rows[sample as usize];
        let group = |sample: u32| (row(sample).file, row(sample).row_group);
        order.sort_unstable_by_key(|&sample| (group(sample), row(sample).row));
        let mut groups = Vec::new();
        let mut first = 0;
        for part in order.chunk_by(|a, b| group(*a) == group(*b)) {
            let (file, row_group) = group(part[0]);
            groups.push(Part { file, row_group, first, length: part.len() });
            first += part.len();
        }
        Self { order, groups }
    }

    /// The rows of a group, ascending.
    pub(super) fn rows(&self, group: &Part, rows: &[Row]) -> Vec<u32> {
        let samples = self.order[group.first..].iter().take(group.length);
        samples.map(|&sample| rows[sample as usize].row).collect()
    }

    /// The place of each sample.
    pub(super) fn of_samples(&self) -> Vec<u32> {
        let mut places = vec![0; self.order.len()];
        for (place, &sample) in self.order.iter().enumerate() {
            places[sample as usize] = place as u32;
        }
        places
    }
}

/// Takes decoded inputs at their places.
pub(super) struct Sink {
    /// Bytes of one input.
    width: usize,
    store: Store,
}

enum Store {
    Memory(Mutex<Vec<u8>>),
    Scratch(Arc<Scratch>),
}

impl Sink {
    pub(super) fn new(room: &Room, samples: usize, shape: Shape) -> Result<Self> {
        let store = if room.inputs_in_memory {
            Store::Memory(Mutex::new(zeros(samples, shape)?))
        } else {
            Store::Scratch(Arc::new(Scratch::new()?))
        };
        Ok(Self { width: shape.bytes(), store })
    }

    /// Lets `decode` fill the places of `count` inputs from `first` on.
    pub(super) fn put<T>(
        &self,
        first: usize,
        count: usize,
        decode: impl FnOnce(&mut [u8]) -> Result<T>,
    ) -> Result<T> {
        let mut out = vec![0; count * self.width];
        let decoded = decode(&mut out)?;
        let at = first * self.width;
        match &self.store {
            Store::Memory(bytes) => {
                let mut bytes = bytes.lock().unwrap_or_else(PoisonError::into_inner);
                let beyond = || Error::corrupt("a row group has more rows than its footer says");
                let place = bytes.get_mut(at..at + out.len()).ok_or_else(beyond)?;
                place.copy_from_slice(&out);
            }
            Store::Scratch(scratch) => scratch.write_at(at as u64, &out)?,
        }
        Ok(decoded)
    }

    /// All that was put.
    pub(super) fn packed(self) -> Packed {
        match self.store {
            Store::Memory(bytes) => {
                Packed::Memory(bytes.into_inner().unwrap_or_else(PoisonError::into_inner))
            }
            Store::Scratch(scratch) => Packed::Elsewhere(scratch),
        }
    }
}

fn zeros(samples: usize, shape: Shape) -> Result<Vec<u8>> {
    let too_large = || {
        let message = format!(
            "{samples} inputs of {} numbers do not fit in memory; use a smaller data.resize or fewer rows",
            shape.len()
        );
        Error::new(ErrorKind::LimitExceeded, message)
    };
    let length = samples.checked_mul(shape.bytes()).ok_or_else(too_large)?;
    let mut buffer = Vec::new();
    buffer.try_reserve_exact(length).map_err(|e| too_large().because(e))?;
    buffer.resize(length, 0);
    Ok(buffer)
}
