//! Numbers as people read them.

use crate::evaluation::Interval;

/// `1 shard`, `2 shards`.
pub(crate) fn counted(number: u64, what: &str) -> String {
    format!("{} {what}{}", grouped(number), if number == 1 { "" } else { "s" })
}

/// `1234567` as `1,234,567`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Bytes for people.
pub(crate) fn size(bytes: u64) -> String {
    let units = ["B", "kB", "MB", "GB", "TB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1000.0 && unit + 1 < units.len() {
        value /= 1000.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} B") } else { format!("{value:.1} {}", units[unit]) }
}

/// A share in per cent, with one decimal.
pub(crate) fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

/// The share that `part` is of `whole`, 0 of nothing.
pub(crate) fn share(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64
}

/// A number with so many digits as tell it from its neighbours: `0.061`, `2.72`, `1234`.
pub(crate) fn number(value: f64) -> String {
    match value.abs() {
        size if !size.is_finite() => "none".to_owned(),
        size if size != 0.0 && size < 0.001 => format!("{value:.1e}"),
        size if size < 1.0 => format!("{value:.3}"),
        size if size < 100.0 => format!("{value:.2}"),
        _ => format!("{value:.0}"),
    }
}

/// `84.52 ± 0.31`, of per cent; without the interval where there is none.
pub(crate) fn ranged(interval: Interval) -> String {
    let half = interval.half_width.map(|half| format!(" \u{b1} {half:.2}"));
    format!("{:.2}{}", interval.mean, half.unwrap_or_default())
}

/// As [`number`], or a dash where there is none.
pub(crate) fn perhaps(value: Option<f64>) -> String {
    value.map_or_else(|| "\u{2013}".to_owned(), number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_readable() {
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([999, 1000, 1_400_000].map(size), ["999 B", "1.0 kB", "1.4 MB"]);
        assert_eq!([1, 2].map(|n| counted(n, "shard")), ["1 shard", "2 shards"]);
        let told = [0.0, 0.0613, 2.5, 1234.4, 4e-5, -0.5, f64::NAN].map(number);
        assert_eq!(told, ["0.000", "0.061", "2.50", "1234", "4.0e-5", "-0.500", "none"]);
        assert_eq!((percent(share(1, 3)), percent(share(0, 0))), ("33.3 %".into(), "0.0 %".into()));
        assert_eq!(perhaps(None), "\u{2013}");
        let one = Interval { mean: 84.521, half_width: None, n: 1 };
        assert_eq!(ranged(one), "84.52");
        assert_eq!(ranged(Interval { half_width: Some(0.306), ..one }), "84.52 \u{b1} 0.31");
    }
}
