//! Options of the method that show in files: outputs, duplicates, class rules, the best epoch.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::Cursor;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BinaryArray, Int64Array, StringArray};
use arrow::datatypes::{DataType, Field, Int32Type, Schema};
use arrow::record_batch::RecordBatch;
use image::ImageEncoder;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};

use crate::support::{Place, Toy, run, succeed, toy_recipe, write_parquet};

/// One of the tables that a run published.
pub(crate) fn table(run: &Path, name: &str) -> RecordBatch {
    let bytes = std::fs::read(run.join(name)).unwrap();
    let (schema, batches) = unseen::storage::parquet::decode(bytes.into()).unwrap();
    let batches: Vec<_> = batches.map(Result::unwrap).collect();
    arrow::compute::concat_batches(&schema, &batches).unwrap()
}

/// How many clusters of exact duplicates lie in several folds, and in one.
pub(crate) fn clusters(run: &Path) -> (usize, usize) {
    let (samples, folds) =
        (table(run, "tables/samples.parquet"), table(run, "tables/folds.parquet"));
    let contents = samples["content"].as_string::<i32>();
    let mut of: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
    for (content, fold) in contents.iter().zip(folds["fold"].as_primitive::<Int32Type>()) {
        of.entry(content.unwrap()).or_default().push(fold.unwrap());
    }
    let of = of.into_values().filter(|folds| folds.len() > 1);
    let (apart, together): (Vec<_>, Vec<_>) =
        of.partition(|folds| folds.iter().collect::<BTreeSet<_>>().len() > 1);
    (apart.len(), together.len())
}

/// Forty pictures of 4x4 pixels, each in two different encodings.
fn write_pairs(path: &Path) {
    let encoded = |i: u8, compression, filter| {
        let pixels: Vec<u8> = (0..16).map(|p| i.wrapping_mul(31) ^ (p * 9)).collect();
        let mut bytes = Cursor::new(Vec::new());
        let encoder = PngEncoder::new_with_quality(&mut bytes, compression, filter);
        encoder.write_image(&pixels, 4, 4, image::ExtendedColorType::L8).unwrap();
        bytes.into_inner()
    };
    let images: Vec<Vec<u8>> = (0..40)
        .flat_map(|i| {
            let plain = encoded(i, CompressionType::Fast, FilterType::NoFilter);
            let small = encoded(i, CompressionType::Best, FilterType::Paeth);
            assert_ne!(plain, small);
            [plain, small]
        })
        .collect();
    let ids = StringArray::from_iter_values((0..80).map(|i| format!("p{i:02}")));
    let labels = Int64Array::from_iter_values((0..80).map(|i| i / 2 % 2));
    let columns: Vec<ArrayRef> =
        vec![Arc::new(ids), Arc::new(labels), Arc::new(BinaryArray::from_iter_values(&images))];
    let schema = Schema::new(vec![
        Field::new("id", DataType::Utf8, false),
        Field::new("label", DataType::Int64, false),
        Field::new("image", DataType::Binary, false),
    ]);
    write_parquet(path, &RecordBatch::try_new(Arc::new(schema), columns).unwrap(), 16);
}

#[test]
fn a_picture_that_was_encoded_again_stays_with_its_original() {
    let place = Place::new();
    write_pairs(&place.path("toy.parquet"));
    let pruned = |name: &str, duplicates: &str| {
        let text = toy_recipe(&place.text("toy.parquet"), &place.text(name), "");
        let recipe = place
            .recipe("pairs.toml", &text.replace("features = \"features\"", "image = \"image\""));
        let set = format!("folds.duplicates={duplicates}");
        let output = run(&["run", &recipe, "--set", &set, "--set", "select.stages=2"]);
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success() && told.contains("40 exact copies of another"), "{told}");
        assert_eq!(told.contains("hold in stage 1 only"), duplicates == "together", "{told}");
        succeed(&["verify", &place.text(name)]);
        clusters(&place.path(name))
    };
    let (apart, _) = pruned("ignore", "ignore");
    assert!(apart > 10, "chance keeps a third of 40 pairs together, not {}", 40 - apart);
    assert_eq!(pruned("together", "together"), (0, 40));
}

#[test]
fn copies_of_a_group_join_it() {
    let place = Place::new();
    // Ten rows in pairs of equal features; the label joins the pairs of even and of odd numbers.
    let mut toy = Toy::new(40, 4);
    for i in (0..40).step_by(2) {
        toy.features[i + 1] = toy.features[i];
    }
    toy.write(&place.path("toy.parquet"));
    let recipe =
        place.recipe("toy.toml", &toy_recipe(&place.text("toy.parquet"), &place.text("run"), ""));
    let sets = ["folds.duplicates=together", "folds.group=label", "folds.k=2"];
    let mut args = vec!["run", &recipe, "--quiet"];
    sets.iter().for_each(|set| args.extend(["--set", set]));
    succeed(&args);
    succeed(&["verify", &place.text("run")]);
    let (samples, folds) = (
        table(&place.path("run"), "tables/samples.parquet"),
        table(&place.path("run"), "tables/folds.parquet"),
    );
    // Rows 0 and 1 are copies with the labels 0 and 1, rows 2 and 3 with 2 and 3.
    let side: BTreeSet<(bool, i32)> = samples["label"]
        .as_primitive::<Int32Type>()
        .iter()
        .zip(folds["fold"].as_primitive::<Int32Type>())
        .map(|(label, fold)| (label.unwrap() < 2, fold.unwrap()))
        .collect();
    assert_eq!(side.len(), 2, "two clusters, each in its own fold: {side:?}");
}

