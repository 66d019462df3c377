//! Scores that watch trainings or compare embeddings, in whole runs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, BinaryArray, FixedSizeListArray, Float32Array, Int64Array, RecordBatch,
    StringArray,
};
use arrow::datatypes::{DataType, Field, Float32Type, Int32Type};
use unseen::recipe::{Method, Needs, Recipe};
use unseen::seed::Seed;

use crate::options::table;
use crate::support::{self, Place, Toy, results, run, succeed, toy_recipe, write_parquet};

/// Every method at once, with all that they need.
pub(crate) fn everything() -> String {
    let names: Vec<String> = Method::ALL.iter().map(|m| format!("\"{}\"", m.name())).collect();
    format!(
        "[score]\nmethods = [{}]\nlabel_errors = true\ntrajectory.window = 3\n\
         embedding.neighbors = 4\n",
        names.join(", ")
    )
}

/// A recipe with 4 epochs on toy data, with what else is wanted.
pub(crate) fn recipe(place: &Place, name: &str, extra: &str) -> String {
    let text = toy_recipe(&place.text("toy.parquet"), &place.text(name), extra);
    place.recipe(&format!("{name}.toml"), &text.replace("epochs = 3", "epochs = 4"))
}

pub(crate) fn pruned(place: &Place, name: &str, extra: &str, sets: &[&str]) {
    let recipe = recipe(place, name, extra);
    let mut args = vec!["run", &recipe, "--quiet"];
    sets.iter().for_each(|set| args.extend(["--set", set]));
    succeed(&args);
    succeed(&["verify", &place.text(name)]);
}

fn refused(place: &Place, extra: &str, sets: &[&str]) -> (Option<i32>, String) {
    let recipe = recipe(place, "refused", extra);
    let mut args = vec!["plan", &recipe];
    sets.iter().for_each(|set| args.extend(["--set", set]));
    let answer = run(&args);
    (answer.status.code(), String::from_utf8(answer.stderr).unwrap())
}

fn toy(place: &Place, rows: usize) {
    Toy::new(rows, 3).write(&place.path("toy.parquet"));
}

pub(crate) fn floats<'a>(table: &'a RecordBatch, name: &str) -> &'a [f32] {
    table[name].as_primitive::<Float32Type>().values()
}

pub(crate) fn ids(table: &RecordBatch) -> Vec<&str> {
    table["id"].as_string::<i32>().iter().map(Option::unwrap).collect()
}

fn watched() -> impl Iterator<Item = Method> {
    Method::ALL.into_iter().filter(|m| m.needs() == Needs::Trajectory)
}

#[test]
fn every_method_at_once_is_planned_run_and_proven() {
    let place = Place::new();
    toy(&place, 150);
    let path = recipe(&place, "run", &everything());
    let plan = succeed(&["plan", &path, "--json"]);
    let plan: serde_json::Value = serde_json::from_str(&plan).unwrap();
    // 50 samples train for 4 epochs at three passes each, and 100 are watched after each of them.
    let work = |task: &str| {
        let tasks = plan["tasks"].as_array().unwrap();
        tasks.iter().find(|t| t["task"] == task).unwrap()["work"].as_u64().unwrap()
    };
    assert_eq!((work("train-s1-m0"), work("score-s1-m0")), (3 * 50 * 4 + 100 * 4, 100));
    assert_eq!(plan["sample_epochs"], 4 * (3 * 50 + 38));
    succeed(&["run", &path, "--quiet"]);
    let proof = succeed(&["verify", &place.text("run")]);
    for line in ["ok      dynamics", "ok      labels"] {
        assert!(proof.contains(line), "{proof}");
    }
    for (stage, model, rows) in [(1, 0, 100), (1, 2, 100), (2, 0, 112)] {
        let at = format!("stage-{stage}-model-{model}.parquet");
        let scores = table(&place.path("run"), &format!("tables/scores/{at}"));
        assert_eq!(scores.num_rows(), rows);
        for method in Method::ALL {
            let column = floats(&scores, method.name());
            assert!(column.iter().all(|s| s.is_finite()), "{at} {}", method.name());
            let distinct: BTreeSet<u32> = column.iter().map(|s| s.to_bits()).collect();
            assert!(distinct.len() > 1, "{at}: all alike by {}", method.name());
        }
        assert_eq!(scores.column_by_name("probabilities").is_some(), stage == 1);
        // A place for everybody.
        for order in ["k_center", "herding", "d2", "facility_location"] {
            let mut places = floats(&scores, order).to_vec();
            places.sort_by(f32::total_cmp);
            assert!(places.iter().enumerate().all(|(i, place)| *place == i as f32), "{at} {order}");
        }
        let dynamics = table(&place.path("run"), &format!("tables/dynamics/{at}"));
        let members = table(&place.path("run"), &format!("tables/members/{at}"));
        let saw: BTreeSet<&str> = ids(&members).into_iter().collect();
        assert_eq!(ids(&dynamics), ids(&scores));
        assert!(ids(&dynamics).iter().all(|id| !saw.contains(id)), "{at}");
        for method in watched() {
            assert_eq!(floats(&dynamics, method.name()), floats(&scores, method.name()));
        }
    }
}

