//! The best selection within demands: down the order, each sample is taken if the rest can still be
//! completed. That is the lexicographic optimum.

use super::cells::{Cells, Demand};
use super::feasible::Room;
use super::laminar::Tree;
use crate::{Error, ErrorKind, Result};

/// The first `size` samples of `order` that can be taken, when `kept` are in already and `total` are
/// kept in the end.
///
/// Once a sample cannot be taken, no later one of its cell can: what is in only grows. And whether the
/// first `n` samples of the order can all be taken holds up to some `n` and not beyond, so it is found
/// by doubling and halving. The solver is asked about `cells * log(samples)` times; where groups of cells
/// nest, it is not needed.
///
/// # Errors
/// `InvalidRecipe` naming demands that contradict each other; `LimitExceeded` if the solver gives up or
/// would take too long.
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
    if let Some(tree) = Tree::new(cells, &room) {
        if !tree.is_possible() {
            return Err(room.conflict(&cells.demands)?);
        }
        return Ok(along(order, cells, tree, size));
    }
    check_size(cells)?;
    search(order, cells, room, size)
}

/// Whether a selection within demands exists.
///
/// # Errors
/// As [`fill`].
pub(super) fn check_room(cells: &Cells, room: &Room) -> Result<()> {
    let possible = if let Some(tree) = Tree::new(cells, room) {
        tree.is_possible()
    } else {
        check_size(cells)?;
        room.solve(&cells.demands.iter().collect::<Vec<_>>())?.is_some()
    };
    if possible { Ok(()) } else { Err(room.conflict(&cells.demands)?) }
}

/// The same by a solver.
fn search(order: &[usize], cells: &Cells, room: Room, size: usize) -> Result<Vec<usize>> {
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

/// The first `size` samples that the tree lets in.
fn along(order: &[usize], cells: &Cells, mut tree: Tree, size: usize) -> Vec<usize> {
    let taken = order.iter().copied().filter(|i| tree.take(cells.of[*i]));
    taken.take(size).collect()
}

/// Cells of quotas that cross, beyond which the solver would take hours.
const MOST_CELLS: usize = 2_000;

fn check_size(cells: &Cells) -> Result<()> {
    if cells.count <= MOST_CELLS {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::LimitExceeded,
        format!(
            "quotas that cross (of classes and of other columns, or of two columns) divide the samples into {} cells, more than the {MOST_CELLS} that are solved; bound fewer columns, or columns with fewer values",
            cells.count
        ),
    ))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::Seed;
    use crate::selection::cells::Sense;

    fn demand(sense: Sense, rows: u64, cells: &[usize]) -> Demand {
        Demand { name: String::new(), sense, rows, cells: cells.to_vec() }
    }

    /// Twelve cells in groups of four and of two, with random bounds, some of which contradict.
    #[test]
    fn the_tree_takes_what_the_solver_takes() {
        let mut agreed = [0, 0];
        for seed in 0..60 {
            let mut rng = Seed::new(seed).rng();
            let of: Vec<usize> = (0..200).map(|_| rng.below(12) as usize).collect();
            let order: Vec<usize> = (20..200).collect();
            let kept: Vec<usize> = (0..20).collect();
            let mut demands = Vec::new();
            for size in [4, 2, 1] {
                for first in (0..12).step_by(size) {
                    if rng.below(2) == 0 {
                        continue;
                    }
                    let cells: Vec<usize> = (first..first + size).collect();
                    let (sense, from) =
                        [(Sense::AtLeast, 3), (Sense::AtMost, 6)][rng.below(2) as usize];
                    let rows = size as u64 * (from + u64::from(rng.below(12)));
                    demands.push(demand(sense, rows, &cells));
                }
            }
            let cells = Cells { of, count: 12, demands };
            let least = cells.counts(&kept);
            let most = cells.counts(&order).iter().zip(&least).map(|(a, b)| a + b).collect();
            let room = Room { least, most, total: 110 };
            let tree = Tree::new(&cells, &room).unwrap();
            if tree.is_possible() {
                let wanted = search(&order, &cells, room, 60).unwrap();
                assert_eq!(along(&order, &cells, tree, 60), wanted, "seed {seed}");
                agreed[0] += 1;
            } else {
                let error = search(&order, &cells, room, 60).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::InvalidRecipe, "seed {seed}: {error}");
                agreed[1] += 1;
            }
        }
        assert!(agreed[0] > 10 && agreed[1] > 10, "{agreed:?}");
    }

    #[test]
    fn groups_that_cross_are_no_tree() {
        let demands = vec![demand(Sense::AtMost, 1, &[0, 1]), demand(Sense::AtMost, 1, &[1, 2])];
        let cells = Cells { of: vec![0, 1, 2], count: 3, demands };
        let room = Room { least: vec![0; 3], most: vec![1; 3], total: 2 };
        assert!(Tree::new(&cells, &room).is_none());
        assert_eq!(fill(&[0, 1, 2], &[], &cells, 2, 2).unwrap(), [0, 2]);
    }
}
