//! Near duplicates: samples whose embeddings point nearly the same way.

use super::sets::Sets;
use crate::distance::{Directions, Points, Scan, cosine, unusable};
use crate::error::ErrorKind;
use crate::{Error, Result};

/// Rows that are compared before what was found is joined and dropped: at most this many times `n`
/// numbers are held, however many pairs are near.
const ROWS: usize = 256;

/// For each of the `n x width` embeddings the first one that a chain of near pairs joins it with:
/// itself, if there is none before. A pair is near if its cosine is at least `cosine`; a zero vector
/// is near to nothing.
///
/// Exact over all pairs, in blocks: work grows with `n^2 width`, memory with `n width` and `256 n`.
///
/// # Errors
/// `LimitExceeded` as [`near_limit`]; `InvalidInput` for a coordinate that is not
/// finite or beyond 1e15; `Internal` if lengths do not fit.
pub fn near_duplicates(
    embeddings: &[f32],
    width: usize,
    cosine: f64,
    max_rows: u64,
) -> Result<Vec<usize>> {
    if width == 0 || !embeddings.len().is_multiple_of(width) {
        return Err(Error::internal("embeddings are not whole rows"));
    }
    check(embeddings, width, max_rows)?;
    let count = embeddings.len() / width;
    let directions = Directions::new(embeddings, width);
    let points = Points::new(&directions.units, width);
    let mut sets = Sets::new(count);
    for (rows, first) in directions.units.chunks(ROWS * width).zip((0..).step_by(ROWS)) {
        let start =
            |row| Near { directions: &directions, row: first + row, cosine, found: Vec::new() };
        for (row, found) in (first..).zip(points.compare(rows, start)) {
            for other in found {
                sets.join(row, other as usize);
            }
        }
    }
    Ok(sets.roots())
}

/// Whether so many samples may be compared.
///
/// # Errors
/// `LimitExceeded` for more than `max_rows`.
pub fn near_limit(count: u64, max_rows: u64) -> Result<()> {
    if count <= max_rows {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::LimitExceeded,
        format!(
            "`folds.near` would compare {count} samples with each other, more than `score.embedding.max_rows` = {max_rows}; raise it (work grows with the square), or give clusters of your own in `folds.group`"
        ),
    ))
}

fn check(embeddings: &[f32], width: usize, max_rows: u64) -> Result<()> {
    near_limit((embeddings.len() / width) as u64, max_rows)?;
    match unusable(embeddings, width) {
        Some((row, value)) => Err(Error::input(format!(
            "the embedding of row {row} (from 0, in the order of ids) has the coordinate {value}, which cannot be compared; correct the data or drop the sample"
        ))),
        None => Ok(()),
    }
}

/// The rows before one that are near it.
struct Near<'a> {
    directions: &'a Directions,
    row: usize,
    cosine: f64,
    found: Vec<u32>,
}

impl Scan for Near<'_> {
    type Output = Vec<u32>;

    fn see(&mut self, first: usize, squared: &[f32]) {
        let lengths = &self.directions.lengths;
        for (other, squared) in (first..self.row).zip(squared) {
            let cosine = cosine(lengths[self.row], lengths[other], *squared);
            // Rounding of a unit vector to 32 bits must not part copies from copies.
            if cosine >= self.cosine as f32 {
                self.found.push(other as u32);
            }
        }
    }

    fn finish(self) -> Vec<u32> {
        self.found
    }
}
