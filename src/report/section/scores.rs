//! How scores are distributed: the paper's first figure.

use super::Section;
use crate::report::chart;
use crate::report::markup::{Table, figure, paragraph};
use crate::report::words::number;
use crate::run::{Evidence, Histogram};

pub(super) fn scores(run: &Evidence) -> Section {
    let mut body = paragraph(
        "Where scores are spread out they tell samples apart; where nearly all are alike, chance decides \
         at the cut. Models that saw a sample when they were trained mostly bunch their scores at one end.",
    );
    let chart = chart::histograms(&run.scores);
    let caption = "Scores of stage 1, aggregated over its models: the share of samples in each of 50 bins. \
                   Later stages score what is left with other models, so samples far from the cut of stage 1 \
                   may be kept too.";
    body.push_str(&figure(&chart.inline(), caption));
    body.push_str(&table(&run.scores).html());
    if let [one, other] = &run.scores[..] {
        body.push_str(&paragraph(&compared(one, other)));
    }
    Section::new("scores", "Scores", "How are the scores distributed?", body)
}

fn table(runs: &[Histogram]) -> Table {
    let columns = [
        "run",
        "mode",
        "score",
        "#min",
        "#5 %",
        "#25 %",
        "#median",
        "#75 %",
        "#95 %",
        "#max",
        "#evenness",
    ];
    let caption = "The same in numbers. Evenness is the entropy of the histogram: 0 if all are alike, 1 if uniform";
    let mut table = Table::new(caption, &columns);
    for run in runs {
        let s = &run.spread;
        let mut row = vec![run.uri.clone(), run.mode.to_owned(), run.by.clone()];
        row.extend([s.min, s.q05, s.q25, s.q50, s.q75, s.q95, s.max, s.evenness].map(number));
        table.row(row);
    }
    table
}

fn compared(one: &Histogram, other: &Histogram) -> String {
    let (a, b) = (one.spread.evenness, other.spread.evenness);
    let more = match a.total_cmp(&b) {
        std::cmp::Ordering::Greater => "more evenly spread than",
        std::cmp::Ordering::Less => "less evenly spread than",
        std::cmp::Ordering::Equal => "as evenly spread as",
    };
    format!(
        "The scores of {} (evenness {a:.2}) are {more} those of {} ({b:.2}).",
        one.uri, other.uri
    )
}
