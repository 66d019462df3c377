//! Who comes first: the greatest value, then the smaller tie, then the smaller index.

use std::cmp::{Ordering, Reverse};

use super::Cloud;

/// A point that waits for its place. The greatest comes first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    pub(super) value: f64,
    tie: u64,
    pub(super) index: usize,
}

impl Candidate {
    pub(super) fn new(cloud: &Cloud<'_>, index: usize, value: f64) -> Self {
        // -0 and 0 are equal.
        Self { value: value + 0.0, tie: cloud.ties[index], index }
    }
}

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> Ordering {
        let after = |c: &Self| Reverse((c.tie, c.index));
        self.value.total_cmp(&other.value).then_with(|| after(self).cmp(&after(other)))
    }
}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Candidate {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Candidate {}

/// The points without a place yet.
pub(super) struct Waiting<'a> {
    cloud: &'a Cloud<'a>,
    left: Vec<usize>,
}

impl<'a> Waiting<'a> {
    pub(super) fn all(cloud: &'a Cloud<'a>) -> Self {
        Self { cloud, left: (0..cloud.len()).collect() }
    }

    /// Takes out the one with the greatest value; `None` when all have a place.
    pub(super) fn take(&mut self, value: impl Fn(usize) -> f32) -> Option<usize> {
        let of = |(_, i): &(usize, &usize)| Candidate::new(self.cloud, **i, f64::from(value(**i)));
        let (at, _) = self.left.iter().enumerate().max_by_key(of)?;
        Some(self.left.swap_remove(at))
    }
}

/// The place of each point, from 0, by the order in which they were chosen.
pub(super) fn places(order: &[usize]) -> Vec<f32> {
    let mut places = vec![0.0; order.len()];
    for (place, chosen) in order.iter().enumerate() {
        places[*chosen] = place as f32;
    }
    places
}
