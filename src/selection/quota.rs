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
    within(total, sizes, &up_to(eligible))
}

/// Each class keeps the same number, as far as it has that many eligible rows (water filling). Odd
/// rows go to the first classes that still have some.
pub fn uniform(total: u64, eligible: &[u64]) -> Vec<u64> {
    level(total, &up_to(eligible))
}

fn up_to(eligible: &[u64]) -> Vec<Bounds> {
    eligible.iter().map(|most| Bounds { least: 0, most: *most }).collect()
}

/// The fewest and the most rows that one class may keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// It keeps at least so many.
    pub least: u64,
    /// It keeps at most so many.
    pub most: u64,
}

impl Bounds {
    /// Exactly so many.
    pub fn exactly(rows: u64) -> Self {
        Self { least: rows, most: rows }
    }

    /// Whether a class may keep so many rows.
    pub fn allow(self, rows: u64) -> bool {
        (self.least..=self.most).contains(&rows)
    }
}

/// Apportions `total` by weight within bounds. If together the classes exceed their bounds by more
/// than they fall short of them, those that exceed get the most they may and leave, else those that
/// fall short get the least they must; the rest is apportioned again. The result sums to `total`
/// if the bounds allow it, and a class of weight 0 has `most` 0.
pub fn within(total: u64, weights: &[u64], bounds: &[Bounds]) -> Vec<u64> {
    let mut quotas = vec![0; weights.len()];
    let mut open: Vec<usize> = (0..weights.len()).collect();
    let mut left = total;
    loop {
        let open_weights: Vec<u64> = open.iter().map(|class| weights[*class]).collect();
        let (mut over, mut under) = (0, 0);
        for (class, share) in open.iter().zip(apportion(left, &open_weights)) {
            quotas[*class] = share;
            over += share.saturating_sub(bounds[*class].most);
            under += bounds[*class].least.saturating_sub(share);
        }
        if over == 0 && under == 0 {
            return quotas;
        }
        open.retain(|&class| {
            let (share, Bounds { least, most }) = (quotas[class], bounds[class]);
            let fixed = if over >= under { share > most } else { share < least };
            if fixed {
                quotas[class] = share.clamp(least, most);
                left = left.saturating_sub(quotas[class]);
            }
            !fixed
        });
    }
}

/// The density of what a class keeps is proportional to its error, so its count to its number of
/// errors (DRoP, Vysogorets et al. 2025: `d_k = d (1 - r_k) / Z`), within bounds; the excess goes to the
/// others in proportion. Classes without an error get what the others cannot take, by size.
pub fn by_error(total: u64, errors: &[u64], sizes: &[u64], bounds: &[Bounds]) -> Vec<u64> {
    let classes = || errors.iter().zip(bounds);
    let hard: u64 = classes().map(|(e, b)| if *e > 0 { b.most } else { b.least }).sum();
    let fixed = |if_hard: bool, to: fn(&Bounds) -> u64| -> Vec<Bounds> {
        let fix = |(e, b): (&u64, &Bounds)| {
            if (*e > 0) == if_hard { Bounds::exactly(to(b)) } else { *b }
        };
        classes().map(fix).collect()
    };
    if hard < total {
        within(total, sizes, &fixed(true, |b| b.most))
    } else {
        within(total, errors, &fixed(false, |b| b.least))
    }
}

/// The same number for each class within its bounds, as far as `total` goes; odd rows go to the
/// first classes that may have one more. The result sums to `total` if the bounds allow it.
pub fn level(total: u64, bounds: &[Bounds]) -> Vec<u64> {
    let at = |level: u64| bounds.iter().map(move |b| level.clamp(b.least, b.most));
    let (mut low, mut high) = (0, bounds.iter().map(|b| b.most).max().unwrap_or(0));
    // The highest level that `total` reaches.
    while low < high {
        let middle = high - (high - low) / 2;
        if at(middle).sum::<u64>() <= total { low = middle } else { high = middle - 1 }
    }
    let mut quotas: Vec<u64> = at(low).collect();
    let mut odd = total.saturating_sub(quotas.iter().sum());
    for (quota, next) in quotas.iter_mut().zip(at(low + 1)) {
        if odd > 0 && next > *quota {
            (*quota, odd) = (next, odd - 1);
        }
    }
    quotas
}

/// The rows that may still be taken, counted down in rank order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Places for any class that has room.
    free: u64,
    /// Places kept for each class, by label.
    reserved: Vec<u64>,
    /// How many of the free places each class may take, by label.
    room: Vec<u64>,
}

impl Quota {
    /// So many rows of any of the classes.
    pub fn global(rows: u64, classes: usize) -> Self {
        Self { free: rows, reserved: vec![0; classes], room: vec![rows; classes] }
    }

    /// Exactly so many rows of each class, by label.
    pub fn exactly(rows: Vec<u64>) -> Self {
        Self { free: 0, room: vec![0; rows.len()], reserved: rows }
    }

    /// `rows` rows, of them `reserved` of each class at least and `most` of each class at most.
    pub fn between(rows: u64, reserved: Vec<u64>, most: &[u64]) -> Self {
        let room = most.iter().zip(&reserved).map(|(most, kept)| most.saturating_sub(*kept));
        let free = rows.saturating_sub(reserved.iter().sum());
        Self { free, room: room.collect(), reserved }
    }

