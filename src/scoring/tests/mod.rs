//! Hand values, extremes, directions and laws of the scores.

mod catalogue;
mod golden;
mod label_errors;
mod snapshot;
mod trajectory;

use proptest::prelude::*;

use super::{Block, Criterion, Direction, Values, criterion, direction, score_block};
use crate::ErrorKind;
use crate::recipe::Method;

fn all() -> Vec<&'static dyn Criterion> {
    Method::COMMON.into_iter().filter_map(criterion).collect()
}

fn score_rows(
    logits: &[f32],
    classes: usize,
    labels: &[u32],
    criteria: &[&dyn Criterion],
    out: &mut [f32],
) -> crate::Result<()> {
    let values = Values::Logits(logits);
    score_block(&Block { values, classes, labels, embedding_norms: None }, criteria, out)
}

fn score_probabilities(
    probabilities: &[f32],
    classes: usize,
    labels: &[u32],
    criteria: &[&dyn Criterion],
    out: &mut [f32],
) -> crate::Result<()> {
    let values = Values::Probabilities(probabilities);
    score_block(&Block { values, classes, labels, embedding_norms: None }, criteria, out)
}

fn builtin(method: Method) -> &'static dyn Criterion {
    criterion(method).unwrap()
}

/// One score of one row.
fn scores_by(method: Method, values: Values<'_>, label: u32) -> f32 {
    let (Values::Logits(row) | Values::Probabilities(row)) = values;
    let block = Block { values, classes: row.len(), labels: &[label], embedding_norms: None };
    let mut out = [f32::NAN];
    score_block(&block, &[builtin(method)], &mut out).unwrap();
    out[0]
}

/// Entropy, margin, least confidence, EL2N and cross-entropy of one row of logits.
fn scores(logits: &[f32], label: u32) -> Vec<f32> {
    let mut out = vec![f32::NAN; 5];
    score_rows(logits, logits.len(), &[label], &all(), &mut out).unwrap();
    out
}

fn from_probabilities(probabilities: &[f32], label: u32) -> Vec<f32> {
    let mut out = vec![f32::NAN; 5];
    score_probabilities(probabilities, probabilities.len(), &[label], &all(), &mut out).unwrap();
    out
}

fn assert_close(got: &[f32], want: &[f64], tolerance: f64) {
    for (i, (got, want)) in got.iter().zip(want).enumerate() {
        let allowed = tolerance * want.abs().max(1.0);
        assert!((f64::from(*got) - want).abs() <= allowed, "score {i}: {got} is not {want}");
    }
}

#[test]
fn names_and_directions_are_those_of_the_methods() {
    for method in Method::ALL {
        let Some(criterion) = criterion(method) else { continue };
        assert_eq!(criterion.name(), method.name());
        assert_eq!(criterion.direction(), direction(method));
    }
}

#[test]
fn scores_equal_hand_values() {
    // p = (1/2, 1/4, 1/4), label 1: H = 1.5 ln 2, EL2N^2 = 1/4 + 9/16 + 1/16 = 7/8.
    let want = [1.5 * 2f64.ln(), 0.25, 0.5, 0.875f64.sqrt(), 4f64.ln()];
    assert_close(&from_probabilities(&[0.5, 0.25, 0.25], 1), &want, 1e-6);
    assert_close(&scores(&[4f32.ln(), 2f32.ln(), 2f32.ln()], 1), &want, 1e-6);
    let uniform = [4f64.ln(), 0.0, 0.75, 0.75f64.sqrt(), 4f64.ln()];
    assert_close(&scores(&[7.0; 4], 2), &uniform, 1e-6);
}

#[test]
fn scores_stay_within_their_maximum() {
    let uniform = scores(&[0.0; 10], 3);
    let wrong = scores(&[50.0, 0.0], 1);
    for (i, criterion) in all().iter().enumerate().take(4) {
        let most = |c| criterion.maximum(c).unwrap() + 1e-6;
        assert!(f64::from(uniform[i]) <= most(10) && f64::from(wrong[i]) <= most(2));
    }
    assert_eq!(builtin(Method::CrossEntropy).maximum(10), None);
}

#[test]
fn extreme_logits_are_stable() {
    let right = scores(&[1e4, -1e4, -1e4], 0);
    assert_eq!(right, [0.0, 1.0, 0.0, 0.0, 0.0]);
    assert!(right.iter().all(|s| s.is_sign_positive()));
    let wrong = scores(&[1e4, -1e4, -1e4], 1);
    assert_close(&wrong, &[0.0, 1.0, 0.0, std::f64::consts::SQRT_2, 2e4], 1e-6);
    let equal = scores(&[-1e4, -1e4], 0);
    assert_close(&equal, &[2f64.ln(), 0.0, 0.5, 0.5f64.sqrt(), 2f64.ln()], 1e-6);
}

#[test]
fn one_hot_probabilities_are_finite() {
    assert_eq!(from_probabilities(&[0.0, 1.0, 0.0], 1), [0.0, 1.0, 0.0, 0.0, 0.0]);
    let wrong = from_probabilities(&[0.0, 1.0, 0.0], 0);
    assert_close(&wrong, &[0.0, 1.0, 0.0, std::f64::consts::SQRT_2, 87.336], 1e-5);
}

