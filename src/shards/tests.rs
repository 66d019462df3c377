//! Round trips through Parquet, layouts, cards.

#![allow(clippy::from_iter_instead_of_collect)]

use std::sync::Arc;

use ::parquet::file::metadata::{ParquetMetaDataReader, RowGroupMetaData};
use ::parquet::file::properties::WriterProperties;
use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Date64Array, Decimal128Array, DictionaryArray,
    FixedSizeListArray, Float32Array, Float64Array, Int32Array, Int64Array, Int64Builder,
    LargeBinaryArray, LargeListArray, LargeStringArray, ListArray, MapBuilder, NullArray,
    StringArray, StringBuilder, StringViewArray, StructArray, TimestampSecondArray,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, Fields, Int8Type, Schema, SchemaRef};
use bytes::Bytes;
use proptest::prelude::*;
use tempfile::TempDir;

use super::view as view_of;
use super::*;
use crate::error::ErrorKind;
use crate::recipe::{Form, Output};
use crate::storage::Dir;
use crate::storage::parquet::{Columns, Limits, ParquetFile, decode, encode};
use object_store::memory::InMemory;

fn open(path: &str) -> ParquetFile {
    let limits = Limits { columns: 5000, expansion: 100 };
    let object = crate::storage::resolve(&[path.to_owned()], &crate::recipe::Storage::default())
        .unwrap()
        .remove(0);
    ParquetFile::open(object, limits).unwrap()
}

fn shipped() -> ParquetFile {
    open(concat!(env!("CARGO_MANIFEST_DIR"), "/data/fashion_mnist_6k.parquet"))
}

/// Writes `batch` into a file with row groups of `rows` rows.
fn file(dir: &TempDir, name: &str, batch: &RecordBatch, rows: usize) -> ParquetFile {
    let starts = (0..batch.num_rows()).step_by(rows);
    let groups = starts.map(|s| Ok([Ok(batch.slice(s, rows.min(batch.num_rows() - s)))]));
    let bytes = encode(Vec::new(), &batch.schema(), groups, WriterProperties::new()).unwrap();
    std::fs::write(dir.path().join(name), bytes).unwrap();
    open(dir.path().join(name).to_str().unwrap())
}

fn spec(row_group_bytes: u64, scores: bool) -> Output {
    let bytes = crate::recipe::Bytes(row_group_bytes);
    Output {
        uri: String::new(),
        form: Form::Copy,
        split: "train".to_owned(),
        shard_bytes: bytes,
        row_group_bytes: bytes,
        scores,
    }
}

fn kept(id: String, file: u32, row_group: u32, row: u32) -> Kept {
    let score = (row > 0).then(|| f64::from(row) / 3.0);
    Kept { id, file, row_group, row, bytes: 100, score, rank: Some(i64::from(row)), stage: None }
}

/// Every row of the files.
fn all(files: &[ParquetFile]) -> Vec<Kept> {
    let mut rows = Vec::new();
    for (f, file) in files.iter().enumerate() {
        for (g, group) in file.row_groups().iter().enumerate() {
            let one = |r| kept(format!("{f}-{g}-{r}"), f as u32, g as u32, r);
            rows.extend((0..group.rows as u32).map(one));
        }
    }
    rows
}

fn shuffled(rows: Vec<Kept>) -> Vec<Kept> {
    layout(rows, u64::MAX, &Seed::new(1)).remove(0)
}

/// Rows of one shard, read with room for `waiting` bytes in memory.
fn spilled(
    files: &[ParquetFile],
    schema: &SchemaRef,
    rows: &[Kept],
    spec: &Output,
    waiting: u64,
) -> Result<Spill> {
    let room = Room { rows: waiting, lanes: 2 };
    Spill::read(files, schema, [(0, rows.to_vec())].into(), spec.row_group_bytes.0, room)
}

