//! The digest of a decoded input: equal for inputs that models cannot tell apart.

use std::fmt;

use sha2::{Digest, Sha256};

use crate::samples::Shape;

/// The first 128 bits of the SHA-256 of the decoded numbers: two inputs that differ share it with a
/// probability of 2^-128. Its `Display` is lower-case hex.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Content([u8; 16]);

impl Content {
    /// The digest of one decoded input of this shape.
    pub(super) fn of(shape: Shape, input: &[u8]) -> Self {
        let digest = match shape {
            Shape::Image { .. } => Sha256::digest(input),
            Shape::Features { .. } => Sha256::digest(without_signed_zeros(input)),
        };
        Self(std::array::from_fn(|i| digest[i]))
    }
}

/// -0.0 equals 0.0, and adding 0.0 makes the one the other.
fn without_signed_zeros(numbers: &[u8]) -> Vec<u8> {
    let (numbers, _) = numbers.as_chunks::<4>();
    numbers.iter().flat_map(|n| (f32::from_le_bytes(*n) + 0.0).to_le_bytes()).collect()
}

impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn features(numbers: [f32; 2]) -> Content {
        let bytes: Vec<u8> = numbers.into_iter().flat_map(f32::to_le_bytes).collect();
        Content::of(Shape::Features { width: 2 }, &bytes)
    }

    #[test]
    fn equal_inputs_and_only_those_share_a_digest() {
        let image = |pixels: [u8; 3]| {
            Content::of(Shape::Image { channels: 3, height: 1, width: 1 }, &pixels)
        };
        // sha256 of the bytes 1 2 3.
        assert_eq!(image([1, 2, 3]).to_string(), "039058c6f2c0cb492c533b0a4d14ef77");
        assert_ne!(image([1, 2, 3]), image([1, 2, 4]));
        assert_eq!(features([0.0, 1.5]), features([-0.0, 1.5]));
        assert_ne!(features([0.0, 1.5]), features([0.0, f32::from_bits(1.5_f32.to_bits() + 1)]));
    }
}