/// A constant rate: the first epochs of a long training are a short one.
const CONSTANT: &str = "train.schedule=constant";

/// The outputs of each epoch are taken from trainings that end there.
#[test]
fn trajectories_are_those_of_trainings_that_end_earlier() {
    let place = Place::new();
    toy(&place, 90);
    let snapshots = "[score]\nmethods = [\"self_confidence\", \"normalized_margin\"]";
    let trajectories = "[score]\nmethods = [\"mean_confidence\", \"aum_prob_sum\", \"forgetting\"]";
    let at = "tables/scores/stage-1-model-2.parquet";
    pruned(&place, "all", trajectories, &[CONSTANT, "train.epochs=5"]);
    let scores = table(&place.path("all"), at);
    let n = scores.num_rows();
    let (mut confidence, mut margin) = (vec![0.0; n], vec![0.0; n]);
    let mut right = vec![Vec::new(); n];
    for epochs in 1..=5 {
        let name = format!("end-{epochs}");
        pruned(&place, &name, snapshots, &[CONSTANT, &format!("train.epochs={epochs}")]);
        let end = table(&place.path(&name), at);
        assert_eq!(ids(&end), ids(&scores));
        for i in 0..n {
            confidence[i] += floats(&end, "self_confidence")[i] / 5.0;
            margin[i] += 2.0 * floats(&end, "normalized_margin")[i] - 1.0;
            let of = |name: &str| end[name].as_primitive::<Int32Type>().value(i);
            right[i].push(of("predicted") == of("label"));
        }
    }
    let near = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-5);
    assert!(near(floats(&scores, "mean_confidence"), &confidence));
    assert!(near(floats(&scores, "aum_prob_sum"), &margin));
    let forgotten = |right: &Vec<bool>| {
        if right.contains(&true) {
            right.windows(2).filter(|pair| pair[0] && !pair[1]).count() as f32
        } else {
            5.0
        }
    };
    let forgotten: Vec<f32> = right.iter().map(forgotten).collect();
    assert_eq!(floats(&scores, "forgetting"), forgotten);
    assert!([0.0, 1.0, 5.0].iter().all(|count| forgotten.contains(count)), "{forgotten:?}");
}

#[test]
fn trajectories_follow_the_outputs_that_are_asked_for() {
    let place = Place::new();
    write_pictures(&place.path("toy.parquet"), 96);
    let text = toy_recipe(&place.text("toy.parquet"), &place.text("NAME"), "")
        .replace("features = \"features\"", "image = \"image\"")
        .replace("epochs = 3", "epochs = 3\nflip = true\ncrop = 1");
    let dynamics = |name: &str| {
        let path = place.recipe(&format!("{name}.toml"), &text.replace("NAME", name));
        let outputs = format!("score.outputs={name}");
        let methods = "score.methods=[\"mean_confidence\"]";
        succeed(&["run", &path, "--quiet", "--set", &outputs, "--set", methods]);
        succeed(&["verify", &place.text(name)]);
        let table = table(&place.path(name), "tables/dynamics/stage-1-model-0.parquet");
        assert_eq!(table.schema().metadata()["unseen.outputs"], name);
        floats(&table, "mean_confidence").to_vec()
    };
    assert_ne!(dynamics("clean"), dynamics("training"));
}

