//! Two groups of models that were tested on the same samples: how far apart they are, and how sure that is.

use serde::{Deserialize, Serialize};

use super::interval::{Interval, Noise, half_width, moments};

/// The accuracy of one group of models minus that of another, in points.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Gap {
    /// The difference of the means. Its 95 % interval counts the scatter of seeds and that of test samples;
    /// without two models on each side it is not known.
    pub points: Interval,
    /// Half the width of the interval that counts seeds alone.
    pub seed_noise: Option<f64>,
    /// Test samples.
    pub test_samples: u64,
}

impl Gap {
    /// The accuracy of the models `a` minus that of `b`. Each model is what it predicts right of the same
    /// test samples, in their order; neither side may be empty.
    ///
    /// Two sources of noise are added, with the degrees of freedom of Welch and Satterthwaite: the seeds by
    /// the pooled variance of accuracies (Student; both sides are trainings of one recipe), and the test
    /// samples by the variance of the difference that each of them makes: what both sides find hard cancels.
    /// Few seeds know their own scatter badly, the many test samples know theirs well; so two seeds tell a
    /// clear loss. The luck of single predictions counts twice, which errs on the side of doubt.
    pub fn of(a: &[&[bool]], b: &[&[bool]]) -> Self {
        let (of_a, of_b) = (accuracies(a), accuracies(b));
        let each = by_sample(a, b);
        let (mean, variance) = moments(&each);
        let tests = each.len() as f64;
        let samples = Noise { squared: variance / tests, freedom: tests - 1.0 };
        let known = a.len() > 1 && b.len() > 1 && each.len() > 1;
        let seeds = known.then(|| pooled(&of_a, &of_b));
        let half = seeds.map(|seeds| half_width(&[seeds, samples]));
        Self {
            points: Interval { mean, half_width: half, n: a.len().min(b.len()) },
            seed_noise: seeds.map(|seeds| half_width(&[seeds])),
            test_samples: each.len() as u64,
        }
    }
}

/// The accuracy of each model, in per cent.
fn accuracies(models: &[&[bool]]) -> Vec<f64> {
    let right = |model: &[bool]| model.iter().filter(|right| **right).count() as f64;
    models.iter().map(|model| 100.0 * right(model) / model.len() as f64).collect()
}

/// The share of `a` that predicts a test sample right minus that of `b`, in points, for each sample.
fn by_sample(a: &[&[bool]], b: &[&[bool]]) -> Vec<f64> {
    let tests = a.iter().chain(b).map(|model| model.len()).min().unwrap_or(0);
    let share = |models: &[&[bool]], at: usize| {
        100.0 * models.iter().filter(|model| model[at]).count() as f64 / models.len() as f64
    };
    (0..tests).map(|at| share(a, at) - share(b, at)).collect()
}

/// The noise that seeds make in the difference of two means (Student).
fn pooled(a: &[f64], b: &[f64]) -> Noise {
    let (n, m) = (a.len() as f64, b.len() as f64);
    let freedom = n + m - 2.0;
    let squares = (n - 1.0) * moments(a).1 + (m - 1.0) * moments(b).1;
    Noise { squared: squares / freedom * (1.0 / n + 1.0 / m), freedom }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SplitMix64 (Steele et al., 2014): numbers from 0 to 1.
    struct Chance(u64);

    impl Chance {
        fn uniform(&mut self) -> f64 {
            self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
        }

        /// About normal.
        fn normal(&mut self) -> f64 {
            (0..12).map(|_| self.uniform()).sum::<f64>() - 6.0
        }

        /// Two models on each of these samples. Some are hard for all; seeds move all samples of a model a
        /// little, and `worse` moves them for good.
        fn models(&mut self, hardness: &[f64], worse: f64) -> Vec<Vec<bool>> {
            let mut model = || {
                let seed = 0.05 * self.normal() - worse;
                let one = |hard: &f64| self.uniform() < 1.0 / (1.0 + (hard - seed).exp());
                hardness.iter().map(one).collect()
            };
            vec![model(), model()]
        }

        /// How often in 400 times the first of two groups is surely below the second.
        fn alarms(&mut self, samples: usize, worse: f64) -> (usize, f64) {
            let (mut alarms, mut sum) = (0, 0.0);
            for _ in 0..400 {
                let hardness: Vec<f64> = (0..samples).map(|_| 2.2 * self.normal() - 1.8).collect();
                let (a, b) = (self.models(&hardness, worse), self.models(&hardness, 0.0));
                let found = Gap::of(&slices(&a), &slices(&b)).points;
                alarms += usize::from(found.mean < 0.0 && found.holds_zero() == Some(false));
                sum += found.mean;
            }
            (alarms, sum / 400.0)
        }
    }

    fn slices(models: &[Vec<bool>]) -> Vec<&[bool]> {
        models.iter().map(Vec::as_slice).collect()
    }

    #[test]
    fn equal_models_are_seldom_called_worse_and_a_clear_loss_is_found() {
        let mut chance = Chance(1);
        for samples in [100, 1000] {
            // One side of 95 %: 2.5 % of 400 are 10, and 18 would come once in a hundred.
            let (alarms, mean) = chance.alarms(samples, 0.0);
            assert!(alarms < 18 && mean.abs() < 1.0, "{alarms} of 400 on {samples} samples");
        }
        let (alarms, mean) = chance.alarms(1000, 0.73);
        assert!((-11.0..-9.0).contains(&mean), "{mean}");
        assert!(alarms > 360, "{alarms} of 400 losses of {mean:.1} points were found");
    }

    #[test]
    fn both_sources_of_noise_count() {
        // Four samples; a is right on 3 and 3 of them, b on 1 and 2.
        let a = [[true, true, true, false], [true, true, true, false]];
        let b = [[true, false, false, false], [true, true, false, false]];
        let of = |models: &[[bool; 4]]| models.iter().map(|m| m.to_vec()).collect::<Vec<_>>();
        let found = Gap::of(&slices(&of(&a)), &slices(&of(&b)));
        assert!((found.points.mean - 37.5).abs() < 1e-9 && found.test_samples == 4, "{found:?}");
        // Variances of seeds: 0 and 312.5, pooled over two degrees of freedom.
        let seeds = Noise { squared: 156.25, freedom: 2.0 };
        // The samples differ by 0, 50, 100 and 0 points.
        let samples = Noise { squared: 6875.0 / 3.0 / 4.0, freedom: 3.0 };
        let close = |found: Option<f64>, wanted: f64| (found.unwrap() - wanted).abs() < 1e-9;
        assert!(close(found.seed_noise, half_width(&[seeds])), "{found:?}");
        assert!(close(found.points.half_width, half_width(&[seeds, samples])), "{found:?}");
    }

    #[test]
    fn what_is_hard_for_both_sides_is_no_noise() {
        // Both are wrong on the same half; one sample more tells them apart.
        let model = |right: usize| (0..1000).map(|at| at < right).collect::<Vec<bool>>();
        let (a, b) = (vec![model(530), model(530)], vec![model(500), model(500)]);
        let found = Gap::of(&slices(&a), &slices(&b));
        assert_eq!(found.seed_noise, Some(0.0));
        // 30 samples of 1000 differ: sqrt(0.03 * 0.97 / 999) is 0.54 points.
        assert!((found.points.half_width.unwrap() - 1.058).abs() < 0.01, "{found:?}");
        let one = Gap::of(&slices(&a)[..1], &slices(&b));
        assert_eq!((one.points.half_width, one.seed_noise), (None, None));
    }
}
