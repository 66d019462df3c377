//! How stable ranks are: between the models of the run, and against another run.

use super::Section;
use crate::report::chart;
use crate::report::markup::{Table, figure, paragraph};
use crate::report::words::{grouped, percent, perhaps};
use crate::run::{Agreement, Difference, Evidence};

pub(super) fn agreement(run: &Evidence) -> Option<Section> {
    let mut body = String::new();
    if !run.agreement.is_empty() {
        body.push_str(&paragraph(
            "Each model of stage 1 was trained on other samples. Where two of them rank the same samples \
             alike, the ranking says something about the data; where they do not, it mostly says which \
             model was asked.",
        ));
    }
    for models in &run.agreement {
        let caption = format!(
            "{}: Spearman's rank correlation between models {} to {}, over the samples that both scored.",
            models.uri,
            0,
            models.models - 1
        );
        body.push_str(&figure(&chart::agreement(models).inline(), &caption));
    }
    if !run.agreement.is_empty() {
        body.push_str(&means(&run.agreement).html());
    }
    if let Some(other) = &run.against {
        body.push_str(&against(other));
    }
    let heading = "Do the models agree?";
    (!body.is_empty()).then(|| Section::new("agreement", "Agreement", heading, body))
}

fn means(runs: &[Agreement]) -> Table {
    let caption =
        "Means over all pairs of models; overlap is what both would keep over what either would";
    let columns = ["run", "#rank correlation", "#correlation of scores", "#overlap of choices"];
    let mut table = Table::new(caption, &columns);
    for run in runs {
        let means = [run.mean_spearman, run.mean_pearson, run.mean_jaccard].map(perhaps);
        let [spearman, pearson, jaccard] = means;
        table.row([run.uri.clone(), spearman, pearson, jaccard]);
    }
    table
}

fn against(other: &Difference) -> String {
    let mut table = Table::new(format!("Held against {}", other.b.uri), &["", "#"]);
    table.row(["kept by both".to_owned(), grouped(other.both)]);
    table.row(["kept only here".to_owned(), grouped(other.only_a.len() as u64)]);
    table.row(["kept only there".to_owned(), grouped(other.only_b.len() as u64)]);
    table.row(["overlap: both over either".to_owned(), percent(other.jaccard)]);
    let scored = format!("rank correlation over {} samples", grouped(other.scored_by_both));
    table.row([scored, perhaps(other.spearman)]);
    let mut html = table.html();
    if let Some(changes) = other.recipe.as_ref().filter(|changes| !changes.is_empty()) {
        let mut table = Table::new("What their recipes differ in", &["field", "here", "there"]);
        for (key, here, there) in changes {
            table.row([key, here, there]);
        }
        html.push_str(&table.html());
    }
    html
}