#[test]
fn only_the_first_epochs_are_watched_if_asked() {
    let place = Place::new();
    toy(&place, 90);
    let extra = "[score]\nmethods = [\"mean_confidence\", \"dual\"]\ntrajectory.window = 2\n";
    pruned(&place, "all", extra, &[CONSTANT]);
    pruned(&place, "short", extra, &[CONSTANT, "train.epochs=3"]);
    pruned(&place, "first", extra, &[CONSTANT, "score.trajectory.epochs=3"]);
    let of = |name: &str| table(&place.path(name), "tables/dynamics/stage-1-model-1.parquet");
    assert_eq!(of("first"), of("short"));
    assert_ne!(of("first"), of("all"));
}

#[test]
fn threads_and_kills_change_no_byte() {
    let place = Place::new();
    toy(&place, 150);
    let path = recipe(&place, "one", &everything());
    succeed(&["run", &path, "--quiet", "--threads", "1"]);
    let expected = results(&place.path("one"));
    assert!(expected.iter().any(|(path, _)| path == "tables/label_errors.parquet"));
    let path = recipe(&place, "two", &everything());
    succeed(&["run", &path, "--quiet", "--threads", "2"]);
    assert_eq!(results(&place.path("two")), expected);
    let path = recipe(&place, "killed", &everything());
    for millis in [60, 100, 140, 180, 220, 260] {
        let mut child =
            support::unseen(&["run", &path, "--quiet"]).stdout(Stdio::null()).spawn().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(millis));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    succeed(&["run", &path, "--quiet"]);
    assert_eq!(results(&place.path("killed")), expected);
    succeed(&["verify", &place.text("killed")]);
}

#[test]
fn fitting_mode_scores_and_watches_everything() {
    let place = Place::new();
    toy(&place, 60);
    pruned(&place, "run", &everything(), &["mode=fitting", "select.stages=1"]);
    let dynamics = table(&place.path("run"), "tables/dynamics/stage-1-model-0.parquet");
    assert_eq!(dynamics.num_rows(), 60);
    let errors = table(&place.path("run"), "tables/label_errors.parquet");
    assert_eq!(errors.num_rows(), 60);
}

/// Grey pictures of 8x8 pixels, one corner of which is bright: that of the class.
pub(crate) fn write_pictures(path: &Path, rows: usize) {
    let mut random = Seed::new(4).rng();
    let pictures: Vec<Vec<u8>> = (0..rows)
        .map(|i| {
            let (top, left) = (i % 4 / 2 * 4, i % 2 * 4);
            let bright = |p: u32| {
                let (y, x) = ((p / 8) as usize, (p % 8) as usize);
                (top..top + 4).contains(&y) && (left..left + 4).contains(&x)
            };
            let mut pixel = |p| random.below(150) as u8 + if bright(p) { 80 } else { 0 };
            let pixels: Vec<u8> = (0..64).map(&mut pixel).collect();
            let mut bytes = std::io::Cursor::new(Vec::new());
            let image = image::GrayImage::from_raw(8, 8, pixels).unwrap();
            image.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
            bytes.into_inner()
        })
        .collect();
    let ids = StringArray::from_iter_values((0..rows).map(|i| format!("p{i:03}")));
    let labels = Int64Array::from_iter_values((0..rows as i64).map(|i| i % 4));
    let item = Arc::new(Field::new("item", DataType::Float32, true));
    let vectors = Float32Array::from_iter_values((0..rows * 3).map(|_| random.unit() - 0.5));
    let vectors = FixedSizeListArray::try_new(item, 3, Arc::new(vectors), None).unwrap();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(ids)),
        ("label", Arc::new(labels)),
        ("image", Arc::new(BinaryArray::from_iter_values(&pictures))),
        ("vector", Arc::new(vectors)),
    ];
    write_parquet(path, &RecordBatch::try_from_iter(columns).unwrap(), 20);
}

