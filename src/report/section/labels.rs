//! Labels that may be wrong.

use super::Section;
use super::samples::{list, range};
use crate::report::markup::{escaped, paragraph};
use crate::report::words::{counted, percent, share};
use crate::run::{Evidence, Suspect};

pub(super) fn labels(run: &Evidence) -> Option<Section> {
    let found = run.suspects.as_ref()?;
    let mut body = paragraph(&format!(
        "{} ({}) may be wrong: models that never saw the sample are sure of another class (confident \
         learning). All of them are in tables/label_errors.parquet; these are suspected most.",
        counted(found.count, "label"),
        percent(share(found.count, run.summary.usable))
    ));
    let words = |suspect: &Suspect| {
        format!(
            "models say <b>{}</b>; {} for the label as given; {}",
            escaped(&suspect.suggested),
            percent(suspect.self_confidence),
            if suspect.shown.stage.is_some() { "kept" } else { "not kept" }
        )
    };
    body.push_str(&list(found.first.iter().map(|s| (&s.shown, words(s))), range(run)));
    Some(Section::new("labels", "Labels", "Which labels may be wrong?", body))
}
