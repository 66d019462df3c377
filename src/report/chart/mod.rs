//! Pictures: each is one SVG without scripts, readable in light and dark and without colours.
//!
//! - `panel`: axes and scales. `interval`: means and how sure they are. `rows`: accuracies one below the
//!   other. The other files are a picture each.
//!
//! Colours are from a palette that colour-blind people can tell apart (Okabe, Ito), darkened where text
//! needs the contrast; lines differ in their dashes, too.

mod agreement;
mod bars;
mod curve;
mod evaluation;
mod flow;
mod histogram;
mod interval;
mod panel;
mod rows;
mod strip;
mod sweep;

use std::fmt::{Display, Write as _};

pub(super) use agreement::agreement;
pub(super) use bars::classes;
pub(super) use curve::curve;
pub(super) use evaluation::{evaluation, subset};
pub(super) use flow::flow;
pub(super) use histogram::histograms;
pub(super) use strip::strip;
pub(super) use sweep::sweep;

use super::markup::escaped;
use super::png::png;
use crate::error::Result;

/// The colours; they hold in a page and in a file of its own.
pub(super) const STYLE: &str = include_str!("chart.css");

/// Width of a picture, in its own units.
const WIDTH: f64 = 720.0;

/// One picture.
#[derive(Clone, Debug)]
pub struct Chart {
    title: String,
    described: String,
    height: f64,
    body: String,
}

impl Chart {
    /// An empty picture; `described` tells what it shows to those who do not see it.
    fn new(title: impl Into<String>, described: impl Into<String>, height: f64) -> Self {
        let (title, described) = (title.into(), described.into());
        Self { title, described, height, body: String::new() }
    }

    /// The picture as a file.
    pub fn document(&self) -> String {
        let (title, described) = (escaped(&self.title), escaped(&self.described));
        let height = self.height;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"chart\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" role=\"img\" aria-labelledby=\"title desc\">\n"
        );
        let _ = writeln!(svg, "<title id=\"title\">{title}</title>");
        let _ = writeln!(svg, "<desc id=\"desc\">{described}</desc>");
        let _ = writeln!(svg, "<style>\n{STYLE}</style>");
        let _ = writeln!(svg, "<rect class=\"page\" width=\"{WIDTH}\" height=\"{height}\"/>");
        let _ = writeln!(svg, "{}</svg>", self.body);
        svg
    }

    /// The picture as PNG, in its light colours and twice as many pixels as it has units.
    ///
    /// # Errors
    /// `Internal` if it cannot be drawn.
    pub fn png(&self) -> Result<Vec<u8>> {
        png(&self.document())
    }

    /// The picture as part of a page that has [`STYLE`].
    pub(super) fn inline(&self) -> String {
        let label = escaped(&format!("{}. {}", self.title, self.described));
        format!(
            "<svg class=\"chart\" viewBox=\"0 0 {WIDTH} {}\" role=\"img\" aria-label=\"{label}\">\n{}</svg>\n",
            self.height, self.body
        )
    }

    /// Adds an element.
    fn draw(&mut self, element: impl Display) {
        let _ = writeln!(self.body, "{element}");
    }

    /// Adds a text; `anchor` is `start`, `middle` or `end`.
    fn text(&mut self, class: &str, (x, y): (f64, f64), anchor: &str, text: &str) {
        let text = escaped(text);
        self.draw(format_args!(
            "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>"
        ));
    }

    /// Adds a rectangle (left, top, width, height) that says what it is when pointed at.
    fn bar(&mut self, class: &str, opacity: f64, (x, y, w, h): (f64, f64, f64, f64), says: &str) {
        if w <= 0.0 || h <= 0.0 {
            return;
        }
        let says = escaped(says);
        self.draw(format_args!(
            "<rect class=\"{class}\" fill-opacity=\"{opacity:.2}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{w:.2}\" height=\"{h:.2}\"><title>{says}</title></rect>"
        ));
    }

    /// Adds a shape that says what it is when pointed at.
    fn mark(&mut self, class: &str, path: &str, says: &str) {
        let says = escaped(says);
        self.draw(format_args!(
            "<path class=\"{class}\" d=\"{path}\"><title>{says}</title></path>"
        ));
    }

    /// Adds what the colours stand for, in a row from `x` on; the width of a text is guessed.
    fn legend(&mut self, (mut x, y): (f64, f64), entries: &[(&str, f64, &str)]) {
        for (class, opacity, name) in entries {
            self.bar(class, *opacity, (x, y - 10.0, 12.0, 12.0), name);
            self.text("soft", (x + 18.0, y), "start", name);
            x += 34.0 + text_width(name);
        }
    }
}

/// About how wide a text is.
fn text_width(text: &str) -> f64 {
    8.0 * text.chars().count() as f64
}

/// The name of a test for a picture: without the directories of its address, and without what pins it.
fn brief(test: &str) -> String {
    let test = test.split(" (content ").next().unwrap_or_default();
    let end = test.find(' ').unwrap_or(test.len());
    let start = test[..end].rfind('/').map_or(0, |slash| slash + 1);
    test[start..].to_owned()
}

/// A text of at most so many characters.
fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most - 1).chain(['\u{2026}']).collect()
}

#[cfg(test)]
pub(super) mod evaluation_tests;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_tells_what_it_shows_and_runs_nothing() {
        let mut chart = Chart::new("<b> & \"c\"", "two 'bars'", 100.0);
        chart.bar("a", 0.5, (1.0, 2.0, 3.0, 4.0), "</title><script>");
        chart.bar("a", 0.5, (1.0, 2.0, 0.0, 4.0), "nothing");
        chart.text("soft", (0.0, 0.0), "end", "x < y");
        for svg in [chart.document(), chart.inline()] {
            assert!(svg.contains("&lt;b&gt; &amp; &quot;c&quot;"), "{svg}");
            assert!(
                svg.contains("&lt;/title&gt;&lt;script&gt;") && svg.contains("x &lt; y"),
                "{svg}"
            );
            assert!(!svg.contains("<script") && !svg.contains("nothing"), "{svg}");
        }
        let file = chart.document();
        assert!(file.contains("prefers-color-scheme: dark") && file.contains("<desc id=\"desc\">"));
        assert!(!chart.inline().contains("<style"));
    }

    #[test]
    fn long_names_are_cut() {
        assert_eq!(brief("a/b.parquet where x = 'c/d' (content 0f)"), "b.parquet where x = 'c/d'");
        assert_eq!((brief("held-out"), brief("a/")), ("held-out".into(), String::new()));
        assert_eq!((shortened("abc", 3), shortened("äbcd", 3)), ("abc".into(), "äb…".into()));
    }
}