#[test]
fn pictures_have_embeddings_of_their_model_or_of_a_column() {
    let place = Place::new();
    write_pictures(&place.path("toy.parquet"), 96);
    let text = toy_recipe(&place.text("toy.parquet"), &place.text("NAME"), &everything())
        .replace("epochs = 3", "epochs = 4\nflip = true\ncrop = 1")
        .replace("features = \"features\"", "image = \"image\"\nembedding = \"vector\"")
        .replace("arch = \"mlp\"\nhidden = [8]", "arch = \"convnet\"\nwidth = 4\nblocks = 2");
    let scores = |name: &str, set: &str| {
        let path = place.recipe(&format!("{name}.toml"), &text.replace("NAME", name));
        succeed(&["run", &path, "--quiet", "--set", set]);
        succeed(&["verify", &place.text(name)]);
        table(&place.path(name), "tables/scores/stage-1-model-0.parquet")
    };
    let model = scores("model", "score.embedding.from=model");
    let column = scores("column", "score.embedding.from=column");
    assert_eq!(floats(&model, "grand"), floats(&column, "grand"), "of the model in both");
    assert_ne!(floats(&model, "moderate"), floats(&column, "moderate"));
    scores("training", "score.outputs=training");
    // Moderate is the distance to the median of the class, over all samples, whatever the model.
    let source = table(&place.path(""), "toy.parquet");
    let vectors = source["vector"].as_fixed_size_list();
    let vectors = vectors.values().as_primitive::<Float32Type>().values().chunks(3);
    let of: BTreeMap<&str, &[f32]> = ids(&source).into_iter().zip(vectors).collect();
    let samples = table(&place.path("column"), "tables/samples.parquet");
    let all: BTreeMap<&str, f32> = ids(&samples).into_iter().zip(moderate(&samples, &of)).collect();
    let wanted: Vec<f32> = ids(&column).into_iter().map(|id| all[id]).collect();
    assert_eq!(floats(&column, "moderate"), wanted);
}

/// `| distance to the median of the class - median of all distances |`, the plain way.
fn moderate(scores: &RecordBatch, of: &BTreeMap<&str, &[f32]>) -> Vec<f32> {
    let median = |mut values: Vec<f64>| {
        values.sort_by(f64::total_cmp);
        f64::midpoint(values[(values.len() - 1) / 2], values[values.len() / 2])
    };
    let labels: Vec<i32> =
        scores["label"].as_primitive::<Int32Type>().iter().map(Option::unwrap).collect();
    let rows: Vec<&[f32]> = ids(scores).into_iter().map(|id| of[id]).collect();
    let distance = |i: usize| {
        let class: Vec<&[f32]> =
            (0..rows.len()).filter(|j| labels[*j] == labels[i]).map(|j| rows[j]).collect();
        let centre = |k: usize| median(class.iter().map(|row| f64::from(row[k])).collect());
        (0..3).map(|k| (f64::from(rows[i][k]) - centre(k)).powi(2)).sum::<f64>().sqrt()
    };
    let distances: Vec<f64> = (0..rows.len()).map(distance).collect();
    let middle = median(distances.clone());
    distances.iter().map(|d| (d - middle).abs() as f32).collect()
}

