//! What the judge of a run found, as text.

use std::fmt::Write as _;

use crate::run::Summary;

/// What is printed behind a name of a line.
const INDENT: &str = "           ";

/// The verdict; bad news stands on a line of its own.
pub(super) fn judge(text: &mut String, summary: &Summary) {
    choice(text, summary);
    let Some(judgement) = &summary.judge else { return };
    let _ = writeln!(text, "\nJudge      {}", judgement.verdict);
    if judgement.figures.is_some() {
        let _ = writeln!(text, "{INDENT}{};", judgement.caveat());
        let _ = writeln!(text, "{INDENT}`unseen evaluate {} --test URI` tells more", summary.uri);
    }
    if let Some(warning) = judgement.warning() {
        let _ = writeln!(text, "\n{warning}");
    }
}

/// What `auto` chose, and how all candidates did.
fn choice(text: &mut String, summary: &Summary) {
    let Some(choice) = &summary.auto else { return };
    let _ = writeln!(text, "\nChosen     {}", choice.in_words());
    for candidate in &choice.candidates {
        let Some(accuracy) = candidate.accuracy else { continue };
        let mark = if candidate == choice.chosen() { '*' } else { ' ' };
        let mean = 100.0 * accuracy.mean;
        let _ = writeln!(text, "         {mark} {mean:>5.1} %  {}", candidate.name);
    }
}
