//! `select.strategy = "auto"`: the choice follows from figures, and nothing is done twice or believed.

use std::process::Stdio;

use serde_json::Value;

use crate::judging::SUREST;
use crate::options::sealed;
use crate::support::{Place, Toy, dir, results, run, succeed, toy_recipe, unseen};

/// The arguments of a run over toy samples that chooses how to select.
fn choosing(place: &Place, name: &str, set: &[&str]) -> Vec<String> {
    if !place.path("toy.parquet").exists() {
        Toy::new(240, 3).write(&place.path("toy.parquet"));
    }
    let text = toy_recipe(&place.text("toy.parquet"), &place.text(name), "");
    let text = text
        .replace("judge.seeds = 0", "judge.seeds = 1")
        .replace("stages = 2", "stages = 2\nstrategy = \"auto\"");
    let mut args = vec!["run".to_owned(), place.recipe(&format!("{name}.toml"), &text)];
    set.iter().for_each(|set| args.extend(["--set".to_owned(), (*set).to_owned()]));
    args
}

fn with<'a>(args: &'a [String], more: &[&'a str]) -> Vec<&'a str> {
    args.iter().map(String::as_str).chain(more.iter().copied()).collect()
}

fn chosen(args: &[String]) -> Value {
    serde_json::from_str(&succeed(&with(args, &["--json", "--quiet"]))).unwrap()
}

fn record(run: &str, task: &str) -> Value {
    serde_json::from_slice(&dir(run).read(&format!("commits/{task}.json")).unwrap()).unwrap()
}

fn attempt(run: &str, task: &str) -> String {
    record(run, task)["attempt"].as_str().unwrap().to_owned()
}

fn tasks(run: &str) -> Vec<Value> {
    let status: Value = serde_json::from_str(&succeed(&["status", run, "--json"])).unwrap();
    status["tasks"].as_array().unwrap().clone()
}

#[test]
fn a_run_goes_on_with_the_candidate_that_does_best() {
    let place = Place::new();
    let args = choosing(&place, "run", &[]);
    let here = place.text("run");
    let plan: Value = serde_json::from_str(&succeed(&["plan", &args[1], "--json"])).unwrap();
    let last = plan["tasks"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(last["task"], "auto", "nobody knows what follows");
    assert!(last["work"].as_u64() > Some(7 * 3 * 3 * 96), "{last}");

    let told = chosen(&args);
    let auto = &told["auto"];
    let candidates = auto["candidates"].as_array().unwrap();
    let names: Vec<&str> = candidates.iter().map(|c| c["name"].as_str().unwrap()).collect();
    assert_eq!((names.len(), names[0], names[6]), (7, "top, in 2 stages", "random_stratified"));
    let mean = |at: usize| candidates[at]["accuracy"]["mean"].as_f64().unwrap();
    let number = auto["chosen"].as_u64().unwrap() as usize;
    let best = (0..7).map(mean).fold(0.0, f64::max);
    let runoff = &auto["runoff"];
    assert_eq!(runoff.is_object(), best > mean(6), "{auto}");
    if runoff.is_object() {
        let challenger = runoff["challenger"].as_u64().unwrap() as usize;
        assert!(mean(challenger) == best && (0..challenger).all(|at| mean(at) < best), "{auto}");
        assert_eq!(runoff["tests"].as_array().unwrap().len(), 4, "two seeds at least");
        let [points, half] = ["mean", "half_width"].map(|k| runoff["points"][k].as_f64().unwrap());
        assert_eq!(number, if points > half.max(0.05) { challenger } else { 6 }, "{auto}");
    } else {
        assert_eq!(number, 6, "{auto}");
    }

    // What the candidate did is the run's own; stage 1 is that of all.
    let candidate = format!("{here}/auto/{}", number + 1);
    for task in ["train-s1-m0", "select-s1", "coreset"] {
        assert_eq!(attempt(&here, task), attempt(&candidate, task), "{task}");
    }
    assert!(dir(&format!("{candidate}/coreset")).list("").unwrap().is_empty());
    // The judge trusts no model by which it was chosen: one seed of candidates, two of the run-off.
    let own = dir(&here).list("evaluate/commits").unwrap().into_iter();
    let own: Vec<String> = own.filter(|name| name.contains("/judge-")).collect();
    let seed = |path: &String| -> Value {
        let record: Value = serde_json::from_slice(&dir(&here).read(path).unwrap()).unwrap();
        record["facts"]["seed"].clone()
    };
    assert!(own.len() == 2 && own.iter().all(|path| seed(path) == 3), "{own:?}");
    assert_eq!(told["judge"]["figures"]["chosen_among"], 7);

    // Whoever opens the run sees what was chosen; run.json says what was asked for.
    assert_eq!(record_of_run(&here)["recipe"]["select"]["strategy"], "auto");
    let known: Vec<String> =
        tasks(&here).iter().map(|t| t["task"].as_str().unwrap().to_owned()).collect();
    assert!(known.contains(&"auto".to_owned()) && known.contains(&"select-s1".to_owned()));
    assert!(tasks(&here).iter().all(|task| task["state"] == "done"));
    let proof = succeed(&["verify", &here]);
    assert!(proof.contains("ok      auto       derived again"), "{proof}");
    for question in [
        &["explain", &here, "s00000"][..],
        &["diff", &here, &here],
        &["select", &here, "--dry-run"],
        &["curve", &here],
        &["stability", &here],
        &["evaluate", &here, "--seeds", "1", "-q"],
    ] {
        succeed(question);
    }
    let text = succeed(&with(&args, &["--quiet"]));
    assert!(text.contains("\nChosen     ") && text.contains(" %  mixed, in 2 stages"), "{text}");
    let page = place.text("page.html");
    succeed(&["report", &here, "--out", &page]);
    assert!(std::fs::read_to_string(page).unwrap().contains("strata with cut-off"));
}

fn record_of_run(run: &str) -> Value {
    serde_json::from_slice(&dir(run).read("run.json").unwrap()).unwrap()
}

#[test]
fn where_everything_is_kept_nothing_is_tried() {
    let place = Place::new();
    let told = chosen(&choosing(&place, "run", &["select.keep=1.0"]));
    let auto = &told["auto"];
    assert_eq!(auto["candidates"].as_array().unwrap().len(), 1, "{auto}");
    assert_eq!((&auto["candidates"][0]["accuracy"], &auto["chosen"]), (&Value::Null, &0.into()));
    assert!(dir(&place.text("run")).list("auto/evaluate").unwrap().is_empty());
    let text = succeed(&["run", &place.text("run.toml"), "--quiet", "--set", "select.keep=1.0"]);
    assert!(text.contains("auto had nothing to choose from but random_stratified"), "{text}");
    succeed(&["verify", &place.text("run")]);
}

#[test]
fn too_few_samples_to_choose_by_are_refused_before_anything_is_trained() {
    let place = Place::new();
    let args = choosing(&place, "run", &["data.filter=id < 's00030'"]);
    for args in [with(&args, &["--quiet"]), vec!["plan", &args[1], "--set", &args[3]]] {
        let output = run(&args);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(1) && told.contains("cannot choose: "), "{told}");
    }
    assert!(!place.path("run/commits").exists());
}

#[test]
fn harmful_scores_are_not_followed() {
    let place = Place::new();
    // The most wanted tenth is what models are surest of: next to nothing to learn from.
    let sets = [SUREST, "select.by=surest", "select.keep=0.1", "train.epochs=30"];
    let told = chosen(&choosing(&place, "run", &sets));
    let auto = &told["auto"];
    let number = auto["chosen"].as_u64().unwrap() as usize;
    let name = auto["candidates"][number]["name"].as_str().unwrap();
    assert!(!name.starts_with("top"), "{auto}");
}

#[test]
fn kills_threads_and_company_change_no_byte() {
    let place = Place::new();
    let whole = choosing(&place, "whole", &[]);
    succeed(&with(&whole, &["--quiet", "--threads", "1"]));
    let expected = results(&place.path("whole"));
    let facts = |name: &str| record(&place.text(name), "auto")["facts"].clone();

    let killed = choosing(&place, "killed", &[]);
    // Every few commits, on this side of them or on the other: in candidates, among their models, at the
    // choice, while the run takes over.
    let mut deaths = 0;
    loop {
        let point = ["after-commit:7", "before-commit:9", "output-written:6"][deaths % 3];
        let mut command = unseen(&with(&killed, &["--quiet", "--threads", "2"]));
        command.env("UNSEEN_CRASH_AT", point).stdout(Stdio::null()).stderr(Stdio::null());
        if command.status().unwrap().success() {
            break;
        }
        deaths += 1;
    }
    assert!((10..60).contains(&deaths), "{deaths} deaths");
    assert_eq!(results(&place.path("killed")), expected);
    assert_eq!(facts("killed"), facts("whole"));
    succeed(&["verify", &place.text("killed")]);
    // What they left below `auto/` is found.
    let args = ["clean", &place.text("killed"), "--older-than", "0s", "--json"];
    let litter: Value = serde_json::from_str(&succeed(&args)).unwrap();
    let litter = litter["litter"].as_array().unwrap();
    let below = |o: &&Value| o["path"].as_str().unwrap().starts_with("auto/");
    assert!(litter.iter().any(|o| below(&o)), "{litter:?}");
    succeed(&[&args[..4], &["--delete"]].concat());
    succeed(&["verify", &place.text("killed")]);

    let both = choosing(&place, "both", &[]);
    let start = || {
        unseen(&with(&both, &["--quiet", "--threads", "1"])).stdout(Stdio::null()).spawn().unwrap()
    };
    for mut child in [start(), start()] {
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(results(&place.path("both")), expected);
}

#[test]
fn a_scheduler_can_drive_a_choice() {
    let place = Place::new();
    let args = choosing(&place, "run", &[]);
    succeed(&with(&args, &["--begin", "--quiet"]));
    let here = place.text("run");
    let task = |id: &str| run(&["task", "run", "--run", &here, "--id", id]).status.code();
    assert_eq!(task("auto"), Some(75));
    assert_eq!(task("coreset"), Some(42), "nobody knows it yet");
    loop {
        let all = tasks(&here);
        let state = |id: &Value| all.iter().find(|t| t["task"] == *id).unwrap()["state"].clone();
        let ready = |t: &&Value| t["needs"].as_array().unwrap().iter().all(|n| state(n) == "done");
        let Some(next) = all.iter().filter(|t| t["state"] == "left").find(ready) else { break };
        assert_eq!(task(next["task"].as_str().unwrap()), Some(0), "{next}");
    }
    succeed(&["verify", &here]);
    let whole = choosing(&place, "whole", &[]);
    succeed(&with(&whole, &["--quiet"]));
    assert_eq!(results(&place.path("run")), results(&place.path("whole")));
}

#[test]
fn a_forged_choice_is_found() {
    let place = Place::new();
    let here = place.text("run");
    let told = chosen(&choosing(&place, "run", &[]));
    let number = told["auto"]["chosen"].as_u64().unwrap() as usize;
    let honest = record(&here, "auto");
    let refused = |forge: &dyn Fn(&mut Value)| {
        let mut forged = honest.clone();
        forge(&mut forged["facts"]);
        std::fs::write(place.path("run/commits/auto.json"), sealed(forged)).unwrap();
        let output = run(&["verify", &here]);
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.code() == Some(1) && told.contains("FAILED  auto"), "{told}");
    };
    let last = told["auto"]["candidates"].as_array().unwrap().len() - 1;
    let other = if number == last { 0 } else { last };
    refused(&|facts| facts["candidates"][number]["accuracy"]["mean"] = 0.999.into());
    refused(&|facts| facts["candidates"][other]["name"] = "best of all".into());
    std::fs::write(place.path("run/commits/auto.json"), sealed(honest)).unwrap();
    succeed(&["verify", &here]);
}

#[test]
fn auto_needs_a_judge_and_no_stored_scores() {
    let place = Place::new();
    let args = choosing(&place, "run", &["judge.seeds=0"]);
    let refused = |args: &[&str], says: &str| {
        let output = run(args);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(2) && told.contains(says), "{args:?}: {told}");
    };
    refused(&with(&args, &["--quiet"]), "the strategy `auto` lets the judge choose");
    let args = choosing(&place, "run", &["select.strategy=top"]);
    succeed(&with(&args, &["--quiet"]));
    let here = place.text("run");
    let auto = ["--dry-run", "--set", "select.strategy=auto"];
    refused(&[&["select", &here][..], &auto].concat(), "such as --set select.strategy=top");
    let scores = place.text("run/tables/scores/stage-1-model-0.parquet");
    let scores = ["select", "--scores", &scores, "--by", "margin", "--keep", "0.5"];
    refused(&[&scores[..], &auto].concat(), "such as --set select.strategy=top");
    // Another recipe in the place of a choice is refused as ever.
    let other = choosing(&place, "run", &[]);
    let output = run(&with(&other, &["--quiet"]));
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.code() == Some(1) && told.contains("select.strategy: top -> auto"),
        "{told}"
    );
}

#[test]
fn a_sweep_holds_the_choice_against_its_candidates() {
    let place = Place::new();
    let args = choosing(&place, "sweep", &[]);
    let grid = ["--set", "sweep.strategy=['top', 'auto']", "--set", "evaluate.seeds=1"];
    let told = succeed(&[&["sweep", &args[1], "--quiet", "--json"], &grid[..]].concat());
    let told: Value = serde_json::from_str(&told).unwrap();
    let strategies: Vec<&str> = told["points"]
        .as_array()
        .unwrap()
        .iter()
        .map(|point| point["strategy"].as_str().unwrap())
        .collect();
    assert_eq!(strategies, ["top", "auto"]);
    for run in std::fs::read_dir(place.path("sweep/runs")).unwrap() {
        succeed(&["verify", run.unwrap().path().to_str().unwrap()]);
    }
}
