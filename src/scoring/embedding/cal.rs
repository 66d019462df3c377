//! Contrastive active learning (Margatina et al., 2021): samples that are predicted unlike their
//! neighbours.

use super::neighbors::{Neighbor, nearest};
use super::{Cloud, needs};
use crate::Result;
use crate::recipe::{Embedding, Method};

/// The mean over the nearest neighbours of `KL(p of the neighbour || own p)`, natural logarithm; 0 for
/// a point without neighbours. High is kept, as in the original; DeepCore keeps the lowest of a
/// symmetric variant.
///
/// The original seeks neighbours among labelled training samples; here they are the other samples
/// that the same model scores.
pub(super) fn scores(cloud: &Cloud<'_>, options: &Embedding) -> Result<Vec<f32>> {
    let probabilities =
        cloud.probabilities.ok_or_else(|| needs(Method::Cal, "probabilities of the model"))?;
    let of = |i: usize| &probabilities[i * cloud.classes..(i + 1) * cloud.classes];
    Ok(nearest(cloud, options.neighbors, |i, neighbors: &[Neighbor]| {
        let sum: f64 = neighbors.iter().map(|n| divergence(of(n.index as usize), of(i))).sum();
        (sum / neighbors.len().max(1) as f64) as f32
    }))
}

/// `KL(p || q)`; a `q` of 0 counts as the smallest normal number, so it is finite.
fn divergence(p: &[f32], q: &[f32]) -> f64 {
    let log = |x: f32| f64::from(x.max(f32::MIN_POSITIVE)).ln();
    let terms = p.iter().zip(q).map(|(p, q)| f64::from(*p) * (log(*p) - log(*q)));
    terms.sum::<f64>().max(0.0)
}
