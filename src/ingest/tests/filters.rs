//! SQL conditions: what they keep and how wrong ones are refused.

use arrow::array::{BooleanArray, DictionaryArray, Float64Array, Int8Array, Int32Array, ListArray};
use arrow::datatypes::Int32Type;

use super::*;
use crate::error::ErrorKind;

fn dataset() -> Dataset {
    let splits = vec!["train", "train", "test", "train", "test"];
    let ok = BooleanArray::from(vec![Some(true), Some(true), Some(true), None, Some(false)]);
    let weights = Float64Array::from(vec![Some(0.5), None, Some(2.0), Some(f64::NAN), Some(-1.0)]);
    let nested = ListArray::from_iter_primitive::<Int32Type, _, _>(vec![Some(vec![Some(1)]); 5]);
    Dataset::of(vec![
        ("id", texts(&["a", "b", "c", "d", "e"])),
        ("label", texts(&["x", "y", "x", "y", "y"])),
        ("f", floats(&[1.0, 2.0, 3.0, 4.0, 5.0])),
        ("split", Arc::new(splits.into_iter().collect::<DictionaryArray<Int32Type>>())),
        ("ok", Arc::new(ok)),
        ("n", Arc::new(Int8Array::from(vec![1, 2, 3, 4, 5]))),
        ("weight", Arc::new(weights)),
        ("day of", Arc::new(Int32Array::from(vec![1, 2, 3, 4, 5]))),
        ("nested", Arc::new(nested)),
    ])
}

#[test]
fn conditions_keep_rows_and_null_is_false() {
    let dataset = dataset();
    for (filter, expected) in [
        ("split = 'train'", "abd"),
        ("split != 'train' AND n >= 3 OR id = 'a'", "ace"),
        ("split IN ('test', 'other') OR n IN (1, 2)", "abce"),
        ("ok", "abc"),
        ("NOT ok OR ok IS NULL OR id = 'a'", "ade"),
        ("weight > 0 AND n != 3", "ad"),
        ("n BETWEEN 2 AND 3", "bc"),
        ("\"day of\" * 2 <= 4", "ab"),
        ("CASE WHEN split = 'test' THEN n > 4 ELSE n < 2 END", "ae"),
        ("COALESCE(weight, 1.0) = 1.0 OR n = 1", "ab"),
        ("CAST(n AS DOUBLE) / 2 > 1.4", "cde"),
        ("n > 0 OR 1 = 1", "abcde"),
        ("split LIKE 'tr%'", "abd"),
        ("split NOT LIKE '%es_'", "abd"),
    ] {
        let found = dataset.survey(&format!("features = 'f'\nfilter = '''{filter}'''"));
        let found = match found {
            Ok(found) => found,
            Err(e) => panic!("{filter}: {e}"),
        };
        let ids: String = found.rows.iter().map(|r| r.id.as_str()).collect();
        assert_eq!(ids, expected, "{filter}");
        assert_eq!(found.source_rows, 5);
    }
}

#[test]
fn wrong_filters_are_recipe_errors_with_their_text() {
    let dataset = dataset();
    for (filter, expected) in [
        ("split ==== 'train'", "is no SQL condition"),
        ("", "is no SQL condition"),
        (
            "spilt = 'train'",
            "names the column `spilt`, which does not exist; the columns are id, label, f, split, ok, n, weight, day of, nested; did you mean `split`?",
        ),
        ("n + 1", "gives i32, not true or false"),
        ("nested = 1", "reads the column `nested` of type List"),
        ("split > 3", "cannot be computed"),
        ("weight > AVG(weight)", "one row at a time"),
        ("n = ROW_NUMBER() OVER (ORDER BY n)", ""),
        ("* = 1", ""),
        ("1 = 1", "names no column"),
        ("NO_SUCH_FUNCTION(n)", "is no SQL condition"),
        ("n IN (SELECT n FROM other)", ""),
    ] {
        let error = dataset.survey(&format!("features = 'f'\nfilter = '''{filter}'''"));
        let error = match error {
            Ok(found) => panic!("{filter} leaves {} rows", found.rows.len()),
            Err(error) => error,
        };
        assert_eq!(error.kind(), ErrorKind::InvalidRecipe, "{filter}: {error}");
        let said = error.to_string();
        assert!(said.starts_with(&format!("data.filter `{filter}` ")), "{said}");
        assert!(said.contains(expected), "{said}");
    }
}

#[test]
fn the_check_names_the_columns() {
    assert_eq!(check_filter("b = 1 AND (a > 2 OR b < 3)").unwrap(), ["a", "b"]);
    assert_eq!(check_filter("SUM(a) > 2").unwrap_err().exit_code(), 2);
}

#[test]
fn the_result_does_not_depend_on_row_groups() {
    let dataset = dataset();
    let lines = "features = 'f'\nfilter = \"split = 'train' AND n < 4\"";
    let whole: Vec<_> = dataset.load(lines).unwrap().samples.ids;
    let file = std::fs::File::open(dataset.path().join("a.parquet")).unwrap();
    let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file);
    let all = reader.unwrap().build().unwrap().next().unwrap().unwrap();
    dataset.write("a.parquet", &all, 1);
    assert_eq!(dataset.load(lines).unwrap().samples.ids, whole);
    assert_eq!(whole, ["a", "b"]);
}
