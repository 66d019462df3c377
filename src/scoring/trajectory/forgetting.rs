//! Forgetting events (Toneva et al., An Empirical Study of Example Forgetting, 2019).

use super::Trajectory;
use crate::recipe::{Method, NeverLearned};
use crate::scoring::label_quality::label_margin;
use crate::scoring::{Direction, Prediction};

/// Stands for infinity: `2^40`. It is finite in `f32`, exact in `f64` beside any count, and its mean
/// with the counts of a million models is still above every count (an epoch number, at most a million).
const INFINITY: f64 = (1u64 << 40) as f64;

/// How often the label was the largest logit after one epoch and was not after the next. High is kept.
///
/// A sample that was never learned has no events and yet is the hardest; without a policy it would look
/// like the easiest. A label whose logit ties with another is not learned, so that the order of classes
/// plays no part.
pub(super) struct Forgetting(pub(super) NeverLearned);

impl Trajectory for Forgetting {
    fn name(&self) -> &'static str {
        Method::Forgetting.name()
    }

    fn direction(&self) -> Direction {
        Direction::KeepHigh
    }

    /// The events, and whether the label was the largest after the last epoch.
    fn memory(&self, _classes: usize) -> usize {
        2
    }

    fn observe(&self, _epoch: usize, prediction: &Prediction<'_>, memory: &mut [f64]) {
        let correct = label_margin(prediction.logits, prediction.label) > 0.0;
        if memory[1] > 0.0 && !correct {
            memory[0] += 1.0;
        }
        memory[1] = f64::from(u8::from(correct));
    }

    fn score(&self, epochs: usize, memory: &[f64]) -> f32 {
        let learned = memory[0] > 0.0 || memory[1] > 0.0;
        let score = match self.0 {
            _ if learned => memory[0],
            NeverLearned::Max => epochs as f64,
            NeverLearned::Infinity => INFINITY,
            NeverLearned::Zero => 0.0,
        };
        score as f32
    }
}
