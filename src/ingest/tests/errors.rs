//! Every way in which a dataset can break the contract, and what is said about it.

use arrow::array::{BooleanArray, Date32Array, Float64Array, Int32Array};

use super::*;
use crate::error::ErrorKind;

fn refusal_of(columns: Vec<Column>) -> String {
    Dataset::of(columns).refusal("features = 'f'")
}

#[test]
fn duplicate_ids_are_named_with_their_places() {
    let dataset = Dataset::of(simple());
    dataset.write("b.parquet", &batch(simple()), 2);
    let said = dataset.refusal("features = 'f'");
    assert!(said.starts_with("3 samples with the id of another: `a` (a.parquet, row group 0, row 0 and b.parquet, row group 0, row 0)"), "{said}");
    assert!(
        said.contains("`c` (a.parquet, row group 0, row 2 and b.parquet, row group 1, row 0)"),
        "{said}"
    );
}

#[test]
fn null_ids_and_labels_are_counted_with_five_examples() {
    let ids: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), None, Some("c")]));
    let said = refusal_of(replaced("id", ids));
    assert!(
        said.starts_with("1 row without an id in column `id`: a.parquet, row group 0, row 1"),
        "{said}"
    );

    let n = 8;
    let ids: Vec<String> = (0..n).map(|i| format!("s{i}")).collect();
    let ids = texts(&ids.iter().map(String::as_str).collect::<Vec<_>>());
    let labels: ArrayRef = Arc::new((0..n).map(|i| (i == 0).then_some(1)).collect::<Int32Array>());
    let columns = vec![("id", ids), ("label", labels), ("f", floats(&[0.0; 8]))];
    let said = refusal_of(columns);
    assert!(
        said.starts_with("7 rows without a label in column `label`: `s1` (a.parquet"),
        "{said}"
    );
    assert!(
        said.contains("`s5` (") && !said.contains("`s6`") && said.contains("and 2 more"),
        "{said}"
    );
}

#[test]
fn minus_one_and_indices_beyond_the_names_are_refused() {
    let names = r#"["cat","dog"]"#;
    for (labels, expected) in [
        ([0, -1, 1], "1 row without a label (null or -1) in column `label`: `b`"),
        ([0, 1, 2], "1 label outside the 2 class names in column `label`: `c` (label 2)"),
        ([0, 1, -7], "`c` (label -7)"),
    ] {
        let dataset = Dataset::new();
        let batch =
            with_metadata(&batch(replaced("label", numbers(&labels))), "class_names", names);
        dataset.write("a.parquet", &batch, 10);
        let said = dataset.refusal("features = 'f'");
        assert!(said.contains(expected), "{said}");
    }
}

#[test]
fn missing_columns_are_listed_with_a_suggestion() {
    let dataset = Dataset::of(simple());
    for (lines, expected) in [
        (
            "features = 'f'\nlabel = 'lable'",
            "data.label names the column `lable`, which does not exist; the columns are id, label, f; did you mean `label`?",
        ),
        (
            "features = 'f'\nid = 'key'",
            "data.id names the column `key`, which does not exist; the columns are id, label, f",
        ),
        ("features = ['f', 'gggg']", "data.features names the column `gggg`"),
        ("image = 'image'", "data.image names the column `image`"),
    ] {
        let said = dataset.refusal(lines);
        assert!(said.contains(expected), "{said}");
    }
    let group = survey(&dataset.data("features = 'f'"), Some("cluster")).unwrap_err();
    assert!(group.to_string().contains("folds.group names the column `cluster`"), "{group}");
}

#[test]
fn unusable_types_say_which_types_work() {
    let dates: ArrayRef = Arc::new(Date32Array::from(vec![1, 2, 3]));
    let reals: ArrayRef = Arc::new(Float64Array::from(vec![1.0, 2.0, 3.0]));
    let yes: ArrayRef = Arc::new(BooleanArray::from(vec![true, false, true]));
    for (name, array, expected) in [
        (
            "id",
            &reals,
            "data.id names the column `id` of type Float64, which cannot be used; strings and integers can",
        ),
        ("id", &yes, "data.id names the column `id` of type Boolean"),
        ("label", &reals, "data.label names the column `label` of type Float64"),
        ("f", &dates, "data.features names the column `f` of type Date32"),
    ] {
        let said = refusal_of(replaced(name, Arc::clone(array)));
        assert!(said.contains(expected), "{said}");
    }
    let said = Dataset::of(simple()).refusal("image = 'f'");
    assert!(said.contains("a struct with a field `bytes`, and binary, can"), "{said}");
    let said = Dataset::of(simple()).refusal("image = 'f'\nfeatures = 'f'");
    assert!(said.contains("exclude each other"), "{said}");
    let said = Dataset::of(simple()).refusal("features = ['f', 'f']");
    assert!(said.contains("names `f` twice"), "{said}");
}