/// The bytes of a shard; they are the same if its rows wait in a scratch file.
fn encode_shard(
    files: &[ParquetFile],
    schema: &SchemaRef,
    rows: &[Kept],
    spec: &Output,
) -> Result<Vec<u8>> {
    let encode = |waiting| {
        let spill = spilled(files, schema, rows, spec, waiting)?;
        super::encode_shard(&spill, 0, spec.scores, Vec::new())
    };
    let bytes = encode(u64::MAX)?;
    for waiting in [0, 20_000] {
        assert!(encode(waiting)? == bytes, "{waiting} bytes in memory change the shard");
    }
    Ok(bytes)
}

fn compare(files: &[ParquetFile], schema: &SchemaRef, rows: &[Kept], shard: Bytes) -> Result<()> {
    let dir = Dir::on(Arc::new(InMemory::new()), "memory:");
    dir.create("shard.parquet", shard).unwrap();
    for (row_group_bytes, waiting) in [(1000, u64::MAX), (1_000_000, 1000)] {
        let spill = spilled(files, schema, rows, &spec(row_group_bytes, false), waiting)?;
        super::compare(&spill, 0, dir.object("shard.parquet")?, None)?;
    }
    Ok(())
}

/// Encodes, proves equality, and gives the decoded shard.
fn round_trip(
    files: &[ParquetFile],
    rows: &[Kept],
    spec: &Output,
) -> (Bytes, SchemaRef, Vec<RecordBatch>) {
    let schema = files[0].schema();
    let bytes = Bytes::from(encode_shard(files, schema, rows, spec).unwrap());
    compare(files, schema, rows, bytes.clone()).unwrap();
    let (found, batches) = decode(bytes.clone()).unwrap();
    (bytes, found, batches.map(Result::unwrap).collect())
}

proptest! {
    #[test]
    fn layout_places_every_row_once_within_the_bound(
        bytes in prop::collection::vec(0_u64..400, 0..120),
        bound in 1_u64..2000,
        seed in 0_u64..5,
    ) {
        let row = |(i, &bytes): (usize, &u64)| Kept { bytes, ..kept(format!("id{i}"), 0, 0, i as u32) };
        let rows: Vec<Kept> = bytes.iter().enumerate().map(row).collect();
        let shards = layout(rows.clone(), bound, &Seed::new(seed));
        let mut reversed = rows.clone();
        reversed.reverse();
        prop_assert_eq!(&shards, &layout(reversed, bound, &Seed::new(seed)));
        for shard in &shards {
            let sum: u64 = shard.iter().map(|r| r.bytes).sum();
            prop_assert!(!shard.is_empty() && (shard.len() == 1 || sum <= bound));
        }
        let mut placed: Vec<Kept> = shards.into_iter().flatten().collect();
        placed.sort_by_key(|r| r.row);
        prop_assert_eq!(placed, rows);
    }
}

#[test]
fn layout_shuffles_by_seed() {
    let rows: Vec<Kept> = (0..100).map(|i| kept(format!("{i:03}"), 0, 0, i)).collect();
    let ids = |seed| -> Vec<String> {
        let shards = layout(rows.clone(), 1000, &Seed::new(seed));
        shards.into_iter().flatten().map(|r| r.id).collect()
    };
    let mut sorted = ids(0);
    assert_ne!(ids(0), ids(1));
    sorted.sort();
    assert_ne!(ids(0), sorted);
    assert_eq!(layout(rows.clone(), 1000, &Seed::new(0)).len(), 10);
}

#[test]
fn view_names_the_source_row_of_each_shard_row() {
    let shards = [vec![kept("b".into(), 1, 2, 3)], vec![kept("a".into(), 0, 0, 7)]];
    let uris = ["x.parquet".to_owned(), "y.parquet".to_owned()];
    let view = view_of(&shards, &uris).unwrap();
    assert_eq!(view.schema(), tables::view());
    assert_eq!(view.column(0).as_ref(), &StringArray::from(vec!["b", "a"]));
    assert_eq!(view.column(1).as_ref(), &StringArray::from(vec!["y.parquet", "x.parquet"]));
    assert_eq!(view.column(2).as_ref(), &Int32Array::from(vec![2, 0]));
    assert_eq!(view.column(3).as_ref(), &Int64Array::from(vec![3, 7]));
    assert_eq!(view.column(4).as_ref(), &Int32Array::from(vec![0, 1]));
    assert_eq!(view_of(&shards, &uris[..1]).unwrap_err().kind(), ErrorKind::Internal);
    assert_eq!(shard_name("train", 0, 3), "data/train-00000-of-00003.parquet");
}

