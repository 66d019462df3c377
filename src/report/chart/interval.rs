//! Means with their intervals: a line from end to end, with a cap where an end lies inside of the picture.

use super::Chart;
use super::panel::Panel;
use crate::evaluation::Interval;

/// Half of the length of a cap.
const CAP: f64 = 5.0;

/// An interval along the x axis, at the height `y`.
pub(super) fn across(chart: &mut Chart, panel: &Panel, class: &str, interval: Interval, y: f64) {
    let Some(ends) = ends(interval, panel.x) else { return };
    let [(from, low), (to, high)] = ends.map(|(at, cap)| (panel.at_x(at), cap));
    let cap = |x: f64, inside: bool| {
        if inside { format!("M{x:.1} {:.1}v{}", y - CAP, 2.0 * CAP) } else { String::new() }
    };
    chart.draw(format_args!(
        "<path class=\"whisker {class}\" d=\"M{from:.1} {y:.1}H{to:.1}{}{}\"/>",
        cap(from, low),
        cap(to, high)
    ));
}

/// An interval along the y axis, at the place `x`.
pub(super) fn upright(chart: &mut Chart, panel: &Panel, class: &str, interval: Interval, x: f64) {
    let Some(ends) = ends(interval, panel.y) else { return };
    let [(from, low), (to, high)] = ends.map(|(at, cap)| (panel.at_y(at), cap));
    let cap = |y: f64, inside: bool| {
        if inside { format!("M{:.1} {y:.1}h{}", x - CAP, 2.0 * CAP) } else { String::new() }
    };
    chart.draw(format_args!(
        "<path class=\"whisker {class}\" d=\"M{x:.1} {from:.1}V{to:.1}{}{}\"/>",
        cap(from, low),
        cap(to, high)
    ));
}

/// Both ends, cut to the range of the picture, and whether they lie inside of it.
fn ends(interval: Interval, (low, high): (f64, f64)) -> Option<[(f64, bool); 2]> {
    let half = interval.half_width?;
    let cut = |at: f64| (at.clamp(low, high), (low..=high).contains(&at));
    Some([cut(interval.mean - half), cut(interval.mean + half)])
}

/// The range of a picture of per cent: all `values`, and of the intervals no more than `room` times the span of
/// the values, because those of two or three seeds can be many times wider than what they hold.
pub(super) fn range(
    values: impl Iterator<Item = f64> + Clone,
    all: &[Interval],
    room: f64,
) -> (f64, f64) {
    let low = values.clone().fold(f64::INFINITY, f64::min);
    let high = values.fold(f64::NEG_INFINITY, f64::max);
    if low > high {
        return (0.0, 100.0);
    }
    let room = room * (high - low).max(1.0);
    let ends =
        |sign: f64| all.iter().filter_map(move |one| Some(one.mean + sign * one.half_width?));
    let from = ends(-1.0).fold(low, f64::min).max(low - room);
    let to = ends(1.0).fold(high, f64::max).min(high + room);
    let edge = 0.06 * (to - from);
    ((from - edge).max(0.0), (to + edge).min(100.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PANEL: Panel =
        Panel { left: 0.0, top: 0.0, width: 100.0, height: 100.0, x: (0.0, 1.0), y: (0.0, 1.0) };

    fn drawn(mean: f64, half_width: Option<f64>) -> String {
        let mut chart = Chart::new("", "", 100.0);
        across(&mut chart, &PANEL, "a", Interval { mean, half_width, n: 3 }, 50.0);
        chart.body
    }

    #[test]
    fn an_end_outside_has_no_cap() {
        assert!(drawn(0.5, Some(0.1)).contains("d=\"M40.0 50.0H60.0M40.0 45.0v10M60.0 45.0v10\""));
        assert!(drawn(0.5, Some(0.7)).contains("d=\"M0.0 50.0H100.0\""));
        assert_eq!(drawn(0.5, None), "");
    }

    #[test]
    fn wide_intervals_do_not_squeeze_the_values() {
        let wide = [Interval { mean: 85.0, half_width: Some(500.0), n: 2 }];
        let (low, high) = range([84.0, 86.0].into_iter(), &wide, 1.0);
        assert!((81.0..82.0).contains(&low) && (88.0..89.0).contains(&high), "{low} {high}");
        let (low, high) = range([84.0, 86.0].into_iter(), &[], 1.0);
        assert!((83.0..84.0).contains(&low) && high < 87.0, "{low} {high}");
        assert!(range([99.0, 100.0].into_iter(), &[], 1.0).1 <= 100.0);
        assert_eq!(range(std::iter::empty(), &[], 1.0), (0.0, 100.0));
    }
}
