//! Where the panels of a sweep and the legend above them lie.

use super::lines::{SERIES, marker};
use crate::report::chart::panel::{Panel, tick, ticks};
use crate::report::chart::{Chart, WIDTH, text_width};

/// Where the panels lie.
pub(super) struct Layout {
    pub(super) top: f64,
    pub(super) across: usize,
    pub(super) x: Vec<f64>,
    pub(super) y: (f64, f64),
}

impl Layout {
    fn height(&self) -> f64 {
        if self.across == 1 { 300.0 } else { 168.0 }
    }

    /// The height of a panel with what stands above and below it.
    fn each(&self) -> f64 {
        self.height() + 62.0
    }

    pub(super) fn bottom(&self, panels: usize) -> f64 {
        self.top + self.each() * panels.div_ceil(self.across) as f64 - 26.0
    }

    pub(super) fn panel(&self, at: usize) -> Panel {
        let wide = (WIDTH - 20.0) / self.across as f64;
        let (row, column) = (at / self.across, at % self.across);
        let (low, high) =
            (self.x.first().copied().unwrap_or(0.0), self.x.last().copied().unwrap_or(1.0));
        let edge = 0.09 * (high - low);
        Panel {
            left: 58.0 + wide * column as f64,
            top: self.top + self.each() * row as f64,
            width: wide - 58.0,
            height: self.height(),
            x: (low - edge, high + edge),
            y: self.y,
        }
    }

    pub(super) fn axes(&self, chart: &mut Chart, panel: &Panel) {
        let room = (panel.width / 52.0) as usize;
        let at = if self.x.len() <= room { self.x.clone() } else { ticks(panel.x, room) };
        panel.y_axis(chart, &ticks(panel.y, 6), |y| format!("{} %", tick(y)));
        panel.x_axis(chart, &at, |x| format!("{} %", tick(100.0 * x)));
    }
}

/// What the lines stand for, in as many rows as it takes.
pub(super) struct Legend<'a> {
    entries: Vec<(f64, f64, &'a str)>,
    pub(super) height: f64,
    lines: usize,
}

/// The lines that are no coreset's.
const REFERENCES: [&str; 2] = ["random subset, with its interval", "everything"];

impl<'a> Legend<'a> {
    pub(super) fn new(labels: &'a [String]) -> Self {
        let (mut x, mut y) = (16.0, 50.0);
        let mut entries = Vec::new();
        let names =
            labels.iter().map(|label| if label.is_empty() { "coreset" } else { label.as_str() });
        for name in names.chain(REFERENCES) {
            let width = 62.0 + text_width(name);
            if x + width > WIDTH && x > 16.0 {
                (x, y) = (16.0, y + 22.0);
            }
            entries.push((x, y, name));
            x += width;
        }
        Self { entries, height: y + 4.0, lines: labels.len() }
    }

    pub(super) fn draw(&self, chart: &mut Chart) {
        for (at, (x, y, name)) in self.entries.iter().enumerate() {
            let class = match at.checked_sub(self.lines) {
                None => format!("line {}", SERIES[at % SERIES.len()]),
                Some(0) => "line n".to_owned(),
                Some(_) => "mark".to_owned(),
            };
            chart.draw(format_args!("<path class=\"{class}\" d=\"M{x} {:.1}h30\"/>", y - 4.5));
            if at < self.lines {
                marker(chart, at, (x + 15.0, y - 4.5), name);
            }
            chart.text("soft", (x + 38.0, *y), "start", name);
        }
    }
}
