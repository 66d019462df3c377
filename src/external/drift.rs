//! How far new scores have moved from old ones.

use serde::Serialize;

/// What became of a distribution.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Drift {
    /// The old scores.
    pub old: Quantiles,
    /// The new scores.
    pub new: Quantiles,
    /// The Kolmogorov-Smirnov statistic: the largest distance between the two cumulative
    /// distributions, from 0 (alike) to 1.
    pub ks: f64,
    /// The population stability index over the tenths of the old scores: sum of
    /// `(new - old) ln(new / old)` of the shares, each count plus one half. By custom below 0.1 is
    /// stable and above 0.25 a shift (Siddiqi, Credit Risk Scorecards, 2006).
    pub psi: f64,
}

/// A distribution in numbers: quantiles by linear interpolation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Quantiles {
    /// How many scores.
    pub count: u64,
    /// Their mean.
    pub mean: f64,
    /// The lowest.
    pub min: f64,
    /// The 5 % quantile.
    pub q05: f64,
    /// The 25 % quantile.
    pub q25: f64,
    /// The median.
    pub q50: f64,
    /// The 75 % quantile.
    pub q75: f64,
    /// The 95 % quantile.
    pub q95: f64,
    /// The highest.
    pub max: f64,
}

/// The tenths of PSI.
const BINS: usize = 10;

impl Drift {
    /// From `old` to `new` scores, neither empty; NaN is left out.
    pub fn new(old: &[f64], new: &[f64]) -> Option<Self> {
        let (old, new) = (sorted(old), sorted(new));
        Some(Self {
            old: Quantiles::of(&old)?,
            new: Quantiles::of(&new)?,
            ks: ks(&old, &new),
            psi: psi(&old, &new),
        })
    }
}

impl Quantiles {
    fn of(sorted: &[f64]) -> Option<Self> {
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        let count = sorted.len();
        let at = |share| quantile(sorted, share);
        Some(Self {
            count: count as u64,
            mean: sorted.iter().sum::<f64>() / count as f64,
            min,
            q05: at(0.05),
            q25: at(0.25),
            q50: at(0.5),
            q75: at(0.75),
            q95: at(0.95),
            max,
        })
    }
}

fn sorted(scores: &[f64]) -> Vec<f64> {
    let mut sorted: Vec<f64> = scores.iter().copied().filter(|score| !score.is_nan()).collect();
    sorted.sort_by(f64::total_cmp);
    sorted
}

fn quantile(sorted: &[f64], share: f64) -> f64 {
    let place = share * (sorted.len() - 1) as f64;
    let (low, high) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    low + (high - low) * place.fract()
}

/// The share of `sorted` that is at most `value`.
fn below(sorted: &[f64], value: f64) -> f64 {
    sorted.partition_point(|score| *score <= value) as f64 / sorted.len() as f64
}

fn ks(old: &[f64], new: &[f64]) -> f64 {
    let values = old.iter().chain(new);
    values.map(|value| (below(old, *value) - below(new, *value)).abs()).fold(0.0, f64::max)
}

fn psi(old: &[f64], new: &[f64]) -> f64 {
    let mut edges: Vec<f64> = (1..BINS).map(|i| quantile(old, i as f64 / BINS as f64)).collect();
    edges.dedup();
    let shares = |scores: &[f64]| -> Vec<f64> {
        let mut counts = vec![0.5; edges.len() + 1];
        for score in scores {
            counts[edges.partition_point(|edge| edge < score)] += 1.0;
        }
        let sum: f64 = counts.iter().sum();
        counts.into_iter().map(|count| count / sum).collect()
    };
    let pairs = shares(old).into_iter().zip(shares(new));
    pairs.map(|(old, new)| (new - old) * (new / old).ln()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp(from: usize, to: usize) -> Vec<f64> {
        (from..to).map(|i| i as f64 / 100.0).collect()
    }

    #[test]
    fn equal_distributions_do_not_drift() {
        let drift = Drift::new(&ramp(0, 101), &ramp(0, 101)).unwrap();
        assert!(drift.ks.abs() < 1e-12 && drift.psi.abs() < 1e-12, "{drift:?}");
        assert_eq!((drift.old.min, drift.old.q50, drift.old.max), (0.0, 0.5, 1.0));
        assert!((drift.old.q05 - 0.05).abs() < 1e-12 && (drift.old.mean - 0.5).abs() < 1e-12);
    }

    #[test]
    fn a_shift_shows_in_both_statistics() {
        // Half of the new scores lie above all old ones: the distributions are 1/2 apart.
        let drift = Drift::new(&ramp(0, 100), &ramp(50, 150)).unwrap();
        assert!((drift.ks - 0.5).abs() < 1e-12, "{drift:?}");
        assert!(drift.psi > 0.25, "{drift:?}");
        let apart = Drift::new(&[0.0, 0.1], &[0.9, 1.0, f64::NAN]).unwrap();
        assert!((apart.ks - 1.0).abs() < 1e-12);
        assert_eq!(apart.new.count, 2);
    }

    #[test]
    fn psi_equals_a_hand_value() {
        // One edge, at 1: shares (10.5, 10.5) / 21 of the old and (5.5, 15.5) / 21 of the new.
        let (old, new) =
            ([vec![0.0; 10], vec![1.0; 10]].concat(), [vec![0.0; 5], vec![1.0; 15]].concat());
        let edges: Vec<f64> = vec![0.0, 0.5, 1.0];
        let share = |n: f64| (n + 0.5) / (20.0 + 0.5 * (edges.len() + 1) as f64);
        let term = |o: f64, n: f64| (share(n) - share(o)) * (share(n) / share(o)).ln();
        let wanted = term(10.0, 5.0) + term(0.0, 0.0) + term(10.0, 15.0) + term(0.0, 0.0);
        assert!((psi(&old, &new) - wanted).abs() < 1e-12);
    }

    #[test]
    fn ties_and_nothing_are_no_trouble() {
        let drift = Drift::new(&[1.0; 20], &[1.0; 5]).unwrap();
        assert!(drift.ks.abs() < 1e-12 && drift.psi.is_finite());
        assert_eq!(Drift::new(&[], &[1.0]), None);
        assert_eq!(Drift::new(&[1.0], &[f64::NAN]), None);
    }
}
