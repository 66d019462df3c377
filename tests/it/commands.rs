//! Commands that answer questions about runs, and those that work without one.

use std::collections::BTreeMap;

use arrow::array::{Array, AsArray, Float32Array, StringArray};
use arrow::datatypes::{DataType, Field, Float32Type, Int32Type, Schema};
use arrow::record_batch::RecordBatch;
use serde_json::Value;

use crate::interop::{python, run_python};
use crate::server::Bucket;
use crate::support::{Place, Toy, dir, run, succeed, toy_recipe, write_parquet};

/// Runs a toy recipe with `more` at its end and gives its directory.
fn pruned(place: &Place, name: &str, more: &str, set: &[&str]) -> String {
    if !place.path("toy.parquet").exists() {
        Toy::new(300, 3).write(&place.path("toy.parquet"));
    }
    let text = toy_recipe(&place.text("toy.parquet"), &place.text(name), more);
    let recipe = place.recipe(&format!("{name}.toml"), &text);
    let mut args = vec!["run", &recipe, "--quiet"];
    set.iter().for_each(|set| args.extend(["--set", set]));
    succeed(&args);
    place.text(name)
}

fn json(args: &[&str]) -> Value {
    serde_json::from_str(&succeed(&[args, &["--json"]].concat())).unwrap()
}

/// The one error of a command that must fail with this exit code.
fn refused(args: &[&str], code: i32) -> String {
    let output = run(args);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{args:?}: {told}");
    assert!(told.starts_with("error: ") && told.lines().count() == 1, "{told}");
    told
}

fn table(uri: &str) -> RecordBatch {
    let (parent, name) = uri.rsplit_once('/').unwrap();
    let bytes = dir(parent).read(name).unwrap();
    let (schema, batches) = unseen::storage::parquet::decode(bytes).unwrap();
    let batches: Vec<_> = batches.map(Result::unwrap).collect();
    arrow::compute::concat_batches(&schema, &batches).unwrap()
}

fn texts(table: &RecordBatch, name: &str) -> Vec<String> {
    table[name].as_string::<i32>().iter().map(|text| text.unwrap().to_owned()).collect()
}

fn selection(run: &str) -> RecordBatch {
    table(&format!("{run}/tables/selection.parquet"))
}

#[test]
fn explain_tells_what_the_tables_say() {
    let place = Place::new();
    let run = pruned(&place, "run", "", &["select.classes=proportional"]);
    let selection = selection(&run);
    let (ids, reasons) = (texts(&selection, "id"), texts(&selection, "reason"));
    for wanted in ["kept", "below-cut", "quota"] {
        let at = reasons.iter().position(|reason| reason == wanted);
        let at = at.unwrap_or_else(|| panic!("no sample is {wanted}"));
        let told = json(&["explain", &run, &ids[at]]);
        assert_eq!(
            (told["kept"].as_bool(), told["reason"].as_str()),
            (Some(wanted == "kept"), Some(wanted))
        );
        let number: usize = ids[at][1..].parse().unwrap();
        assert_eq!(told["class"]["name"], (number % 3).to_string());
        assert_eq!(
            (&told["source"]["row_group"], &told["source"]["row"]),
            (&(number / 64).into(), &(number % 64).into())
        );
        assert_eq!(told["shard"].is_string(), wanted == "kept");
        let stages = told["stages"].as_array().unwrap();
        let models = stages[0]["models"].as_array().unwrap();
        assert_eq!(models.len(), 2, "two of three fold models never saw it");
        let own = told["fold"].as_u64().unwrap();
        assert!(
            models
                .iter()
                .all(|m| m["model"] != own && m["trained_on"] == format!("fold {}", m["model"]))
        );
        let mean =
            models.iter().map(|m| m["scores"]["margin"].as_f64().unwrap()).sum::<f64>() / 2.0;
        assert!((mean - stages[0]["score"].as_f64().unwrap()).abs() < 1e-6);
        let last = stages.last().unwrap();
        let score = selection["score"].as_primitive::<arrow::datatypes::Float64Type>();
        assert!((last["score"].as_f64().unwrap() - score.value(at)).abs() < 1e-9);
        let text = succeed(&["explain", &run, &ids[at]]);
        assert!(
            text.contains(told["why"].as_str().unwrap()) && text.contains("trained on"),
            "{text}"
        );
    }
    let error = refused(&["explain", &run, "s0001"], 1);
    assert!(error.contains("has no sample `s0001`; did you mean `s"), "{error}");
}

