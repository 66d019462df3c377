//! k-center greedy (Sener & Savarese, 2018): the point that is farthest from all chosen ones is next.

use super::Cloud;
use super::order::{Waiting, places};
use crate::distance::Points;

/// The place in the farthest-first order after the points that were chosen before, 0 first. Without any,
/// the first point is the one with the smallest tie
/// hash, which is a random one: the original draws it. Low is kept.
pub(super) fn scores(cloud: &Cloud<'_>) -> Vec<f32> {
    let points = Points::new(cloud.points, cloud.width);
    let mut nearest = vec![f32::INFINITY; cloud.len()];
    let mut squared = vec![0.0; cloud.len()];
    for before in cloud.chosen.chunks(cloud.width) {
        points.measure(before, &mut squared);
        closer(&mut nearest, &squared);
    }
    let mut order = Vec::with_capacity(cloud.len());
    let mut waiting = Waiting::all(cloud);
    while let Some(chosen) = waiting.take(|i| nearest[i]) {
        order.push(chosen);
        points.measure(cloud.point(chosen), &mut squared);
        closer(&mut nearest, &squared);
    }
    places(&order)
}

fn closer(nearest: &mut [f32], squared: &[f32]) {
    for (nearest, squared) in nearest.iter_mut().zip(squared) {
        *nearest = nearest.min(*squared);
    }
}
