//! The order of files, rows and threads does not matter.

use arrow::array::{AsArray, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::Int32Type;

use super::*;

const ROWS: u32 = 30;
const LINES: &str = "features = 'f'\nmax_quarantined = 0.5";

fn rows() -> RecordBatch {
    let ids: Vec<String> = (0..ROWS).map(|i| format!("{:02}", i * 7 % ROWS)).collect();
    let labels: Vec<i64> = (0..i64::from(ROWS)).map(|i| i % 3).collect();
    // Some vectors cannot be used, so that gaps are closed in every layout.
    let value = |i: u32| if i % 11 == 5 { f32::NAN } else { i as f32 };
    let values: Vec<f32> = (0..ROWS).map(value).collect();
    let ids = texts(&ids.iter().map(String::as_str).collect::<Vec<_>>());
    batch(vec![("id", ids), ("label", numbers(&labels)), ("f", floats(&values))])
}

fn loaded(files: &[(RecordBatch, usize)]) -> Loaded {
    let dataset = Dataset::new();
    for (i, (batch, row_group)) in files.iter().enumerate() {
        dataset.write(&format!("{i}.parquet"), batch, *row_group);
    }
    dataset.load(LINES).unwrap()
}

fn floats_of(loaded: &Loaded) -> Vec<u32> {
    values(loaded).iter().map(|v| v.to_bits()).collect()
}

/// The samples table without the columns that say where a sample lies.
fn without_places(loaded: &Loaded) -> RecordBatch {
    let (samples, _) = tables_of(loaded);
    let keep: Vec<usize> = ["id", "label", "bytes", "group"]
        .iter()
        .map(|name| samples.schema().index_of(name).unwrap())
        .collect();
    samples.project(&keep).unwrap()
}

#[test]
fn layouts_of_the_same_rows_give_the_same_samples() {
    let all = rows();
    let reversed =
        take_record_batch(&all, &UInt32Array::from_iter_values((0..ROWS).rev())).unwrap();
    let one = loaded(&[(all.clone(), 1000)]);
    assert_eq!((one.samples.len(), one.quarantine.len()), (27, 3));
    assert!(one.samples.ids.is_sorted());
    let layouts = [
        vec![(all.clone(), 4)],
        vec![(reversed.clone(), 7)],
        vec![(all.slice(20, 10), 3), (all.slice(0, 9), 100), (all.slice(9, 11), 1)],
        vec![(reversed.slice(0, 1), 1), (reversed.slice(1, 29), 8)],
    ];
    for layout in layouts {
        let other = loaded(&layout);
        assert_eq!(other.samples.ids, one.samples.ids);
        assert_eq!(other.samples.labels, one.samples.labels);
        assert_eq!(other.samples.classes, one.samples.classes);
        assert_eq!(floats_of(&other), floats_of(&one));
        assert_eq!(without_places(&other), without_places(&one));
        let reasons = |l: &Loaded| -> Vec<(String, String)> {
            l.quarantine.iter().map(|q| (q.row.id.clone(), q.reason.clone())).collect()
        };
        assert_eq!(reasons(&other), reasons(&one));
    }
}

#[test]
fn the_number_of_threads_does_not_matter() {
    let dataset = Dataset::new();
    dataset.write("a.parquet", &rows(), 3);
    let with = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let loaded = pool.install(|| dataset.load(LINES).unwrap());
        (tables_of(&loaded), floats_of(&loaded))
    };
    assert_eq!(with(1), with(4));
}

#[test]
fn the_tables_say_where_samples_lie() {
    let all = rows();
    let loaded = loaded(&[(all.slice(0, 10), 4), (all.slice(10, 20), 4)]);
    let (samples, quarantine) = tables_of(&loaded);
    assert_eq!(samples.schema(), crate::tables::samples());
    assert_eq!(quarantine.schema(), crate::tables::quarantine());
    let place = |batch: &RecordBatch, name: &str, at: usize| {
        batch.column_by_name(name).unwrap().as_primitive::<Int32Type>().value(at)
    };
    // Row 16 of 30 has the id 16 * 7 % 30 = 22 and NaN; it is row 6 of the second file.
    let ids = quarantine.column(0).as_string::<i32>();
    let at = ids.iter().position(|id| id == Some("22")).unwrap();
    assert_eq!((place(&quarantine, "file", at), place(&quarantine, "row_group", at)), (1, 1));
    assert_eq!(loaded.quarantine[at].row.row, 2);
    assert_eq!(place(&samples, "label", 0), 0);
}