#[test]
fn what_cannot_work_is_refused_before_any_training() {
    let place = Place::new();
    toy(&place, 90);
    let compare = "[score]\nmethods = [\"d2\"]";
    let one = "select.stages=1";
    let (code, told) = refused(&place, compare, &["score.embedding.max_rows=59", one]);
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("`d2` would compare 60 samples with each other"), "{told}");
    assert_eq!(refused(&place, compare, &["score.embedding.max_rows=60", one]).0, Some(0));
    // Stage 2 of two folds scores more than stage 1.
    let sets = ["folds.k=2", "select.keep=0.2", "score.embedding.max_rows=60"];
    let (_, told) = refused(&place, compare, &sets);
    assert!(told.contains("`d2` would compare 81 samples with each other"), "{told}");
    let near = ["folds.near=0.9", "score.embedding.max_rows=89"];
    let (code, told) = refused(&place, "", &near);
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("`folds.near` would compare 90 samples"), "{told}");
    for (sets, says) in [
        (&["score.methods=[\"dual\"]"][..], "`dual` needs a window of 2 to 4 epochs"),
        (
            &["score.methods=[\"tdds\"]", "score.trajectory.window=3", "score.trajectory.epochs=2"],
            "`tdds` needs a window of 3 to 2 epochs",
        ),
        (
            &["score.methods=[\"d2\"]", "score.embedding.difficulty=dyn_unc"],
            "`dyn_unc` needs a window of 2 to 4 epochs",
        ),
        (&["score.trajectory.epochs=5"], "`score.trajectory.epochs` is 5, but `train.epochs` is 4"),
        (&["score.embedding.from=column"], "the recipe has no `data.embedding`"),
        (&["score.embedding.difficulty=cal"], "`cal` looks at embeddings itself"),
        (&["score.average=probabilities", "select.by=grand"], "mean probabilities have no `grand`"),
        (
            &["score.average=probabilities", "select.by=forgetting"],
            "mean probabilities have no `forgetting`",
        ),
        (&["folds.near=0.9", "folds.stratify=true"], "cannot be stratified"),
        (&["data.embedding=vector"], "data.embedding names the column `vector`, which does not"),
    ] {
        let (code, told) = refused(&place, "", sets);
        assert!(code != Some(0) && told.contains(says), "{sets:?}: {told}");
    }
    write_pictures(&place.path("toy.parquet"), 60);
    let text = toy_recipe(&place.text("toy.parquet"), &place.text("r"), "");
    let text = text.replace("features = \"features\"", "image = \"image\"");
    let answer = run(&["plan", &place.recipe("r.toml", &text), "--set", "folds.near=0.9"]);
    let told = String::from_utf8(answer.stderr).unwrap();
    assert!(
        told.contains("`folds.near` compares vectors, but the recipe has images alone"),
        "{told}"
    );
}

/// The difficulty of D2 is computed, and watched, though it is no column.
#[test]
fn a_difficulty_that_is_no_column_is_computed_on_its_own() {
    let place = Place::new();
    toy(&place, 90);
    let extra = "[score]\nmethods = [\"margin\", \"d2\"]\ntrajectory.window = 2\n";
    let d2 = |name: &str, difficulty: &str| {
        let set = format!("score.embedding.difficulty={difficulty}");
        pruned(&place, name, extra, &[&set]);
        let scores = table(&place.path(name), "tables/scores/stage-1-model-0.parquet");
        assert!(scores.column_by_name(difficulty).is_none());
        floats(&scores, "d2").to_vec()
    };
    let (watched, snapshot) = (d2("watched", "dual"), d2("snapshot", "cross_entropy"));
    let dynamics = table(&place.path("watched"), "tables/dynamics/stage-1-model-0.parquet");
    assert!(dynamics.column_by_name("dual").is_some());
    assert!(!place.path("snapshot").join("tables/dynamics").exists());
    assert_ne!(watched, snapshot);
}

/// Rules of a recipe that is built in code.
#[test]
fn computed_methods_follow_their_needs() {
    let text = "data = { uri = \"a\", image = \"i\" }\nselect = { keep = 0.5 }\noutput.uri = \"r\"\n\
                score = { methods = [\"d2\", \"entropy\"], embedding.difficulty = \"forgetting\" }";
    let recipe: Recipe = unseen::recipe::parse(text, "r.toml", &[]).unwrap();
    let computed = |needs| recipe.score.computed(needs);
    assert_eq!(computed(Needs::Snapshot), [Method::Entropy, Method::Margin]);
    assert_eq!(computed(Needs::Trajectory), [Method::Forgetting]);
    assert_eq!(computed(Needs::Embeddings), [Method::D2]);
}
