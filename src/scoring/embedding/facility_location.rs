//! Facility location: every point should have a chosen point much like it (greedy of Nemhauser et al.,
//! 1978, made lazy by Minoux, 1978).

use std::collections::BinaryHeap;

use super::Cloud;
use super::order::{Candidate, places};
use crate::distance::{Directions, Points, Scan, cosine};

/// The place in the greedy order after the points that were chosen before, 0 first. Low is kept.
///
/// The similarity is `0.5 + 0.5 cos` as in DeepCore, 0.5 to a zero vector; each step takes the point
/// with the largest gain `sum_i max(0, s_ij - largest s_ic of a chosen c)`.
///
/// A gain never grows, so one that was true at an earlier step bounds it, and only those on top are
/// renewed. Terms only fall, and sums in a fixed order round monotonically; hence the bounds hold for
/// rounded numbers too, and the order is that of the plain greedy, to the bit. About ten gains are
/// renewed for each choice, so it is the slowest of these methods by far.
pub(super) fn scores(cloud: &Cloud<'_>) -> Vec<f32> {
    let mut greedy = Greedy::new(cloud);
    let mut order = Vec::with_capacity(cloud.len());
    let all: Vec<usize> = (0..cloud.len()).collect();
    let mut heap: BinaryHeap<_> = greedy.gains(&all).map(|c| (c, 0)).collect();
    while let Some((top, step)) = heap.pop() {
        if step == order.len() {
            order.push(top.index);
            greedy.choose(top.index);
            continue;
        }
        let mut stale = vec![top.index];
        while stale.len() < BATCH {
            match heap.peek() {
                Some((next, step)) if *step < order.len() => stale.push(next.index),
                _ => break,
            }
            heap.pop();
        }
        heap.extend(greedy.gains(&stale).map(|c| (c, order.len())));
    }
    places(&order)
}

/// The plain greedy, which renews every gain at every step.
#[cfg(test)]
pub(super) fn plain(cloud: &Cloud<'_>) -> Vec<f32> {
    let mut greedy = Greedy::new(cloud);
    let mut left: Vec<usize> = (0..cloud.len()).collect();
    let mut order = Vec::new();
    while let Some(best) = greedy.gains(&left).max() {
        left.retain(|i| *i != best.index);
        order.push(best.index);
        greedy.choose(best.index);
    }
    places(&order)
}

/// Gains that are renewed together: they share one way through the points.
const BATCH: usize = 4;

struct Greedy<'a> {
    cloud: &'a Cloud<'a>,
    directions: Directions,
    points: Points,
    /// The largest similarity of each point to a chosen one.
    covered: Vec<f32>,
    squared: Vec<f32>,
}

impl<'a> Greedy<'a> {
    fn new(cloud: &'a Cloud<'a>) -> Self {
        let directions = Directions::new(cloud.points, cloud.width);
        let points = Points::new(&directions.units, cloud.width);
        let n = cloud.len();
        let mut greedy =
            Self { cloud, directions, points, covered: vec![0.0; n], squared: vec![0.0; n] };
        let before = Directions::new(cloud.chosen, cloud.width);
        for (direction, length) in before.units.chunks(cloud.width).zip(&before.lengths) {
            greedy.cover(direction, *length);
        }
        greedy
    }

    /// The gains of some points.
    fn gains(&self, of: &[usize]) -> impl Iterator<Item = Candidate> {
        let rows: Vec<f32> = of.iter().flat_map(|i| self.directions.of(*i)).copied().collect();
        let start =
            |row: usize| Gain { greedy: self, length: self.directions.lengths[of[row]], sum: 0.0 };
        let gains = self.points.compare(&rows, start);
        of.iter().zip(gains).map(|(i, gain)| Candidate::new(self.cloud, *i, gain))
    }

    fn choose(&mut self, chosen: usize) {
        let direction = self.directions.of(chosen).to_vec();
        self.cover(&direction, self.directions.lengths[chosen]);
    }

    /// A point in this direction is chosen.
    fn cover(&mut self, direction: &[f32], length: f32) {
        self.points.measure(direction, &mut self.squared);
        let others = self.directions.lengths.iter().zip(&self.squared);
        for (covered, (other, squared)) in self.covered.iter_mut().zip(others) {
            *covered = covered.max(similarity(length, *other, *squared));
        }
    }
}

fn similarity(a: f32, b: f32, squared: f32) -> f32 {
    0.5 + 0.5 * cosine(a, b, squared)
}

/// The gain of one point, term by term in the order of the points.
struct Gain<'a> {
    greedy: &'a Greedy<'a>,
    length: f32,
    sum: f64,
}

impl Scan for Gain<'_> {
    type Output = f64;

    fn see(&mut self, first: usize, squared: &[f32]) {
        let lengths = &self.greedy.directions.lengths[first..];
        let covered = &self.greedy.covered[first..];
        for ((squared, length), covered) in squared.iter().zip(lengths).zip(covered) {
            let more = similarity(self.length, *length, *squared) - covered;
            self.sum += f64::from(more.max(0.0));
        }
    }

    fn finish(self) -> f64 {
        self.sum
    }
}