#[test]
fn shipped_rows_are_copied_bit_for_bit_and_a_changed_byte_is_named() {
    let files = [shipped()];
    let rows = shuffled(all(&files).into_iter().take(200).collect());
    let (bytes, schema, batches) = round_trip(&files, &rows, &spec(100_000_000, false));
    assert_eq!(&schema, files[0].schema());
    assert!(schema.metadata().contains_key("class_names"));
    assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 200);
    assert_eq!(bytes, encode_shard(&files, &schema, &rows, &spec(100_000_000, false)).unwrap());

    // Image bytes are stored plain, so a byte of the third row's image can be found and changed.
    let image =
        batches[0].column_by_name("image").unwrap().as_struct().column(0).as_binary::<i32>();
    let png = image.value(2);
    let at = bytes.windows(png.len()).position(|window| window == png).unwrap();
    let mut damaged = bytes.to_vec();
    damaged[at + png.len() / 2] ^= 1;
    let error = compare(&files, &schema, &rows, damaged.into()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CorruptData);
    assert!(error.to_string().contains(&format!("`{}`", rows[2].id)), "{error}");
    assert!(error.to_string().contains("column `image`"), "{error}");
}

#[test]
fn compare_rejects_other_rows_counts_and_schemas() {
    let files = [shipped()];
    let schema = files[0].schema();
    let rows = shuffled(all(&files).into_iter().take(50).collect());
    let bytes = Bytes::from(encode_shard(&files, schema, &rows, &spec(1_000_000, false)).unwrap());
    let fails = |schema: &SchemaRef, rows: &[Kept], bytes: &Bytes| {
        let error = compare(&files, schema, rows, bytes.clone()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::CorruptData, "{error}");
        error.to_string()
    };
    let mut swapped = rows.clone();
    swapped.swap(3, 4);
    assert!(fails(schema, &swapped, &bytes).contains(&swapped[3].id));
    assert!(fails(schema, &rows[..49], &bytes).contains("has 50 rows, it should have 49"));
    let mut more = rows.clone();
    more.push(kept("more".into(), 0, 0, 999));
    assert!(fails(schema, &more, &bytes).contains("has 50 rows, it should have 51"));
    let bare: SchemaRef = Arc::new(Schema::new(schema.fields().clone()));
    assert!(fails(&bare, &rows, &bytes).contains("metadata"));
    assert!(fails(schema, &rows, &bytes.slice(..bytes.len() - 9)).contains("decoded"));
    let scored = encode_shard(&files, schema, &rows, &spec(1_000_000, true)).unwrap().into();
    compare(&files, schema, &rows, Bytes::clone(&scored)).unwrap();
    let mut rescored = rows.clone();
    rescored[7].rank = None;
    assert!(fails(schema, &rescored, &scored).contains("unseen_rank"));
}

