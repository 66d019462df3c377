//! The parts of the page, in their order.

mod agreement;
mod classes;
mod evaluation;
mod judge;
mod labels;
mod provenance;
mod quarantine;
mod samples;
mod scores;
mod stages;
mod summary;

use super::markup;
use crate::run::Evidence;
pub(super) use summary::head;

/// One part of the page.
pub(super) struct Section {
    /// What links name.
    pub(super) id: &'static str,
    /// Its name among the links.
    pub(super) short: &'static str,
    heading: &'static str,
    body: String,
}

impl Section {
    fn new(id: &'static str, short: &'static str, heading: &'static str, body: String) -> Self {
        Self { id, short, heading, body }
    }

    pub(super) fn html(&self) -> String {
        markup::section(self.id, self.heading, &self.body)
    }
}

/// All parts that the run has something for.
pub(super) fn all(run: &Evidence) -> Vec<Section> {
    let parts = [
        Some(summary::summary(run)),
        judge::judge(run),
        evaluation::evaluation(run),
        Some(scores::scores(run)),
        agreement::agreement(run),
        stages::stages(run),
        Some(classes::classes(run)),
        samples::samples(run),
        labels::labels(run),
        Some(quarantine::quarantine(run)),
        Some(provenance::provenance(run)),
    ];
    parts.into_iter().flatten().collect()
}