fn run_toy(place: &Place, name: &str, outputs: &str) {
    let text = toy_recipe(&place.text("toy.parquet"), &place.text(name), "");
    let recipe = place.recipe("toy.toml", &text);
    succeed(&["run", &recipe, "--quiet", "--set", &format!("score.outputs={outputs}")]);
}

#[test]
fn a_score_table_says_its_outputs_and_another_kind_is_refused() {
    let place = Place::new();
    Toy::new(60, 2).write(&place.path("toy.parquet"));
    for outputs in ["clean", "training"] {
        run_toy(&place, outputs, outputs);
        let scores = table(&place.path(outputs), "tables/scores/stage-1-model-0.parquet");
        assert_eq!(scores.schema().metadata()["unseen.outputs"], outputs);
        succeed(&["verify", &place.text(outputs)]);
    }
    // The same scores under the other name, with every checksum made to fit.
    let run_dir = place.path("clean");
    let name = "tables/scores/stage-1-model-0.parquet";
    let scores = table(&run_dir, name);
    let renamed = HashMap::from([("unseen.outputs".to_owned(), "training".to_owned())]);
    let schema = Schema::new_with_metadata(scores.schema().fields().clone(), renamed);
    let forged = RecordBatch::try_new(Arc::new(schema), scores.columns().to_vec()).unwrap();
    forge(&run_dir, name, &unseen::storage::parquet::encode_table(&forged).unwrap());
    let answer = run(&["verify", &place.text("clean")]);
    let told = String::from_utf8(answer.stdout).unwrap();
    assert_eq!(answer.status.code(), Some(1), "{told}");
    assert!(told.contains("ok      checksums"), "{told}");
    assert!(told.contains("FAILED  selection"), "{told}");
    assert!(told.contains("comes from training outputs, but the recipe says clean"), "{told}");
}

/// Replaces a published file of a finished run, and its size and SHA-256 wherever they are told.
pub(crate) fn forge(run: &Path, name: &str, bytes: &[u8]) {
    let old = std::fs::read(run.join(name)).unwrap();
    let (was, is) = (unseen::storage::sha256_hex(&old), unseen::storage::sha256_hex(bytes));
    let sizes = [old.len(), bytes.len()].map(serde_json::Value::from);
    // Opened, not replaced: the file has a second name under `tasks/`.
    std::fs::write(run.join(name), bytes).unwrap();
    let commits = std::fs::read_dir(run.join("commits")).unwrap().map(|e| e.unwrap().path());
    for path in commits.chain([run.join("manifest.json")]) {
        let mut json: serde_json::Value =
            serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        adjust(&mut json, (&was, &is), &sizes);
        std::fs::write(path, sealed(json)).unwrap();
    }
}

/// The document with the checksum that it says of itself.
pub(crate) fn sealed(mut json: serde_json::Value) -> String {
    json.as_object_mut().unwrap().remove("checksum").unwrap();
    let text = serde_json::to_string_pretty(&json).unwrap();
    let checksum = unseen::storage::sha256_hex(text.as_bytes());
    let fields = text.strip_suffix("\n}").unwrap();
    format!("{fields},\n  \"checksum\": \"{checksum}\"\n}}")
}

fn adjust(json: &mut serde_json::Value, (was, is): (&str, &str), sizes: &[serde_json::Value; 2]) {
    match json {
        serde_json::Value::Array(items) => {
            items.iter_mut().for_each(|item| adjust(item, (was, is), sizes));
        }
        serde_json::Value::Object(fields) => {
            if fields.get("sha256").is_some_and(|sha256| sha256 == was) {
                fields.insert("sha256".to_owned(), is.into());
                if fields.get("bytes") == Some(&sizes[0]) {
                    fields.insert("bytes".to_owned(), sizes[1].clone());
                }
            }
            fields.values_mut().for_each(|field| adjust(field, (was, is), sizes));
        }
        _ => {}
    }
}

#[test]
fn the_best_epoch_is_told_beside_the_last() {
    let place = Place::new();
    Toy::new(60, 2).write(&place.path("toy.parquet"));
    let text = toy_recipe(&place.text("toy.parquet"), &place.text("run"), "");
    let output = run(&["run", &place.recipe("toy.toml", &text)]);
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("% (best ") && told.contains(" % in epoch "), "{told}");
    let status: serde_json::Value =
        serde_json::from_str(&succeed(&["status", &place.text("run"), "--json"])).unwrap();
    let tasks = status["tasks"].as_array().unwrap();
    let trained = tasks.iter().filter(|t| t["task"].as_str().unwrap().starts_with("train"));
    for facts in trained.map(|task| &task["facts"]) {
        let of = |name: &str| facts[name].as_f64().unwrap();
        assert!(of("best_accuracy") >= of("accuracy") && of("best_accuracy") <= 1.0, "{facts}");
        assert!((1.0..=3.0).contains(&of("best_epoch")), "{facts}");
    }
}

