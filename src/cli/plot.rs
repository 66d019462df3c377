//! A curve as a picture: one SVG without scripts, readable in light and dark.

use std::fmt::Write as _;

use crate::run::{Curve, Point};

/// Width and height of the whole picture.
const SIZE: (f64, f64) = (720.0, 460.0);

/// The panel: left, top, width, height.
const PANEL: (f64, f64, f64, f64) = (64.0, 56.0, 628.0, 320.0);

/// Colours for light and dark, from a palette that colour-blind people can tell apart (Okabe, Ito); lines
/// differ in their dashes, too.
const STYLE: &str = "
  svg { font: 13px system-ui, sans-serif; background: #fff; color: #222 }
  text { fill: currentColor } .axis { stroke: currentColor; fill: none }
  .grid { stroke: currentColor; opacity: .15 } .line { fill: none; stroke-width: 2.5 }
  .balance { stroke: #0072b2 } .overlap { stroke: #d55e00; stroke-dasharray: 7 4 }
  .expected { stroke: #777; stroke-dasharray: 2 4 } .run { stroke: currentColor; opacity: .5 }
  @media (prefers-color-scheme: dark) {
    svg { background: #161616; color: #eee }
    .balance { stroke: #56b4e9 } .overlap { stroke: #e69f00 } .expected { stroke: #999 }
  }";

/// The lines: class, name, and what they show of a point.
type Line = (&'static str, &'static str, fn(&Point) -> f64);

const LINES: [Line; 3] = [
    ("balance", "class balance (least / most kept)", |point| point.balance),
    ("overlap", "shared with a random choice", |point| point.overlap),
    ("expected", "the same, expected", |point| point.overlap_expected),
];

/// The curve as an SVG document.
pub(super) fn curve(curve: &Curve) -> String {
    let mut svg = String::new();
    let (width, height) = SIZE;
    let _ = writeln!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" role=\"img\" aria-labelledby=\"title desc\">"
    );
    let _ = writeln!(svg, "<title id=\"title\">What {} would keep</title>", escaped(&curve.uri));
    let _ = writeln!(svg, "<desc id=\"desc\">{}</desc>", escaped(&described(curve)));
    let _ = writeln!(svg, "<style>{STYLE}\n</style>");
    let title = format!("Class balance and overlap with random, by {}", curve.by);
    label(&mut svg, PANEL.0, 26.0, "start", &title);
    grid(&mut svg);
    if let Some(keep) = curve.run_keeps {
        let ((x, top), (_, bottom)) = (place(keep, 1.0), place(keep, 0.0));
        let _ = writeln!(svg, "<path class=\"run\" d=\"M{x:.1} {top:.1}V{bottom:.1}\"/>");
        label(&mut svg, x + 4.0, top + 12.0, "start", "the run");
    }
    for (at, (class, name, of)) in LINES.iter().enumerate() {
        line(&mut svg, class, curve, *of);
        legend(&mut svg, at, class, name);
    }
    svg.push_str("</svg>\n");
    svg
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

/// The place of two shares on the panel.
fn place(x: f64, y: f64) -> (f64, f64) {
    let (left, top, width, height) = PANEL;
    (left + x * width, top + (1.0 - y) * height)
}

fn grid(svg: &mut String) {
    let (left, top, width, height) = PANEL;
    for step in 0..=10 {
        let share = f64::from(step) / 10.0;
        let (x, y) = place(share, share);
        let _ = writeln!(
            svg,
            "<path class=\"grid\" d=\"M{left} {y:.1}h{width}M{x:.1} {top}v{height}\"/>"
        );
        if step % 2 == 0 {
            label(svg, left - 8.0, y + 4.0, "end", &format!("{share:.1}"));
            label(svg, x, top + height + 18.0, "middle", &format!("{} %", 10 * step));
        }
    }
    let _ = writeln!(svg, "<path class=\"axis\" d=\"M{left} {top}v{height}h{width}\"/>");
    label(svg, left + width / 2.0, top + height + 38.0, "middle", "samples kept");
}

fn line(svg: &mut String, class: &str, curve: &Curve, of: fn(&Point) -> f64) {
    let mut path = String::new();
    let mut pen = 'M';
    for point in &curve.points {
        if point.impossible.is_some() {
            pen = 'M';
            continue;
        }
        let (x, y) = place(point.keep, of(point).clamp(0.0, 1.0));
        let _ = write!(path, "{pen}{x:.1} {y:.1}");
        pen = 'L';
    }
    let _ = writeln!(svg, "<path class=\"line {class}\" d=\"{path}\"/>");
}

fn legend(svg: &mut String, at: usize, class: &str, name: &str) {
    let (x, y) = (PANEL.0 + 246.0 * at as f64, SIZE.1 - 16.0);
    let _ = writeln!(svg, "<path class=\"line {class}\" d=\"M{x} {}h24\"/>", y - 4.0);
    label(svg, x + 30.0, y, "start", name);
}

fn label(svg: &mut String, x: f64, y: f64, anchor: &str, text: &str) {
    let text = escaped(text);
    let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>");
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
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
        curve(&Curve {
            uri: "runs/<a&b>".to_owned(),
            usable: 20,
            by: "margin".to_owned(),
            run_keeps: Some(0.5),
            note: "in one step".to_owned(),
            points,
        })
    }

    #[test]
    fn the_picture_tells_what_it_shows() {
        let svg = drawn(vec![point(0.1, None), point(0.5, None)]);
        assert!(
            svg.contains("<title id=\"title\">What runs/&lt;a&amp;b&gt; would keep</title>"),
            "{svg}"
        );
        assert!(svg.contains("At 50 %: class balance 0.50"), "{svg}");
        assert!(svg.contains("prefers-color-scheme: dark") && !svg.contains("<script"));
        assert!(
            svg.contains("<path class=\"line balance\" d=\"M126.8 216.0L378.0 216.0\"/>"),
            "{svg}"
        );
    }

    #[test]
    fn a_line_has_a_gap_where_nothing_can_be_kept() {
        let none = Some("no".to_owned());
        let svg = drawn(vec![point(0.1, None), point(0.5, none), point(0.6, None)]);
        assert!(svg.contains("d=\"M126.8 216.0M440.8 216.0\""), "{svg}");
    }
}
