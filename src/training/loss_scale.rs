//! Scaling the loss, so that gradients lie within the small range of f16.
//!
//! The rule and its numbers are those of `torch.amp.GradScaler`: begin at 2^16; a step whose gradients
//! are not all finite is left out and halves the factor; 2,000 steps in a row that were done double it.
//! It follows from the gradients alone.

use serde::{Deserialize, Serialize};

use crate::recipe::{Precision, Train};

const FIRST: f64 = 65_536.0;
const STEPS_TO_GROW: u32 = 2000;
/// With a factor below it gradients overflow by themselves.
const LEAST: f64 = 1.0;

/// The factor of the loss, and how many steps it has held.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LossScale {
    factor: f64,
    held: u32,
}

impl LossScale {
    /// `None` for numbers whose range is that of f32.
    pub(super) fn new(train: &Train) -> Option<Self> {
        (train.precision == Precision::F16).then_some(Self { factor: FIRST, held: 0 })
    }

    /// What gradients are multiplied by; a power of two, so that dividing by it loses no digit.
    pub(super) fn factor(self) -> f64 {
        self.factor
    }

    /// The factor after a step whose gradients were all finite, or not; `None` if no factor helps.
    pub(super) fn after(self, finite: bool) -> Option<Self> {
        let next = match (finite, self.held + 1) {
            (true, STEPS_TO_GROW) => Self { factor: self.factor * 2.0, held: 0 },
            (true, held) => Self { held, ..self },
            (false, _) => Self { factor: self.factor / 2.0, held: 0 },
        };
        (next.factor >= LEAST).then_some(next)
    }
}

#[cfg(test)]
#[allow(clippy::float_cmp)] // powers of two are exact
mod tests {
    use super::*;

    fn f16() -> LossScale {
        LossScale::new(&Train { precision: Precision::F16, ..Train::default() }).unwrap()
    }

    #[test]
    fn only_f16_is_scaled() {
        for precision in [Precision::F32, Precision::Bf16] {
            assert_eq!(LossScale::new(&Train { precision, ..Train::default() }), None);
        }
    }

    #[test]
    fn the_factor_grows_after_2000_steps_in_a_row_and_falls_at_once() {
        let mut scale = f16();
        let mut factors = Vec::new();
        for step in 1..=6000 {
            scale = scale.after(step != 2001).unwrap();
            factors.push(scale.factor() / FIRST);
        }
        let at = |step: usize| factors[step - 1];
        assert_eq!(
            [1, 1999, 2000, 2001, 4000, 4001, 6000].map(at),
            [1.0, 1.0, 2.0, 1.0, 1.0, 2.0, 2.0]
        );
    }

    #[test]
    fn a_factor_below_one_is_of_no_use() {
        let mut scale = Some(f16());
        for _ in 0..16 {
            scale = scale.unwrap().after(false);
        }
        assert_eq!(scale.unwrap().factor(), 1.0);
        assert_eq!(scale.unwrap().after(false), None);
    }
}
