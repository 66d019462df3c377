//! Toys, edges and laws of GraNd and of label quality.

use super::{builtin, scores_by};
use crate::ErrorKind;
use crate::recipe::Method;
use crate::scoring::{Block, Criterion, Values, criterion, score_block, score_distribution};

const LABEL_QUALITY: [Method; 3] =
    [Method::SelfConfidence, Method::NormalizedMargin, Method::ConfidenceWeightedEntropy];

/// GraNd of one row of logits of class 0.
fn grand(logits: &[f32], norm: f32) -> f32 {
    let block = Block {
        values: Values::Logits(logits),
        classes: logits.len(),
        labels: &[0],
        embedding_norms: Some(&[norm]),
    };
    let mut out = [f32::NAN];
    score_block(&block, &[builtin(Method::Grand)], &mut out).unwrap();
    out[0]
}

/// The loss of label 0 under `z = W h + b`, in `f64`.
fn loss(weights: &[f64], bias: &[f64], h: &[f64]) -> f64 {
    let z = |c: usize| {
        let row = &weights[c * h.len()..(c + 1) * h.len()];
        bias[c] + row.iter().zip(h).map(|(w, h)| w * h).sum::<f64>()
    };
    (0..bias.len()).map(|c| z(c).exp()).sum::<f64>().ln() - z(0)
}

#[test]
fn grand_is_the_norm_of_finite_differences() {
    let h = [0.7, -1.9, 2.5];
    let (weights, bias) = ([0.3, 0.1, -0.4, 0.9, -0.2, 0.05, -0.6, 0.8, 0.2], [0.1, -0.3, 0.25]);
    let mut squares = 0.0;
    for i in 0..weights.len() + bias.len() {
        let moved = |by: f64| {
            let (mut weights, mut bias) = (weights, bias);
            *weights.iter_mut().chain(&mut bias).nth(i).unwrap() += by;
            loss(&weights, &bias, &h)
        };
        squares += ((moved(1e-5) - moved(-1e-5)) / 2e-5).powi(2);
    }
    let z = [0, 1, 2]
        .map(|c| (bias[c] + (0..3).map(|i| weights[c * 3 + i] * h[i]).sum::<f64>()) as f32);
    let norm = h.iter().map(|h| h * h).sum::<f64>().sqrt();
    let got = f64::from(grand(&z, norm as f32));
    assert!((got - squares.sqrt()).abs() < 1e-6 * got, "{got} is not {}", squares.sqrt());
}

#[test]
fn grand_ranks_a_toy_and_stays_finite() {
    let (easy, boundary, never) =
        (grand(&[8.0, 0.0], 2.0), grand(&[0.1, 0.0], 2.0), grand(&[0.0, 8.0], 2.0));
    assert!(never > boundary && boundary > easy);
    assert_eq!(grand(&[1e4, -1e4], 3.0).to_bits(), 0);
    assert_eq!(grand(&[-1e4, 1e4], f32::MAX), f32::MAX);
    // A pass that computes other scores besides rounds its sums in another order.
    let (without_h, el2n) = (grand(&[0.1, 0.0], 0.0), super::scores(&[0.1, 0.0], 0)[3]);
    assert!((without_h - el2n).abs() <= 1e-6 * el2n, "{without_h} is not {el2n}");
}

#[test]
fn grand_without_norms_or_with_bad_ones_says_so() {
    fn block(embedding_norms: Option<&[f32]>) -> Block<'_> {
        let values = Values::Logits(&[0.0; 6]);
        Block { values, classes: 2, labels: &[0, 1, 0], embedding_norms }
    }
    let grand = builtin(Method::Grand);
    let mut out = [0.0; 3];
    let error = score_block(&block(None), &[grand], &mut out).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("`grand` needs the norm of each embedding"), "{error}");
    for bad in [f32::NAN, f32::INFINITY, -1.0] {
        let error = score_block(&block(Some(&[1.0, bad, 1.0])), &[grand], &mut out).unwrap_err();
        assert!(error.to_string().contains("row 1 has an embedding"), "{error}");
    }
    let error = score_block(&block(Some(&[1.0])), &[grand], &mut out).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Internal);
    score_distribution(&[0.5, 0.5], 0, grand).unwrap_err();
}

#[test]
fn label_quality_ranks_a_toy() {
    for method in LABEL_QUALITY {
        let score = |logits: &[f32]| scores_by(method, Values::Logits(logits), 0);
        let [easy, boundary, never] =
            [[8.0, 0.0, 0.0], [1.0, 0.9, 0.0], [0.0, 8.0, 0.0]].map(|logits| score(&logits));
        assert!(easy > boundary && boundary > never, "{method:?}: {easy} {boundary} {never}");
        let worse = score(&[0.0, 26.0, 0.0]);
        assert!(worse < score(&[0.0, 25.0, 0.0]) && worse > 0.0, "{method:?} at {worse}");
    }
}

#[test]
fn label_quality_at_certainty_is_its_limit() {
    for method in LABEL_QUALITY {
        for zero in [0.0, -0.0] {
            let p = [zero, 1.0, zero];
            let of = |label| scores_by(method, Values::Probabilities(&p), label);
            assert_eq!((of(1), of(0)), (1.0, 0.0), "{method:?}");
        }
        assert_eq!(criterion(method).and_then(|c: &dyn Criterion| c.maximum(3)), Some(1.0));
    }
    // p = (1/2, 1/4, 1/4), label 1: c = 1.5 ln 2 / ln 3 / (1/4).
    let of = |method| f64::from(scores_by(method, Values::Probabilities(&[0.5, 0.25, 0.25]), 1));
    let c = 1.5 * 2f64.ln() / 3f64.ln() * 4.0;
    assert_eq!((of(Method::SelfConfidence), of(Method::NormalizedMargin)), (0.25, 0.375));
    assert!((of(Method::ConfidenceWeightedEntropy) - c.ln_1p() / c).abs() < 1e-7);
}

/// Confident predictions and near ties, where the rounding of `f32` probabilities would take digits.
#[test]
fn scores_of_logits_keep_their_digits_where_probabilities_lose_them() {
    let rows: [[f32; 3]; 4] =
        [[15.6, 0.1, -0.3], [17.0, 0.0, 0.5], [1.0, 0.999_99, -2.0], [0.0, 1e-6, -40.0]];
    for logits in rows {
        let z: Vec<f64> = logits.iter().map(|z| f64::from(*z)).collect();
        let sum: f64 = z.iter().map(|z| z.exp()).sum();
        let entropy: f64 = z.iter().map(|z| z.exp() / sum * (sum.ln() - z)).sum();
        let mut p: Vec<f64> = z.iter().map(|z| z.exp() / sum).collect();
        p.sort_by(f64::total_cmp);
        for (method, wanted) in [(Method::Entropy, entropy), (Method::Margin, p[2] - p[1])] {
            let block = Block {
                values: Values::Logits(&logits),
                classes: 3,
                labels: &[0],
                embedding_norms: None,
            };
            let mut got = [f32::NAN];
            score_block(&block, &[builtin(method)], &mut got).unwrap();
            let error = (f64::from(got[0]) - wanted).abs();
            assert!(error < 1e-6 * wanted, "{} of {logits:?}: {got:?} {wanted}", method.name());
        }
    }
}