/// Columns of every kind that Parquet and Arrow can carry, `n` rows, with nulls.
fn exotic(n: usize) -> RecordBatch {
    let some = |i: usize| (i % 7 != 3).then_some(i);
    let text = |i: usize| some(i).map(|i| format!("value {}", i % 11));
    let items = Arc::new(Int64Array::from_iter((0..2 * n).map(|i| some(i).map(|i| i as i64))));
    let offsets = OffsetBuffer::<i64>::from_lengths(std::iter::repeat_n(2, n));
    let item = Arc::new(Field::new("item", DataType::Int64, true).with_metadata([("unit", "mm")]));
    let large_list = LargeListArray::new(Arc::clone(&item), offsets, items.clone(), None);
    let valid: Vec<bool> = (0..n).map(|i| i % 5 != 1).collect();
    let fixed = FixedSizeListArray::new(Arc::clone(&item), 2, items, Some(valid.clone().into()));
    let dictionary: DictionaryArray<Int8Type> =
        (0..n).map(text).collect::<Vec<_>>().iter().map(|t| t.as_deref()).collect();
    let inner = Fields::from(vec![
        Field::new("path", DataType::LargeUtf8, true),
        Field::new("bytes", DataType::LargeBinary, true),
    ]);
    let nested = StructArray::new(
        inner,
        vec![
            Arc::new((0..n).map(text).collect::<LargeStringArray>()),
            Arc::new(LargeBinaryArray::from_iter(
                (0..n).map(|i| some(i).map(|i| vec![i as u8; i % 40])),
            )),
        ],
        Some(valid.into()),
    );
    let times = Int64Array::from_iter((0..n).map(|i| some(i).map(|i| i as i64 * 1_000_003)));
    let zoned =
        DataType::Timestamp(arrow::datatypes::TimeUnit::Nanosecond, Some("Europe/Zurich".into()));
    let decimals = Decimal128Array::from_iter((0..n).map(|i| some(i).map(|i| i as i128 - 5)));
    let mut map = MapBuilder::new(None, StringBuilder::new(), Int64Builder::new());
    for i in 0..n {
        map.keys().append_value(format!("k{i}"));
        map.values().append_option(some(i).map(|i| i as i64));
        map.append(i % 3 != 0).unwrap();
    }
    let map = map.finish();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(StringArray::from_iter_values((0..n).map(|i| format!("{i}"))))),
        ("large_list", Arc::new(large_list)),
        ("fixed", Arc::new(fixed)),
        ("dictionary", Arc::new(dictionary)),
        ("view", Arc::new((0..n).map(text).collect::<StringViewArray>())),
        ("nested", Arc::new(nested)),
        ("decimal", Arc::new(decimals.with_precision_and_scale(20, 3).unwrap())),
        ("zoned", arrow::compute::cast(&times, &zoned).unwrap()),
        (
            "seconds",
            Arc::new(TimestampSecondArray::from_iter((0..n).map(|i| some(i).map(|i| i as i64)))),
        ),
        ("nothing", Arc::new(NullArray::new(n))),
        ("no_number", Arc::new(Float32Array::from_iter((0..n).map(|i| some(i).map(|_| f32::NAN))))),
        (
            "date",
            Arc::new(Date64Array::from_iter(
                (0..n).map(|i| some(i).map(|i| i as i64 * 86_400_000)),
            )),
        ),
        ("map", Arc::new(map)),
        ("flag", Arc::new((0..n).map(|i| some(i).map(|i| i % 2 == 0)).collect::<BooleanArray>())),
    ];
    let field = |(name, array): &(&str, ArrayRef)| {
        Field::new(*name, array.data_type().clone(), *name != "id")
            .with_metadata([("about", *name)])
    };
    let fields: Vec<Field> = columns.iter().map(field).collect();
    let keys = [("huggingface", "{\"info\": {\"features\": {}}}"), ("other", "kept")];
    let schema = Schema::new_with_metadata(fields, keys);
    RecordBatch::try_new(Arc::new(schema), columns.into_iter().map(|c| c.1).collect()).unwrap()
}

