//! The column beside the input: a vector for every sample.

use arrow::array::{Float64Array, LargeListArray};
use arrow::datatypes::Float64Type;

use super::*;
use crate::samples::{Inputs, floats};

const LINES: &str = "features = 'f'\nembedding = 'e'";

fn with(column: ArrayRef) -> Dataset {
    let mut columns = simple();
    columns.push(("e", column));
    Dataset::of(columns)
}

fn doubles(rows: &[Option<&[Option<f64>]>]) -> ArrayRef {
    let rows = rows.iter().map(|row| row.map(<[_]>::to_vec));
    Arc::new(LargeListArray::from_iter_primitive::<Float64Type, _, _>(rows))
}

fn vectors(inputs: &Inputs, rows: usize) -> Vec<f32> {
    let mut buffer = Vec::new();
    (0..rows as u32)
        .flat_map(|i| floats(inputs.get(i, &mut buffer).unwrap()).collect::<Vec<_>>())
        .collect()
}

fn refused(column: ArrayRef) -> String {
    let dataset = with(column);
    let survey = dataset.survey(LINES).unwrap();
    let error = embeddings(&survey, "e", &survey.rows, &Room::default()).unwrap_err();
    assert_eq!(error.kind(), crate::ErrorKind::InvalidInput);
    error.to_string()
}

#[test]
fn embeddings_lie_in_the_order_of_the_rows_in_memory_and_in_a_scratch_file() {
    let dataset = with(lists(&[&[1.0, 2.0], &[3.0, 4.0], &[5.0, 6.0]]));
    let survey = dataset.survey(LINES).unwrap();
    assert_eq!(embedding_width(&survey, "e").unwrap(), 2);
    for room in [Room::default(), Room { inputs_in_memory: false, batches: 1 }] {
        let all = embeddings(&survey, "e", &survey.rows, &room).unwrap();
        assert_eq!(vectors(&all, 3), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        // Rows that are out of use need no vector.
        let two = [survey.rows[0].clone(), survey.rows[2].clone()];
        let two = embeddings(&survey, "e", &two, &room).unwrap();
        assert_eq!(vectors(&two, 2), [1.0, 2.0, 5.0, 6.0]);
    }
}

#[test]
fn samples_without_a_vector_are_named() {
    let (one, two) = (Some(1.0), Some(2.0));
    let message = refused(doubles(&[Some(&[one, two]), None, Some(&[one, None])]));
    let expected = "2 samples without an embedding of 2 numbers in column `e`: \
                    `b` (the feature vector is null); `c` (feature 1 is null); mend the column or \
                    leave these rows out with data.filter";
    assert_eq!(message, expected);
    let message = refused(lists(&[&[1.0, 2.0], &[3.0], &[5.0, 6.0]]));
    assert!(message.contains("`b` (1 features)"), "{message}");
    let message = refused(lists(&[&[1.0], &[f32::NAN], &[5.0]]));
    assert!(message.contains("`b` (feature 0 is NaN)"), "{message}");
    let message = refused(lists(&[&[], &[], &[]]));
    assert!(message.contains("the embedding of sample `a` in column `e` is empty"), "{message}");
}

#[test]
fn a_column_that_holds_no_lists_is_refused_at_once() {
    let numbers: ArrayRef = Arc::new(Float64Array::from(vec![1.0, 2.0, 3.0]));
    let message = with(numbers).refusal(LINES);
    assert!(message.contains("data.embedding names the column `e` of type Float64"), "{message}");
    let message = Dataset::of(simple()).refusal(LINES);
    assert!(message.contains("data.embedding names the column `e`, which does not"), "{message}");
}
