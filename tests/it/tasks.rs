//! Several processes on one run, single tasks for schedulers, and what is left behind.

use std::process::Stdio;

use serde_json::Value;

use crate::support::{Place, Toy, results, run, succeed, toy_recipe, unseen};

fn toy(place: &Place, rows: usize, run: &str) -> String {
    if !place.path("toy.parquet").exists() {
        Toy::new(rows, 3).write(&place.path("toy.parquet"));
    }
    let text = toy_recipe(&place.text("toy.parquet"), &place.text(run), "");
    place.recipe(&format!("{run}.toml"), &text)
}

fn tasks(run: &str) -> Vec<Value> {
    let status: Value = serde_json::from_str(&succeed(&["status", run, "--json"])).unwrap();
    status["tasks"].as_array().unwrap().clone()
}

fn code(args: &[&str]) -> Option<i32> {
    run(args).status.code()
}

#[test]
fn two_processes_split_the_tasks_of_a_run() {
    let place = Place::new();
    let recipe = toy(&place, 3000, "shared");
    // Long enough that both get something to do.
    let args =
        ["run", &recipe, "--set", "train.epochs=400", "--set", "folds.k=6", "--threads", "1"];
    let start = || unseen(&args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let ends = [start(), start()].map(|child| child.wait_with_output().unwrap());
    let mut trained = Vec::new();
    for end in &ends {
        let told = String::from_utf8_lossy(&end.stderr).into_owned();
        assert!(end.status.success(), "{told}");
        trained.push(
            told.lines().filter(|line| line.contains("train-s1") && line.contains("loss")).count(),
        );
    }
    assert_eq!(trained.iter().sum::<usize>(), 6, "{trained:?}");
    assert!(trained.iter().all(|n| *n > 0), "one did nothing: {trained:?}");
    for task in tasks(&place.text("shared")) {
        assert!(task["attempts"].as_u64().unwrap() <= 1, "{task}");
    }
    succeed(&["verify", &place.text("shared")]);
}

#[test]
fn a_scheduler_can_drive_a_run_task_by_task() {
    let place = Place::new();
    let (whole, single) = (toy(&place, 200, "whole"), toy(&place, 200, "single"));
    succeed(&["run", &whole, "--quiet"]);
    let dir = place.text("single");
    let task = |id: &str| code(&["task", "run", "--run", &dir, "--id", id]);
    assert_eq!(task("ingest"), Some(42), "no run was begun");
    succeed(&["run", &single, "--begin", "--quiet"]);
    assert_eq!(task("nonsense"), Some(42));
    assert_eq!(task("train-s1-m0"), Some(75), "its folds are not there");
    assert_eq!(task("publish"), Some(75));
    loop {
        let all = tasks(&dir);
        let state = |id: &Value| all.iter().find(|t| t["task"] == *id).unwrap()["state"].clone();
        let ready = |t: &&Value| t["needs"].as_array().unwrap().iter().all(|n| state(n) == "done");
        let Some(next) = all.iter().filter(|t| t["state"] == "left").find(ready) else { break };
        assert_eq!(task(next["task"].as_str().unwrap()), Some(0), "{next}");
    }
    assert_eq!(results(&place.path("single")), results(&place.path("whole")));
    assert_eq!(task("train-s1-m0"), Some(0), "it is done already");
    // An output that is not what its record says is found before "done" is said.
    let record = std::fs::read(place.path("single").join("commits/folds.json")).unwrap();
    let record: Value = serde_json::from_slice(&record).unwrap();
    let path = place.path("single").join(record["outputs"][0]["path"].as_str().unwrap());
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[10] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    assert_eq!(task("folds"), Some(42));
    // Another input: no task of this run may read it.
    Toy::new(100, 3).write(&place.path("toy.parquet"));
    assert_eq!(task("coreset"), Some(42));
}

#[test]
fn status_tells_running_from_stopped() {
    let place = Place::new();
    let recipe = toy(&place, 3000, "slow");
    let mut child = unseen(&["run", &recipe, "--set", "train.epochs=3000", "--quiet"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let pid = child.id();
    let training = || {
        let begun = place.path("slow").join("run.json").exists();
        let all = if begun { tasks(&place.text("slow")) } else { Vec::new() };
        all.into_iter().find(|t| t["task"] == "train-s1-m0").filter(|t| t["attempts"] == 1)
    };
    let running = loop {
        assert!(child.try_wait().unwrap().is_none(), "it ended too early");
        if let Some(task) = training() {
            break task;
        }
    };
    assert_eq!(running["state"], "running");
    assert!(running["by"].as_str().unwrap().starts_with(&format!("process {pid} on")));
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(training().unwrap()["state"], "stopped");
    let told = succeed(&["status", &place.text("slow")]);
    assert!(told.contains(&format!("stopped: process {pid}")), "{told}");
}

/// The litter that `clean` tells of.
fn paths_of(told: &Value) -> Vec<&str> {
    told["litter"].as_array().unwrap().iter().map(|l| l["path"].as_str().unwrap()).collect()
}

#[test]
fn clean_removes_what_no_record_names_and_nothing_else() {
    let place = Place::new();
    let (recipe, dir) = (toy(&place, 200, "dirty"), place.text("dirty"));
    let died = unseen(&["run", &recipe, "--quiet", "--threads", "1"])
        .env("UNSEEN_CRASH_AT", "before-commit:4")
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(!died.success());
    let half = std::fs::File::create(place.path("dirty").join("commits/half.json#1")).unwrap();
    half.set_modified(std::time::SystemTime::now() - std::time::Duration::from_hours(2)).unwrap();
    std::fs::write(place.path("dirty").join("commits/young.json#2"), "half").unwrap();
    succeed(&["run", &recipe, "--quiet"]);
    let before = results(&place.path("dirty"));
    let clean = |extra: &[&str]| -> Value {
        let told = succeed(&[&["clean", &dir, "--json"], extra].concat());
        serde_json::from_str(&told).unwrap()
    };
    let young = clean(&[]);
    assert_eq!(young["litter"].as_array().unwrap().len(), 0);
    assert!(young["spared"].as_u64().unwrap() > 3);
    let look = clean(&["--older-than", "0s"]);
    let paths = paths_of(&look);
    assert!(paths.iter().any(|p| p.starts_with("tasks/score-s1-m0/")), "{paths:?}");
    assert!(paths.contains(&"commits/half.json#1"), "{paths:?}");
    assert!(!paths.contains(&"commits/young.json#2"), "somebody may be writing it");
    assert!(place.path("dirty").join(paths[0]).exists(), "a look removed something");
    let removed = clean(&["--older-than", "0s", "--delete"]);
    assert_eq!(paths_of(&removed), paths);
    assert!(paths.iter().all(|p| !place.path("dirty").join(p).exists()));
    assert_eq!(clean(&["--older-than", "0s"])["litter"].as_array().unwrap().len(), 0);
    assert_eq!(results(&place.path("dirty")), before);
    succeed(&["verify", &dir]);
    assert_eq!(code(&["clean", &place.text("nowhere")]), Some(1));
}

#[test]
fn clean_does_not_follow_a_link_out_of_the_run() {
    let place = Place::new();
    let (recipe, dir) = (toy(&place, 60, "linked"), place.text("linked"));
    succeed(&["run", &recipe, "--quiet"]);
    std::fs::create_dir_all(place.path("outside/sub")).unwrap();
    std::fs::write(place.path("outside/sub/file"), "precious").unwrap();
    let planted = place.path("linked").join("tasks/planted");
    std::os::unix::fs::symlink(place.path("outside"), planted).unwrap();
    let cleaned = run(&["clean", &dir, "--older-than", "0s", "--delete"]);
    assert_eq!(cleaned.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&cleaned.stderr).contains("tasks/planted is a symbolic link"));
    assert!(place.path("outside/sub/file").exists());
}

#[test]
fn a_missing_output_is_no_matter_of_trying_again() {
    let place = Place::new();
    let (recipe, dir) = (toy(&place, 60, "holed"), place.text("holed"));
    succeed(&["run", &recipe, "--quiet"]);
    let record = std::fs::read(place.path("holed").join("commits/folds.json")).unwrap();
    let record: Value = serde_json::from_slice(&record).unwrap();
    let path = record["outputs"][0]["path"].as_str().unwrap();
    std::fs::remove_file(place.path("holed").join(path)).unwrap();
    let task = run(&["task", "run", "--run", &dir, "--id", "folds"]);
    assert_eq!(task.status.code(), Some(42));
    assert!(String::from_utf8_lossy(&task.stderr).contains("restore it"), "{task:?}");
}

#[test]
fn doctor_says_what_a_place_is_good_for() {
    let place = Place::new();
    let told = succeed(&["doctor", &place.text("runs")]);
    assert!(told.contains("create in a race") && told.contains("a run can be kept here"), "{told}");
    std::fs::write(place.path("file"), "x").unwrap();
    let output = run(&["doctor", &place.text("file/runs")]);
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(told.contains("FAILED  write") && told.contains("-> "), "{told}");
}
