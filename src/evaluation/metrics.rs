//! How good one trained model is on a test set.

use serde::{Deserialize, Serialize};

/// The bins of the calibration error.
const BINS: usize = 15;

/// One test sample and what a model said about it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Judged {
    /// Its class.
    pub label: u32,
    /// The class with the highest probability, the first of several.
    pub predicted: u32,
    /// That probability, from 0 to 1.
    pub confidence: f32,
}

/// The quality of one trained model. All are shares from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// The share of samples that are predicted right.
    pub accuracy: f64,
    /// The accuracy on the class where it is lowest.
    pub worst_class: f64,
    /// The standard deviation of the accuracy over classes, each counting once (divided by their number).
    pub class_spread: f64,
    /// The expected calibration error (Guo et al., 2017): over 15 bins of equal width, the mean distance
    /// of accuracy and mean confidence, weighted by the samples of the bin.
    pub ece: f64,
}

impl Metrics {
    /// The names of the metrics, as gates and tables spell them.
    pub const NAMES: [&str; 4] = ["accuracy", "worst_class", "class_spread", "ece"];

    /// The metrics of these samples; classes without a sample do not count. `None` without samples.
    pub fn of(samples: &[Judged]) -> Option<Self> {
        let classes = samples.iter().map(|s| s.label as usize + 1).max()?;
        let mut tallies = vec![(0_u64, 0_u64); classes];
        for sample in samples {
            let (right, all) = &mut tallies[sample.label as usize];
            *right += u64::from(sample.predicted == sample.label);
            *all += 1;
        }
        let right: u64 = tallies.iter().map(|(right, _)| right).sum();
        let present = tallies.iter().filter(|(_, all)| *all > 0);
        let rates: Vec<f64> = present.map(|(right, all)| *right as f64 / *all as f64).collect();
        Some(Self {
            accuracy: right as f64 / samples.len() as f64,
            worst_class: rates.iter().copied().fold(f64::INFINITY, f64::min),
            class_spread: deviation(&rates),
            ece: calibration_error(samples),
        })
    }

    /// The metric with this name.
    pub fn get(&self, name: &str) -> Option<f64> {
        match name {
            "accuracy" => Some(self.accuracy),
            "worst_class" => Some(self.worst_class),
            "class_spread" => Some(self.class_spread),
            "ece" => Some(self.ece),
            _ => None,
        }
    }
}

fn deviation(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n).sqrt()
}

fn calibration_error(samples: &[Judged]) -> f64 {
    let mut gaps = [0.0; BINS];
    for sample in samples {
        // Casting saturates; a confidence of 1 belongs to the last bin.
        let bin = ((f64::from(sample.confidence) * BINS as f64) as usize).min(BINS - 1);
        let right = f64::from(u8::from(sample.predicted == sample.label));
        gaps[bin] += right - f64::from(sample.confidence);
    }
    gaps.iter().map(|gap| gap.abs()).sum::<f64>() / samples.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(label: u32, predicted: u32, confidence: f32) -> Judged {
        Judged { label, predicted, confidence }
    }

    #[test]
    fn metrics_of_a_hand_made_set() {
        // Class 0: 2 of 4 right; class 2: 1 of 1; class 1 has no sample and does not count.
        let samples = [
            judged(0, 0, 1.0),
            judged(0, 0, 1.0),
            judged(0, 1, 0.5),
            judged(0, 2, 0.5),
            judged(2, 2, 0.5),
        ];
        let found = Metrics::of(&samples).unwrap();
        let close = |found: f64, wanted: f64| assert!((found - wanted).abs() < 1e-12, "{found}");
        close(found.accuracy, 0.6);
        close(found.worst_class, 0.5);
        close(found.class_spread, 0.25);
        // The bin of 1.0: accuracy 1, confidence 1. The bin of 0.5: accuracy 1/3, weight 3/5.
        close(found.ece, 0.6 * (0.5 - 1.0 / 3.0));
        assert_eq!(Metrics::of(&[]), None);
        assert!(Metrics::NAMES.iter().all(|name| found.get(name).is_some()));
    }

    #[test]
    fn errors_in_different_bins_do_not_cancel() {
        // Overconfident in one bin, underconfident in another.
        let samples = [judged(0, 1, 0.9), judged(0, 0, 0.1)];
        assert!((Metrics::of(&samples).unwrap().ece - 0.9).abs() < 1e-7);
    }
}
