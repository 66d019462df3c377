//! Sums and means over epochs: the areas under the margin (Pleiss et al., 2020) and the mean
//! confidence.

use super::Trajectory;
use crate::recipe::Method;
use crate::scoring::label_quality::label_margin;
use crate::scoring::{Direction, Prediction, direction, narrow};

/// A number of each prediction, summed over epochs; divided by their count for a mean.
pub(super) struct Sum {
    method: Method,
    of: fn(&Prediction<'_>) -> f64,
    mean: bool,
}

/// `mean_t (z_label - max_{c != label} z_c)`, as in the paper. Low is kept.
pub(super) const AUM_LOGIT_MEAN: Sum = Sum {
    method: Method::AumLogitMean,
    of: |prediction| label_margin(prediction.logits, prediction.label),
    mean: true,
};

/// `sum_t (p_label - max_{c != label} p_c)`, as in the code of CCS, D2 and DUAL: another ranking. Low is
/// kept.
pub(super) const AUM_PROB_SUM: Sum = Sum {
    method: Method::AumProbSum,
    of: |prediction| label_margin(prediction.probabilities, prediction.label),
    mean: false,
};

/// `mean_t p_label`. Low is kept.
pub(super) const MEAN_CONFIDENCE: Sum = Sum {
    method: Method::MeanConfidence,
    of: |prediction| f64::from(prediction.probabilities[prediction.label]),
    mean: true,
};

impl Trajectory for Sum {
    fn name(&self) -> &'static str {
        self.method.name()
    }

    fn direction(&self) -> Direction {
        direction(self.method)
    }

    /// The sum.
    fn memory(&self, _classes: usize) -> usize {
        1
    }

    fn observe(&self, _epoch: usize, prediction: &Prediction<'_>, memory: &mut [f64]) {
        memory[0] += (self.of)(prediction);
    }

    fn score(&self, epochs: usize, memory: &[f64]) -> f32 {
        narrow(if self.mean { memory[0] / epochs as f64 } else { memory[0] })
    }
}