#[test]
fn class_rules_hold_in_the_coreset() {
    let place = Place::new();
    Toy::new(240, 3).write(&place.path("toy.parquet"));
    let text = toy_recipe(&place.text("toy.parquet"), &place.text("run"), "");
    let kept = |name: &str, sets: &[&str]| -> Vec<u64> {
        let recipe = place.recipe("toy.toml", &text.replace(&place.text("run"), &place.text(name)));
        let mut args = vec!["run", &recipe, "--json", "--quiet"];
        sets.iter().for_each(|set| args.extend(["--set", set]));
        let summary: serde_json::Value = serde_json::from_str(&succeed(&args)).unwrap();
        succeed(&["verify", &place.text(name)]);
        let classes = summary["classes"].as_array().unwrap().iter();
        classes.map(|class| class["kept"].as_u64().unwrap()).collect()
    };
    let target = "select.target={ 0 = 0.5, 1 = 0.3, 2 = 0.2 }";
    assert_eq!(kept("target", &[target]), [60, 36, 24]);
    let bounded = kept("bounded", &["select.floor=39", "select.cap=0.5125"]);
    assert!(bounded.iter().all(|n| (39..=41).contains(n)), "{bounded:?}");
    assert_eq!(bounded.iter().sum::<u64>(), 120);
}

#[test]
fn a_guard_that_may_break_a_rule_is_a_warning_and_one_that_does_an_error() {
    let place = Place::new();
    Toy::new(60, 2).write(&place.path("toy.parquet"));
    let text = toy_recipe(&place.text("toy.parquet"), &place.text("run"), "");
    let recipe = place.recipe("toy.toml", &text);
    let sets = ["--set", "select.drop_hardest=0.1", "--set", "select.cap=15"];
    let output = run(&[&["run", &recipe], &sets[..]].concat());
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{told}");
    assert!(told.contains("select.drop_hardest may take so many samples of one class"), "{told}");
    succeed(&["verify", &place.text("run")]);
    // Here every sample of one class would have to be kept, and the guard takes 20 of 60.
    let target = "select.target={ 0 = 0.99, 1 = 0.01 }";
    let output = format!("output.uri={}", place.text("broken"));
    let sets = ["--set", "select.drop_hardest=0.4", "--set", target, "--set", &output, "--quiet"];
    let answer = run(&[&["run", &recipe], &sets[..]].concat());
    let told = String::from_utf8(answer.stderr).unwrap();
    assert_eq!(answer.status.code(), Some(2), "{told}");
    assert!(
        told.contains("task select-s1")
            && told.contains("that the noise guard, the filter and duplicates leave"),
        "{told}"
    );
}

#[test]
fn trainings_start_from_given_weights_which_are_pinned() {
    let place = Place::new();
    Toy::new(180, 3).write(&place.path("toy.parquet"));
    let recipe = |name: &str, extra: &str| {
        let text = toy_recipe(&place.text("toy.parquet"), &place.text(name), extra);
        place.recipe(&format!("{name}.toml"), &text)
    };
    succeed(&["run", &recipe("first", "")]);
    let model = |run: &str| {
        std::fs::read(place.path(run).join("models/stage-1-model-0.safetensors")).unwrap()
    };
    std::fs::copy(
        place.path("first/models/stage-1-model-0.safetensors"),
        place.path("given.safetensors"),
    )
    .unwrap();
    let init = format!("train.init={}", place.text("given.safetensors"));
    let second = recipe("second", "");
    succeed(&["run", &second, "--set", &init]);
    assert_ne!(model("first"), model("second"));
    succeed(&["verify", &place.text("second")]);

    // Another dataset has two of the classes: the last layer is fresh, and the plan says so.
    let fewer = ["--set", "data.filter=label < 2", "--set", &init];
    let output = run(&[&["plan", &recipe("third", "")][..], &fewer].concat());
    let told = String::from_utf8(output.stdout).unwrap() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    assert!(told.contains("head.weight and head.bias start fresh"), "{told}");

    // Weights of another model, and others under the same name.
    let told = |args: &[&str]| String::from_utf8(run(args).stderr).unwrap();
    let wider = told(&["plan", &recipe("fourth", ""), "--set", &init, "--set", "model.hidden=[9]"]);
    assert!(
        wider.contains("train.init") && wider.contains("hidden.0.weight is F32 [8, 2]"),
        "{wider}"
    );
    std::fs::write(place.path("given.safetensors"), model("second")).unwrap();
    let changed = told(&["run", &second, "--set", &init]);
    assert!(changed.contains("given.safetensors"), "{changed}");
}
