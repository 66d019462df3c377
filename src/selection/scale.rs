//! The arithmetic of aggregation, on plain numbers. NaN stands for a missing score throughout.

use crate::recipe::{Aggregate, Scale};

/// Puts the scores of one model on a common scale. Missing scores stay missing.
pub(super) fn scale(kind: Scale, values: &mut [f64]) {
    match kind {
        Scale::None => {}
        Scale::Z => z(values),
        Scale::Rank => ranks(values),
    }
}

/// Minus the mean, over the population standard deviation; 0 where all scores are equal.
fn z(values: &mut [f64]) {
    let present = || values.iter().filter(|v| !v.is_nan());
    let count = present().count() as f64;
    let mean = present().fold(0.0, |sum, v| sum + v) / count;
    let deviation = (present().fold(0.0, |sum, v| sum + (v - mean).powi(2)) / count).sqrt();
    let divisor = if deviation > 0.0 { deviation } else { f64::INFINITY };
    for value in values.iter_mut().filter(|v| !v.is_nan()) {
        *value = (*value - mean) / divisor;
    }
}

/// The ascending rank from 0 (lowest) to 1 (highest); equal scores share the mean of their ranks.
/// A score alone has rank 0.
#[allow(clippy::float_cmp, reason = "equal scores are ties")]
pub(super) fn ranks(values: &mut [f64]) {
    let mut order: Vec<usize> = (0..values.len()).filter(|i| !values[*i].is_nan()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    let last = order.len().saturating_sub(1).max(1) as f64;
    let mut ranks = Vec::with_capacity(order.len());
    // `==` in the chunks, so that -0.0 and 0.0 share a rank.
    for tie in order.chunk_by(|a, b| values[*a] == values[*b]) {
        let first = ranks.len() as f64;
        let mean = first + (tie.len() - 1) as f64 / 2.0;
        ranks.resize(ranks.len() + tie.len(), mean / last);
    }
    for (i, rank) in order.into_iter().zip(ranks) {
        values[i] = rank;
    }
}

/// One number of a sample's scores by several models, in ascending order of models. Missing if one
/// of them is: a lost score must never look like a good one.
pub(super) fn combine(aggregate: Aggregate, values: &[f64]) -> f64 {
    if values.is_empty() || values.iter().any(|v| v.is_nan()) {
        return f64::NAN;
    }
    match aggregate {
        Aggregate::Mean | Aggregate::MeanRank => {
            values.iter().fold(0.0, |sum, v| sum + v) / values.len() as f64
        }
        Aggregate::Median => median(values),
        Aggregate::Min => values.iter().copied().fold(f64::INFINITY, f64::min),
        Aggregate::Max => values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
    }
}

fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let upper = values[values.len() / 2];
    let lower = values[(values.len() - 1) / 2];
    f64::midpoint(lower, upper)
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "hand values are exact")]
mod tests {
    use super::*;

    fn scaled(kind: Scale, values: &[f64]) -> Vec<f64> {
        let mut values = values.to_vec();
        scale(kind, &mut values);
        values
    }

    #[test]
    fn z_has_mean_0_and_deviation_1_and_survives_equal_scores() {
        assert_eq!(scaled(Scale::Z, &[1.0, 3.0]), [-1.0, 1.0]);
        assert_eq!(scaled(Scale::Z, &[7.0, 7.0, 7.0]), [0.0; 3]);
        let with_gap = scaled(Scale::Z, &[1.0, f64::NAN, 3.0]);
        assert!(with_gap[0] == -1.0 && with_gap[1].is_nan() && with_gap[2] == 1.0);
    }

    #[test]
    fn ranks_run_from_0_to_1_and_ties_share() {
        assert_eq!(scaled(Scale::Rank, &[5.0, 1.0, 3.0]), [1.0, 0.0, 0.5]);
        assert_eq!(scaled(Scale::Rank, &[0.0, -0.0, 9.0]), [0.25, 0.25, 1.0]);
        assert_eq!(scaled(Scale::Rank, &[4.0]), [0.0]);
        assert!(scaled(Scale::Rank, &[f64::NAN])[0].is_nan());
    }

    #[test]
    fn combinations_equal_hand_values() {
        let of = |aggregate| combine(aggregate, &[4.0, 1.0, 2.0, 9.0]);
        assert_eq!(
            [Aggregate::Mean, Aggregate::Median, Aggregate::Min, Aggregate::Max].map(of),
            [4.0, 3.0, 1.0, 9.0]
        );
        assert_eq!(combine(Aggregate::Median, &[4.0, 1.0, 2.0]), 2.0);
        for aggregate in [Aggregate::Mean, Aggregate::Median, Aggregate::Min, Aggregate::Max] {
            assert!(combine(aggregate, &[1.0, f64::NAN, 0.0]).is_nan());
        }
    }
}
