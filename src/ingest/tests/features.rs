//! Feature vectors of every type, and those that cannot be used.

use arrow::array::{
    BooleanArray, FixedSizeListArray, Float64Array, Int32Array, LargeListArray, UInt8Array,
};
use arrow::datatypes::{Float64Type, Int32Type};

use super::*;
use crate::error::ErrorKind;
use crate::samples::Shape;

fn doubles(rows: &[&[Option<f64>]]) -> ArrayRef {
    let rows = rows.iter().map(|row| Some(row.to_vec()));
    Arc::new(LargeListArray::from_iter_primitive::<Float64Type, _, _>(rows))
}

#[test]
fn list_columns_of_every_type() {
    let rows = || {
        vec![
            Some(vec![Some(1), Some(2)]),
            Some(vec![Some(3), Some(4)]),
            Some(vec![Some(5), Some(6)]),
        ]
    };
    let real = |x: f64| Some(x);
    let cases: [ArrayRef; 4] = [
        lists(&[&[1.0, 2.0], &[3.0, 4.0], &[5.0, 6.0]]),
        doubles(&[&[real(1.0), real(2.0)], &[real(3.0), real(4.0)], &[real(5.0), real(6.0)]]),
        Arc::new(FixedSizeListArray::from_iter_primitive::<Int32Type, _, _>(rows(), 2)),
        Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(rows())),
    ];
    for array in cases {
        let dataset = Dataset::of(replaced("f", array));
        let loaded = dataset.load("features = 'f'").unwrap();
        assert_eq!(loaded.samples.inputs.shape(), Shape::Features { width: 2 });
        assert_eq!(values(&loaded), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        let found = dataset.survey("features = 'f'").unwrap();
        let size = decoded_bytes(&found, &dataset.data("features = 'f'")).unwrap();
        assert_eq!(size, (Shape::Features { width: 2 }, 24));
    }
}

#[test]
fn several_columns_keep_the_order_of_the_recipe() {
    let mut columns = simple();
    columns.push(("g", Arc::new(BooleanArray::from(vec![true, false, true]))));
    columns.push(("h", Arc::new(UInt8Array::from(vec![7, 8, 9]))));
    let loaded = Dataset::of(columns).load("features = ['h', 'f', 'g']").unwrap();
    assert_eq!(values(&loaded), [7.0, 1.0, 1.0, 8.0, 2.0, 0.0, 9.0, 3.0, 1.0]);
}

#[test]
fn unusable_vectors_are_quarantined_with_the_feature() {
    let ids: Vec<String> = (0..7).map(|i| format!("s{i}")).collect();
    let ids = texts(&ids.iter().map(String::as_str).collect::<Vec<_>>());
    let rows: Vec<Option<Vec<Option<f64>>>> = vec![
        None,
        Some(vec![Some(0.5), Some(1.0)]),
        Some(vec![Some(0.5), None]),
        Some(vec![Some(f64::NAN), Some(1.0)]),
        Some(vec![Some(0.5), Some(f64::NEG_INFINITY)]),
        Some(vec![Some(1e300), Some(1.0)]),
        Some(vec![Some(2.5), Some(3.0)]),
    ];
    let array = ListArray::from_iter_primitive::<Float64Type, _, _>(rows);
    let labels = numbers(&[0, 1, 0, 1, 0, 1, 0]);
    let dataset = Dataset::of(vec![("id", ids), ("label", labels), ("f", Arc::new(array))]);
    let loaded = dataset.load("features = 'f'\nmax_quarantined = 0.8").unwrap();
    assert_eq!(loaded.samples.ids, ["s1", "s6"]);
    let reasons: Vec<_> =
        loaded.quarantine.iter().map(|q| (q.row.id.as_str(), q.reason.as_str())).collect();
    assert_eq!(
        reasons,
        [
            ("s0", "the feature vector is null"),
            ("s2", "feature 1 is null"),
            ("s3", "feature 0 is NaN"),
            ("s4", "feature 1 is -inf"),
            ("s5", "feature 0 is 1e300, too large for a 32-bit float"),
        ]
    );
    assert_eq!(values(&loaded), [0.5, 1.0, 2.5, 3.0]);
    let error = dataset.load("features = 'f'\nmax_quarantined = 0.5").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitExceeded);
    assert!(error.to_string().starts_with("5 of 7 samples cannot be used, more than data.max_quarantined = 0.5 allows: `s0`: the feature vector is null; `s2`"), "{error}");
}

#[test]
fn a_null_in_a_column_names_the_column() {
    let mut columns = simple();
    columns.push(("g", Arc::new(Float64Array::from(vec![None, Some(1.0), Some(3.0)]))));
    let loaded = Dataset::of(columns).load("features = ['f', 'g']\nmax_quarantined = 0.5").unwrap();
    assert_eq!(loaded.quarantine[0].reason, "feature `g` is null");
}

#[test]
fn vectors_of_different_length_are_refused() {
    let dataset = Dataset::of(replaced("f", lists(&[&[1.0, 2.0], &[3.0, 4.0], &[5.0]])));
    let error = dataset.load("features = 'f'").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(
        error.to_string().contains("sample `a` has 2 features, sample `c` has 1 features"),
        "{error}"
    );
    let empty = Dataset::of(replaced("f", lists(&[&[], &[], &[]])));
    let error = empty.load("features = 'f'").unwrap_err();
    assert!(error.to_string().contains("the input of sample `a` is empty"), "{error}");
}

#[test]
fn nothing_usable_is_a_limit_error() {
    let dataset = Dataset::of(replaced("f", floats(&[f32::NAN; 3])));
    for limit in ["0.0", "0.5", "1.0"] {
        let error =
            dataset.load(&format!("features = 'f'\nmax_quarantined = {limit}")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::LimitExceeded);
        assert!(error.to_string().contains("feature `f` is NaN"), "{error}");
    }
}

#[test]
fn bytes_count_every_column_of_the_source() {
    let mut columns = replaced("f", lists(&[&[1.0, 2.0], &[3.0, 4.0], &[5.0, 6.0]]));
    columns.push(("note", texts(&["", "12345", "1"])));
    columns.push(("count", Arc::new(Int32Array::from(vec![1, 2, 3]))));
    let dataset = Dataset::of(columns);
    let loaded = dataset.load("features = 'f'\nfilter = \"id != 'c'\"").unwrap();
    // id 4+1, label 4+1, two floats 4+8, note 4+n, count 4
    assert_eq!(loaded.bytes, [30, 35]);
}
