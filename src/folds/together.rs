//! Duplicates: which samples are copies of each other, and what stays together when they do.

use std::collections::BTreeMap;

use super::sets::Sets;

/// The cluster of each sample: the first id of those that equal `contents`, or a chain of near pairs,
/// join it with; `None` for a sample that is alone.
///
/// `ids` ascend; `near` are the results of [`super::near_duplicates`].
pub fn clusters(
    ids: &[String],
    contents: &[String],
    near: Option<&[usize]>,
) -> Vec<Option<String>> {
    let mut sets = Sets::new(ids.len());
    join_equal(&mut sets, contents.iter().map(Some));
    for (i, first) in near.unwrap_or_default().iter().enumerate() {
        sets.join(i, *first);
    }
    let roots = sets.roots();
    let mut sizes = vec![0; ids.len()];
    for root in &roots {
        sizes[*root] += 1;
    }
    roots.iter().map(|root| (sizes[*root] > 1).then(|| ids[*root].clone())).collect()
}

/// The name of what stays together with each sample: those with equal `contents`, an equal group or
/// an equal cluster (of [`clusters`]; `None` is no group and no cluster) share one.
///
/// It is the first of its groups, else the content of its first sample; so under folds by hash an
/// appended row moves no other, unless it joins two groups or comes first.
pub fn together(
    groups: Option<&[Option<String>]>,
    clusters: Option<&[Option<String>]>,
    contents: &[String],
) -> Vec<Option<String>> {
    let groups = groups.unwrap_or_default();
    let mut sets = Sets::new(contents.len());
    join_equal(&mut sets, contents.iter().map(Some));
    join_equal(&mut sets, groups.iter().map(Option::as_ref));
    join_equal(&mut sets, clusters.unwrap_or_default().iter().map(Option::as_ref));
    let roots = sets.roots();
    let mut names: BTreeMap<usize, &str> = BTreeMap::new();
    for (root, group) in roots.iter().zip(groups) {
        if let Some(group) = group {
            let name = names.entry(*root).or_insert(group);
            *name = (*name).min(group);
        }
    }
    let name = |root: &usize| match names.get(root) {
        Some(group) => (*group).to_owned(),
        None => format!("content {}", contents[*root]),
    };
    roots.iter().map(|root| Some(name(root))).collect()
}

/// Joins the numbers whose values are equal; `None` equals nothing.
fn join_equal<'a>(sets: &mut Sets, values: impl Iterator<Item = Option<&'a String>>) {
    let mut first = BTreeMap::new();
    for (i, value) in values.enumerate() {
        if let Some(value) = value {
            sets.join(i, *first.entry(value).or_insert(i));
        }
    }
}