#[test]
fn explain_knows_quarantine_and_runs_under_way() {
    let place = Place::new();
    let toy = Toy::new(200, 2);
    let mut batch = toy.batch(0..200);
    let mut values: Vec<f32> = toy.features.iter().flatten().copied().collect();
    values[14] = f32::NAN;
    let DataType::FixedSizeList(item, _) = batch.schema().field(2).data_type().clone() else {
        panic!()
    };
    let features = arrow::array::FixedSizeListArray::try_new(
        item,
        2,
        std::sync::Arc::new(Float32Array::from(values)),
        None,
    )
    .unwrap();
    let mut columns = batch.columns().to_vec();
    columns[2] = std::sync::Arc::new(features);
    batch = RecordBatch::try_new(batch.schema(), columns).unwrap();
    write_parquet(&place.path("toy.parquet"), &batch, 64);
    let text = toy_recipe(&place.text("toy.parquet"), &place.text("run"), "");
    let recipe = place.recipe("run.toml", &text);
    let dir = place.text("run");
    succeed(&["run", &recipe, "--begin", "--quiet", "--set", "data.max_quarantined=0.1"]);
    let error = refused(&["explain", &dir, "s00003"], 1);
    assert!(error.contains("no sample is decoded yet"), "{error}");
    for task in ["ingest", "folds", "train-s1-m0", "score-s1-m0"] {
        succeed(&["task", "run", "--run", &dir, "--id", task]);
    }
    let bad = json(&["explain", &dir, "s00007"]);
    assert_eq!((bad["kept"].as_bool(), bad["class"].is_null()), (Some(false), true));
    assert!(bad["why"].as_str().unwrap().contains("feature 0 is NaN"), "{bad}");
    let early = json(&["explain", &dir, "s00008"]);
    assert!(early["kept"].is_null() && early["fold"].is_u64(), "{early}");
    assert_eq!(early["why"], "The run has not selected yet.");
}

#[test]
fn a_curve_agrees_with_the_run_and_is_drawn() {
    let place = Place::new();
    let run = pruned(&place, "run", "", &["select.stages=1"]);
    let picture = place.text("curve.svg");
    let curve = json(&["curve", &run, "--plot", &picture]);
    let points = curve["points"].as_array().unwrap();
    assert_eq!(points.len(), 19);
    for (step, point) in (1..).zip(points) {
        let share = f64::from(step) / 20.0;
        assert!((point["keep"].as_f64().unwrap() - share).abs() < 1e-9);
        assert_eq!(point["rows"].as_u64().unwrap(), (300.0 * share).round() as u64);
        assert!((point["overlap_expected"].as_f64().unwrap() - share).abs() < 1e-9);
        // A random half of a random half: within five standard deviations of what is expected.
        let spread = (share * (1.0 - share) / (300.0 * share)).sqrt();
        assert!((point["overlap"].as_f64().unwrap() - share).abs() < 5.0 * spread, "{point}");
        let (least, most) = (point["least_class"].as_f64(), point["most_class"].as_f64());
        assert!(least <= most && most <= Some(1.0), "{point}");
    }
    let cuts: Vec<f64> = points.iter().map(|p| p["cut"].as_f64().unwrap()).collect();
    assert!(cuts.is_sorted(), "small margins first");
    let status = json(&["status", &run]);
    let kept = status["tasks"].as_array().unwrap().iter().find(|t| t["task"] == "coreset").unwrap();
    assert_eq!(points[9]["bytes"], kept["facts"]["bytes"], "at 50 % it is the run itself");
    let svg = std::fs::read_to_string(place.path("curve.svg")).unwrap();
    assert!(svg.starts_with("<svg") && svg.contains("<desc") && svg.ends_with("</svg>\n"));
    let error = refused(&["curve", &run, "--plot", &picture], 1);
    assert!(error.contains("is there already"), "{error}");
    assert!(succeed(&["curve", &run]).contains("95 %"));
}