#[test]
fn every_type_survives_from_several_files_with_different_row_groups() {
    let dir = tempfile::tempdir().unwrap();
    let batch = exotic(2500);
    let files = [
        file(&dir, "a.parquet", &batch.slice(0, 1700), 600),
        file(&dir, "b.parquet", &batch.slice(1700, 800), 33),
    ];
    assert_eq!((files[0].row_groups().len(), files[1].row_groups().len()), (3, 25));
    assert_eq!(files[0].schema(), &batch.schema());
    let rows: Vec<Kept> = all(&files).into_iter().filter(|r| r.row % 3 != 1).collect();
    let (bytes, schema, _) = round_trip(&files, &shuffled(rows), &spec(50_000, true));
    assert_eq!(&schema.fields()[..batch.num_columns()], &batch.schema().fields()[..]);
    assert_eq!(schema.metadata(), batch.schema().metadata());
    let footer = ParquetMetaDataReader::new().parse_and_finish(&bytes).unwrap();
    let keys = footer.file_metadata().key_value_metadata().unwrap();
    let key = |name: &str| keys.iter().find(|k| k.key == name).and_then(|k| k.value.clone());
    assert_eq!(key("huggingface").unwrap(), "{\"info\": {\"features\": {}}}");
    assert_eq!(key("other").unwrap(), "kept");
    assert!(key("ARROW:schema").is_some());
}

#[test]
fn values_are_those_of_the_source_rows() {
    let dir = tempfile::tempdir().unwrap();
    let batch = exotic(300);
    let files = [file(&dir, "a.parquet", &batch, 70)];
    let rows: Vec<Kept> = all(&files).into_iter().rev().step_by(3).collect();
    let (_, _, batches) = round_trip(&files, &rows, &spec(5_000, false));
    let found = arrow::compute::concat_batches(&batch.schema(), &batches).unwrap();
    for (i, row) in rows.iter().enumerate() {
        let source = (row.row_group * 70 + row.row) as usize;
        assert_eq!(found.slice(i, 1), batch.slice(source, 1), "row {i}");
    }
}

#[test]
fn row_groups_are_bounded_and_blobs_are_plain() {
    let files = [shipped()];
    let rows = shuffled(all(&files).into_iter().take(95).collect());
    let bytes =
        Bytes::from(encode_shard(&files, files[0].schema(), &rows, &spec(1000, false)).unwrap());
    let footer = ParquetMetaDataReader::new().parse_and_finish(&bytes).unwrap();
    let sizes: Vec<i64> = footer.row_groups().iter().map(RowGroupMetaData::num_rows).collect();
    assert_eq!(sizes, [10, 10, 10, 10, 10, 10, 10, 10, 10, 5]);
    let created = footer.file_metadata().created_by().unwrap();
    assert_eq!(created, concat!("unseen ", env!("CARGO_PKG_VERSION")));
    for column in footer.row_group(0).columns() {
        let blob = column.column_path().string() == "image.bytes";
        assert_eq!(column.statistics().is_none(), blob);
        assert_eq!(column.dictionary_page_offset().is_none(), blob);
        assert!(column.offset_index_offset().is_some());
        let plain = column.compression() == ::parquet::basic::Compression::UNCOMPRESSED;
        assert_eq!(plain, blob, "{}", column.column_path());
    }
}

#[test]
fn scores_are_appended_unless_the_names_are_taken() {
    let files = [shipped()];
    let rows = shuffled(all(&files).into_iter().take(20).collect());
    let (bytes, schema, batches) = round_trip(&files, &rows, &spec(1_000_000, true));
    let scores: Float64Array = rows.iter().map(|r| r.score).collect();
    let batch = &batches[0];
    assert_eq!(batch.column_by_name("unseen_score").unwrap().as_ref(), &scores);
    let stages = batch.column_by_name("unseen_stage").unwrap();
    assert_eq!((stages.null_count(), stages.data_type()), (20, &DataType::Int32));
    assert_eq!(schema.metadata(), files[0].schema().metadata());

    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("again.parquet"), bytes).unwrap();
    let again = [open(dir.path().join("again.parquet").to_str().unwrap())];
    let rows = all(&again);
    round_trip(&again, &rows, &spec(1_000_000, false));
    let error = encode_shard(&again, &schema, &rows, &spec(1_000_000, true)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("unseen_score"), "{error}");
}

