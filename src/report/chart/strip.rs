//! Features of one row as small bars.

use std::fmt::Write as _;

use crate::report::words::number;

/// The most bars; more features share one, which shows their mean.
const BARS: usize = 64;

const HEIGHT: f64 = 40.0;

/// A small picture of features, for a page; bars of one page share the `range` of all features.
pub(in crate::report) fn strip(features: &[f32], (low, high): (f32, f32)) -> String {
    let each = features.len().div_ceil(BARS).max(1);
    let means: Vec<f64> = features.chunks(each).map(mean).collect();
    let (low, high) = (f64::from(low).min(0.0), f64::from(high).max(0.0));
    let at = |value: f64| if high > low { HEIGHT * (high - value) / (high - low) } else { HEIGHT };
    let width = means.len().max(1) as f64;
    let mut bars = String::new();
    for (x, value) in means.iter().enumerate() {
        let (top, bottom) = (at(value.max(0.0)), at(value.min(0.0)));
        let _ = write!(bars, "M{x}.1 {top:.1}h.8V{bottom:.1}h-.8Z");
    }
    let label = told(features, each);
    format!(
        "<svg class=\"chart strip\" viewBox=\"0 0 {width} {HEIGHT}\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{label}\"><path class=\"a\" d=\"{bars}\"/></svg>"
    )
}

fn mean(features: &[f32]) -> f64 {
    let sum: f64 = features.iter().copied().filter(|x| x.is_finite()).map(f64::from).sum();
    sum / features.len() as f64
}

fn told(features: &[f32], each: usize) -> String {
    let finite = || features.iter().copied().filter(|x| x.is_finite());
    let (low, high) =
        (finite().fold(f32::INFINITY, f32::min), finite().fold(f32::NEG_INFINITY, f32::max));
    let what = if each > 1 { format!(", a bar for each {each}") } else { String::new() };
    format!(
        "{} features from {} to {}{what}",
        features.len(),
        number(f64::from(low)),
        number(f64::from(high))
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strip_shows_each_feature_from_zero() {
        let svg = strip(&[1.0, -1.0, 0.0], (-1.0, 1.0));
        assert!(svg.contains("M0.1 0.0h.8V20.0h-.8ZM1.1 20.0h.8V40.0h-.8Z"), "{svg}");
        assert!(svg.contains("aria-label=\"3 features from -1.00 to 1.00\""), "{svg}");
    }

    #[test]
    fn many_features_share_bars_and_gaps_do_no_harm() {
        let svg = strip(&[f32::NAN; 300], (0.0, 0.0));
        assert_eq!(svg.matches("h-.8Z").count(), 60);
        assert!(svg.contains("a bar for each 5") && !svg.contains("NaN"), "{svg}");
        assert!(strip(&[], (0.0, 1.0)).contains("0 features"));
    }
}
