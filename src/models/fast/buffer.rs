//! Memory that is kept from step to step.
//!
//! Fresh memory costs a page fault per 4 kB, which at these speeds is a good part of a step.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::simd::{LANES, Pixel};

/// Pixels that start at a cache line, so that no vector crosses one.
#[derive(Default)]
pub(super) struct Buffer {
    data: Vec<f32>,
    start: usize,
    len: usize,
}

impl Buffer {
    pub(super) fn new(len: usize) -> Self {
        let data = vec![0.0_f32; (len + 1) * LANES];
        let start = data.as_ptr().align_offset(LANES * size_of::<f32>()).min(LANES - 1);
        Self { data, start, len }
    }

    /// Makes room for `len` pixels at least, without keeping what was there.
    pub(super) fn fit(&mut self, len: usize) {
        if self.len < len {
            *self = Self::new(len);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn get(&self) -> &[Pixel] {
        self.data[self.start..][..self.len * LANES].as_chunks().0
    }

    pub(super) fn get_mut(&mut self) -> &mut [Pixel] {
        self.data[self.start..][..self.len * LANES].as_chunks_mut().0
    }
}

/// Working memory that tasks borrow; the one given back last is still in some cache.
#[derive(Default)]
pub(super) struct Shelf<T>(Mutex<Vec<T>>);

impl<T: Default> Shelf<T> {
    pub(super) fn with<R>(&self, task: impl FnOnce(&mut T) -> R) -> R {
        let mut item = self.lock().pop().unwrap_or_default();
        let result = task(&mut item);
        self.lock().push(item);
        result
    }

    fn lock(&self) -> MutexGuard<'_, Vec<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
