//! When samples came in, and how importance moves: the paper's second figure.

use super::Section;
use crate::report::chart;
use crate::report::markup::{Table, figure, paragraph};
use crate::report::words::{grouped, number, percent, perhaps};
use crate::run::Evidence;

pub(super) fn stages(run: &Evidence) -> Option<Section> {
    let stages = &run.summary.stages;
    if stages.is_empty() {
        return None;
    }
    let mut body = String::new();
    if stages.len() > 1 {
        body.push_str(&paragraph(
            "After each stage a model is trained on what is kept so far and scores what is left. What \
             looked important to the first models need not be so once its like is in the coreset.",
        ));
        let caption = "What each stage ranked: those it kept on top, the rest in quarters by rank. Bands show \
                       where each quarter went in the next stage.";
        body.push_str(&figure(&chart::flow(&run.flow).inline(), caption));
    }
    let columns = [
        "stage",
        "#models",
        "#kept",
        "#score of the last",
        "#accuracy",
        "#rank correlation with the stage before",
    ];
    let caption = "The stages. Accuracy is that of the scoring models on the samples they scored: \
                   in later stages those that are left";
    let mut table = Table::new(caption, &columns);
    for (at, stage) in stages.iter().enumerate() {
        let moved = at.checked_sub(1).and_then(|before| run.flow.spearman.get(before).copied());
        table.row([
            stage.stage.to_string(),
            stage.models.to_string(),
            grouped(stage.added),
            number(stage.cut),
            percent(stage.accuracy),
            perhaps(moved.flatten()),
        ]);
    }
    body.push_str(&table.html());
    Some(Section::new("stages", "Stages", "When did samples come in?", body))
}
