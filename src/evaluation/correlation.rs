//! How alike two scores, two orders and two sets are.

use std::collections::BTreeSet;

/// Pearson's correlation of two lists of equal length. `None` with fewer than two values, or if all of
/// a side are equal.
pub fn pearson(a: &[f64], b: &[f64]) -> Option<f64> {
    let alike = |values: &[f64]| values.iter().all(|value| value.total_cmp(&values[0]).is_eq());
    if a.len() < 2 || alike(a) || alike(b) {
        return None;
    }
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let (mean_a, mean_b) = (mean(a), mean(b));
    let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for (a, b) in a.iter().zip(b) {
        let (a, b) = (a - mean_a, b - mean_b);
        (ab, aa, bb) = (ab + a * b, aa + a * a, bb + b * b);
    }
    let root = (aa * bb).sqrt();
    (root > 0.0).then(|| ab / root)
}

/// Spearman's rank correlation: that of Pearson between ranks. `None` as there.
pub fn spearman(a: &[f64], b: &[f64]) -> Option<f64> {
    pearson(&ranks(a), &ranks(b))
}

/// What both sets have over what either has (Jaccard); 1 if both are empty.
pub fn jaccard<T: Ord>(a: &BTreeSet<T>, b: &BTreeSet<T>) -> f64 {
    let both = a.intersection(b).count();
    let either = a.len() + b.len() - both;
    if either == 0 { 1.0 } else { both as f64 / either as f64 }
}

/// Ranks from 1; equal values share the mean of theirs.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut ranks = vec![0.0; values.len()];
    let mut before = 0;
    for ties in order.chunk_by(|a, b| values[*a].total_cmp(&values[*b]).is_eq()) {
        let mean = before as f64 + (ties.len() + 1) as f64 / 2.0;
        for at in ties {
            ranks[*at] = mean;
        }
        before += ties.len();
    }
    ranks
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "hand values are exact")]
mod tests {
    use super::*;

    #[test]
    fn spearman_sees_order_alone() {
        let close = |found: Option<f64>, wanted: f64| (found.unwrap() - wanted).abs() < 1e-12;
        assert!(close(spearman(&[1.0, 2.0, 3.0], &[0.1, 10.0, 99.0]), 1.0));
        assert!(close(spearman(&[1.0, 2.0, 3.0], &[3.0, 2.0, -5.0]), -1.0));
        // 1 - 6 sum d^2 / (n (n^2 - 1)) = 1 - 6 * 2 / 24.
        assert!(close(spearman(&[1.0, 2.0, 3.0], &[1.0, 3.0, 2.0]), 0.5));
        // Pearson sees more: 0.1, 10, 99 are not on a line.
        assert!(pearson(&[1.0, 2.0, 3.0], &[0.1, 10.0, 99.0]).unwrap() < 0.95);
        assert!(close(pearson(&[1.0, 2.0, 4.0], &[2.0, 4.0, 8.0]), 1.0));
    }

    #[test]
    fn ties_share_their_ranks() {
        assert_eq!(ranks(&[5.0, 1.0, 5.0, 0.0]), [3.5, 2.0, 3.5, 1.0]);
        assert_eq!(spearman(&[1.0, 1.0], &[1.0, 2.0]), None);
        assert_eq!(spearman(&[1.0], &[2.0]), None);
        assert_eq!(pearson(&[], &[]), None);
        // Their mean is not 0.1, so rounding would leave something to correlate.
        assert_eq!(pearson(&[0.1; 3], &[0.7; 3]), None);
    }

    #[test]
    fn jaccard_counts_shares_of_the_union() {
        let set = |ids: &[u32]| ids.iter().copied().collect::<BTreeSet<_>>();
        assert_eq!(jaccard(&set(&[1, 2, 3]), &set(&[2, 3, 4])), 0.5);
        assert_eq!(jaccard(&set(&[1]), &set(&[2])), 0.0);
        assert_eq!(jaccard(&set(&[]), &set(&[])), 1.0);
    }
}
