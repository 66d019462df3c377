//! Samples that cannot be used.

use std::fmt::Write as _;

use super::Section;
use crate::report::markup::{Table, paragraph};
use crate::report::words::counted;
use crate::run::Evidence;

/// The most rows that are shown.
const ROWS: usize = 50;

pub(super) fn quarantine(run: &Evidence) -> Section {
    let all = &run.quarantine;
    let body = if all.is_empty() {
        paragraph("Every sample could be used.")
    } else {
        let mut told = format!(
            "{} could not be used: no model saw them and none is kept.",
            counted(all.len() as u64, "sample")
        );
        if all.len() > ROWS {
            let _ = write!(told, " The first {ROWS} by id; all are in tables/quarantine.parquet.");
        }
        let mut table = Table::new("Samples in quarantine", &["sample", "why", "where"]);
        for sample in all.iter().take(ROWS) {
            table.row([&sample.id, &sample.reason, &sample.place]);
        }
        paragraph(&told) + &table.html()
    };
    Section::new("quarantine", "Quarantine", "What could not be used?", body)
}
