//! A rectangle with axes: where numbers lie in a picture.

use super::Chart;
use crate::report::words::number;

/// A rectangle of a picture, and the numbers at its sides.
#[derive(Clone, Copy, Debug)]
pub(super) struct Panel {
    pub(super) left: f64,
    pub(super) top: f64,
    pub(super) width: f64,
    pub(super) height: f64,
    /// The numbers at the left and at the right side.
    pub(super) x: (f64, f64),
    /// The numbers at the bottom and at the top.
    pub(super) y: (f64, f64),
}

impl Panel {
    pub(super) fn right(&self) -> f64 {
        self.left + self.width
    }

    pub(super) fn bottom(&self) -> f64 {
        self.top + self.height
    }

    /// Where the number `x` lies.
    pub(super) fn at_x(&self, x: f64) -> f64 {
        self.left + part(x, self.x) * self.width
    }

    /// Where the number `y` lies.
    pub(super) fn at_y(&self, y: f64) -> f64 {
        self.bottom() - part(y, self.y) * self.height
    }

    /// Numbers below, with a line at each.
    pub(super) fn x_axis(&self, chart: &mut Chart, ticks: &[f64], told: impl Fn(f64) -> String) {
        for tick in ticks {
            let x = self.at_x(*tick);
            chart.draw(format_args!(
                "<path class=\"grid\" d=\"M{x:.1} {}v{}\"/>",
                self.top, self.height
            ));
            chart.text("soft", (x, self.bottom() + 18.0), "middle", &told(*tick));
        }
        chart.draw(format_args!(
            "<path class=\"axis\" d=\"M{} {}h{}\"/>",
            self.left,
            self.bottom(),
            self.width
        ));
    }

    /// Numbers to the left, with a line at each.
    pub(super) fn y_axis(&self, chart: &mut Chart, ticks: &[f64], told: impl Fn(f64) -> String) {
        for tick in ticks {
            let y = self.at_y(*tick);
            chart.draw(format_args!(
                "<path class=\"grid\" d=\"M{} {y:.1}h{}\"/>",
                self.left, self.width
            ));
            chart.text("soft", (self.left - 8.0, y + 4.5), "end", &told(*tick));
        }
    }

    /// A name below the numbers of the x axis.
    pub(super) fn x_name(&self, chart: &mut Chart, name: &str) {
        let middle = self.left + self.width / 2.0;
        chart.text("soft", (middle, self.bottom() + 38.0), "middle", name);
    }
}

fn part(value: f64, (from, to): (f64, f64)) -> f64 {
    if to > from { (value - from) / (to - from) } else { 0.5 }
}

/// Round numbers in a range, about `wanted` of them.
pub(super) fn ticks((from, to): (f64, f64), wanted: usize) -> Vec<f64> {
    let span = to - from;
    if !(span.is_finite() && span > 0.0) {
        return vec![from];
    }
    let rough = span / wanted.max(1) as f64;
    let power = 10.0_f64.powf(rough.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|step| step * power);
    let step = steps.into_iter().find(|step| *step >= rough).unwrap_or(rough);
    // A tick that the last digit of a sum puts beyond the end is one at the end.
    let first = (from / step - 1e-9).ceil() as i64;
    let last = (to / step + 1e-9).floor() as i64;
    (first..=last).map(|at| at as f64 * step).collect()
}

/// A tick as text: without zeros at its end.
pub(super) fn tick(value: f64) -> String {
    if value != 0.0 && value.abs() < 0.001 {
        return number(value);
    }
    let text = format!("{value:.3}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "hand values are exact")]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_inside() {
        let told =
            |range, wanted| -> Vec<String> { ticks(range, wanted).into_iter().map(tick).collect() };
        assert_eq!(told((0.0, 1.0), 5), ["0", "0.2", "0.4", "0.6", "0.8", "1"]);
        assert_eq!(told((-3.2, 41.0), 4), ["0", "20", "40"]);
        assert_eq!(told((0.013, 0.049), 4), ["0.02", "0.03", "0.04"]);
        assert_eq!(ticks((2.0, 2.0), 4), [2.0]);
        assert_eq!(ticks((0.0, f64::NAN), 4).len(), 1);
        assert_eq!([tick(0.0), tick(-0.0), tick(1500.0), tick(2e-5)], ["0", "0", "1500", "2.0e-5"]);
    }

    #[test]
    fn numbers_have_their_place() {
        let panel = Panel {
            left: 10.0,
            top: 20.0,
            width: 100.0,
            height: 50.0,
            x: (0.0, 2.0),
            y: (0.0, 1.0),
        };
        assert_eq!((panel.at_x(1.0), panel.at_y(1.0), panel.at_y(0.0)), (60.0, 20.0, 70.0));
        let flat = Panel { x: (1.0, 1.0), ..panel };
        assert_eq!(flat.at_x(1.0), 60.0);
    }
}
