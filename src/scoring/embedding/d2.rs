//! D2 pruning (Maharana et al., 2024): difficulty spreads along the graph of nearest neighbours, and
//! each choice makes its neighbours less wanted.

use std::collections::BinaryHeap;

use super::neighbors::{Neighbor, nearest};
use super::order::{Candidate, places};
use super::{Cloud, needs};
use crate::Result;
use crate::recipe::{Embedding, Method};

/// The place in the order of message passing, 0 first. Low is kept.
///
/// Forward: `s_i = x_i + sum of exp(-d_ij) x_j` over the nearest neighbours `j` of `i`, `x` the
/// difficulty. Reverse: the largest `s` is chosen, and `exp(-gamma d_ij) s_i` is taken from each of its
/// neighbours. As in the authors' code, the distance is not squared (their paper squares it) and the
/// edges go one way, from a point to its neighbours. Memory: `n x neighbors` edges of 16 bytes.
pub(super) fn scores(cloud: &Cloud<'_>, options: &Embedding) -> Result<Vec<f32>> {
    let difficulty = cloud.difficulty.ok_or_else(|| needs(Method::D2, "a difficulty"))?;
    let graph = nearest(cloud, options.neighbors, |_, neighbors: &[Neighbor]| neighbors.to_vec());
    let forward = |(own, neighbors): (&f32, &Vec<Neighbor>)| {
        let message = |n: &Neighbor| (-n.distance).exp() * f64::from(difficulty[n.index as usize]);
        f64::from(*own) + neighbors.iter().map(message).sum::<f64>()
    };
    let wanted = difficulty.iter().zip(&graph).map(forward).collect();
    Ok(places(&reverse(cloud, &graph, wanted, options.gamma)))
}

/// Values closer than this part of the largest one tie: copies have the same sums, and their rounding
/// must not decide between them.
const TIE: f64 = 1e-7;

/// The greedy order. A heap holds every value that a point ever had; only its last one counts.
fn reverse(
    cloud: &Cloud<'_>,
    graph: &[Vec<Neighbor>],
    mut wanted: Vec<f64>,
    gamma: f64,
) -> Vec<usize> {
    let largest = wanted.iter().fold(f64::MIN_POSITIVE, |most, s| most.max(s.abs()));
    let candidate = |i, value: f64| Candidate::new(cloud, i, (value / largest / TIE).round());
    let mut heap: BinaryHeap<_> =
        wanted.iter().enumerate().map(|(i, s)| candidate(i, *s)).collect();
    let mut chosen = vec![false; wanted.len()];
    let mut order = Vec::with_capacity(wanted.len());
    while let Some(top) = heap.pop() {
        if chosen[top.index] || top != candidate(top.index, wanted[top.index]) {
            continue;
        }
        let value = wanted[top.index];
        chosen[top.index] = true;
        order.push(top.index);
        for neighbor in &graph[top.index] {
            let j = neighbor.index as usize;
            wanted[j] -= (-gamma * neighbor.distance).exp() * value;
            if !chosen[j] {
                heap.push(candidate(j, wanted[j]));
            }
        }
    }
    order
}
