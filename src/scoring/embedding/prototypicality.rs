//! Prototypicality (Sorscher et al., 2022): the distance to the nearest prototype, a centroid of
//! k-means.

use rayon::prelude::*;

use super::Cloud;
use crate::distance::{Points, Scan};
use crate::recipe::Embedding;
use crate::seed::{Random, Seed};

/// Lloyd's steps at most; it rarely needs half as many.
const STEPS: usize = 100;

/// The distance to the nearest of the k-means centroids. High (far from every prototype) is kept.
///
/// `options.prototypes` centroids, or as many as there are classes; fewer if there are fewer distinct
/// points. They start by k-means++ (Arthur & Vassilvitskii, 2007) from the seed and follow Lloyd's
/// steps until no point changes its centroid, 100 at most. A centroid that loses all its points stays
/// where it is. Work grows with `n k width` a step.
pub(super) fn scores(cloud: &Cloud<'_>, options: &Embedding, seed: &Seed) -> Vec<f32> {
    let k = options.prototypes.unwrap_or(cloud.classes);
    let centroids = start(cloud, k, &mut seed.of("prototypes").rng());
    let centroids = lloyd(cloud, centroids);
    assign(cloud, &centroids).into_iter().map(|(squared, _)| squared.sqrt()).collect()
}

/// k-means++: each next point is drawn with a probability that grows with its squared distance from
/// those drawn before.
fn start(cloud: &Cloud<'_>, k: usize, rng: &mut Random) -> Vec<f32> {
    let points = Points::new(cloud.points, cloud.width);
    let mut nearest = vec![1.0; cloud.len()];
    let mut squared = vec![0.0; cloud.len()];
    let mut centroids = Vec::new();
    for step in 0..k {
        let Some(drawn) = draw(&nearest, rng) else { break };
        centroids.extend_from_slice(cloud.point(drawn));
        points.measure(cloud.point(drawn), &mut squared);
        for (nearest, squared) in nearest.iter_mut().zip(&squared) {
            *nearest = if step == 0 { *squared } else { nearest.min(*squared) };
        }
    }
    centroids
}

/// An index, drawn with probability in proportion to its weight; `None` if no weight is positive.
fn draw(weights: &[f32], rng: &mut Random) -> Option<usize> {
    let total: f64 = weights.iter().map(|w| f64::from(*w)).sum();
    let mut left = total * f64::from(rng.below(u32::MAX)) / f64::from(u32::MAX);
    let mut positive = weights.iter().enumerate().filter(|(_, w)| **w > 0.0);
    let at = positive.find(|(_, w)| {
        left -= f64::from(**w);
        left < 0.0
    });
    // Rounding may leave a rest behind the last one.
    let last = || weights.iter().rposition(|w| *w > 0.0);
    at.map(|(i, _)| i).or_else(last)
}

/// Lloyd's steps over `k x width` centroids.
pub(super) fn lloyd(cloud: &Cloud<'_>, mut centroids: Vec<f32>) -> Vec<f32> {
    let mut before = Vec::new();
    for _ in 0..STEPS {
        let owners: Vec<usize> = assign(cloud, &centroids).into_iter().map(|(_, c)| c).collect();
        if owners == before {
            break;
        }
        move_to_means(cloud, &owners, &mut centroids);
        before = owners;
    }
    centroids
}

fn move_to_means(cloud: &Cloud<'_>, owners: &[usize], centroids: &mut [f32]) {
    let mut members = vec![Vec::new(); centroids.len() / cloud.width];
    for (i, owner) in owners.iter().enumerate() {
        members[*owner].push(i);
    }
    let means = centroids.par_chunks_mut(cloud.width).zip(members);
    means.filter(|(_, members)| !members.is_empty()).for_each(|(centroid, members)| {
        let mut sums = vec![0.0; cloud.width];
        for i in &members {
            sums.iter_mut().zip(cloud.point(*i)).for_each(|(sum, x)| *sum += f64::from(*x));
        }
        let mean = sums.iter().map(|sum| (sum / members.len() as f64) as f32);
        centroid.iter_mut().zip(mean).for_each(|(c, mean)| *c = mean);
    });
}

/// The squared distance to the nearest centroid of each point, and which it is: the first of equals.
pub(super) fn assign(cloud: &Cloud<'_>, centroids: &[f32]) -> Vec<(f32, usize)> {
    let centroids = Points::new(centroids, cloud.width);
    centroids.compare(cloud.points, |_| Closest { squared: f32::INFINITY, index: 0 })
}

struct Closest {
    squared: f32,
    index: usize,
}

impl Scan for Closest {
    type Output = (f32, usize);

    fn see(&mut self, first: usize, squared: &[f32]) {
        for (index, squared) in (first..).zip(squared) {
            if *squared < self.squared {
                *self = Self { squared: *squared, index };
            }
        }
    }

    fn finish(self) -> (f32, usize) {
        (self.squared, self.index)
    }
}