#[test]
fn one_class_and_no_rows_are_refused() {
    let said = refusal_of(replaced("label", texts(&["x", "x", "x"])));
    assert_eq!(said, "all 3 usable samples have the class `x`; at least two classes are needed");
    let empty = Dataset::new();
    empty.write("a.parquet", &batch(simple()).slice(0, 0), 10);
    assert_eq!(empty.refusal("features = 'f'"), "the dataset has no row");
    let said = Dataset::of(simple()).refusal("features = 'f'\nfilter = \"label = 'z'\"");
    assert_eq!(said, "data.filter `label = 'z'` leaves none of 3 rows");
}

#[test]
fn an_empty_file_among_others_is_fine() {
    let dataset = Dataset::of(simple());
    dataset.write("empty.parquet", &batch(simple()).slice(0, 0), 10);
    let found = dataset.survey("features = 'f'").unwrap();
    assert_eq!((found.rows.len(), found.files.len()), (3, 2));
}

#[test]
fn files_with_different_schemas_are_named_with_the_field() {
    let dataset = Dataset::of(simple());
    dataset.write("b.parquet", &batch(replaced("f", numbers(&[1, 2, 3]))), 10);
    let said = dataset.refusal("features = 'f'");
    assert!(said.contains("`f` is Float32 in a.parquet but Int64 in b.parquet"), "{said}");

    let mut more = simple();
    more.push(("extra", numbers(&[1, 2, 3])));
    dataset.write("b.parquet", &batch(more.clone()), 10);
    let said = dataset.refusal("features = 'f'");
    assert!(said.contains("`extra` is in b.parquet but not in a.parquet"), "{said}");
    dataset.write("a.parquet", &batch(more), 10);
    dataset.write("b.parquet", &batch(simple()), 10);
    let said = dataset.refusal("features = 'f'");
    assert!(said.contains("`extra` is in a.parquet but not in b.parquet"), "{said}");
}

#[test]
fn column_order_and_nullability_may_differ() {
    let dataset = Dataset::of(simple());
    let columns = vec![
        ("f", floats(&[4.0, 5.0]), false),
        ("label", texts(&["y", "y"]), false),
        ("id", texts(&["d", "e"]), false),
    ];
    dataset.write("b.parquet", &RecordBatch::try_from_iter_with_nullable(columns).unwrap(), 10);
    let loaded = dataset.load("features = 'f'").unwrap();
    assert_eq!(loaded.samples.ids, ["a", "b", "c", "d", "e"]);
    assert_eq!(values(&loaded), [1.0, 2.0, 3.0, 4.0, 5.0]);
    let found = dataset.survey("features = 'f'").unwrap();
    assert!(found.schema.fields().iter().all(|f| f.is_nullable()));
}

#[test]
fn broken_files_are_named() {
    let dataset = Dataset::of(simple());
    let whole = std::fs::read(dataset.path().join("a.parquet")).unwrap();
    let cases: [(&[u8], &str); 3] = [
        (b"", "empty (0 bytes)"),
        (b"this is text, not parquet", "not a complete Parquet file"),
        (&whole[..whole.len() / 2], "not a complete Parquet file"),
    ];
    for (bytes, expected) in cases {
        std::fs::write(dataset.path().join("b.parquet"), bytes).unwrap();
        let error = dataset.survey("features = 'f'").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        let said = dataset.plain(&error);
        assert!(said.starts_with("b.parquet") && said.contains(expected), "{said}");
    }
}

#[test]
fn no_damaged_byte_ends_in_a_panic() {
    let dataset = Dataset::of(simple());
    let path = dataset.path().join("a.parquet");
    let whole = std::fs::read(&path).unwrap();
    let mut refused = 0;
    for at in (0..whole.len()).step_by(3) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x5A;
        std::fs::write(&path, bytes).unwrap();
        refused += usize::from(dataset.load("features = 'f'").is_err());
    }
    assert!(refused > 0);
}

#[test]
fn a_broken_page_is_an_error_and_no_panic() {
    let dataset = Dataset::of(simple());
    let path = dataset.path().join("a.parquet");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[4..40].fill(0xFF);
    std::fs::write(&path, bytes).unwrap();
    let said = dataset.refusal("features = 'f'");
    assert!(said.contains("a.parquet, row group 0"), "{said}");
}
