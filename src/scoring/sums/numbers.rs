//! The sums of rows number by number in `f64`: for builds without the crate that brings vectors, and for
//! the tests, which hold the vectors against them.

use super::Sums;

/// The sums of rows of `classes` logits, one for each label; `None` for a row with a logit that is NaN
/// or infinite.
pub(super) fn of_rows(rows: &[f32], classes: usize, labels: &[u32], out: &mut [Option<Sums>]) {
    for (out, (row, label)) in out.iter_mut().zip(rows.chunks_exact(classes).zip(labels)) {
        *out = row.iter().all(|z| z.is_finite()).then(|| of(row, *label as usize));
    }
}

fn of(row: &[f32], label: usize) -> Sums {
    let largest = row.iter().copied().fold(f32::MIN, f32::max);
    let top = row.iter().position(|z| *z >= largest).unwrap_or(0);
    // Never infinite, which 0 times would be no number.
    let below = |class: usize| f64::from(row[class] - largest).max(f64::from(f32::MIN));
    let all_but = |one: usize| (0..row.len()).filter(move |class| *class != one).map(below);
    let sum = |one: usize, f: fn(f64) -> f64| all_but(one).map(f).sum::<f64>();
    Sums {
        others: sum(top, f64::exp),
        spread: sum(top, |z| -z * z.exp()),
        gap: -all_but(top).fold(f64::NEG_INFINITY, f64::max),
        own_gap: f64::from(largest) - f64::from(row[label]),
        wrong: sum(label, f64::exp),
        wrong_squares: sum(label, |z| (2.0 * z).exp()),
    }
}