    /// Takes one row of class `label` if the quota allows it.
    pub fn take(&mut self, label: i32) -> bool {
        let class = usize::try_from(label).ok().filter(|class| *class < self.reserved.len());
        let Some(class) = class else { return false };
        if self.reserved[class] > 0 {
            self.reserved[class] -= 1;
            return true;
        }
        let taken = self.free > 0 && self.room[class] > 0;
        if taken {
            self.free -= 1;
            self.room[class] -= 1;
        }
        taken
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

    #[test]
    fn densities_follow_errors_and_not_counts() {
        let quotas =
            |total, errors: &[u64], sizes: &[u64]| by_error(total, errors, sizes, &up_to(sizes));
        // Recalls 0.5 and 0.9: the first class keeps 5 times the density, whatever the sizes.
        assert_eq!(quotas(60, &[50, 10], &[100, 100]), [50, 10]);
        assert_eq!(quotas(60, &[50, 100], &[100, 1000]), [20, 40]);
        // What is beyond the size of a class goes to the others, to those without errors at last.
        assert_eq!(quotas(90, &[50, 10, 10], &[40, 100, 100]), [40, 25, 25]);
        assert_eq!(quotas(90, &[50, 0, 0], &[40, 100, 100]), [40, 25, 25]);
        assert_eq!(quotas(30, &[0, 0], &[40, 20]), [20, 10]);
        assert_eq!(quotas(30, &[7, 0], &[40, 20]), [30, 0]);
        let floor = [Bounds { least: 4, most: 20 }, Bounds { least: 0, most: 40 }];
        assert_eq!(by_error(30, &[0, 3], &[20, 40], &floor), [4, 26]);
    }

    /// Sizes of classes, bounds for them, and a number of rows that the bounds allow.
    fn bounded() -> impl Strategy<Value = (Vec<u64>, Vec<Bounds>, u64)> {
        let class = (0u64..300, 0.0..=1.0, 0.0..=1.0);
        (prop::collection::vec(class, 1..12), 0.0..=1.0).prop_map(|(classes, share)| {
            let bounds = |(size, a, b): &(u64, f64, f64)| Bounds {
                least: total(*size, a.min(*b)),
                most: total(*size, a.max(*b)),
            };
            let sizes = classes.iter().map(|c| c.0).collect();
            let bounds: Vec<Bounds> = classes.iter().map(bounds).collect();
            let least: u64 = bounds.iter().map(|b| b.least).sum();
            let most: u64 = bounds.iter().map(|b| b.most).sum();
            (sizes, bounds, least + total(most - least, share))
        })
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
        fn bounds_hold_and_totals_are_exact((sizes, bounds, rows) in bounded()) {
            for quotas in [within(rows, &sizes, &bounds), level(rows, &bounds)] {
                prop_assert_eq!(quotas.iter().sum::<u64>(), rows);
                prop_assert!(quotas.iter().zip(&bounds).all(|(q, b)| b.allow(*q)));
            }
        }

        /// One rate serves all: a class that could have more is not far below one that could have less.
        #[test]
        fn bounded_shares_lean_as_little_as_they_must((sizes, bounds, rows) in bounded()) {
            let quotas = within(rows, &sizes, &bounds);
            let rate = |c: usize| quotas[c] as f64 / sizes[c] as f64;
            for (a, b) in (0..sizes.len()).flat_map(|a| (0..sizes.len()).map(move |b| (a, b))) {
                if quotas[a] < bounds[a].most && quotas[b] > bounds[b].least {
                    let one_row = 1.0 / sizes[a] as f64 + 1.0 / sizes[b] as f64;
                    prop_assert!(rate(b) - rate(a) < one_row + 1e-9, "{:?}", quotas);
                }
            }
        }

        #[test]
        fn bounded_levels_differ_by_no_more_than_they_must((_, bounds, rows) in bounded()) {
            let quotas = level(rows, &bounds);
            for (a, (more, less)) in quotas.iter().zip(&bounds).enumerate() {
                for (b, other) in quotas.iter().enumerate() {
                    let free = *more < less.most && *other > bounds[b].least;
                    prop_assert!(!free || *other <= more + u64::from(b < a), "{:?}", quotas);
                }
            }
        }

        #[test]
        fn a_quota_takes_what_is_reserved_and_no_more_than_there_is_room(
            classes in prop::collection::vec((0u64..9, 0u64..9), 1..6),
            free in 0u64..20,
            labels in prop::collection::vec(0i32..7, 700),
        ) {
            let reserved: Vec<u64> = classes.iter().map(|c| c.0).collect();
            let most: Vec<u64> = classes.iter().map(|c| c.0 + c.1).collect();
            let rows = free + reserved.iter().sum::<u64>();
            let mut quota = Quota::between(rows, reserved.clone(), &most);
            let mut kept = vec![0; classes.len()];
            for label in labels {
                if quota.take(label) {
                    kept[label as usize] += 1;
                }
            }
            // 700 rows of 7 labels are enough of each class.
            let room: u64 = most.iter().sum();
            prop_assert_eq!(kept.iter().sum::<u64>(), rows.min(room));
            for (kept, (least, most)) in kept.iter().zip(reserved.iter().zip(&most)) {
                prop_assert!(least <= kept && kept <= most);
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
