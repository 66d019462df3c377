//! Scores against independent computations: `tests/golden/generate.py` wrote the numbers.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::recipe::{self, Method, Needs};
use crate::scoring::{
    Block, Dynamics, Values, criterion, label_errors, score_block, softmax, trajectory,
};

/// One golden file: `values` are logits, epoch after epoch if there are several, or probabilities.
#[derive(Deserialize)]
struct Golden {
    classes: usize,
    labels: Vec<u32>,
    values: Vec<f32>,
    #[serde(default)]
    embedding_norms: Vec<f32>,
    #[serde(default)]
    epochs: usize,
    #[serde(default)]
    window: usize,
    #[serde(default)]
    decay: f64,
    #[serde(default)]
    suspected: Vec<usize>,
    scores: BTreeMap<String, Vec<f64>>,
}

fn golden(name: &str) -> Golden {
    let path = format!("{}/tests/golden/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// What the rounding of `f32` probabilities (6e-8 of them) leaves of a difference that nearly cancels.
const ROUNDED: f64 = 2e-7;

/// Equal to 1e-5 of the score, or to `rounding`.
fn assert_equal(method: Method, got: &[f32], want: &[f64], rounding: f64) {
    assert_eq!(got.len(), want.len());
    for (row, (got, want)) in got.iter().zip(want).enumerate() {
        let error = (f64::from(*got) - want).abs();
        let allowed = 1e-5 * want.abs() + rounding;
        assert!(error <= allowed, "{} of row {row}: {got} is not {want}", method.name());
    }
}

fn methods(needs: Needs) -> impl Iterator<Item = Method> {
    Method::ALL.into_iter().filter(move |method| method.needs() == needs)
}

/// The softmax of each row.
fn distributions(logits: &[f32], classes: usize) -> Vec<f32> {
    let mut all = vec![0.0; logits.len()];
    for (row, out) in logits.chunks(classes).zip(all.chunks_mut(classes)) {
        softmax(row, out);
    }
    all
}

#[test]
fn snapshot_scores_equal_numpy_and_autograd() {
    for name in ["snapshot_random", "snapshot_real"] {
        let golden = golden(name);
        let Golden { classes, ref labels, ref values, .. } = golden;
        let probabilities = distributions(values, classes);
        let forms =
            [(Values::Logits(values), 1e-30), (Values::Probabilities(&probabilities), ROUNDED)];
        for (values, rounding) in forms {
            for method in methods(Needs::Snapshot) {
                let embedding_norms = Some(&golden.embedding_norms[..]);
                let block = Block { values, classes, labels, embedding_norms };
                let mut got = vec![f32::NAN; labels.len()];
                score_block(&block, &[criterion(method).unwrap()], &mut got).unwrap();
                assert_equal(method, &got, &golden.scores[method.name()], rounding);
            }
        }
    }
}

#[test]
fn trajectory_scores_equal_numpy() {
    for name in ["trajectory_random", "trajectory_real"] {
        let golden = golden(name);
        let Golden { classes, ref labels, ref values, epochs, window, decay, .. } = golden;
        let options = recipe::Trajectory { window, decay, ..recipe::Trajectory::default() };
        let scores = methods(Needs::Trajectory).map(|m| trajectory(m, &options).unwrap());
        let mut dynamics = Dynamics::new(scores.collect(), labels.len(), classes);
        for (epoch, logits) in values.chunks(labels.len() * classes).enumerate() {
            let values = Values::Logits(logits);
            let block = Block { values, classes, labels, embedding_norms: None };
            dynamics.observe(epoch, 0, &block).unwrap();
        }
        for (method, got) in methods(Needs::Trajectory).zip(dynamics.finish(epochs)) {
            assert_equal(method, &got, &golden.scores[method.name()], ROUNDED);
        }
    }
}

#[test]
fn label_errors_are_those_of_cleanlab() {
    for name in ["label_errors_random", "label_errors_real"] {
        let golden = golden(name);
        let found = label_errors(&golden.values, golden.classes, &golden.labels).unwrap();
        let suspected = found.iter().enumerate().filter(|(_, e)| e.suspected).map(|(row, _)| row);
        assert_eq!(suspected.collect::<Vec<_>>(), golden.suspected, "{name}");
        assert!(golden.suspected.len() > 20);
        let quality: Vec<f32> = found.iter().map(|e| e.self_confidence).collect();
        assert_equal(Method::SelfConfidence, &quality, &golden.scores["self_confidence"], ROUNDED);
        let quality: Vec<f32> = found.iter().map(|e| e.normalized_margin).collect();
        assert_equal(
            Method::NormalizedMargin,
            &quality,
            &golden.scores["normalized_margin"],
            ROUNDED,
        );
    }
}