#[test]
fn very_confident_predictions_still_differ() {
    let (a, b) = (scores(&[25.0, 0.0], 0), scores(&[26.0, 0.0], 0));
    for i in [0, 2, 3] {
        assert!(a[i] > b[i] && b[i] > 0.0, "score {i}");
    }
}

#[test]
fn directions_prefer_what_a_model_learns_from() {
    // An easy sample, one on the boundary, and one never learned (confident and wrong).
    let (easy, boundary, never) =
        (scores(&[8.0, 0.0, 0.0], 0), scores(&[1.0, 0.9, 0.0], 0), scores(&[8.0, 0.0, 0.0], 1));
    let wanted = |i: usize, score: f32| match all()[i].direction() {
        Direction::KeepHigh => score,
        Direction::KeepLow => -score,
    };
    for i in 0..5 {
        assert!(wanted(i, boundary[i]) > wanted(i, easy[i]), "score {i}");
    }
    for i in [3, 4] {
        assert!(wanted(i, never[i]) > wanted(i, boundary[i]), "score {i}");
    }
}

#[test]
fn el2n_is_exact_to_1e_6_over_1000_classes() {
    let mut rng = crate::seed::Seed::new(1).rng();
    for row in 0..50 {
        let logits: Vec<f32> = (0..1000).map(|_| rng.unit() * 12.0 - 6.0).collect();
        let exact: Vec<f64> = logits.iter().map(|z| f64::from(*z).exp()).collect();
        let sum: f64 = exact.iter().sum();
        let error = |(c, e): (usize, &f64)| (e / sum - f64::from(u8::from(c == row))).powi(2);
        let want = exact.iter().enumerate().map(error).sum::<f64>().sqrt();
        let got = f64::from(scores(&logits, row as u32)[3]);
        assert!((got - want).abs() < 1e-6, "{got} is not {want}");
    }
}

#[test]
fn non_finite_logits_and_wrong_labels_name_the_row() {
    let mut out = [0.0; 3];
    let one = [builtin(Method::Entropy)];
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let logits = [0.0, 1.0, 2.0, bad, 4.0, bad];
        let error = score_rows(&logits, 2, &[0, 1, 0], &one, &mut out).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains("row 1 "), "{error}");
    }
    let error = score_rows(&[0.0; 6], 2, &[0, 1, 2], &one, &mut out).unwrap_err();
    assert!(error.to_string().contains("row 2 has label 2"), "{error}");
    let error = score_probabilities(&[0.5, 0.5, 0.9, 0.2], 2, &[0, 1], &one, &mut out[..2]);
    assert!(error.unwrap_err().to_string().contains("row 1 "));
    let error = score_rows(&[0.0; 5], 2, &[0, 1, 1], &one, &mut out).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Internal);
}

#[test]
fn threads_change_no_bit() {
    let mut rng = crate::seed::Seed::new(2).rng();
    let logits: Vec<f32> = (0..2000 * 7).map(|_| rng.unit() * 20.0 - 10.0).collect();
    let labels: Vec<u32> = (0..2000).map(|_| rng.below(7)).collect();
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let mut out = vec![0.0; 2000 * 5];
        pool.install(|| score_rows(&logits, 7, &labels, &all(), &mut out)).unwrap();
        out.iter().map(|s| s.to_bits()).collect::<Vec<_>>()
    };
    let one = with(1);
    assert_eq!(one, with(2));
    assert_eq!(one, with(5));
    let row = scores(&logits[7 * 1234..7 * 1235], labels[1234]);
    assert_eq!(one[1234 * 5..1235 * 5], row.iter().map(|s| s.to_bits()).collect::<Vec<_>>());
}

proptest! {
    /// With two classes the three uncertainties are functions of the same distance to 1/2.
    #[test]
    fn two_classes_rank_equally(a in -9f32..9.0, b in -9f32..9.0) {
        prop_assume!((a.abs() - b.abs()).abs() > 1e-3);
        let (a, b) = (scores(&[a, 0.0], 0), scores(&[b, 0.0], 0));
        prop_assert_eq!(a[0] > b[0], a[1] < b[1]);
        prop_assert_eq!(a[0] > b[0], a[2] > b[2]);
    }

    /// Logits and their probabilities give the same scores.
    #[test]
    fn logits_and_probabilities_agree(
        logits in prop::collection::vec(-20f32..20.0, 2..12),
        label in 0usize..12,
    ) {
        let label = (label % logits.len()) as u32;
        let mut probabilities = vec![0.0; logits.len()];
        super::softmax(&logits, &mut probabilities);
        let (a, b) = (scores(&logits, label), from_probabilities(&probabilities, label));
        for (a, b) in a.iter().zip(b) {
            prop_assert!((a - b).abs() <= 1e-5 * a.abs().max(1.0), "{} and {}", a, b);
        }
    }
}
