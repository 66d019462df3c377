//! Ids, labels and groups of every type, and where class names come from.

use arrow::array::{
    BooleanArray, DictionaryArray, Int8Array, Int32Array, LargeStringArray, StringViewArray,
    UInt64Array,
};
use arrow::datatypes::Int32Type;

use super::*;

fn found(columns: Vec<Column>) -> Survey {
    Dataset::of(columns).survey("features = 'f'").unwrap()
}

fn labels(found: &Survey) -> Vec<u32> {
    found.rows.iter().map(|row| row.label).collect()
}

fn dictionary(values: &[&str]) -> ArrayRef {
    Arc::new(values.iter().copied().collect::<DictionaryArray<Int32Type>>())
}

#[test]
fn ids_of_every_type_sort_as_texts() {
    let same = vec!["b", "a", "c"];
    let kinds: [ArrayRef; 4] = [
        texts(&same),
        Arc::new(LargeStringArray::from(same.clone())),
        Arc::new(StringViewArray::from(same.clone())),
        dictionary(&same),
    ];
    for ids in kinds {
        let found = found(replaced("id", ids));
        assert_eq!(found.rows.iter().map(|r| r.id.as_str()).collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!(found.rows.iter().map(|r| r.row).collect::<Vec<_>>(), [1, 0, 2]);
    }
    let integers: [ArrayRef; 3] = [
        Arc::new(Int8Array::from(vec![10, -9, 2])),
        numbers(&[10, -9, 2]),
        Arc::new(UInt64Array::from(vec![u64::MAX, 5, 6])),
    ];
    let expected =
        [vec!["-9", "10", "2"], vec!["-9", "10", "2"], vec!["18446744073709551615", "5", "6"]];
    for (ids, expected) in integers.into_iter().zip(expected) {
        let found = found(replaced("id", ids));
        assert_eq!(found.rows.iter().map(|r| r.id.as_str()).collect::<Vec<_>>(), expected);
    }
}

#[test]
fn labels_of_every_type() {
    let yes: ArrayRef = Arc::new(BooleanArray::from(vec![true, false, true]));
    let cases: [(ArrayRef, [&str; 2], [u32; 3]); 6] = [
        (texts(&["y", "x", "y"]), ["x", "y"], [1, 0, 1]),
        (Arc::new(StringViewArray::from(vec!["y", "x", "y"])), ["x", "y"], [1, 0, 1]),
        (dictionary(&["y", "x", "y"]), ["x", "y"], [1, 0, 1]),
        (numbers(&[10, 9, 10]), ["9", "10"], [1, 0, 1]),
        (Arc::new(Int8Array::from(vec![-1, 3, -1])), ["-1", "3"], [0, 1, 0]),
        (yes, ["false", "true"], [1, 0, 1]),
    ];
    for (array, classes, expected) in cases {
        let found = found(replaced("label", array));
        assert_eq!(found.classes, classes);
        assert_eq!(labels(&found), expected);
    }
}

#[test]
fn class_names_come_from_the_metadata() {
    let nested =
        r#"{"info":{"features":{"label":{"names":["cat","dog","bird"],"_type":"ClassLabel"}}}}"#;
    let flat = r#"{"features":{"label":{"names":["cat","dog","bird"]}}}"#;
    let cases = [
        ("huggingface", nested),
        ("huggingface", flat),
        ("class_names", r#"["cat","dog","bird"]"#),
    ];
    let integers: ArrayRef = Arc::new(Int32Array::from(vec![2, 0, 2]));
    for (key, value) in cases {
        let dataset = Dataset::new();
        let batch = batch(replaced("label", Arc::clone(&integers)));
        dataset.write("a.parquet", &with_metadata(&batch, key, value), 10);
        let found = dataset.survey("features = 'f'").unwrap();
        assert_eq!(found.classes, ["cat", "dog", "bird"]);
        assert_eq!(labels(&found), [2, 0, 2]);
        assert_eq!(found.schema.metadata()[key], value);
        assert_eq!(found.warnings, ["1 of 3 classes have no sample: dog"]);
    }
}

#[test]
fn metadata_that_says_nothing_useful_is_passed_over() {
    for (key, value, warned) in [
        ("huggingface", "{no json", true),
        ("huggingface", r#"{"info":{"features":{"label":{"dtype":"int64"}}}}"#, false),
        ("class_names", r"[1, 2]", false),
    ] {
        let dataset = Dataset::new();
        let batch = batch(replaced("label", numbers(&[7, 3, 7])));
        dataset.write("a.parquet", &with_metadata(&batch, key, value), 10);
        let found = dataset.survey("features = 'f'").unwrap();
        assert_eq!(found.classes, ["3", "7"]);
        assert_eq!(found.warnings.len(), usize::from(warned), "{:?}", found.warnings);
    }
}

#[test]
fn files_must_agree_on_the_class_names() {
    let dataset = Dataset::new();
    let one = batch(replaced("label", numbers(&[0, 1, 0])));
    dataset.write("a.parquet", &with_metadata(&one, "class_names", r#"["x","y"]"#), 10);
    dataset.write("b.parquet", &with_metadata(&one, "class_names", r#"["y","x"]"#), 10);
    let said = dataset.refusal("features = 'f'");
    assert!(said.contains("a.parquet and b.parquet give different class names"), "{said}");
}

#[test]
fn groups_are_texts_or_nothing() {
    let mut columns = simple();
    columns.push(("scene", Arc::new(Int32Array::from(vec![Some(4), None, Some(4)]))));
    let dataset = Dataset::of(columns);
    let found = survey(&dataset.data("features = 'f'"), Some("scene")).unwrap();
    let groups: Vec<_> = found.rows.iter().map(|r| r.group.as_deref()).collect();
    assert_eq!(groups, [Some("4"), None, Some("4")]);
    assert_eq!(found.warnings, ["1 sample without a value in the group column `scene`"]);
    assert!(dataset.survey("features = 'f'").unwrap().rows.iter().all(|r| r.group.is_none()));
}

#[test]
fn content_can_be_the_id() {
    let grey = |v| Some(png(image::GrayImage::from_pixel(2, 2, image::Luma([v]))));
    let images = [grey(1), grey(2), grey(3)];
    let mut columns = image_columns(&images);
    columns.remove(0);
    let dataset = Dataset::of(columns);
    let loaded = dataset.load("image = 'image'\nid_from = 'content'").unwrap();
    let mut expected: Vec<_> =
        images.iter().map(|i| crate::storage::sha256_hex(i.as_ref().unwrap())).collect();
    expected.sort();
    assert_eq!(loaded.samples.ids, expected);

    let vectors = Dataset::of(simple()).survey("features = 'f'\nid_from = 'content'").unwrap();
    let one = crate::storage::sha256_hex(&1.0_f32.to_le_bytes());
    assert!(vectors.rows.iter().any(|r| r.id == one && r.row == 0));

    let twice = Dataset::of(image_columns(&[grey(1), grey(2), grey(1)]));
    let said = twice.refusal("image = 'image'\nid_from = 'content'");
    assert!(said.starts_with("1 sample with the content of another: `"), "{said}");
    assert!(said.contains("row 0 and a.parquet, row group 0, row 2"), "{said}");
    assert!(said.contains("name an id column in data.id"), "{said}");
    let nothing = Dataset::of(image_columns(&[grey(1), None, grey(2)]));
    let said = nothing.refusal("image = 'image'\nid_from = 'content'");
    assert!(said.starts_with("1 row without content"), "{said}");
}
