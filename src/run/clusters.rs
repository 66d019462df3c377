//! Clusters of duplicates: samples that models see as the same, and near ones if the recipe says how
//! near.

use std::collections::BTreeMap;

use super::worker::Run;
use crate::error::Result;
use crate::ingest::Loaded;

impl Run {
    /// The cluster of each sample, named after the first id in it; `None` for a sample that is alone.
    pub(super) fn clusters(&self, loaded: &Loaded) -> Result<Vec<Option<String>>> {
        let mut members: BTreeMap<_, Vec<usize>> = BTreeMap::new();
        for (i, content) in loaded.contents.iter().enumerate() {
            members.entry(content).or_default().push(i);
        }
        let mut names = vec![None; loaded.contents.len()];
        for cluster in members.into_values().filter(|cluster| cluster.len() > 1) {
            for i in &cluster {
                names[*i] = Some(loaded.samples.ids[cluster[0]].clone());
            }
        }
        Ok(names)
    }
}
