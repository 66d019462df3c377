//! The nearest neighbours of each point, exact.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::Cloud;
use super::order::Candidate;
use crate::distance::{Points, Scan};

/// A point near another one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Neighbor {
    pub(super) index: u32,
    /// Euclidean.
    pub(super) distance: f64,
}

/// What `of` makes of each point and its `k` nearest others (all others if there are fewer), nearest
/// first. Neighbours live only as long as the block of their point.
pub(super) fn nearest<T: Send>(
    cloud: &Cloud<'_>,
    k: usize,
    of: impl Fn(usize, &[Neighbor]) -> T + Sync,
) -> Vec<T> {
    let points = Points::new(cloud.points, cloud.width);
    let start = |row| Nearest { cloud, k, row, found: BinaryHeap::new(), of: &of };
    points.compare(cloud.points, start)
}

struct Nearest<'a, F> {
    cloud: &'a Cloud<'a>,
    k: usize,
    row: usize,
    /// The farthest on top.
    found: BinaryHeap<Reverse<Candidate>>,
    of: &'a F,
}

impl<T: Send, F: Fn(usize, &[Neighbor]) -> T + Sync> Scan for Nearest<'_, F> {
    type Output = T;

    fn see(&mut self, first: usize, squared: &[f32]) {
        for (index, squared) in (first..).zip(squared) {
            let value = -f64::from(*squared);
            let full = self.found.len() == self.k;
            let beyond = |worst: &Reverse<Candidate>| full && value < worst.0.value;
            if index == self.row || self.found.peek().is_some_and(beyond) {
                continue;
            }
            self.found.push(Reverse(Candidate::new(self.cloud, index, value)));
            if full {
                self.found.pop();
            }
        }
    }

    fn finish(self) -> T {
        let sorted = self.found.into_sorted_vec();
        let neighbor = |c: &Reverse<Candidate>| Neighbor {
            index: c.0.index as u32,
            distance: (-c.0.value).sqrt(),
        };
        (self.of)(self.row, &sorted.iter().map(neighbor).collect::<Vec<_>>())
    }
}
