//! The shipped recipe and every mode, from the command line to the proof.

use std::collections::BTreeMap;

use crate::support::{Place, Toy, run, succeed, toy_recipe, unseen};

/// Runs and verifies a toy recipe with these changes, and returns the summary.
fn pruned(place: &Place, name: &str, changes: &[&str]) -> serde_json::Value {
    let recipe = place.recipe(
        &format!("{name}.toml"),
        &toy_recipe(&place.text("toy.parquet"), &place.text(name), ""),
    );
    let mut args = vec!["run", &recipe, "--json", "--quiet"];
    changes.iter().for_each(|change| args.extend(["--set", change]));
    let summary = succeed(&args);
    let proof = run(&["verify", &place.text(name)]);
    assert!(proof.status.success(), "{changes:?}:\n{}", String::from_utf8_lossy(&proof.stdout));
    serde_json::from_str(&summary).unwrap()
}

#[test]
fn every_option_gives_a_run_that_proves_itself() {
    let place = Place::new();
    Toy::new(240, 3).write(&place.path("toy.parquet"));
    let options: &[&[&str]] = &[
        &[],
        &["mode=fitting", "select.stages=1"],
        &["folds.fit_on=complement"],
        &["folds.stratify=true", "folds.k=5"],
        &["folds.by=hash"],
        &["folds.group=label", "folds.k=2"],
        &["folds.duplicates=together"],
        &["select.classes=proportional"],
        &["select.classes=uniform", "select.keep=0.3"],
        &["select.floor=0.4", "select.cap=45"],
        &["select.classes=proportional", "select.floor=10", "select.drop_hardest=0.1"],
        &["select.classes=uniform", "select.cap=0.75"],
        &["select.target={ 0 = 0.5, 1 = 0.25, 2 = 0.25 }"],
        &["score.outputs=training"],
        &["select.stages=[0.3, 0.1, 0.1]", "select.models=2"],
        &["select.stages=3", "select.start=continue"],
        &["select.drop_hardest=0.1"],
        &["select.keep=1.0"],
        &["score.aggregate=median", "score.scale=z"],
        &["score.aggregate=mean_rank", "select.by=el2n"],
        &["score.aggregate=max", "score.scale=rank"],
        &["score.average=probabilities", "score.logits=true"],
        &["score.methods=[\"entropy\"]", "select.by=entropy"],
        &["model.arch=linear", "train.optimizer=adamw", "train.lr=0.01", "train.schedule=constant"],
        &["train.schedule=step", "train.step_epochs=[2]"],
        &["output.as=view"],
        &["output.scores=true", "output.shard_bytes=2000", "output.row_group_bytes=1000"],
        &["seed=77"],
    ];
    for (i, changes) in options.iter().enumerate() {
        let summary = pruned(&place, &format!("run-{i}"), changes);
        let keep = changes
            .iter()
            .find_map(|c| c.strip_prefix("select.keep="))
            .map_or(0.5, |k| k.parse::<f64>().unwrap());
        assert_eq!(summary["kept"].as_f64().unwrap(), (240.0 * keep).round(), "{changes:?}");
        assert_eq!(summary["usable"], 240);
    }
}

#[test]
fn k_of_two_is_the_same_in_both_fold_directions() {
    let place = Place::new();
    Toy::new(200, 2).write(&place.path("toy.parquet"));
    let fold = pruned(&place, "fold", &["folds.k=2", "folds.fit_on=fold"]);
    let complement = pruned(&place, "complement", &["folds.k=2", "folds.fit_on=complement"]);
    assert_eq!(fold["selection_sha256"], complement["selection_sha256"]);
    assert_eq!(fold["spread"], complement["spread"]);
}

#[test]
fn a_finished_run_is_no_work() {
    let place = Place::new();
    Toy::new(120, 2).write(&place.path("toy.parquet"));
    let first = pruned(&place, "run", &[]);
    let before = snapshot(&place);
    assert_eq!(pruned(&place, "run", &[]), first);
    assert_eq!(snapshot(&place), before, "something was written");
    let status: serde_json::Value =
        serde_json::from_str(&succeed(&["status", &place.text("run"), "--json"])).unwrap();
    assert_eq!(status["finished"], true);
    assert!(status["tasks"].as_array().unwrap().iter().all(|t| t["state"] == "done"));
}

/// Every file of the run with the time of its last change.
fn snapshot(place: &Place) -> BTreeMap<std::path::PathBuf, std::time::SystemTime> {
    fn walk(
        dir: &std::path::Path,
        found: &mut BTreeMap<std::path::PathBuf, std::time::SystemTime>,
    ) {
        for entry in std::fs::read_dir(dir).unwrap().map(Result::unwrap) {
            if entry.path().is_dir() {
                walk(&entry.path(), found);
            } else {
                found.insert(entry.path(), entry.metadata().unwrap().modified().unwrap());
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(&place.path("run"), &mut found);
    found
}

#[test]
fn a_plan_writes_nothing_and_counts_right() {
    let place = Place::new();
    Toy::new(120, 2).write(&place.path("toy.parquet"));
    let recipe =
        place.recipe("toy.toml", &toy_recipe(&place.text("toy.parquet"), &place.text("run"), ""));
    let plan: serde_json::Value =
        serde_json::from_str(&succeed(&["plan", &recipe, "--json"])).unwrap();
    assert!(!place.path("run").exists());
    assert_eq!(
        (&plan["rows"], &plan["models"], &plan["keep_rows"]),
        (&120.into(), &4.into(), &60.into())
    );
    let status = run(&["status", &place.text("run")]);
    assert_eq!(status.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&status.stderr).contains("holds no run"));
}

#[test]
fn the_shipped_recipe_runs_and_its_summary_can_be_read() {
    let place = Place::new();
    let output = unseen(&[
        "run",
        "pipelines/quickstart.toml",
        "--set",
        &format!("output.uri={}", place.text("run")),
    ])
    .output()
    .unwrap();
    let (text, progress) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success(), "{progress}");
    assert!(progress.contains("ETA") && progress.contains("train-s1-m4"), "{progress}");
    for said in [
        "Kept 2,500 of 5,000",
        "keep 50.0 %, prune 50.0 %",
        "margin",
        "Shirt",
        "load_dataset(",
        "Digest",
    ] {
        assert!(text.contains(said), "`{said}` is not in:\n{text}");
    }
    succeed(&["verify", &place.text("run")]);
    assert!(place.path("run/coreset/data/train-00000-of-00001.parquet").exists());
}