#[test]
fn diff_finds_nothing_between_equals_and_everything_between_others() {
    let place = Place::new();
    let margin = pruned(&place, "margin", "", &["select.stages=1"]);
    let again = place.text("again.parquet");
    let same = json(&["select", &margin, "--output", &again]);
    assert_eq!((same["kept"].as_u64(), same["output"].as_str()), (Some(150), Some(again.as_str())));
    let none = json(&["diff", &margin, &again]);
    assert_eq!(
        (none["jaccard"].as_f64(), none["only_a"].as_array().unwrap().len()),
        (Some(1.0), 0)
    );
    assert!((none["spearman"].as_f64().unwrap() - 1.0).abs() < 1e-9 && none["recipe"].is_null());

    let loss = pruned(&place, "loss", "", &["select.stages=1", "select.by=cross_entropy"]);
    let found = json(&["diff", &margin, &loss]);
    let ids = |side: &str| -> Vec<String> {
        let moved = found[side].as_array().unwrap().iter();
        moved.map(|m| m["id"].as_str().unwrap().to_owned()).collect()
    };
    let (only_a, only_b) = (ids("only_a"), ids("only_b"));
    assert_eq!(only_a.len(), only_b.len(), "both keep 150");
    assert_eq!(found["both"].as_u64().unwrap() as usize, 150 - only_a.len());
    assert!(!only_a.is_empty() && found["only_a"][0]["reason"] == "below-cut");
    assert!(found["spearman"].as_f64().unwrap() > 0.0, "both want what is hard");
    let kept: BTreeMap<String, bool> = {
        let table = selection(&loss);
        let kept = table["kept"].as_boolean().iter().map(Option::unwrap).collect::<Vec<_>>();
        texts(&table, "id").into_iter().zip(kept).collect()
    };
    assert!(only_a.iter().all(|id| !kept[id]) && only_b.iter().all(|id| kept[id]));
    let shifts = found["classes"].as_array().unwrap().iter().map(|c| c["shift"].as_f64().unwrap());
    assert!(shifts.sum::<f64>().abs() < 1e-9);
    let keys = found["recipe"].as_array().unwrap().iter().map(|change| change[0].as_str().unwrap());
    assert!(keys.clone().any(|key| key == "select.by") && keys.clone().all(|key| key != "seed"));
    let text = succeed(&["diff", &margin, &loss]);
    assert!(text.contains("Only A keeps") && text.contains("select.by"), "{text}");
    refused(&["diff", &margin, &place.text("nothing")], 1);
    refused(&["diff", &margin, &place.text("toy.parquet")], 1);
}

#[test]
fn folds_are_those_of_the_run() {
    let place = Place::new();
    let run = pruned(&place, "run", "", &[]);
    let output = place.text("folds.parquet");
    let told = json(&["folds", &place.text("run.toml"), "--output", &output]);
    assert_eq!(told["folds"], serde_json::json!([100, 100, 100]));
    let bytes = |path: &str| std::fs::read(path).unwrap();
    assert_eq!(bytes(&output), bytes(&format!("{run}/tables/folds.parquet")));
    refused(&["folds", &place.text("run.toml"), "--output", &output], 1);
    let fitting = ["--set", "mode=fitting", "--set", "select.stages=1"];
    let args = ["folds", &place.text("run.toml"), "--output", &place.text("other.parquet")];
    assert!(refused(&[&args[..], &fitting].concat(), 2).contains("no folds"));
}

