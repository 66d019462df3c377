//! Moderate coreset (Xia et al., 2023): neither the samples near the centre of their class nor those
//! far out.

use rayon::prelude::*;

use super::Cloud;

/// `|d_i - median d|`, where `d_i` is the distance to the coordinate-wise median of the class and the
/// median is that of all samples, whatever their class. Low is kept.
pub(super) fn scores(cloud: &Cloud<'_>) -> Vec<f32> {
    let centers = centers(cloud);
    let distance = |i: usize| {
        let center = &centers[cloud.labels[i] as usize];
        let squares = cloud.point(i).iter().zip(center).map(|(x, c)| (f64::from(*x) - c).powi(2));
        squares.sum::<f64>().sqrt()
    };
    let distances: Vec<f64> = (0..cloud.len()).into_par_iter().map(distance).collect();
    let middle = median(&mut distances.clone());
    distances.iter().map(|d| (d - middle).abs() as f32).collect()
}

/// The coordinate-wise median of each class.
fn centers(cloud: &Cloud<'_>) -> Vec<Vec<f64>> {
    let mut members = vec![Vec::new(); cloud.classes];
    for (i, label) in cloud.labels.iter().enumerate() {
        members[*label as usize].push(i);
    }
    let center = |members: Vec<usize>| {
        let column = |k: usize| members.iter().map(move |i| f64::from(cloud.point(*i)[k]));
        (0..cloud.width).map(|k| median(&mut column(k).collect::<Vec<_>>())).collect()
    };
    members.into_par_iter().map(center).collect()
}

/// The median; the mean of the two middle ones for an even number; 0 for none.
fn median(values: &mut [f64]) -> f64 {
    let half = values.len() / 2;
    if values.is_empty() {
        return 0.0;
    }
    let even = values.len().is_multiple_of(2);
    let (below, upper, _) = values.select_nth_unstable_by(half, f64::total_cmp);
    let upper = *upper;
    if even { below.iter().copied().fold(f64::MIN, f64::max).midpoint(upper) } else { upper }
}
