//! Demands on groups of cells that nest or lie apart: whether they can be completed is told by sums.
//!
//! The groups form a tree below all cells. Of a node, at least `max(least, sum of the children)` and at
//! most `min(most, sum of the children)` are kept in the end, and every number between is possible. So one
//! more sample is checked along one path, without a solver.

use super::cells::{Cells, Sense};
use super::feasible::Room;

/// The groups of cells, the whole first, each behind the one it lies in, then the cells.
pub(super) struct Tree {
    nodes: Vec<Node>,
    /// The node of the first cell; those of the others follow.
    first_cell: usize,
}

#[derive(Clone, Debug)]
struct Node {
    parent: Option<usize>,
    /// What it must keep itself.
    least: u64,
    /// What its children must keep.
    below: u64,
    /// What it can keep.
    most: u64,
}

impl Node {
    fn must(&self) -> u64 {
        self.least.max(self.below)
    }
}

impl Tree {
    /// The tree of all demands; `None` if two groups overlap without one lying in the other.
    pub(super) fn new(cells: &Cells, room: &Room) -> Option<Self> {
        let whole = Node { parent: None, least: room.total, below: 0, most: room.total };
        let mut nodes = vec![whole];
        let mut innermost = vec![0; cells.count];
        let mut demands: Vec<_> = cells.demands.iter().collect();
        demands.sort_by_key(|demand| std::cmp::Reverse(demand.cells.len()));
        let mut sizes = vec![cells.count];
        for demand in demands {
            let Some(parent) = demand.cells.first().map(|cell| innermost[*cell]) else {
                // Nobody can fill a group without a cell.
                if demand.sense == Sense::AtLeast {
                    nodes[0].most = 0;
                }
                continue;
            };
            if demand.cells.iter().any(|cell| innermost[*cell] != parent) {
                return None;
            }
            // Groups come from large to small, so one of equal size is the same.
            let at = if sizes[parent] == demand.cells.len() {
                parent
            } else {
                nodes.push(Node { parent: Some(parent), least: 0, below: 0, most: u64::MAX });
                sizes.push(demand.cells.len());
                nodes.len() - 1
            };
            match demand.sense {
                Sense::AtLeast => nodes[at].least = nodes[at].least.max(demand.rows),
                Sense::AtMost => nodes[at].most = nodes[at].most.min(demand.rows),
            }
            demand.cells.iter().for_each(|cell| innermost[*cell] = at);
        }
        let first_cell = nodes.len();
        let limits = innermost.into_iter().zip(room.least.iter().zip(&room.most));
        nodes.extend(limits.map(|(parent, (least, most))| Node {
            parent: Some(parent),
            least: *least,
            below: 0,
            most: *most,
        }));
        Some(Self { nodes, first_cell }.summed())
    }

    fn summed(mut self) -> Self {
        let mut can = vec![0_u64; self.nodes.len()];
        for at in (0..self.nodes.len()).rev() {
            if at < self.first_cell {
                self.nodes[at].most = self.nodes[at].most.min(can[at]);
            }
            let node = self.nodes[at].clone();
            if let Some(parent) = node.parent {
                self.nodes[parent].below += node.must();
                can[parent] += node.most;
            }
        }
        self
    }

    /// Whether all demands can hold.
    pub(super) fn is_possible(&self) -> bool {
        // The root must keep its total, and can if its children can.
        self.nodes.iter().all(|node| node.must() <= node.most)
    }

    /// Takes one more sample of a cell, if the rest can still be completed.
    pub(super) fn take(&mut self, cell: usize) -> bool {
        if !self.can_take(cell) {
            return false;
        }
        let leaf = self.first_cell + cell;
        self.nodes[leaf].least += 1;
        let mut next = self.nodes[leaf].parent;
        while let Some(at) = next {
            let before = self.nodes[at].must();
            self.nodes[at].below += 1;
            next = self.nodes[at].parent.filter(|_| self.nodes[at].must() > before);
        }
        true
    }

    fn can_take(&self, cell: usize) -> bool {
        let mut next = Some(self.first_cell + cell);
        while let Some(at) = next {
            let node = &self.nodes[at];
            let more = if at >= self.first_cell { node.least + 1 } else { node.below + 1 };
            if more <= node.must() {
                return true;
            }
            if more > node.most {
                return false;
            }
            next = node.parent;
        }
        true
    }
}