/// The stored logits of a run as a table of predictions, and its training sets as one of members.
fn handed_over(place: &Place, run: &str) -> (String, String) {
    let (mut said, mut saw) = (Vec::new(), Vec::new());
    for model in 0..3 {
        let scores = table(&format!("{run}/tables/scores/stage-1-model-{model}.parquet"));
        let columns = ["id", "label", "model", "logits"].map(|name| scores[name].clone());
        let fields = ["id", "label", "model", "logits"]
            .map(|name| Field::clone(scores.schema().field_with_name(name).unwrap()));
        said.push(
            RecordBatch::try_new(Schema::new(fields.to_vec()).into(), columns.to_vec()).unwrap(),
        );
        let members = table(&format!("{run}/tables/members/stage-1-model-{model}.parquet"));
        let ids = members["id"].clone();
        let models = StringArray::from(vec![model.to_string(); ids.len()]);
        saw.push(
            RecordBatch::try_from_iter([("id", ids), ("model", std::sync::Arc::new(models) as _)])
                .unwrap(),
        );
    }
    let write = |name: &str, parts: &[RecordBatch]| {
        let whole = arrow::compute::concat_batches(&parts[0].schema(), parts).unwrap();
        write_parquet(&place.path(name), &whole, 50);
        place.text(name)
    };
    (write("predictions.parquet", &said), write("members.parquet", &saw))
}

#[test]
fn stored_logits_score_and_select_like_the_run_that_made_them() {
    let place = Place::new();
    let run = pruned(&place, "run", "", &["select.stages=1", "score.logits=true"]);
    let (predictions, members) = handed_over(&place, &run);
    let output = place.text("scores.parquet");
    let told =
        json(&["score", "--predictions", &predictions, "--members", &members, "--output", &output]);
    assert_eq!((told["samples"].as_u64(), told["rows"].as_u64()), (Some(300), Some(600)));
    let ours = table(&output);
    let mut theirs: BTreeMap<(String, i32), (f32, i32)> = BTreeMap::new();
    let rows = |table: &RecordBatch| -> Vec<((String, i32), (f32, i32))> {
        let ints = |name: &str| table[name].as_primitive::<Int32Type>().values().to_vec();
        let margins = table["margin"].as_primitive::<Float32Type>().values().to_vec();
        let keys = texts(table, "id").into_iter().zip(ints("model"));
        keys.zip(margins.into_iter().zip(ints("fold"))).collect()
    };
    for model in 0..3 {
        theirs.extend(rows(&table(&format!("{run}/tables/scores/stage-1-model-{model}.parquet"))));
    }
    assert_eq!(rows(&ours).into_iter().collect::<BTreeMap<_, _>>(), theirs, "to the last bit");

    let (chosen, stored) = (place.text("chosen.parquet"), format!("{run}/tables/scores"));
    let base = ["select", "--by", "margin", "--keep", "0.5", "--set", "seed=5", "--scores"];
    succeed(&[&base[..], &[&output, "--output", &chosen]].concat());
    assert_eq!(json(&["diff", &run, &chosen])["jaccard"].as_f64(), Some(1.0));
    let dry = json(&[&base[..], &[&stored, "--dry-run"]].concat());
    assert_eq!((dry["kept"].as_u64(), dry["output"].is_null()), (Some(150), true));
    // Any column decides, if its end is said; what is beside the scores may be a CSV.
    let line = |(i, id): (usize, String)| format!("{id},{}\n", ["de", "en"][i % 2]);
    let lines: String = texts(&selection(&run), "id").into_iter().enumerate().map(line).collect();
    std::fs::write(place.path("lang.csv"), format!("id,lang\n{lines}")).unwrap();
    let any = ["--scores", &output, "--by", "model", "--end", "high", "--keep", ".5", "--dry-run"];
    let error = refused(&[&["select"], &any[..]].concat(), 2);
    assert!(error.contains("names no column of scores"), "{error}");
    let any =
        ["--scores", &output, "--by", "entropy", "--end", "high", "--keep", ".5", "--dry-run"];
    let error = refused(&[&["select"], &any[..]].concat(), 2);
    assert!(error.contains("a score named `entropy`, which is a method"), "{error}");
    let german = ["--set", "select.filter=lang = 'de'", "--metadata", &place.text("lang.csv")];
    let base = ["select", "--scores", &output, "--by", "margin", "--keep", ".5", "--dry-run"];
    let german = json(&[&base[..], &german].concat());
    assert_eq!(german["reasons"]["filtered"].as_u64(), Some(150));
    let prune = json(&["select", &run, "--dry-run", "--prune", "0.75"]);
    assert_eq!((prune["kept"].as_u64(), prune["prune"].as_f64()), (Some(75), Some(0.75)));
    let text = succeed(&[
        "select",
        &run,
        "--dry-run",
        "--classes",
        "uniform",
        "--set",
        "select.keep_rows=30",
    ]);
    assert!(text.starts_with("Would keep 30 of 300 samples: keep 10.0 %, prune 90.0 %"), "{text}");
    assert_eq!(text.matches("        10       100   10.0 %").count(), 3, "{text}");
    let one =
        json(&["select", &run, "--dry-run", "--keep", "0.1", "--set", "select.filter=label = '1'"]);
    let kept: Vec<_> =
        one["classes"].as_array().unwrap().iter().map(|c| c["kept"].as_u64()).collect();
    assert_eq!(kept, [Some(0), Some(30), Some(0)]);
}

