//! What a run would keep at other shares.

use std::fmt::Write as _;

use super::panel::{Panel, tick, ticks};
use super::{Chart, WIDTH};
use crate::run::{Curve, Point};

const PANEL: Panel = Panel {
    left: 64.0,
    top: 46.0,
    width: WIDTH - 92.0,
    height: 320.0,
    x: (0.0, 1.0),
    y: (0.0, 1.0),
};

/// The lines: class, name, and what they show of a point.
type Line = (&'static str, &'static str, fn(&Point) -> f64);

const LINES: [Line; 3] = [
    ("a", "class balance (least / most kept)", |point| point.balance),
    ("b", "shared with a random choice", |point| point.overlap),
    ("n", "the same, expected", |point| point.overlap_expected),
];

/// Where the name of each line begins.
const LEGEND: [f64; 3] = [16.0, 288.0, 516.0];

/// The curve of a run.
pub(in crate::report) fn curve(curve: &Curve) -> Chart {
    let title = format!("What {} would keep", curve.uri);
    let mut chart = Chart::new(title, described(curve), PANEL.bottom() + 76.0);
    let head = format!("Class balance and overlap with random, by {}", curve.by);
    chart.text("head", (PANEL.left, 26.0), "start", &head);
    PANEL.y_axis(&mut chart, &ticks(PANEL.y, 5), |y| format!("{y:.1}"));
    PANEL.x_axis(&mut chart, &ticks(PANEL.x, 10), |x| format!("{} %", tick(100.0 * x)));
    PANEL.x_name(&mut chart, "samples kept");
    if let Some(keep) = curve.run_keeps {
        let x = PANEL.at_x(keep);
        chart.draw(format_args!(
            "<path class=\"mark\" d=\"M{x:.1} {}v{}\"/>",
            PANEL.top, PANEL.height
        ));
        chart.text("soft", (x + 4.0, PANEL.top + 12.0), "start", "the run");
    }
    for ((class, name, of), x) in LINES.iter().zip(LEGEND) {
        line(&mut chart, class, curve, *of);
        let y = PANEL.bottom() + 62.0;
        chart.draw(format_args!("<path class=\"line {class}\" d=\"M{x} {:.1}h24\"/>", y - 4.0));
        chart.text("soft", (x + 30.0, y), "start", name);
    }
    chart
}

/// What the picture shows, for those who do not see it.
fn described(curve: &Curve) -> String {
    let at = |keep: f64| curve.points.iter().find(|point| (point.keep - keep).abs() < 1e-9);
    let mut text =
        format!("Shares of {} samples kept, by {}: {}.", curve.usable, curve.by, curve.note);
    for point in [0.1, 0.5, 0.9].into_iter().filter_map(at).filter(|p| p.impossible.is_none()) {
        let _ = write!(
            text,
            " At {:.0} %: class balance {:.2}, overlap with random {:.2} (expected {:.2}).",
            100.0 * point.keep,
            point.balance,
            point.overlap,
            point.overlap_expected
        );
    }
    text
}

fn line(chart: &mut Chart, class: &str, curve: &Curve, of: fn(&Point) -> f64) {
    let mut path = String::new();
    let mut pen = 'M';
    for point in &curve.points {
        if point.impossible.is_some() {
            pen = 'M';
            continue;
        }
        let (x, y) = (PANEL.at_x(point.keep), PANEL.at_y(of(point).clamp(0.0, 1.0)));
        let _ = write!(path, "{pen}{x:.1} {y:.1}");
        pen = 'L';
    }
    chart.draw(format_args!("<path class=\"line {class}\" d=\"{path}\"/>"));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(keep: f64, impossible: Option<String>) -> Point {
        Point {
            keep,
            rows: 10,
            bytes: 100,
            cut: Some(0.5),
            least_class: 0.2,
            most_class: 0.4,
            balance: 0.5,
            overlap_expected: keep,
            overlap: keep,
            impossible,
        }
    }

    fn drawn(points: Vec<Point>) -> String {
        let curve = Curve {
            uri: "runs/<a&b>".to_owned(),
            usable: 20,
            by: "margin".to_owned(),
            run_keeps: Some(0.5),
            note: "in one step".to_owned(),
            points,
        };
        super::curve(&curve).document()
    }

    #[test]
    fn the_picture_tells_what_it_shows() {
        let svg = drawn(vec![point(0.1, None), point(0.5, None)]);
        let title = "<title id=\"title\">What runs/&lt;a&amp;b&gt; would keep</title>";
        assert!(svg.contains(title) && svg.contains("At 50 %: class balance 0.50"), "{svg}");
        assert!(svg.contains("prefers-color-scheme: dark") && !svg.contains("<script"));
        assert!(svg.contains("<path class=\"line a\" d=\"M126.8 206.0L378.0 206.0\"/>"), "{svg}");
    }

    #[test]
    fn a_line_has_a_gap_where_nothing_can_be_kept() {
        let none = Some("no".to_owned());
        let svg = drawn(vec![point(0.1, None), point(0.5, none), point(0.6, None)]);
        assert!(svg.contains("d=\"M126.8 206.0M440.8 206.0\""), "{svg}");
    }
}
