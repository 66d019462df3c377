//! Means over seeds and how sure they are: Student's t, because seeds are few.

use serde::{Deserialize, Serialize};

/// A mean and its 95 % confidence interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The mean.
    pub mean: f64,
    /// Half the width of the 95 % confidence interval; `None` for fewer than two values.
    pub half_width: Option<f64>,
    /// How many values there are; of a difference, on the side that has fewer.
    pub n: usize,
}

impl Interval {
    /// The mean of independent values, which must not be empty, and its t interval:
    /// `t(0.975, n - 1) * s / sqrt n`, where `s` is the sample standard deviation.
    pub fn of(values: &[f64]) -> Self {
        let (mean, noise) = Noise::of(values);
        Self { mean, half_width: noise.map(|noise| half_width(&[noise])), n: values.len() }
    }

    /// The mean of `a` minus that of `b`, with Welch's interval, which does not suppose that both
    /// scatter alike. It knows nothing of the samples behind the values; [`Gap`](super::Gap) does.
    pub fn of_difference(a: &[f64], b: &[f64]) -> Self {
        let ((mean_a, of_a), (mean_b, of_b)) = (Noise::of(a), Noise::of(b));
        let both = of_a.zip(of_b).map(|(a, b)| half_width(&[a, b]));
        Self { mean: mean_a - mean_b, half_width: both, n: a.len().min(b.len()) }
    }

    /// The same in per cent, of a share.
    pub fn percent(self) -> Self {
        let half_width = self.half_width.map(|half| 100.0 * half);
        Self { mean: 100.0 * self.mean, half_width, n: self.n }
    }

    /// Whether the interval holds 0: a difference that noise explains. `None` if that is not known.
    pub fn holds_zero(&self) -> Option<bool> {
        self.half_width.map(|half| self.mean.abs() <= half)
    }
}

/// One of the independent sources of the noise of a number.
#[derive(Clone, Copy, Debug)]
pub(super) struct Noise {
    /// Its squared standard error.
    pub(super) squared: f64,
    /// The degrees of freedom with which that is known.
    pub(super) freedom: f64,
}

impl Noise {
    /// The mean of independent values, and its noise if there are two at least.
    fn of(values: &[f64]) -> (f64, Option<Self>) {
        let (mean, variance) = moments(values);
        let n = values.len() as f64;
        (mean, (n > 1.0).then(|| Self { squared: variance / n, freedom: n - 1.0 }))
    }
}

/// Half of the 95 % interval of a number whose noise has these sources; their degrees of freedom are put
/// together as by Welch and Satterthwaite.
pub(super) fn half_width(sources: &[Noise]) -> f64 {
    let sum: f64 = sources.iter().map(|noise| noise.squared).sum();
    let parts = sources.iter().map(|noise| noise.squared.powi(2) / noise.freedom);
    // Without any scatter there is nothing to be unsure of.
    if sum > 0.0 { t_quantile(sum.powi(2) / parts.sum::<f64>()) * sum.sqrt() } else { 0.0 }
}

/// The mean and the sample variance.
pub(super) fn moments(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
    (mean, squares / (n - 1.0))
}

/// The 0.975 quantiles of Student's t for 1 to 30 degrees of freedom.
const T: [f64; 30] = [
    12.706_205, 4.302_653, 3.182_446, 2.776_445, 2.570_582, 2.446_912, 2.364_624, 2.306_004,
    2.262_157, 2.228_139, 2.200_985, 2.178_813, 2.160_369, 2.144_787, 2.131_450, 2.119_905,
    2.109_816, 2.100_922, 2.093_024, 2.085_963, 2.079_614, 2.073_873, 2.068_658, 2.063_899,
    2.059_539, 2.055_529, 2.051_831, 2.048_407, 2.045_230, 2.042_272,
];

/// The 0.975 quantile of Student's t; degrees of freedom are rounded down, so it is never too small.
fn t_quantile(freedom: f64) -> f64 {
    let whole = (freedom.floor() as usize).max(1);
    T.get(whole - 1).copied().unwrap_or_else(|| {
        // The first terms of its expansion in 1 / freedom (Abramowitz and Stegun, 26.7.5).
        let (z, v) = (1.959_963_985_f64, whole as f64);
        z + (z.powi(3) + z) / (4.0 * v)
            + (5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z) / (96.0 * v * v)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: Option<f64>, wanted: f64) {
        assert!((found.unwrap() - wanted).abs() < 1e-4, "{found:?}, not {wanted}");
    }

    #[test]
    fn three_seeds_have_wide_intervals() {
        let found = Interval::of(&[1.0, 2.0, 3.0]);
        assert_eq!((found.mean, found.n), (2.0, 3));
        // t(0.975, 2) / sqrt 3.
        close(found.half_width, 4.302_653 / 3.0_f64.sqrt());
        let one = Interval::of(&[0.5]);
        assert_eq!((one.mean, one.half_width, one.holds_zero()), (0.5, None, None));
    }

    #[test]
    fn differences_follow_welch() {
        let (a, b) = ([3.0, 4.0, 1.0, 2.1, 3.0], [490.0, 340.0, 433.0, 402.0, 400.0]);
        let found = Interval::of_difference(&a, &b);
        assert!((found.mean + 410.38).abs() < 1e-9, "{found:?}");
        // Variances 1.272 and 2987, so 4.003 degrees of freedom: those of the second, rounded down.
        let error = (1.272_f64 / 5.0 + 2_987.0 / 5.0).sqrt();
        close(found.half_width, 2.776_445 * error);
        assert_eq!(found.holds_zero(), Some(false));
        let same = Interval::of_difference(&[1.0, 1.0], &[1.0, 1.0]);
        assert_eq!((same.half_width, same.holds_zero()), (Some(0.0), Some(true)));
        let near = Interval::of_difference(&[1.0, 2.0], &[1.1, 2.1]);
        assert_eq!(near.holds_zero(), Some(true));
        assert_eq!(Interval::of_difference(&[1.0], &[1.0, 2.0]).half_width, None);
    }

    #[test]
    fn quantiles_go_on_beyond_the_table() {
        assert!((t_quantile(60.0) - 2.000_298).abs() < 1e-4);
        assert!((t_quantile(1e9) - 1.959_964).abs() < 1e-6);
        assert!(t_quantile(2.9) == T[1] && t_quantile(0.2) == T[0]);
        assert!(T.windows(2).all(|pair| pair[0] > pair[1]) && T[29] > t_quantile(31.0));
    }
}
