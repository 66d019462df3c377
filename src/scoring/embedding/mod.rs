//! Scores of embeddings: where a sample lies among all samples that a model scores.
//!
//! Distances are Euclidean and exact. Memory is a copy of the coordinates and some numbers a point
//! (and a neighbour, for [`d2`]), never a number a pair. Where all pairs are compared, work grows with
//! `n^2 width`. Methods that choose point after point place all of them; the score is the place, from
//! 0. Ties go to the smaller `ties`, then to the smaller index.

mod cal;
mod d2;
mod facility_location;
mod herding;
mod k_center;
mod moderate;
mod neighbors;
mod order;
mod prototypicality;
#[cfg(test)]
#[allow(clippy::float_cmp, reason = "hand values and places are exact")]
mod tests;

use super::{Direction, direction};
use crate::distance::unusable;
use crate::error::ErrorKind;
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
    /// Points that were chosen before, `m x width`: orders go on after them. Moderate, prototypicality,
    /// CAL and D2 do not look at them.
    pub chosen: &'a [f32],
}

impl Cloud<'_> {
    /// How many points there are.
    fn len(&self) -> usize {
        self.labels.len()
    }

    fn point(&self, i: usize) -> &[f32] {
        &self.points[i * self.width..(i + 1) * self.width]
    }
}

/// The scores of a method that looks at embeddings, one a point.
///
/// | method | score | kept |
/// | --- | --- | --- |
/// | `moderate` | distance to the coordinate-wise median of the class, as its distance from the median of all | low |
/// | `prototypicality` | distance to the nearest of `options.prototypes` centroids of k-means | high |
/// | `k_center` | place in the farthest-first order | low |
/// | `herding` | place in the order that keeps the mean of the chosen near that of all | low |
/// | `cal` | mean `KL(p of a neighbour, own p)` over `options.neighbors` nearest neighbours | high |
/// | `d2` | place in the order of message passing over the graph of nearest neighbours | low |
/// | `facility_location` | place in the order of gains in similarity, `0.5 + 0.5 cos` | low |
///
/// Distances are Euclidean and exact. The same input gives the same bits on any number of threads.
///
/// # Errors
/// `LimitExceeded` as [`embedding_limit`]; `InvalidInput` for a coordinate, probability or difficulty that
/// is not finite (or a coordinate beyond 1e15); `Internal` if lengths do not fit, a method lacks what
/// it needs or does not look at embeddings.
pub fn embedding_scores(
    method: Method,
    cloud: &Cloud<'_>,
    options: &Embedding,
    seed: &Seed,
) -> Result<Vec<f32>> {
    check(cloud)?;
    embedding_limit(method, cloud.len(), options)?;
    match method {
        Method::Moderate => Ok(moderate::scores(cloud)),
        Method::Prototypicality => Ok(prototypicality::scores(cloud, options, seed)),
        Method::KCenter => Ok(k_center::scores(cloud)),
        Method::Herding => Ok(herding::scores(cloud)),
        Method::Cal => cal::scores(cloud, options),
        Method::D2 => d2::scores(cloud, options),
        Method::FacilityLocation => Ok(facility_location::scores(cloud)),
        _ => Err(Error::internal(format!("`{}` does not look at embeddings", method.name()))),
    }
}

/// What D2 passes along, from scores of `method`: high for hard samples. Scores whose low end is kept
/// count as their distance from the largest.
pub fn difficulty(method: Method, scores: &[f32]) -> Vec<f32> {
    match direction(method) {
        Direction::KeepHigh => scores.to_vec(),
        Direction::KeepLow => {
            let largest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            scores.iter().map(|score| largest - score).collect()
        }
    }
}

/// Whether a model may score `rows` samples by a method that compares all pairs of them: all that
/// look at embeddings, except `moderate` and `prototypicality`, which grow with the rows alone.
///
/// # Errors
/// `LimitExceeded` for more than `options.max_rows`.
pub fn embedding_limit(method: Method, rows: usize, options: &Embedding) -> Result<()> {
    let pairs = matches!(
        method,
        Method::KCenter | Method::Herding | Method::Cal | Method::D2 | Method::FacilityLocation
    );
    let most = options.max_rows;
    if !pairs || rows as u64 <= most {
        return Ok(());
    }
    let name = method.name();
    Err(Error::new(
        ErrorKind::LimitExceeded,
        format!(
            "`{name}` would compare {rows} samples with each other, more than `score.embedding.max_rows` = {most}; raise it (work grows with the square), lower the samples that one model scores (`data.filter`, or `folds.fit_on = \"complement\"` with a larger `folds.k`), or use a method that does not compare pairs, such as `moderate` or `prototypicality`"
        ),
    ))
}

fn check(cloud: &Cloud<'_>) -> Result<()> {
    let n = cloud.len();
    let fits = |values: Option<&[f32]>, width: usize| values.is_none_or(|v| v.len() == n * width);
    if cloud.width == 0
        || cloud.points.len() != n * cloud.width
        || !cloud.chosen.len().is_multiple_of(cloud.width)
        || cloud.ties.len() != n
        || !fits(cloud.probabilities, cloud.classes)
        || !fits(cloud.difficulty, 1)
        || cloud.labels.iter().any(|label| *label as usize >= cloud.classes)
    {
        return Err(Error::internal("points, labels and what goes with them differ in length"));
    }
    if let Some((row, value)) = unusable(cloud.points, cloud.width) {
        return Err(bad("embedding", row, value));
    }
    if let Some((row, value)) = unusable(cloud.chosen, cloud.width) {
        return Err(bad("embedding of a chosen sample", row, value));
    }
    check_finite("probabilities", cloud.probabilities, cloud.classes)?;
    check_finite("difficulty", cloud.difficulty, 1)
}

fn check_finite(what: &str, values: Option<&[f32]>, width: usize) -> Result<()> {
    let values = values.unwrap_or_default();
    match values.iter().position(|x| !x.is_finite()) {
        Some(at) => Err(bad(what, at / width, values[at])),
        None => Ok(()),
    }
}

fn bad(what: &str, row: usize, value: f32) -> Error {
    Error::input(format!(
        "the {what} of row {row} (from 0, among the scored samples in the order of their ids) has the value {value}, which cannot be compared; correct the data or drop the sample"
    ))
}

fn needs(method: Method, what: &str) -> Error {
    Error::internal(format!("`{}` needs {what}", method.name()))
}
