//! What fresh models reach: each seed a dot, their mean a tick.

use std::collections::BTreeMap;

use super::panel::{Panel, tick, ticks};
use super::{Chart, WIDTH, text_width};
use crate::report::words::percent;
use crate::run::Measured;

const ROW: f64 = 34.0;

/// The subsets in the order in which they are told, with their colours.
const SUBSETS: [(&str, &str, &str); 4] = [
    ("full", "n", "everything"),
    ("coreset", "a", "coreset"),
    ("random", "b", "random"),
    ("random_stratified", "c", "random, stratified"),
];

/// A subset's name for people.
pub(in crate::report) fn subset(name: &str) -> &str {
    SUBSETS.iter().find(|(known, ..)| *known == name).map_or(name, |(.., told)| told)
}

fn colour(name: &str) -> &'static str {
    SUBSETS.iter().find(|(known, ..)| *known == name).map_or("n", |(_, class, _)| class)
}

/// A picture for each test and budget: rows for one share, lines for several.
pub(in crate::report) fn evaluation(all: &[Measured]) -> Vec<Chart> {
    let mut apart: BTreeMap<(&str, &str), Vec<&Measured>> = BTreeMap::new();
    for one in all {
        apart.entry((&one.test, &one.budget)).or_default().push(one);
    }
    apart.into_iter().map(|(of, all)| chart(of, &in_order(all))).collect()
}

fn chart((test, budget): (&str, &str), all: &[&Measured]) -> Chart {
    let shares = all.iter().filter(|one| one.subset == "coreset").count();
    let title = format!("Accuracy of fresh models on {test}, same {budget}");
    if shares > 1 { lines(&title, all) } else { rows(&title, all) }
}

/// The largest share first, then the subsets as they are told.
pub(in crate::report) fn in_order(mut all: Vec<&Measured>) -> Vec<&Measured> {
    let place = |name: &str| SUBSETS.iter().position(|(known, ..)| *known == name);
    all.sort_by(|a, b| {
        let budget = (&a.test, &a.budget).cmp(&(&b.test, &b.budget));
        budget.then(b.keep.total_cmp(&a.keep)).then(place(&a.subset).cmp(&place(&b.subset)))
    });
    all
}

fn accuracies(one: &Measured) -> &[f64] {
    one.measures.get("accuracy").map_or(&[], Vec::as_slice)
}

/// The mean of some values, 0 of none.
pub(in crate::report) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

fn name(one: &Measured) -> String {
    let name = subset(&one.subset);
    if one.subset == "full" { name.to_owned() } else { format!("{name}, {}", percent(one.keep)) }
}

fn described(all: &[&Measured]) -> String {
    let told = all.iter().map(|one| format!("{}: {}", name(one), percent(mean(accuracies(one)))));
    format!("Mean accuracy by training set. {}.", told.collect::<Vec<_>>().join("; "))
}

/// The range of all values, a little wider.
fn range(all: &[&Measured]) -> (f64, f64) {
    let values = || all.iter().flat_map(|one| accuracies(one).iter().copied());
    let (low, high) = (values().fold(1.0, f64::min), values().fold(0.0, f64::max));
    let room = ((high - low) * 0.12).max(0.005);
    ((low - room).max(0.0), (high + room).min(1.0))
}

fn rows(title: &str, all: &[&Measured]) -> Chart {
    let left = all.iter().map(|one| text_width(&name(one))).fold(60.0, f64::max) + 22.0;
    let panel = Panel {
        left,
        top: 14.0,
        width: WIDTH - left - 84.0,
        height: ROW * all.len() as f64,
        x: range(all),
        y: (0.0, 1.0),
    };
    let mut chart = Chart::new(title, described(all), panel.bottom() + 50.0);
    panel.x_axis(&mut chart, &ticks(panel.x, 6), |x| format!("{} %", tick(100.0 * x)));
    panel.x_name(&mut chart, "accuracy; a dot for each seed, a tick for their mean");
    for (at, one) in all.iter().enumerate() {
        let y = panel.top + ROW * (at as f64 + 0.5);
        chart.text("name", (left - 12.0, y + 4.5), "end", &name(one));
        let class = colour(&one.subset);
        dots(&mut chart, class, accuracies(one).iter().map(|value| (panel.at_x(*value), y)));
        let middle = panel.at_x(mean(accuracies(one)));
        chart.bar(class, 1.0, (middle - 1.5, y - 11.0, 3.0, 22.0), &name(one));
        let told = percent(mean(accuracies(one)));
        chart.text("soft", (WIDTH - 16.0, y + 4.5), "end", &told);
    }
    chart
}

