//! Disjoint sets of numbers.

/// Disjoint sets of numbers (union-find with path halving). The root of a set is its least number.
pub(super) struct Sets(Vec<usize>);

impl Sets {
    pub(super) fn new(count: usize) -> Self {
        Self((0..count).collect())
    }

    pub(super) fn root(&mut self, mut i: usize) -> usize {
        while self.0[i] != i {
            self.0[i] = self.0[self.0[i]];
            i = self.0[i];
        }
        i
    }

    pub(super) fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        self.0[a.max(b)] = a.min(b);
    }

    /// The root of every number.
    pub(super) fn roots(mut self) -> Vec<usize> {
        (0..self.0.len()).map(|i| self.root(i)).collect()
    }
}
