//! Herding (Welling, 2009): each choice pulls the mean of the chosen points towards the mean of all.

use super::Cloud;
use super::order::{Waiting, places};
use crate::distance::Points;

/// The place in the order in which step `m` takes the point `x` that makes `|| m mean - sum of the
/// chosen - x ||` smallest, 0 first. Low is kept.
///
/// DeepCore takes the largest, which is not herding. The sum is kept in 64 bits.
pub(super) fn scores(cloud: &Cloud<'_>) -> Vec<f32> {
    let points = Points::new(cloud.points, cloud.width);
    let mean = mean(cloud);
    let mut lacking = mean.clone();
    let mut squared = vec![0.0; cloud.len()];
    let mut order = Vec::with_capacity(cloud.len());
    let mut waiting = Waiting::all(cloud);
    loop {
        let target: Vec<f32> = lacking.iter().map(|x| *x as f32).collect();
        points.measure(&target, &mut squared);
        let Some(chosen) = waiting.take(|i| -squared[i]) else { break };
        order.push(chosen);
        for ((lacking, mean), x) in lacking.iter_mut().zip(&mean).zip(cloud.point(chosen)) {
            *lacking += mean - f64::from(*x);
        }
    }
    places(&order)
}

fn mean(cloud: &Cloud<'_>) -> Vec<f64> {
    let mut sums = vec![0.0; cloud.width];
    for row in cloud.points.chunks(cloud.width) {
        sums.iter_mut().zip(row).for_each(|(sum, x)| *sum += f64::from(*x));
    }
    let n = cloud.len().max(1) as f64;
    sums.into_iter().map(|sum| sum / n).collect()
}