fn lines(title: &str, all: &[&Measured]) -> Chart {
    let panel = Panel {
        left: 62.0,
        top: 44.0,
        width: WIDTH - 98.0,
        height: 300.0,
        x: (0.0, 1.0),
        y: range(all),
    };
    let mut chart = Chart::new(title, described(all), panel.bottom() + 50.0);
    let legend: Vec<_> = SUBSETS.iter().map(|(_, class, told)| (*class, 1.0, *told)).collect();
    chart.legend((panel.left, 22.0), &legend);
    panel.y_axis(&mut chart, &ticks(panel.y, 6), |y| format!("{} %", tick(100.0 * y)));
    panel.x_axis(&mut chart, &ticks(panel.x, 10), |x| format!("{} %", tick(100.0 * x)));
    panel.x_name(&mut chart, "samples kept; a dot for each seed, the line through their mean");
    for (name, class, _) in SUBSETS {
        let of = all.iter().filter(|one| one.subset == name);
        // They come with the largest share first.
        let points: Vec<(f64, f64)> = of
            .clone()
            .map(|one| (panel.at_x(one.keep), panel.at_y(mean(accuracies(one)))))
            .collect();
        match points[..] {
            [] => {}
            [(_, y)] if name == "full" => chart.draw(format_args!(
                "<path class=\"line {class}\" d=\"M{} {y:.1}h{}\"/>",
                panel.left, panel.width
            )),
            _ => {
                let path: Vec<String> =
                    points.iter().map(|(x, y)| format!("{x:.1} {y:.1}")).collect();
                chart
                    .draw(format_args!("<path class=\"line {class}\" d=\"M{}\"/>", path.join("L")));
            }
        }
        let seeds = of.flat_map(|one| {
            accuracies(one).iter().map(|value| (panel.at_x(one.keep), panel.at_y(*value)))
        });
        dots(&mut chart, class, seeds);
    }
    chart
}

fn dots(chart: &mut Chart, class: &str, places: impl Iterator<Item = (f64, f64)>) {
    for (x, y) in places {
        chart.draw(format_args!(
            "<circle class=\"{class}\" fill-opacity=\"0.6\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4.5\"/>"
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(subset: &str, keep: f64, values: &[f64]) -> Measured {
        Measured {
            test: "the <test>".to_owned(),
            test_samples: 100,
            budget: "epochs".to_owned(),
            subset: subset.to_owned(),
            keep,
            samples: (100.0 * keep) as u64,
            measures: BTreeMap::from([("accuracy".to_owned(), values.to_vec())]),
        }
    }

    #[test]
    fn one_share_is_rows_and_several_are_lines() {
        let mut all = vec![
            one("random", 0.5, &[0.7, 0.8]),
            one("coreset", 0.5, &[0.8]),
            one("full", 1.0, &[0.9]),
        ];
        let charts = evaluation(&all);
        let svg = charts[0].inline();
        assert_eq!((charts.len(), svg.matches("<circle").count()), (1, 4));
        assert!(
            svg.contains("on the &lt;test&gt;, same epochs") && !svg.contains("class=\"line"),
            "{svg}"
        );
        assert!(
            svg.contains("everything: 90.0 %; coreset, 50.0 %: 80.0 %; random, 50.0 %: 75.0 %"),
            "{svg}"
        );
        all.push(one("coreset", 0.3, &[0.6]));
        all.push(Measured { budget: "iterations".to_owned(), ..one("full", 1.0, &[0.5]) });
        let charts = evaluation(&all);
        assert_eq!(charts.len(), 2);
        assert!(charts[0].inline().contains("class=\"line a\" d=\"M"), "{}", charts[0].inline());
    }

    #[test]
    fn an_unknown_subset_keeps_its_name() {
        assert_eq!((subset("full"), subset("mine")), ("everything", "mine"));
        assert!(evaluation(&[]).is_empty());
    }
}
