//! What stays together when duplicates do: samples joined by content, by group, or by a chain of both.

use std::collections::BTreeMap;

/// The name of the cluster of each sample: those with equal `contents` or an equal group (`None` is
/// no group) share one.
///
/// A cluster is named after the first of its groups, else after its content; so under folds by hash
/// an appended row moves no other, unless it joins two groups.
pub fn together(groups: Option<&[Option<String>]>, contents: &[String]) -> Vec<Option<String>> {
    let group = |i: usize| groups.and_then(|groups| groups.get(i)?.as_deref());
    let mut sets = Sets::new(contents.len());
    let (mut by_content, mut by_group) = (BTreeMap::new(), BTreeMap::new());
    for (i, content) in contents.iter().enumerate() {
        sets.join(i, *by_content.entry(content).or_insert(i));
        if let Some(group) = group(i) {
            sets.join(i, *by_group.entry(group).or_insert(i));
        }
    }
    let roots: Vec<usize> = (0..contents.len()).map(|i| sets.root(i)).collect();
    let mut names: BTreeMap<usize, &str> = BTreeMap::new();
    for (i, root) in roots.iter().enumerate() {
        if let Some(group) = group(i) {
            let name = names.entry(*root).or_insert(group);
            *name = group.min(name);
        }
    }
    let name = |root: &usize| match names.get(root) {
        Some(group) => (*group).to_owned(),
        None => format!("content {}", contents[*root]),
    };
    roots.iter().map(|root| Some(name(root))).collect()
}

/// Disjoint sets of numbers (union-find with path halving). The root of a set is its least number.
struct Sets(Vec<usize>);

impl Sets {
    fn new(count: usize) -> Self {
        Self((0..count).collect())
    }

    fn root(&mut self, mut i: usize) -> usize {
        while self.0[i] != i {
            self.0[i] = self.0[self.0[i]];
            i = self.0[i];
        }
        i
    }

    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        self.0[a.max(b)] = a.min(b);
    }
}
