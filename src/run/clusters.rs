//! Clusters of duplicates: samples that models see as the same, and near ones if the recipe says how
//! near.

use std::rc::Rc;

use super::compare_points;
use super::rows::strings;
use super::worker::Run;
use crate::error::{Error, Result};
use crate::folds;
use crate::ingest::{self, Loaded};
use crate::samples::{Inputs, Shape};

impl Run {
    /// The cluster of each sample, named after the first id in it; `None` for a sample that is alone.
    pub(super) fn clusters(&self, loaded: &Loaded) -> Result<Vec<Option<String>>> {
        let ids = &loaded.samples.ids;
        todo(ids)
    }
}
