//! Accuracy by the share kept, for each combination of a sweep: small panels with a few lines each.
//!
//! - `layout`: where panels and legend lie. `lines`: what is drawn in a panel.

mod layout;
mod lines;

use std::cmp::Reverse;
use std::collections::BTreeSet;

use layout::{Layout, Legend};
use lines::{line, references};

use super::interval::range;
use super::rows::{Row, rows};
use super::{Chart, brief, shortened};
use crate::evaluation::Interval;
use crate::report::words::{percent, ranged};
use crate::run::{Swept, SweptPoint};

/// The most lines in a panel; what they differ in beyond that gets panels of its own.
const MOST_LINES: usize = 4;

/// What combinations differ in.
type Axis = fn(&SweptPoint) -> String;

const AXES: [Axis; 4] = [
    |point| point.by.clone(),
    |point| point.strategy.clone(),
    |point| point.mode.clone(),
    |point| match point.stages.as_str() {
        "1" => "1 stage".to_owned(),
        stages => format!("{stages} stages"),
    },
];

/// The picture of a sweep: lines over the share kept, or rows if there is one share.
pub(in crate::report) fn sweep(swept: &Swept) -> Chart {
    let (grid, test) = (Grid::new(&swept.points), brief(&swept.test));
    if grid.keeps.len() < 2 { grid.ranking(&test) } else { grid.panels(&test) }
}

/// The combinations, and which of their differences are panels and which are lines.
struct Grid<'a> {
    points: &'a [SweptPoint],
    keeps: Vec<f64>,
    panels: Vec<Axis>,
    lines: Vec<Axis>,
}

impl<'a> Grid<'a> {
    fn new(points: &'a [SweptPoint]) -> Self {
        let values = |axis: Axis| distinct(points, &[axis]).len();
        let mut lines: Vec<Axis> = AXES.into_iter().filter(|axis| values(*axis) > 1).collect();
        let mut panels = Vec::new();
        while distinct(points, &lines).len() > MOST_LINES {
            // That with most values, the first of several.
            let most = (0..lines.len()).min_by_key(|at| Reverse(values(lines[*at])));
            panels.extend(most.map(|at| lines.remove(at)));
        }
        let keeps: BTreeSet<u64> = points.iter().map(|p| p.select_keep.to_bits()).collect();
        // Positive numbers are ordered like their bits.
        Self { points, keeps: keeps.into_iter().map(f64::from_bits).collect(), panels, lines }
    }

    /// The combination in words: what it differs in from others.
    fn name(&self, point: &SweptPoint) -> String {
        let name = name(point, &[&self.panels[..], &self.lines].concat());
        if name.is_empty() { "coreset".to_owned() } else { name }
    }

    fn range(&self) -> (f64, f64) {
        let all = |point: &SweptPoint| [point.coreset, point.random, point.full];
        let intervals: Vec<Interval> = self.points.iter().flat_map(all).collect();
        range(self.points.iter().flat_map(all).map(|one| one.mean), &intervals, 0.2)
    }

    /// What the picture shows, for those who do not see it.
    fn described(&self) -> String {
        let mut told = Vec::new();
        for keep in &self.keeps {
            let here = self.points.iter().filter(|point| same(point.select_keep, *keep));
            if let Some(best) = here.max_by(|a, b| a.coreset.mean.total_cmp(&b.coreset.mean)) {
                told.push(format!(
                    "At {} the best is {} with {} %; random {} %, everything {} %.",
                    percent(*keep),
                    self.name(best),
                    ranged(best.coreset),
                    ranged(best.random),
                    ranged(best.full)
                ));
            }
        }
        told.join(" ")
    }

    /// All combinations of one share, the best first.
    fn ranking(&self, test: &str) -> Chart {
        let keep = self.keeps.first().copied().unwrap_or_default();
        let title = format!("Accuracy with {} kept, on {test}", percent(keep));
        let row = |point: &SweptPoint| Row {
            name: self.name(point),
            class: "a",
            mean: point.coreset,
            values: Vec::new(),
        };
        let mut points: Vec<&SweptPoint> = self.points.iter().collect();
        points.sort_by(|a, b| b.coreset.mean.total_cmp(&a.coreset.mean));
        let all: Vec<Row> = points.iter().map(|point| row(point)).collect();
        let marks = points
            .first()
            .map(|point| [(point.random.mean, "random"), (point.full.mean, "everything")]);
        let x_name = "accuracy of models trained on each coreset, with its 95 % interval";
        rows(&title, self.described(), &all, marks.as_ref().map_or(&[][..], |marks| marks), x_name)
    }

