//! Gradient norm of the last layer (Paul et al., Deep Learning on a Data Diet, 2021).

use super::el2n::error_norm;
use super::{Criterion, Direction, Prediction};
use crate::recipe::Method;

/// `||p - onehot(label)||_2 * sqrt(1 + ||h||^2)`: the norm of the gradient of the cross-entropy by
/// the weights and biases of the last layer, whose input is `h`. High is kept.
///
/// That gradient is the outer product of `p - onehot(label)` and `(h, 1)`, so its norm is the product
/// of theirs and no backward pass is needed. The paper takes the gradient by all weights.
pub(super) struct Grand;

impl Criterion for Grand {
    fn name(&self) -> &'static str {
        Method::Grand.name()
    }

    fn direction(&self) -> Direction {
        Direction::KeepHigh
    }

    fn needs_embedding(&self) -> bool {
        true
    }

    fn score(&self, prediction: &Prediction<'_>) -> f32 {
        let norm = prediction.embedding_norm.map_or(f64::NAN, f64::from);
        super::narrow(error_norm(prediction) * norm.hypot(1.0))
    }
}