fn scoring<'a>(predictions: &'a str, output: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["score", "--predictions", predictions, "--output", output], more].concat()
}

#[test]
fn wrong_questions_are_refused_with_one_error() {
    let place = Place::new();
    let run = pruned(&place, "run", "", &["select.stages=1", "score.logits=true"]);
    let (predictions, members) = handed_over(&place, &run);
    let out = place.text("never.parquet");
    let score = |more| scoring(&predictions, &out, more);
    let cases: [(Vec<&str>, i32, &str); 11] = [
        (score(&[]), 2, "--members is missing"),
        (score(&["--members", &predictions, "--mode", "unseen"]), 1, "trained on the sample: `s"),
        (score(&["--members", &members, "--methods", "herding"]), 1, "no column `embedding`"),
        (score(&["--members", &members, "--methods", "tdds"]), 2, "needs a column `epoch`"),
        (
            score(&["--members", &members, "--set", "select.keep=1.0"]),
            2,
            "only score.trajectory, score.embedding",
        ),
        (vec!["select", &run, "--dry-run", "--set", "select.stages=2"], 2, "one step"),
        (
            vec!["select", &run, "--dry-run", "--set", "train.epochs=2"],
            2,
            "only `select`, `seed` and score.own",
        ),
        (
            vec!["select", &run, "--dry-run", "--set", "score.trajectory.never_learned=zero"],
            2,
            "scores are there already",
        ),
        (vec!["select", &run, "--dry-run", "--keep", "0"], 2, "--set select.keep=0"),
        (
            vec!["select", "--scores", &members, "--keep", "0.5", "--dry-run"],
            1,
            "no column `label`",
        ),
        (vec!["explain", &out, "s1"], 1, "holds no run"),
    ];
    for (args, code, says) in cases {
        let error = refused(&args, code);
        assert!(error.contains(says), "{args:?}\n{error}");
    }
    assert!(!place.path("never.parquet").exists(), "a refusal leaves nothing");
    let unknown = ["select", &run, "--dry-run", "--set", "select.target={\"9\"=1.0}"];
    assert!(refused(&unknown, 2).contains('9'));
}

