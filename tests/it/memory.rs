//! Little memory: the same results, and a peak that does not grow with the data.

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, FixedSizeListArray, Float32Array, Int64Array, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::record_batch::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;

use crate::support::{Place, results, run, succeed, unseen};

/// Writes rows of `width` numbers, one of which is raised: that of the class.
fn write_wide(path: &Path, rows: usize, width: usize) {
    let mut random = ::unseen::seed::Seed::new(3).rng();
    let item = Arc::new(Field::new("item", DataType::Float32, false));
    let schema = Arc::new(Schema::new(vec![
        Field::new("id", DataType::Utf8, false),
        Field::new("label", DataType::Int64, false),
        Field::new("features", DataType::FixedSizeList(Arc::clone(&item), width as i32), false),
    ]));
    let properties = WriterProperties::builder()
        .set_dictionary_enabled(false)
        .set_max_row_group_row_count(Some(1500))
        .build();
    let file = std::fs::File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, schema.clone(), Some(properties)).unwrap();
    for start in (0..rows).step_by(500) {
        let rows = start..rows.min(start + 500);
        let values: Float32Array = rows
            .clone()
            .flat_map(|row| (0..width).map(move |j| if j == row % 4 { 0.5 } else { 0.0 }))
            .map(|raised| raised + random.unit())
            .collect();
        let ids = StringArray::from_iter_values(rows.clone().map(|row| format!("s{row:06}")));
        let labels = Int64Array::from_iter_values(rows.map(|row| (row % 4) as i64));
        let features = FixedSizeListArray::new(item.clone(), width as i32, Arc::new(values), None);
        let columns: Vec<ArrayRef> = vec![Arc::new(ids), Arc::new(labels), Arc::new(features)];
        writer.write(&RecordBatch::try_new(schema.clone(), columns).unwrap()).unwrap();
    }
    writer.close().unwrap();
}

fn recipe(place: &Place, data: &str, name: &str) -> String {
    let text = format!(
        r#"
data = {{ uri = "{}", features = "features" }}
model.arch = "linear"
judge.seeds = 0
train = {{ epochs = 1, batch_size = 64 }}
folds.k = 2
select = {{ by = "margin", keep = 0.5, stages = 1 }}
output = {{ uri = "{}", row_group_bytes = "4MB" }}
"#,
        place.text(data),
        place.text(name)
    );
    place.recipe(&format!("{name}.toml"), &text)
}

/// The least memory that a run of this recipe accepts, as its refusal says.
fn least(recipe: &str) -> String {
    let output = run(&["run", recipe, "--memory", "1MiB", "--quiet"]);
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    let (_, after) = text.split_once("give --memory ").unwrap_or_else(|| panic!("{text}"));
    after.split([',', ' ']).next().unwrap().to_owned()
}

fn plan(recipe: &str, memory: &str) -> serde_json::Value {
    let text = succeed(&["plan", recipe, "--json", "--memory", memory]);
    serde_json::from_str(&text).unwrap()
}

#[test]
fn little_memory_is_refused_or_gives_the_same_bytes() {
    let place = Place::new();
    write_wide(&place.path("wide.parquet"), 6000, 512);
    let (much, little) = (recipe(&place, "wide.parquet", "a"), recipe(&place, "wide.parquet", "b"));
    let least = least(&little);
    assert!(!place.path("b").exists(), "a refused run wrote something");
    assert_eq!(plan(&little, &least)["inputs_in_memory"], false);
    assert_eq!(plan(&much, "64GiB")["inputs_in_memory"], true);
    succeed(&["run", &much, "--memory", "64GiB", "--quiet"]);
    succeed(&["run", &little, "--memory", &least, "--quiet"]);
    assert_eq!(results(&place.path("a")), results(&place.path("b")));
    succeed(&["verify", &place.text("b"), "--memory", &least]);
}

