//! Scores of embeddings: where a sample lies among all samples that a model scores.

use crate::recipe::{Embedding, Method};
use crate::seed::Seed;
use crate::{Error, Result};

/// The samples that one model scores, in the order of their ids.
#[derive(Clone, Copy, Debug)]
pub struct Cloud<'a> {
    /// `n x width` coordinates, row-major.
    pub points: &'a [f32],
    /// Coordinates of a point, at least 1.
    pub width: usize,
    /// `n` class indices.
    pub labels: &'a [u32],
    /// How many classes.
    pub classes: usize,
    /// `n x classes` probabilities, for CAL.
    pub probabilities: Option<&'a [f32]>,
    /// `n` difficulties, high is hard, for D2.
    pub difficulty: Option<&'a [f32]>,
    /// `n` keyed hashes of ids: ties go to the smaller.
    pub ties: &'a [u64],
}

/// The scores of a method that looks at embeddings, one a point.
///
/// # Errors
/// `LimitExceeded` for more than `options.max_rows` points; `InvalidInput` for a coordinate that is
/// not finite; `Internal` if lengths do not fit or the method does not look at embeddings.
pub fn embedding_scores(
    method: Method,
    _cloud: &Cloud<'_>,
    _options: &Embedding,
    _seed: &Seed,
) -> Result<Vec<f32>> {
    Err(Error::internal(format!("`{}` does not look at embeddings", method.name())))
}
