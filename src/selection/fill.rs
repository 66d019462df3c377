//! The best selection within demands: down the order, each sample is taken if the rest can still be
//! completed. That is the lexicographic optimum.

use super::cells::{Cells, Demand};
use super::feasible::Room;
use crate::{Error, Result};

/// The first `size` samples of `order` that can be taken, when `kept` are in already and `total` are
/// kept in the end.
///
/// Once a sample cannot be taken, no later one of its cell can: what is in only grows. And whether the
/// first `n` samples of the order can all be taken holds up to some `n` and not beyond, so it is found
/// by doubling and halving. The solver is asked about `cells * log(samples)` times.
///
/// # Errors
/// `InvalidRecipe` naming demands that contradict each other; `LimitExceeded` if the solver gives up.
pub(super) fn fill(
    order: &[usize],
    kept: &[usize],
    cells: &Cells,
    total: u64,
    size: usize,
) -> Result<Vec<usize>> {
    let least = cells.counts(kept);
    let most = cells.counts(order).iter().zip(&least).map(|(open, kept)| open + kept).collect();
    let room = Room { least, most, total };
    let demands: Vec<&Demand> = cells.demands.iter().collect();
    let Some(witness) = room.solve(&demands)? else { return Err(room.conflict(&cells.demands)?) };
    let mut search = Search { cells, demands, room, witness };
    let (mut taken, mut queue) = (Vec::with_capacity(size), order.to_vec());
    while taken.len() < size {
        let next = &queue[..queue.len().min(size - taken.len())];
        let run = search.longest(next)?;
        search.room.least = search.with(&next[..run]);
        taken.extend_from_slice(&next[..run]);
        let Some(refused) = next.get(run).map(|i| cells.of[*i]) else { break };
        queue.drain(..run);
        queue.retain(|i| cells.of[*i] != refused);
    }
    if taken.len() == size {
        return Ok(taken);
    }
    Err(Error::internal(format!("the quotas leave {} samples where {size} are due", taken.len())))
}

struct Search<'a> {
    cells: &'a Cells,
    demands: Vec<&'a Demand>,
    /// What is in already is its least.
    room: Room,
    /// Counts that satisfy all demands, as proof that what they cover can be completed.
    witness: Vec<u64>,
}

impl Search<'_> {
    /// How many of `next`, from the first on, can be taken together.
    fn longest(&mut self, next: &[usize]) -> Result<usize> {
        let (mut sure, mut step, mut refused) = (0, 1, next.len() + 1);
        while sure < next.len() && refused > next.len() {
            let to = next.len().min(sure + step);
            if self.can_take(&next[..to])? {
                sure = to;
            } else {
                refused = to;
            }
            step *= 2;
        }
        while sure + 1 < refused && sure < next.len() {
            let middle = sure + (refused - sure) / 2;
            if self.can_take(&next[..middle])? {
                sure = middle;
            } else {
                refused = middle;
            }
        }
        Ok(sure)
    }

    fn can_take(&mut self, run: &[usize]) -> Result<bool> {
        let least = self.with(run);
        if least.iter().zip(&self.witness).all(|(least, seen)| least <= seen) {
            return Ok(true);
        }
        let room = Room { least, ..self.room.clone() };
        let Some(found) = room.solve(&self.demands)? else { return Ok(false) };
        self.witness = found;
        Ok(true)
    }

    /// What is in with these.
    fn with(&self, run: &[usize]) -> Vec<u64> {
        let mut least = self.room.least.clone();
        for i in run {
            least[self.cells.of[*i]] += 1;
        }
        least
    }
}
