//! The digest of a decoded input: equal for inputs that models cannot tell apart.

use std::fmt;

use sha2::{Digest, Sha256};

/// The first 128 bits of the SHA-256 of the decoded numbers: two inputs that differ share it with a
/// probability of 2^-128. Its `Display` is lower-case hex.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Content([u8; 16]);

/// A number as inputs hold it.
pub(super) trait Number: Copy + Default + Send {
    /// Its bytes, the same for equal numbers.
    fn bytes(self) -> impl AsRef<[u8]>;
}

impl Number for u8 {
    fn bytes(self) -> impl AsRef<[u8]> {
        [self]
    }
}

impl Number for f32 {
    fn bytes(self) -> impl AsRef<[u8]> {
        // -0.0 equals 0.0, and adding 0.0 makes the one the other.
        (self + 0.0).to_le_bytes()
    }
}

impl Content {
    /// The digest of one decoded input.
    pub(super) fn of<T: Number>(numbers: &[T]) -> Self {
        let mut bytes = Vec::with_capacity(size_of_val(numbers));
        for number in numbers {
            bytes.extend_from_slice(number.bytes().as_ref());
        }
        let digest = Sha256::digest(&bytes);
        Self(std::array::from_fn(|i| digest[i]))
    }
}

impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_inputs_and_only_those_share_a_digest() {
        // sha256 of the bytes 1 2 3.
        assert_eq!(Content::of(&[1_u8, 2, 3]).to_string(), "039058c6f2c0cb492c533b0a4d14ef77");
        assert_ne!(Content::of(&[1_u8, 2, 3]), Content::of(&[1_u8, 2, 4]));
        assert_eq!(Content::of(&[0.0_f32, 1.5]), Content::of(&[-0.0_f32, 1.5]));
        assert_ne!(
            Content::of(&[0.0_f32, 1.5]),
            Content::of(&[0.0_f32, f32::from_bits(1.5_f32.to_bits() + 1)])
        );
    }
}