    /// A line for each combination over the shares, in panels.
    fn panels(&self, test: &str) -> Chart {
        let title = format!("Accuracy by what is kept, on {test}");
        let names = distinct(self.points, &self.panels);
        let labels = distinct(self.points, &self.lines);
        let legend = Legend::new(&labels);
        let across = match names.len() {
            1 => 1,
            2..=4 => 2,
            _ => 3,
        };
        let layout =
            Layout { top: 34.0 + legend.height, across, x: self.keeps.clone(), y: self.range() };
        let mut chart = Chart::new(title.as_str(), self.described(), layout.bottom(names.len()));
        chart.text("head", (16.0, 24.0), "start", &shortened(&title, 76));
        legend.draw(&mut chart);
        for (at, name) in names.iter().enumerate() {
            let panel = layout.panel(at);
            let inside =
                || self.points.iter().filter(|point| self::name(point, &self.panels) == *name);
            chart.text("head", (panel.left, panel.top - 8.0), "start", &shortened(name, 32));
            layout.axes(&mut chart, &panel);
            references(&mut chart, &panel, &once(inside()));
            for (at, label) in labels.iter().enumerate() {
                let of = inside().filter(|point| self::name(point, &self.lines) == *label);
                let shift = (at as f64 - (labels.len() as f64 - 1.0) / 2.0) * 5.0;
                line(&mut chart, &panel, at, shift, &sorted(of));
            }
        }
        chart
    }
}

fn name(point: &SweptPoint, axes: &[Axis]) -> String {
    axes.iter().map(|axis| axis(point)).collect::<Vec<_>>().join(", ")
}

/// The different names, in the order of the grid.
fn distinct(points: &[SweptPoint], axes: &[Axis]) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for name in points.iter().map(|point| name(point, axes)) {
        if !found.contains(&name) {
            found.push(name);
        }
    }
    found
}

fn sorted<'a>(points: impl Iterator<Item = &'a SweptPoint>) -> Vec<&'a SweptPoint> {
    let mut points: Vec<_> = points.collect();
    points.sort_by(|a, b| a.select_keep.total_cmp(&b.select_keep));
    points
}

/// A point for each share, in their order: random subsets and everything are the same for all.
fn once<'a>(points: impl Iterator<Item = &'a SweptPoint>) -> Vec<&'a SweptPoint> {
    let mut points = sorted(points);
    points.dedup_by(|a, b| same(a.select_keep, b.select_keep));
    points
}

fn same(a: f64, b: f64) -> bool {
    a.to_bits() == b.to_bits()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluation::Standing;

    fn point(by: &str, (mode, stages): (&str, &str), keep: f64, mean: f64) -> SweptPoint {
        let of = |mean, half| Interval { mean, half_width: Some(half), n: 3 };
        SweptPoint {
            mode: mode.to_owned(),
            by: by.to_owned(),
            strategy: "top".to_owned(),
            select_keep: keep,
            keep,
            stages: stages.to_owned(),
            coreset: of(mean, 0.4),
            full: of(90.0, 0.2),
            random: of(80.0, 0.5),
            random_stratified: of(80.0, 0.5),
            standing: Standing::NotProven,
        }
    }

    fn swept(keeps: &[f64]) -> Swept {
        let mut points = Vec::new();
        for (at, by) in ["margin", "entropy", "el2n", "<own>"].into_iter().enumerate() {
            for (of, kind) in
                [("unseen", "1"), ("unseen", "3"), ("fitting", "1")].into_iter().enumerate()
            {
                for keep in keeps {
                    points.push(point(
                        by,
                        kind,
                        *keep,
                        85.0 - 0.1 * at as f64 - of as f64 + 2.0 * keep,
                    ));
                }
            }
        }
        let (uri, test) = ("runs/s".to_owned(), "a & b".to_owned());
        Swept { table: String::new(), runs: points.len(), uri, test, points }
    }

    #[test]
    fn many_combinations_are_panels_of_few_lines() {
        let svg = sweep(&swept(&[0.3, 0.5, 0.7])).inline();
        for panel in [">margin</text>", ">entropy</text>", ">el2n</text>", ">&lt;own&gt;</text>"] {
            assert_eq!(svg.matches(panel).count(), 1, "{panel}");
        }
        let legend = 1;
        for class in ["a", "b", "c"] {
            assert_eq!(
                svg.matches(&format!("class=\"line {class}\"")).count(),
                4 + legend,
                "{class}"
            );
        }
        assert!(!svg.contains("class=\"line d\""), "three kinds of lines");
        assert_eq!(svg.matches("class=\"whisker").count(), 4 * 3 * 3);
        assert!(svg.contains("At 30.0 % the best is margin, unseen, 1 stage with 85.60 \u{b1} 0.40 %; random 80.00"), "{svg}");
        assert!(svg.contains("on a &amp; b"), "{svg}");
    }

    #[test]
    fn one_share_is_a_ranking() {
        let mut swept = swept(&[0.5]);
        swept.points.reverse();
        let svg = sweep(&swept).inline();
        assert_eq!(svg.matches("class=\"name\"").count(), 12);
        let place = |name: &str| svg.find(&format!(">{name}</text>")).unwrap();
        assert!(place("margin, unseen, 1 stage") < place("&lt;own&gt;, fitting, 1 stage"));
        assert!(svg.contains(">random</text>") && svg.contains(">everything</text>"), "{svg}");
    }

    #[test]
    fn an_empty_sweep_is_no_panic() {
        let none = Swept { points: Vec::new(), ..swept(&[]) };
        assert!(sweep(&none).document().ends_with("</svg>\n"));
    }
}
