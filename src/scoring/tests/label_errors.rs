//! Toys, edges and laws of confident learning.

use crate::ErrorKind;
use crate::scoring::{LabelError, label_errors};

fn suspected(found: &[LabelError]) -> Vec<usize> {
    found.iter().enumerate().filter(|(_, error)| error.suspected).map(|(row, _)| row).collect()
}

#[test]
fn a_confident_disagreement_is_suspected() {
    // Easy, on the boundary, and never learned, of class 0; three good samples of class 1.
    let p = [0.9, 0.1, 0.52, 0.48, 0.03, 0.97, 0.2, 0.8, 0.1, 0.9, 0.15, 0.85];
    let found = label_errors(&p, 2, &[0, 0, 0, 1, 1, 1]).unwrap();
    assert_eq!(suspected(&found), [2]);
    let suggested: Vec<u32> = found.iter().map(|error| error.suggested).collect();
    assert_eq!(suggested, [0, 0, 1, 1, 1, 1]);
    assert_eq!(found[2].self_confidence, 0.03);
    assert!((found[2].normalized_margin - 0.03).abs() < 1e-7);
    assert!(found[0].normalized_margin > found[1].normalized_margin);
}

#[test]
fn equal_probabilities_and_missing_classes_suspect_nobody() {
    let found = label_errors(&[0.25; 4 * 8], 4, &[0, 0, 0, 1, 1, 3, 3, 3]).unwrap();
    assert_eq!(suspected(&found), [0usize; 0]);
    assert!(found.iter().all(|error| error.suggested == 0 && error.self_confidence == 0.25));
    assert_eq!(label_errors(&[], 3, &[]).unwrap(), []);
    // One sample of a class is left to it, however wrong its label looks.
    let alone = label_errors(&[1.0, 0.0, 1.0, 0.0, 0.9, 0.1], 2, &[1, 0, 0]).unwrap();
    assert_eq!(suspected(&alone), [0usize; 0]);
}

#[test]
fn equal_margins_go_to_the_earlier_row_on_any_threads() {
    let mut p = vec![[0.9f32, 0.1]; 6];
    p.extend([[0.1, 0.9]; 6]);
    // Rows 4 and 5 are equal and labelled against the prediction, as is row 11.
    let labels = [0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 0];
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| label_errors(p.as_flattened(), 2, &labels)).unwrap()
    };
    assert_eq!(with(1), with(3));
    assert_eq!(suspected(&with(1)), [4, 5, 11]);
}

#[test]
fn bad_predictions_name_the_row() {
    let error = label_errors(&[0.5, 0.5, 0.9, 0.3], 2, &[0, 1]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("row 1 has probabilities"), "{error}");
    let error = label_errors(&[0.5, 0.5], 2, &[2]).unwrap_err();
    assert!(error.to_string().contains("row 0 has label 2"), "{error}");
}
