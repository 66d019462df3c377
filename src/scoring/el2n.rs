//! Error L2 norm (Paul et al., Deep Learning on a Data Diet, 2021).

use super::{Criterion, Direction, Prediction, Sums};
use crate::recipe::Method;

/// `||p - onehot(label)||_2`, from 0 to the square root of 2. High is kept.
pub(super) struct El2n;

impl Criterion for El2n {
    fn name(&self) -> &'static str {
        Method::El2n.name()
    }

    fn direction(&self) -> Direction {
        Direction::KeepHigh
    }

    fn score(&self, prediction: &Prediction<'_>) -> f32 {
        error_norm(prediction) as f32
    }

    fn of_sums(&self) -> Option<fn(&Sums) -> f32> {
        Some(|sums| ((sums.wrong_squares + sums.wrong * sums.wrong).sqrt() / sums.all()) as f32)
    }

    fn maximum(&self, _classes: usize) -> Option<f64> {
        Some(std::f64::consts::SQRT_2)
    }
}

/// `||p - onehot(label)||_2`.
pub(super) fn error_norm(prediction: &Prediction<'_>) -> f64 {
    // sum p^2 - 2 p_y + 1 cancels in f32 (an error near 1e-4). The label stays out of the sum
    // and adds (1 - p_y)^2, where 1 - p_y is the sum of the others.
    let (mut rest, mut squares) = (0.0, 0.0);
    for (class, &p) in prediction.probabilities.iter().enumerate() {
        if class != prediction.label {
            let p = f64::from(p);
            rest += p;
            squares += p * p;
        }
    }
    (squares + rest * rest).sqrt()
}