#[test]
fn files_may_differ_in_column_order_but_not_in_columns() {
    let dir = tempfile::tempdir().unwrap();
    let batch = exotic(10);
    let turned = batch.project(&(0..batch.num_columns()).rev().collect::<Vec<_>>()).unwrap();
    let first = file(&dir, "a.parquet", &batch, 4);
    let files = [first.clone(), file(&dir, "b.parquet", &turned, 3)];
    round_trip(&files, &shuffled(all(&files)), &spec(1000, false));

    let other = turned.project(&[0, 1]).unwrap();
    let files = [first, file(&dir, "c.parquet", &other, 3)];
    let error =
        encode_shard(&files, files[0].schema(), &all(&files), &spec(1000, false)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("c.parquet, row group 0: it has 2 columns"), "{error}");
}

/// Nested columns of `n` rows whose inner fields are all nullable or all not.
fn nested(n: usize, nullable: bool) -> RecordBatch {
    let items = Arc::new(Int64Array::from_iter_values((0..2 * n).map(|i| i as i64)));
    let item = Arc::new(Field::new("item", DataType::Int64, nullable));
    let valid: Vec<bool> = (0..n).map(|i| i % 5 != 1).collect();
    let offsets = OffsetBuffer::<i32>::from_lengths(std::iter::repeat_n(2, n));
    let list =
        ListArray::new(Arc::clone(&item), offsets, items.clone(), Some(valid.clone().into()));
    let fixed = FixedSizeListArray::new(item, 2, items, None);
    let fields = Fields::from(vec![
        Field::new("bytes", DataType::LargeBinary, nullable),
        Field::new("list", list.data_type().clone(), true),
    ]);
    let bytes = LargeBinaryArray::from_iter_values((0..n).map(|i| vec![i as u8; i % 9]));
    let columns: Vec<ArrayRef> = vec![Arc::new(bytes), Arc::new(list.clone())];
    let outer = StructArray::new(fields, columns, Some(valid.into()));
    let columns: [(&str, ArrayRef); 3] =
        [("list", Arc::new(list)), ("fixed", Arc::new(fixed)), ("struct", Arc::new(outer))];
    let field =
        |(name, array): &(&str, ArrayRef)| Field::new(*name, array.data_type().clone(), true);
    let schema = Schema::new(columns.iter().map(field).collect::<Vec<_>>());
    RecordBatch::try_new(Arc::new(schema), columns.into_iter().map(|c| c.1).collect()).unwrap()
}

#[test]
fn files_may_differ_in_nested_nullability() {
    let dir = tempfile::tempdir().unwrap();
    let (loose, strict) = (nested(50, true), nested(50, false));
    assert_ne!(loose.schema(), strict.schema());
    let files = [file(&dir, "a.parquet", &loose, 20), file(&dir, "b.parquet", &strict, 30)];
    let rows = all(&files);
    let (_, schema, batches) = round_trip(&files, &rows, &spec(3000, true));
    assert_eq!(&schema.fields()[..3], &loose.schema().fields()[..]);
    let found = arrow::compute::concat_batches(&schema, &batches).unwrap();
    let found = found.project(&[0, 1, 2]).unwrap();
    assert_eq!(found.slice(0, 50).columns(), loose.columns());
    assert_eq!(found.slice(50, 50).columns(), loose.columns());
}

