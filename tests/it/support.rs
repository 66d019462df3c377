//! Small datasets, recipes, and the binary.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use arrow::array::{ArrayRef, FixedSizeListArray, Float32Array, Int64Array, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::record_batch::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use tempfile::TempDir;
use unseen::recipe::Storage;
use unseen::storage::Dir;

/// A folder of its own for one test.
pub(crate) struct Place(TempDir);

impl Place {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    /// Writes a recipe and returns its path.
    pub(crate) fn recipe(&self, name: &str, text: &str) -> String {
        std::fs::write(self.path(name), text).unwrap();
        self.text(name)
    }
}

/// Rows of two numbers around one centre per class, with a few in between: ids, labels, features.
pub(crate) struct Toy {
    pub(crate) ids: Vec<String>,
    pub(crate) labels: Vec<i64>,
    pub(crate) features: Vec<[f32; 2]>,
}

impl Toy {
    pub(crate) fn new(rows: usize, classes: usize) -> Self {
        let mut random = unseen::seed::Seed::new(11).rng();
        let mut toy = Self { ids: vec![], labels: vec![], features: vec![] };
        for i in 0..rows {
            let class = i % classes;
            let angle = class as f32 / classes as f32 * std::f32::consts::TAU;
            let mut noise = || 2.4 * (random.unit() - 0.5);
            toy.ids.push(format!("s{i:05}"));
            toy.labels.push(class as i64);
            toy.features.push([angle.cos() + noise(), angle.sin() + noise()]);
        }
        toy
    }

    pub(crate) fn batch(&self, rows: impl Iterator<Item = usize> + Clone) -> RecordBatch {
        let ids = StringArray::from_iter_values(rows.clone().map(|i| &self.ids[i]));
        let labels = Int64Array::from_iter_values(rows.clone().map(|i| self.labels[i]));
        let values = Float32Array::from_iter_values(rows.flat_map(|i| self.features[i]));
        let item = Arc::new(Field::new("item", DataType::Float32, true));
        let features =
            FixedSizeListArray::try_new(item.clone(), 2, Arc::new(values), None).unwrap();
        let columns: Vec<ArrayRef> = vec![Arc::new(ids), Arc::new(labels), Arc::new(features)];
        let schema = Schema::new(vec![
            Field::new("id", DataType::Utf8, true),
            Field::new("label", DataType::Int64, true),
            Field::new("features", DataType::FixedSizeList(item, 2), true),
        ]);
        RecordBatch::try_new(Arc::new(schema), columns).unwrap()
    }

    pub(crate) fn write(&self, path: &Path) {
        write_parquet(path, &self.batch(0..self.ids.len()), 64);
    }
}

/// Writes one batch as a Parquet file with row groups of `group` rows.
pub(crate) fn write_parquet(path: &Path, batch: &RecordBatch, group: usize) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let file = std::fs::File::create(path).unwrap();
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(group)).build();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
}

/// A recipe for [`Toy`] data that runs in a blink, without a judge.
pub(crate) fn toy_recipe(data: &str, output: &str, extra: &str) -> String {
    format!(
        r#"
seed = 5
judge.seeds = 0
[data]
uri = "{data}"
features = "features"
[model]
arch = "mlp"
hidden = [8]
[train]
epochs = 3
batch_size = 16
[folds]
k = 3
[select]
by = "margin"
keep = 0.5
stages = 2
[output]
uri = "{output}"
{extra}
"#
    )
}

/// The binary under test, at the root of the repository.
pub(crate) fn unseen(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_unseen"));
    command.args(args).current_dir(env!("CARGO_MANIFEST_DIR"));
    command
}

/// The directory at an address, reached as the environment says.
pub(crate) fn dir(uri: &str) -> Dir {
    Dir::open(uri, &Storage::default()).unwrap()
}

/// Says that something is not tested here, past the test harness, which hides what a test prints.
pub(crate) fn skipped(reason: &str) {
    let _ = writeln!(std::io::stderr(), "SKIPPED {reason}");
}

/// Runs the binary to its end.
pub(crate) fn run(args: &[&str]) -> Output {
    unseen(args).output().unwrap()
}

/// Runs the binary, which must succeed, and returns its stdout.
pub(crate) fn succeed(args: &[&str]) -> String {
    let output = run(args);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "unseen {args:?} failed:\n{stderr}");
    String::from_utf8(output.stdout).unwrap()
}

/// SHA-256 of every published file of a run, without those that name the place of the run.
pub(crate) fn results(run: &Path) -> Vec<(String, String)> {
    results_at(run.to_str().unwrap())
}

/// As [`results`], for a run anywhere.
pub(crate) fn results_at(run: &str) -> Vec<(String, String)> {
    let manifest: serde_json::Value =
        serde_json::from_slice(&dir(run).read("manifest.json").unwrap()).unwrap();
    let files = manifest["files"].as_array().unwrap().iter();
    files
        .map(|f| (f["path"].as_str().unwrap().to_owned(), f["sha256"].as_str().unwrap().to_owned()))
        .filter(|(path, _)| path != "coreset/README.md")
        .collect()
}
