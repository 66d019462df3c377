//! How samples move between stages: columns of quarters, and bands between them.

use std::fmt::Write as _;

use super::{Chart, WIDTH};
use crate::report::words::{grouped, percent, perhaps, share};
use crate::run::Flow;

/// The parts of a column, from the top.
const PARTS: [&str; 5] = ["kept here", "1st quarter", "2nd quarter", "3rd quarter", "last quarter"];

const TOP: f64 = 64.0;
const HEIGHT: f64 = 300.0;
const GAP: f64 = 10.0;
const COLUMN: f64 = 26.0;
const LEFT: f64 = 166.0;

/// The columns of all stages and what moves between them.
pub(in crate::report) fn flow(flow: &Flow) -> Chart {
    let title = "How samples move between the stages";
    let mut chart = Chart::new(title, described(flow), TOP + HEIGHT + 4.0 * GAP + 24.0);
    chart.legend((16.0, 20.0), &[("a", 1.0, "kept"), ("n", 1.0, "left, by rank in quarters")]);
    let columns: Vec<Column> =
        (0..flow.stages.len()).map(|stage| Column::new(flow, stage)).collect();
    for (stage, moves) in flow.moves.iter().enumerate() {
        bands(&mut chart, moves, &columns[stage], &columns[stage + 1]);
    }
    for (stage, column) in columns.iter().enumerate() {
        column.draw(&mut chart, stage);
    }
    chart
}

fn described(flow: &Flow) -> String {
    let mut text = String::new();
    for (stage, moves) in flow.moves.iter().enumerate() {
        let entered: u64 = moves.iter().map(|to| to[0]).sum();
        let first = percent(share(moves[0][0], entered));
        let _ = write!(
            text,
            "Of the samples that entered in stage {}, {first} were in the first quarter of those left by stage {}; rank correlation of the two stages {}. ",
            stage + 2,
            stage + 1,
            perhaps(flow.spearman[stage])
        );
    }
    text.trim_end().to_owned()
}

/// One stage: where its parts lie.
struct Column {
    x: f64,
    counts: [u64; 5],
    /// Top and height of each part.
    places: [(f64, f64); 5],
}

impl Column {
    fn new(flow: &Flow, stage: usize) -> Self {
        let counts = flow.stages[stage];
        // All columns have one scale; what entered before is not there any more.
        let all = flow.stages.iter().map(|counts| counts.iter().sum::<u64>()).max().unwrap_or(1);
        let mut top = TOP;
        let places = counts.map(|count| {
            let height = HEIGHT * share(count, all);
            let place = (top, height);
            top += height + GAP;
            place
        });
        let last = flow.stages.len().saturating_sub(1).max(1) as f64;
        let x = LEFT + (WIDTH - 2.0 * LEFT - COLUMN) * stage as f64 / last;
        Self { x, counts, places }
    }

    fn draw(&self, chart: &mut Chart, stage: usize) {
        let middle = (self.x + COLUMN / 2.0, TOP - 14.0);
        chart.text("head", middle, "middle", &format!("stage {}", stage + 1));
        for (part, (top, height)) in self.places.into_iter().enumerate() {
            let says =
                format!("stage {}, {}: {}", stage + 1, PARTS[part], grouped(self.counts[part]));
            let class = if part == 0 { "a" } else { "n" };
            chart.bar(class, 1.0, (self.x, top, COLUMN, height), &says);
            let y = top + height / 2.0 + 4.5;
            if stage == 0 {
                let told = format!("{}: {}", PARTS[part], grouped(self.counts[part]));
                chart.text("soft", (self.x - 10.0, y), "end", &told);
            } else {
                chart.text(
                    "soft halo",
                    (self.x + COLUMN + 8.0, y),
                    "start",
                    &grouped(self.counts[part]),
                );
            }
        }
    }
}

/// What moves from the quarters of one stage to the parts of the next.
fn bands(chart: &mut Chart, moves: &[[u64; 5]; 4], from: &Column, to: &Column) {
    let mut filled = [0.0; 5];
    for (quarter, moved) in moves.iter().enumerate() {
        let (top, height) = from.places[quarter + 1];
        let all = from.counts[quarter + 1];
        let mut used = 0.0;
        for (part, count) in moved.iter().enumerate().filter(|(_, count)| **count > 0) {
            let thick = height * share(*count, all);
            let (there, _) = to.places[part];
            let says =
                format!("{} from the {} to: {}", grouped(*count), PARTS[quarter + 1], PARTS[part]);
            let ends = ((from.x + COLUMN, top + used), (to.x, there + filled[part]));
            band(chart, if part == 0 { "a" } else { "n" }, ends, thick, &says);
            used += thick;
            filled[part] += thick;
        }
    }
}

fn band(chart: &mut Chart, class: &str, ends: ((f64, f64), (f64, f64)), thick: f64, says: &str) {
    let ((x0, y0), (x1, y1)) = ends;
    let bend = f64::midpoint(x0, x1);
    let (z0, z1) = (y0 + thick, y1 + thick);
    let opacity = if class == "a" { 0.5 } else { 0.28 };
    chart.draw(format_args!(
        "<path class=\"{class}\" fill-opacity=\"{opacity}\" d=\"M{x0:.1} {y0:.1}C{bend:.1} {y0:.1} {bend:.1} {y1:.1} {x1:.1} {y1:.1}V{z1:.1}C{bend:.1} {z1:.1} {bend:.1} {z0:.1} {x0:.1} {z0:.1}Z\"><title>{says}</title></path>"
    ));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_move_is_a_band_and_told() {
        let mut moves = [[0; 5]; 4];
        (moves[0][0], moves[0][4], moves[3][0]) = (6, 2, 2);
        let shown = Flow {
            stages: vec![[10, 8, 8, 8, 8], [8, 6, 6, 6, 6]],
            moves: vec![moves],
            spearman: vec![Some(0.5)],
        };
        let svg = flow(&shown).inline();
        assert!(svg.contains("Of the samples that entered in stage 2, 75.0 % were in the first quarter of those left by stage 1; rank correlation of the two stages 0.500."), "{svg}");
        assert_eq!(svg.matches("Z\"><title>").count(), 3);
        assert!(svg.contains("<title>2 from the last quarter to: kept here</title>"), "{svg}");
    }
}