#[test]
fn new_samples_are_scored_by_the_models_that_do_not_hold_their_fold() {
    let place = Place::new();
    let old = "data.filter=id < 's00200'";
    let run = pruned(&place, "run", "", &["folds.by=hash", old]);
    let (data, output) = (place.text("toy.parquet"), place.text("new.parquet"));
    let base = ["extend", &run, "--data", &data, "--filter", "id >= 's'", "--output"];
    let told = json(&[&base[..], &[&output]].concat());
    assert_eq!((told["known"].as_u64(), told["new"].as_u64()), (Some(200), Some(100)));
    assert!(told["drift"]["ks"].as_f64().unwrap() < 0.25, "they come from the same source: {told}");
    let above = told["above_cut"].as_u64().unwrap();
    assert!((20..80).contains(&above), "about half is wanted: {told}");
    let shares =
        told["classes"].as_array().unwrap().iter().map(|c| c["new_share"].as_f64().unwrap());
    assert!((shares.sum::<f64>() - 1.0).abs() < 1e-9);

    // The folds are those that a run over all rows would use.
    let folds = place.text("folds.parquet");
    let recipe = place.text("run.toml");
    succeed(&["folds", &recipe, "--set", "folds.by=hash", "--output", &folds]);
    let folds = table(&folds);
    let fold: BTreeMap<String, i32> = {
        let numbers = folds["fold"].as_primitive::<Int32Type>().values().to_vec();
        texts(&folds, "id").into_iter().zip(numbers).collect()
    };
    let scores = table(&output);
    let ints = |name: &str| scores[name].as_primitive::<Int32Type>().values().to_vec();
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for ((id, model), own) in texts(&scores, "id").into_iter().zip(ints("model")).zip(ints("fold"))
    {
        assert!(id.as_str() >= "s00200" && own == fold[&id] && model != own, "{id}");
        *counts.entry(id).or_default() += 1;
    }
    assert!(counts.len() == 100 && counts.values().all(|count| *count == 2));
    succeed(&["select", "--scores", &output, "--by", "margin", "--keep", "0.1", "--dry-run"]);
    succeed(&["verify", &run]);

    let refuse = |more: &[&str]| {
        refused(&[&["extend", &run, "--output", &place.text("x.parquet")], more].concat(), 1)
    };
    let nothing = refuse(&["--data", &data, "--filter", "id < 's00100'"]);
    assert!(nothing.contains("nothing is new"), "{nothing}");
    let one_class = ["--data", &data, "--filter", "id >= 's00200' AND label = 1"];
    let one =
        json(&[&["extend", &run, "--output", &place.text("one.parquet")], &one_class[..]].concat());
    assert_eq!(one["classes"][1]["new_share"].as_f64(), Some(1.0));
}

#[test]
fn runs_whose_folds_would_move_are_not_extended() {
    let place = Place::new();
    let run = pruned(&place, "run", "", &["data.filter=id < 's00200'", "select.stages=1"]);
    let data = place.text("toy.parquet");
    let args = [
        "extend",
        &run,
        "--data",
        &data,
        "--filter",
        "id >= 's'",
        "--output",
        &place.text("x.parquet"),
    ];
    let error = refused(&args, 2);
    assert!(error.contains("`folds.by` is not `hash`"), "{error}");
}

#[test]
fn drifted_data_shows() {
    let place = Place::new();
    let run = pruned(&place, "run", "", &["folds.by=hash", "data.filter=id < 's00200'"]);
    let mut toy = Toy::new(300, 3);
    // All new rows lie in between.
    for i in 200..300 {
        toy.features[i] = [toy.features[i][0] * 0.1, toy.features[i][1] * 0.1];
    }
    toy.write(&place.path("other.parquet"));
    let args = ["extend", &run, "--data", &place.text("other.parquet"), "--filter", "id >= 's'"];
    let told = json(&[&args[..], &["--output", &place.text("new.parquet")]].concat());
    assert!(told["drift"]["ks"].as_f64().unwrap() > 0.4, "{told}");
    assert!(told["drift"]["psi"].as_f64().unwrap() > 0.25, "{told}");
    assert!(told["accuracy_new"].as_f64() < told["accuracy_old"].as_f64(), "{told}");
}

#[test]
fn the_python_of_the_documentation_runs() {
    let Some(python) = python() else { return };
    let place = Place::new();
    let folder = place.text("");
    let binary = env!("CARGO_BIN_EXE_unseen");
    run_python(&python, &["tests/python/check_external.py", binary, &folder]);
}

#[test]
fn questions_and_tables_reach_a_bucket() {
    let Some(bucket) = Bucket::open("commands") else { return };
    let place = Place::new();
    Toy::new(300, 3).write(&place.path("toy.parquet"));
    let run = bucket.uri("run");
    let text = toy_recipe(&place.text("toy.parquet"), &run, "");
    let recipe = place.recipe("run.toml", &text);
    succeed(&["run", &recipe, "--quiet", "--set", "select.stages=1"]);
    let again = bucket.uri("again.parquet");
    succeed(&["select", &run, "--output", &again]);
    assert_eq!(json(&["diff", &run, &again])["jaccard"].as_f64(), Some(1.0));
    let error = refused(&["select", &run, "--output", &again], 1);
    assert!(error.contains("is there already"), "{error}");
    succeed(&["curve", &run, "--plot", &bucket.uri("curve.svg")]);
    succeed(&["explain", &run, "s00001"]);
}
