//! Herding (Welling, 2009): each choice pulls the mean of the chosen points towards the mean of all.

use super::Cloud;
use super::order::{Waiting, places};
use crate::distance::Points;

/// The place in the order in which step `m` takes the point `x` that makes `|| m mean - sum of the
/// chosen - x ||` smallest, 0 first. Low is kept.
///
/// Points that were chosen before are in the sum and in the mean of all. DeepCore takes the largest, which is not herding. The sum is kept in 64 bits.
pub(super) fn scores(cloud: &Cloud<'_>) -> Vec<f32> {
    let points = Points::new(cloud.points, cloud.width);
    let mean = mean(cloud);
    let mut lacking = mean.clone();
    for before in cloud.chosen.chunks(cloud.width) {
        take(&mut lacking, &mean, before);
    }
    let mut squared = vec![0.0; cloud.len()];
    let mut order = Vec::with_capacity(cloud.len());
    let mut waiting = Waiting::all(cloud);
    loop {
        let target: Vec<f32> = lacking.iter().map(|x| *x as f32).collect();
        points.measure(&target, &mut squared);
        let Some(chosen) = waiting.take(|i| -squared[i]) else { break };
        order.push(chosen);
        take(&mut lacking, &mean, cloud.point(chosen));
    }
    places(&order)
}

/// What the sum lacks of the next multiple of the mean, once `chosen` is in it.
fn take(lacking: &mut [f64], mean: &[f64], chosen: &[f32]) {
    for ((lacking, mean), x) in lacking.iter_mut().zip(mean).zip(chosen) {
        *lacking += mean - f64::from(*x);
    }
}

fn mean(cloud: &Cloud<'_>) -> Vec<f64> {
    let mut sums = vec![0.0; cloud.width];
    let rows = cloud.points.chunks(cloud.width).chain(cloud.chosen.chunks(cloud.width));
    for row in rows {
        sums.iter_mut().zip(row).for_each(|(sum, x)| *sum += f64::from(*x));
    }
    let n = (cloud.len() + cloud.chosen.len() / cloud.width).max(1) as f64;
    sums.into_iter().map(|sum| sum / n).collect()
}
