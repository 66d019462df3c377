//! The examples do what they say: each is run as a reader would run it, with small settings.

use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::{Field, Float32Type, Schema};
use arrow::record_batch::RecordBatch;
use unseen::recipe::{Method, Outputs};

use crate::support::{Place, Toy, succeed, toy_recipe, write_parquet};

/// Runs an example, which `cargo test` builds beside the binary.
fn run_example(name: &str, args: &[&str]) -> Output {
    let folder = Path::new(env!("CARGO_BIN_EXE_unseen")).parent().unwrap().join("examples");
    let path = folder.join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    let mut command = Command::new(&path);
    command.args(args).current_dir(env!("CARGO_MANIFEST_DIR"));
    command.output().unwrap_or_else(|e| panic!("{name}: {e}; try cargo build --examples"))
}

/// Runs an example, which must succeed, and returns its stdout.
fn example(name: &str, args: &[&str]) -> String {
    let output = run_example(name, args);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name} {args:?} failed:\n{stderr}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn logits_of_any_framework_become_a_score_table() {
    let told = example("score_your_logits", &[]);
    for line in [
        "margin            most wanted: torn between two   KeepLow",
        "el2n              most wanted: sure and wrong     KeepHigh",
    ] {
        assert!(told.contains(line), "{told}");
    }

    let place = Place::new();
    let toy = Toy::new(150, 2);
    let batch = toy.batch(0..150);
    let mut fields: Vec<Field> =
        batch.schema().fields().iter().map(|f| f.as_ref().clone()).collect();
    fields[2] = fields[2].clone().with_name("logits");
    let schema = Arc::new(Schema::new(fields));
    let batch = RecordBatch::try_new(schema, batch.columns().to_vec()).unwrap();
    write_parquet(&place.path("logits.parquet"), &batch, 64);
    example("score_your_logits", &[&place.text("logits.parquet"), &place.text("scores.parquet")]);

    let bytes = std::fs::read(place.path("scores.parquet")).unwrap();
    let contract = unseen::tables::scores(&Method::COMMON, &[], Outputs::Clean);
    let table = unseen::storage::parquet::decode_table(bytes.into(), &contract).unwrap();
    let ids: Vec<&str> = table["id"].as_string::<i32>().iter().flatten().collect();
    assert_eq!(ids, toy.ids);
    let margins = table["margin"].as_primitive::<Float32Type>();
    for (margin, [a, b]) in margins.values().iter().zip(&toy.features) {
        // Of two classes the margin is tanh(|a - b| / 2).
        assert!((margin - ((a - b).abs() / 2.0).tanh()).abs() < 1e-5);
    }
}

#[test]
fn a_method_of_ones_own_ranks() {
    let told = example("custom_method", &[]);
    let places: Vec<_> = ["│ open", "│ close", "│ easy"].map(|id| told.find(id).unwrap()).into();
    assert!(places.is_sorted(), "{told}");
}

#[test]
#[cfg(feature = "train")]
fn the_pipeline_runs_from_code_and_its_scores_select_again() {
    let made_up = example("select_from_scores", &[]);
    assert!(made_up.contains("2 samples kept, 450 bytes"), "{made_up}");

    let place = Place::new();
    let output = format!("output.uri={}", place.text("run"));
    let sets =
        ["train.epochs=1", "folds.k=2", "select.stages=1", "model.arch=linear", "judge.seeds=0"];
    let changes = [&[output.as_str()][..], &sets].concat();
    let first = example("whole_pipeline", &changes);
    for line in ["2 models of 7850 parameters", "train-s1-m1", "kept 1500 of 5000 samples"] {
        assert!(first.contains(line), "{first}");
    }
    let again = example("whole_pipeline", &changes);
    assert!(!again.contains("train-s1-m1"), "a finished run does nothing:\n{again}");
    let end = |text: &str| text[text.find("\nkept").unwrap()..].to_owned();
    assert_eq!(end(&first), end(&again));

    let told = example("select_from_scores", &[&place.text("run"), &place.text("ids.txt")]);
    assert!(told.contains("1667 samples kept"), "{told}");
    let text = std::fs::read_to_string(place.path("ids.txt")).unwrap();
    let ids: Vec<&str> = text.lines().collect();
    assert!(ids.len() == 1667 && ids.is_sorted_by(|a, b| a < b));
}

#[test]
#[cfg(feature = "train")]
fn a_coreset_meets_random_subsets_of_its_size() {
    let place = Place::new();
    Toy::new(240, 3).write(&place.path("toy.parquet"));
    let run = place.text("run");
    let recipe = toy_recipe(&place.text("toy.parquet"), &run, "");
    let recipe = place.recipe("recipe.toml", &recipe);
    succeed(&["run", &recipe, "--quiet", "--set", "data.filter=id < 's00160'"]);

    let compare = |more: &[&str]| {
        let json = place.text("numbers.json");
        let args = ["--test", "id >= 's00160'", "--seeds", "2", "--json", &json];
        let told = example("compare_with_random", &[&[run.as_str()][..], &args, more].concat());
        assert!(told.contains("on 80 rows"), "{told}");
        assert_eq!(told.lines().filter(|line| line.starts_with("| ")).count(), 6, "{told}");
        std::fs::read_to_string(json).unwrap()
    };
    let numbers = compare(&[]);
    assert_eq!(numbers, compare(&[]), "equal arguments give equal numbers");
    let column = |numbers: &str, name: &str| -> Vec<u64> {
        let numbers: serde_json::Value = serde_json::from_str(numbers).unwrap();
        numbers["arms"].as_array().unwrap().iter().map(|a| a[name].as_u64().unwrap()).collect()
    };
    assert_eq!(column(&numbers, "samples"), [80, 80, 80, 160]);
    assert_eq!(column(&numbers, "epochs"), [3, 3, 3, 3]);
    assert_eq!(column(&numbers, "steps"), [15, 15, 15, 30]);
    let numbers = compare(&["--same-steps", "--epochs", "4"]);
    assert_eq!(column(&numbers, "steps"), [40, 40, 40, 40]);

    let leak = run_example("compare_with_random", &[&run, "--test", "id < 's00100'"]);
    let told = String::from_utf8_lossy(&leak.stderr).into_owned();
    assert!(!leak.status.success() && told.contains("rows that should measure it"), "{told}");
}
