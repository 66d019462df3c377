//! Tiny datasets for every promise of the room.

mod embeddings;
mod errors;
mod features;
mod filters;
mod images;
mod labels;
mod order;

use std::collections::HashMap;
use std::io::Cursor;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, Float32Array, Int64Array, ListArray, StringArray, StructArray,
};
use arrow::datatypes::{DataType, Field, Float32Type, Schema};
use arrow::record_batch::RecordBatch;
use image::{DynamicImage, ImageFormat};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use tempfile::TempDir;

use super::*;
use crate::error::Error;
use crate::recipe::Data;

/// A directory of Parquet files.
struct Dataset(TempDir);

type Column = (&'static str, ArrayRef);

impl Dataset {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn of(columns: Vec<Column>) -> Self {
        let dataset = Self::new();
        dataset.write("a.parquet", &batch(columns), 1000);
        dataset
    }

    fn write(&self, name: &str, batch: &RecordBatch, row_group: usize) {
        let file = std::fs::File::create(self.path().join(name)).unwrap();
        let properties =
            WriterProperties::builder().set_max_row_group_row_count(Some(row_group)).build();
        let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).unwrap();
        writer.write(batch).unwrap();
        writer.close().unwrap();
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// The `data` section with these lines of TOML.
    fn data(&self, lines: &str) -> Data {
        let uri = self.path().to_str().unwrap();
        toml::from_str(&format!("uri = '{uri}'\n{lines}")).unwrap()
    }

    fn survey(&self, lines: &str) -> Result<Survey, Error> {
        survey(&self.data(lines), None)
    }

    /// Loads into memory, and proves that a scratch file and little memory give the same.
    fn load(&self, lines: &str) -> Result<Loaded, Error> {
        let (survey, data) = (self.survey(lines)?, self.data(lines));
        let loaded = load(&survey, &data, &Room::default());
        let little = Room { inputs_in_memory: false, batches: 1 };
        match (&loaded, load(&survey, &data, &little)) {
            (Ok(one), Ok(other)) => {
                assert_eq!(decoded(one), decoded(&other));
                assert_eq!(tables_of(one), tables_of(&other));
                assert_eq!(one.samples.labels, other.samples.labels);
            }
            (Err(one), Err(other)) => assert_eq!(one.kind(), other.kind()),
            (one, other) => panic!("{one:?} in memory, {other:?} in a scratch file"),
        }
        loaded
    }

    /// The error that the survey gives, without the directory's name.
    fn refusal(&self, lines: &str) -> String {
        self.plain(&self.survey(lines).unwrap_err())
    }

    fn plain(&self, error: &Error) -> String {
        error.to_string().replace(&format!("{}/", self.path().display()), "")
    }
}

/// Both tables, of samples without duplicates.
fn tables_of(loaded: &Loaded) -> (RecordBatch, RecordBatch) {
    tables(loaded, &vec![None; loaded.samples.len()]).unwrap()
}

/// The bytes of all decoded inputs in canonical order.
fn decoded(loaded: &Loaded) -> Vec<u8> {
    let (all, mut buffer) = (0..loaded.samples.len() as u32, Vec::new());
    all.flat_map(|i| loaded.samples.inputs.get(i, &mut buffer).unwrap().to_vec()).collect()
}

/// All decoded features in canonical order.
fn values(loaded: &Loaded) -> Vec<f32> {
    crate::samples::floats(&decoded(loaded)).collect()
}

fn batch(columns: Vec<Column>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, a)| (n, a, true)))
        .unwrap()
}

fn with_metadata(batch: &RecordBatch, key: &str, value: &str) -> RecordBatch {
    let keys = HashMap::from([(key.to_owned(), value.to_owned())]);
    let schema = Schema::new_with_metadata(batch.schema().fields().clone(), keys);
    batch.clone().with_schema(Arc::new(schema)).unwrap()
}

fn texts(values: &[&str]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

fn numbers(values: &[i64]) -> ArrayRef {
    Arc::new(Int64Array::from(values.to_vec()))
}

fn floats(values: &[f32]) -> ArrayRef {
    Arc::new(Float32Array::from(values.to_vec()))
}

fn lists(rows: &[&[f32]]) -> ArrayRef {
    let rows = rows.iter().map(|row| Some(row.iter().map(|v| Some(*v)).collect::<Vec<_>>()));
    Arc::new(ListArray::from_iter_primitive::<Float32Type, _, _>(rows))
}

/// Three samples `a`, `b`, `c` of classes `x` and `y` with one feature `f`.
fn simple() -> Vec<Column> {
    let labels = texts(&["x", "y", "x"]);
    vec![("id", texts(&["a", "b", "c"])), ("label", labels), ("f", floats(&[1.0, 2.0, 3.0]))]
}

fn replaced(name: &'static str, array: ArrayRef) -> Vec<Column> {
    let mut columns = simple();
    columns.retain(|(other, _)| *other != name);
    columns.push((name, array));
    columns
}

fn encoded(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn png(image: impl Into<DynamicImage>) -> Vec<u8> {
    encoded(&image.into(), ImageFormat::Png)
}

fn image_struct(images: &[Option<Vec<u8>>]) -> ArrayRef {
    let bytes: ArrayRef = Arc::new(images.iter().map(Option::as_deref).collect::<BinaryArray>());
    let paths: ArrayRef = Arc::new(images.iter().map(|_| Some("p.png")).collect::<StringArray>());
    Arc::new(StructArray::from(vec![
        (Arc::new(Field::new("bytes", DataType::Binary, true)), bytes),
        (Arc::new(Field::new("path", DataType::Utf8, true)), paths),
    ]))
}

/// Samples `s0`, `s1`, ... of alternating classes with these images.
fn image_columns(images: &[Option<Vec<u8>>]) -> Vec<Column> {
    let ids: ArrayRef =
        Arc::new((0..images.len()).map(|i| Some(format!("s{i}"))).collect::<StringArray>());
    let labels = (0..images.len() as i64).map(|i| i % 2).collect::<Vec<_>>();
    vec![("id", ids), ("label", numbers(&labels)), ("image", image_struct(images))]
}