/// Runs a recipe and returns the most memory that was resident, in bytes.
#[cfg(target_os = "linux")]
fn peak(recipe: &str, memory: &str) -> u64 {
    let mut command = unseen(&["run", recipe, "--memory", memory, "--quiet", "--threads", "2"]);
    let mut child = command.stdout(Stdio::null()).spawn().unwrap();
    let mut peak = 0;
    loop {
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id()));
        let line = status.unwrap_or_default().lines().find_map(|line| {
            line.strip_prefix("VmHWM:")?.trim().trim_end_matches("kB").trim().parse::<u64>().ok()
        });
        peak = peak.max(line.unwrap_or(0) << 10);
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success());
            return peak;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[cfg(target_os = "linux")]
#[test]
fn the_peak_is_bounded_by_what_is_allowed_and_not_by_the_data() {
    let place = Place::new();
    let mut peaks = Vec::new();
    let mut allowed = String::new();
    // The large set first: what is enough for it is allowed to both.
    for (name, rows) in [("large", 16_000), ("small", 4_000)] {
        write_wide(&place.path(&format!("{name}.parquet")), rows, 4096);
        let recipe = recipe(&place, &format!("{name}.parquet"), name);
        if allowed.is_empty() {
            allowed = least(&recipe);
        }
        peaks.push((peak(&recipe, &allowed), plan(&recipe, &allowed)));
    }
    let [(large, planned), (small, _)] = &peaks[..] else { panic!("two runs") };
    println!("{large} bytes at the peak for 262 MB, {small} for 66 MB, {allowed} allowed");
    let bytes = |key: &str| planned[key].as_u64().unwrap();
    assert!(*large <= bytes("memory_limit"), "{large} of {allowed}");
    assert!(bytes("memory_bytes") <= bytes("memory_limit"));
    assert!((*large as f64) < 1.3 * *small as f64, "{large} against {small}");
    // The same data with room takes what it needs: the bound is real.
    let recipe = recipe(&place, "large.parquet", "roomy");
    assert!(peak(&recipe, "64GiB") > large + (100 << 20));
}

/// One training of a model over a few of the shipped images.
#[cfg(target_os = "linux")]
fn one_training(place: &Place, name: &str, model: &str, train: &str) -> String {
    let data = concat!(env!("CARGO_MANIFEST_DIR"), "/data/fashion_mnist_6k.parquet");
    let text = format!(
        r#"
mode = "fitting"
data = {{ uri = "{data}", image = "image", filter = "split = 'test' AND label < 3" }}
model = {{ {model} }}
judge.seeds = 0
train = {{ epochs = 1, {train} }}
select = {{ by = "margin", keep = 0.5, stages = 1 }}
output.uri = "{}"
"#,
        place.text(name)
    );
    place.recipe(&format!("{name}.toml"), &text)
}

/// By a quarter, for nets that take more than all the rest: one by its weights, one by its activations.
#[cfg(target_os = "linux")]
#[test]
fn a_plan_foresees_the_peak() {
    let place = Place::new();
    let mut wrong = Vec::new();
    for (name, model, train) in [
        ("mlp", "arch = \"mlp\", hidden = [2048, 2048]", "batch_size = 128"),
        ("convnet", "arch = \"convnet\", width = 32, blocks = 3", "batch_size = 300"),
    ] {
        let recipe = one_training(&place, name, model, train);
        let mut plan = unseen(&["plan", &recipe, "--json", "--memory", "16GiB"]);
        let plan = plan.env("RAYON_NUM_THREADS", "2").output().unwrap();
        let plan: serde_json::Value = serde_json::from_slice(&plan.stdout).unwrap();
        let planned = plan["memory_bytes"].as_f64().unwrap();
        let peak = peak(&recipe, "16GiB") as f64;
        let told = format!("{name}: {:.0} MiB, planned {:.0}", peak / MIB, planned / MIB);
        println!("{told}");
        if (peak - planned).abs() > 0.25 * peak {
            wrong.push(told);
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[cfg(target_os = "linux")]
const MIB: f64 = (1 << 20) as f64;