/// `n` rows of dictionaries with 8-bit keys, plain and nested, with `distinct` values in all.
fn dictionaries(n: usize, distinct: usize) -> RecordBatch {
    let text = |i: usize| (i % 7 != 3).then(|| format!("value {}", i * 31 % distinct));
    let flat: DictionaryArray<Int8Type> =
        (0..n).map(text).collect::<Vec<_>>().iter().map(|t| t.as_deref()).collect();
    let flat: ArrayRef = Arc::new(flat);
    let item = Arc::new(Field::new("item", flat.data_type().clone(), true));
    let offsets = OffsetBuffer::<i32>::from_lengths((0..n).map(|i| [0, 2][i % 2]));
    let values = flat.slice(0, n / 2 * 2);
    let list: ArrayRef = Arc::new(ListArray::new(item, offsets, values, None));
    let field =
        |(name, array): (&str, &ArrayRef)| Field::new(name, array.data_type().clone(), true);
    let inner = Fields::from(vec![field(("flat", &flat)), field(("list", &list))]);
    let nested = StructArray::new(inner, vec![Arc::clone(&flat), Arc::clone(&list)], None);
    let columns: [(&str, ArrayRef); 3] =
        [("flat", flat), ("list", list), ("nested", Arc::new(nested))];
    let fields: Vec<Field> = columns.iter().map(|(name, array)| field((name, array))).collect();
    let columns = columns.into_iter().map(|c| c.1).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

#[test]
fn dictionaries_of_many_row_groups_become_one() {
    let dir = tempfile::tempdir().unwrap();
    let batch = dictionaries(2000, 120);
    let files = [file(&dir, "a.parquet", &batch, 100)];
    assert_eq!(files[0].row_groups().len(), 20);
    let rows = shuffled(all(&files));
    let (bytes, schema, batches) = round_trip(&files, &rows, &spec(1_000_000, false));
    assert_eq!(schema.fields(), batch.schema().fields());
    assert_eq!(bytes, encode_shard(&files, &schema, &rows, &spec(1_000_000, false)).unwrap());
    let mut found = batches.iter().flat_map(|b| (0..b.num_rows()).map(move |i| b.slice(i, 1)));
    for row in &rows {
        let source = (row.row_group * 100 + row.row) as usize;
        assert_eq!(found.next().unwrap(), batch.slice(source, 1));
    }
}

#[test]
fn more_values_than_a_dictionary_can_number_are_an_error_that_names_the_column() {
    let dir = tempfile::tempdir().unwrap();
    let one = |from: usize| {
        let text: Vec<String> = (from..from + 100).map(|i| i.to_string()).collect();
        let array: DictionaryArray<Int8Type> = text.iter().map(String::as_str).collect();
        let array: ArrayRef = Arc::new(array);
        RecordBatch::try_from_iter([("word", array)]).unwrap()
    };
    let files = [file(&dir, "a.parquet", &one(0), 100), file(&dir, "b.parquet", &one(100), 100)];
    let schema = files[0].schema();
    round_trip(&files, &all(&files[..1]), &spec(1_000_000, false));
    let error = encode_shard(&files, schema, &all(&files), &spec(1_000_000, false)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("200 rows of the column `word`"), "{error}");
}

#[test]
fn rows_that_are_not_there_or_named_twice_are_errors() {
    let files = [shipped()];
    let encode = |rows: &[Kept]| encode_shard(&files, files[0].schema(), rows, &spec(1000, false));
    let row = |file, group, row| kept("x".into(), file, group, row);
    for wrong in [row(1, 0, 0), row(0, 1, 0), row(0, 0, 6000)] {
        assert_eq!(encode(&[wrong]).unwrap_err().kind(), ErrorKind::CorruptData);
    }
    let twice = encode(&[row(0, 0, 5), row(0, 0, 5)]).unwrap_err();
    assert!(twice.to_string().contains("twice"), "{twice}");
    assert!(!encode(&[]).unwrap().is_empty());
}

#[test]
fn content_defined_chunking_stays_true_to_its_key() {
    let dir = tempfile::tempdir().unwrap();
    let batch = exotic(500);
    let keys = [("content_defined_chunking", "{\"min_chunk_size\": 262144}")];
    let schema = Arc::new(batch.schema().as_ref().clone().with_metadata(keys));
    let batch = RecordBatch::try_new(schema, batch.columns().to_vec()).unwrap();
    let files = [file(&dir, "a.parquet", &batch, 100)];
    let (_, schema, _) = round_trip(&files, &shuffled(all(&files)), &spec(20_000, false));
    assert!(schema.metadata().contains_key("content_defined_chunking"));
    let first = files[0].read(0, Columns::All, None).unwrap();
    assert_eq!(first.iter().map(RecordBatch::num_rows).sum::<usize>(), 100);
}
