//! How many rows each stage and each class may keep: exact arithmetic on whole numbers.
//!
//! Shares of whole rows follow Hamilton's method of the largest remainder: everyone gets the whole
//! part of the exact share, and the rows left over go to the largest fractions.

/// `keep * rows`, rounded; halves round up.
pub fn total(rows: u64, keep: f64) -> u64 {
    (keep * rows as f64).round() as u64
}

/// Shares `total` out in proportion to `weights` by the largest remainder; equal remainders go to
/// the first. The result sums to `total`, unless all weights are 0. No share exceeds its weight
/// while `total` does not exceed the sum of weights.
pub fn apportion(total: u64, weights: &[u64]) -> Vec<u64> {
    let sum: u128 = weights.iter().map(|w| u128::from(*w)).sum();
    if sum == 0 {
        return vec![0; weights.len()];
    }
    let exact = |weight: &u64| u128::from(total) * u128::from(*weight);
    let mut shares: Vec<u64> = weights.iter().map(|w| (exact(w) / sum) as u64).collect();
    let left = total - shares.iter().sum::<u64>();
    let mut order: Vec<usize> = (0..weights.len()).collect();
    order.sort_by_key(|i| std::cmp::Reverse(exact(&weights[*i]) % sum));
    order.into_iter().take(left as usize).for_each(|i| shares[i] += 1);
    shares
}

/// Each class keeps its share of `total`, as far as it has that many eligible rows; what it cannot
/// use goes to the others in proportion. `eligible` is at most `sizes`.
pub fn proportional(total: u64, sizes: &[u64], eligible: &[u64]) -> Vec<u64> {
    fill(total, sizes, eligible)
}

/// Each class keeps the same number, as far as it has that many eligible rows (water filling). Odd
/// rows go to the first classes that still have some.
pub fn uniform(total: u64, eligible: &[u64]) -> Vec<u64> {
    let one_each: Vec<u64> = eligible.iter().map(|n| u64::from(*n > 0)).collect();
    fill(total, &one_each, eligible)
}

/// Apportions by weight; classes whose share exceeds their capacity are filled and leave, and the
/// rest is apportioned again. The result sums to `total` if the capacities allow it.
fn fill(total: u64, weights: &[u64], capacities: &[u64]) -> Vec<u64> {
    let mut quotas = vec![0; weights.len()];
    let mut open: Vec<usize> = (0..weights.len()).collect();
    let mut left = total;
    loop {
        let open_weights: Vec<u64> = open.iter().map(|class| weights[*class]).collect();
        let shares = apportion(left, &open_weights);
        for (&class, share) in open.iter().zip(&shares) {
            quotas[class] = capacities[class].min(*share);
        }
        let full = |class: usize, share: u64| share > capacities[class];
        if !open.iter().zip(&shares).any(|(class, share)| full(*class, *share)) {
            return quotas;
        }
        let pairs = open.into_iter().zip(shares);
        let (filled, rest): (Vec<_>, Vec<_>) =
            pairs.partition(|(class, share)| full(*class, *share));
        left -= filled.iter().map(|(class, _)| capacities[*class]).sum::<u64>();
        open = rest.into_iter().map(|(class, _)| class).collect();
    }
}

/// The rows that may still be taken, counted down in rank order.
#[derive(Clone, Debug)]
pub enum Quota {
    /// So many rows of any class.
    Global(u64),
    /// So many rows of each class, by label.
    Classes(Vec<u64>),
}

impl Quota {
    /// Takes one row of class `label` if the quota allows it.
    pub fn take(&mut self, label: i32) -> bool {
        let left = match self {
            Self::Global(left) => Some(left),
            Self::Classes(left) => usize::try_from(label).ok().and_then(|c| left.get_mut(c)),
        };
        match left {
            Some(left) if *left > 0 => {
                *left -= 1;
                true
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn totals_round_halves_up_and_pruning_complements_keeping() {
        assert_eq!([total(10, 0.15), total(3, 0.5), total(7, 1.0), total(10, 0.7)], [2, 2, 7, 7]);
        for rows in [10, 50_000, 1_281_167] {
            assert_eq!(total(rows, 0.7), total(rows, 1.0 - 0.3));
        }
    }

    #[test]
    fn shares_equal_hand_values() {
        assert_eq!(apportion(10, &[1, 1, 1]), [4, 3, 3]);
        assert_eq!(apportion(7, &[6, 3, 1]), [4, 2, 1]);
        assert_eq!(apportion(5, &[0, 0]), [0, 0]);
        assert_eq!(apportion(1_000_000_007, &[u64::MAX, u64::MAX]), [500_000_004, 500_000_003]);
        assert_eq!(proportional(5, &[8, 2, 0], &[8, 2, 0]), [4, 1, 0]);
        assert_eq!(proportional(5, &[8, 2, 2], &[1, 2, 2]), [1, 2, 2]);
        assert_eq!(uniform(5, &[1, 2, 100]), [1, 2, 2]);
        assert_eq!(uniform(6, &[0, 3, 3, 3]), [0, 2, 2, 2]);
        assert_eq!(uniform(100, &[1, 10, 1000]), [1, 10, 89]);
        assert_eq!(uniform(9, &[1, 2]), [1, 2], "no more than there is");
    }

    proptest! {
        #[test]
        fn apportionment_is_exact_fair_and_within_weights(
            weights in prop::collection::vec(0u64..2000, 1..12), share in 0.0..=1.0,
        ) {
            let sum: u64 = weights.iter().sum();
            let rows = total(sum, share);
            let shares = apportion(rows, &weights);
            prop_assert_eq!(shares.iter().sum::<u64>(), rows);
            for (share, weight) in shares.iter().zip(&weights) {
                let exact = rows as f64 * *weight as f64 / sum.max(1) as f64;
                prop_assert!((*share as f64 - exact).abs() < 1.0 && share <= weight);
            }
        }

        #[test]
        fn uniform_levels_the_water(
            eligible in prop::collection::vec(0u64..300, 1..12), share in 0.0..=1.0,
        ) {
            let rows = total(eligible.iter().sum(), share);
            let quotas = uniform(rows, &eligible);
            prop_assert_eq!(quotas.iter().sum::<u64>(), rows);
            let level = quotas.iter().max().copied().unwrap_or(0);
            for (quota, most) in quotas.iter().zip(&eligible) {
                prop_assert!(quota <= most && (quota == most || quota + 1 >= level));
            }
        }

        #[test]
        fn capped_proportions_are_exact(
            classes in prop::collection::vec((0u64..300, 0.0..=1.0), 1..12), share in 0.0..=1.0,
        ) {
            let sizes: Vec<u64> = classes.iter().map(|c| c.0).collect();
            let eligible: Vec<u64> = classes.iter().map(|c| total(c.0, c.1)).collect();
            let rows = total(eligible.iter().sum(), share);
            let quotas = proportional(rows, &sizes, &eligible);
            prop_assert_eq!(quotas.iter().sum::<u64>(), rows);
            prop_assert!(quotas.iter().zip(&eligible).all(|(quota, most)| quota <= most));
        }
    }
}
