//! The judge of a run: what it says, that nobody overlooks bad news, and that nothing is done twice.

use std::path::Path;

use serde_json::Value;

use crate::options::sealed;
use crate::support::{Place, Toy, dir, results, run, succeed, toy_recipe, unseen};

/// A score that keeps whatever models are surest of: with few samples a bad choice.
pub(crate) const SUREST: &str =
    "score.own=[{ name = 'surest', sql = '0 - entropy', keep = 'high' }]";

/// The arguments of a run over toy samples with a judge of two seeds.
fn judged(place: &Place, name: &str, set: &[&str]) -> Vec<String> {
    if !place.path("toy.parquet").exists() {
        Toy::new(300, 3).write(&place.path("toy.parquet"));
    }
    let text = toy_recipe(&place.text("toy.parquet"), &place.text(name), "");
    let text = text.replace("judge.seeds = 0", "judge.seeds = 2");
    let mut args = vec!["run".to_owned(), place.recipe(&format!("{name}.toml"), &text)];
    set.iter().for_each(|set| args.extend(["--set".to_owned(), (*set).to_owned()]));
    args
}

fn with<'a>(args: &'a [String], more: &[&'a str]) -> Vec<&'a str> {
    args.iter().map(String::as_str).chain(more.iter().copied()).collect()
}

fn summary(args: &[String]) -> Value {
    serde_json::from_str(&succeed(&with(args, &["--json", "--quiet"]))).unwrap()
}

fn record(run: &Path, task: &str) -> Value {
    let bytes = std::fs::read(run.join(format!("commits/{task}.json"))).unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

fn models(run: &str) -> usize {
    let names = dir(run).list("evaluate/commits").unwrap().into_iter();
    names.filter(|name| name.starts_with("evaluate/commits/train")).count()
}

#[test]
fn every_run_holds_its_coreset_against_a_random_twin() {
    let place = Place::new();
    let args = judged(&place, "run", &[]);
    let plan: Value = serde_json::from_str(&succeed(&["plan", &args[1], "--json"])).unwrap();
    let planned = plan["tasks"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(planned["task"], "judge");
    assert_eq!(planned["rows"], 2 * 2 * 120, "four models on four fifths of 150 samples");

    let told = summary(&args);
    let figures = &told["judge"]["figures"];
    assert_eq!((&figures["seeds"], &figures["coreset"]["n"]), (&2.into(), &2.into()));
    let held_out = figures["test_samples"].as_u64().unwrap();
    assert!((30..90).contains(&held_out), "{told}");
    let here = place.text("run");
    assert_eq!(models(&here), 4);
    let status: Value = serde_json::from_str(&succeed(&["status", &here, "--json"])).unwrap();
    let task = status["tasks"].as_array().unwrap().iter().find(|t| t["task"] == "judge").unwrap();
    assert_eq!((&task["state"], &task["facts"]["figures"]), (&"done".into(), figures));
    assert!(succeed(&["status", &here]).contains(" points\n"), "the judge's line has its points");
    let proof = succeed(&["verify", &here]);
    assert!(proof.contains("ok      judge"), "{proof}");
    let card = std::fs::read_to_string(place.path("run/coreset/README.md")).unwrap();
    let verdict = told["judge"]["verdict"].as_str().unwrap();
    assert!(card.contains(&format!("| Judged | {verdict}")), "{card}");
    let page = place.text("page.html");
    succeed(&["report", &here, "--out", &page]);
    let page = std::fs::read_to_string(page).unwrap();
    assert!(page.contains("Is it better than random?") && page.contains("a guard, no proof"));
    // The judge speaks for itself, at the head too, and is no evaluation.
    assert_eq!(page.matches("By the judge, on ").count(), 2);
    assert!(page.contains("<dt>Accuracy</dt>") && page.contains(", held out</small>"));
    assert!(!page.contains("<section id=\"evaluation\"") && !page.contains("No test data were"));

    // An evaluation on the same part takes the models over; `full` and `random` are new.
    let told = succeed(&["evaluate", &here, "--quiet", "--seeds", "2", "--json"]);
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told["test_samples"], held_out);
    assert_eq!(models(&here), 8);
    assert_eq!(&told["subsets"][1]["accuracy"], &figures["coreset"]);
    let sentence = told["verdict"].as_str().unwrap();
    assert!(sentence.starts_with("50 % kept: ") && verdict.starts_with("50 % kept: "));
    assert_eq!(told["against"][2]["points"], figures["points"]);
    succeed(&["verify", &here]);
}

#[test]
fn without_seeds_there_is_no_judge() {
    let place = Place::new();
    let args = judged(&place, "run", &["judge.seeds=0"]);
    assert_eq!(summary(&args)["judge"], Value::Null);
    assert!(!place.path("run/evaluate").exists() && !place.path("run/commits/judge.json").exists());
    let proof = succeed(&["verify", &place.text("run")]);
    assert!(proof.contains("no judge was asked for"), "{proof}");
}

#[test]
fn nobody_overlooks_a_coreset_below_random() {
    let place = Place::new();
    // The surest samples of a tenth of the data are of one class, or almost.
    let sets = [SUREST, "select.by=surest", "select.keep=0.1", "train.epochs=30", "judge.seeds=4"];
    let args = judged(&place, "bad", &sets);
    let output = run(&with(&args, &[]));
    let (told, warned) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "a warning is no error: {warned}");
    assert!(told.contains("\nWORSE than random: 10 % kept: "), "{told}");
    assert!(warned.contains("warning: WORSE than random: "), "{warned}");
    assert_eq!(summary(&args)["judge"]["standing"], "worse");
    // An evaluation on other data does not silence it.
    let test = place.text("test.parquet");
    let mut toy = Toy::new(60, 3);
    toy.ids.iter_mut().for_each(|id| id.insert(0, 't'));
    toy.write(Path::new(&test));
    let here = place.text("bad");
    succeed(&["evaluate", &here, "-q", "--seeds", "1", "--test", &test]);
    let page = place.text("page.html");
    succeed(&["report", &here, "--out", &page]);
    let page = std::fs::read_to_string(page).unwrap();
    let head = page.split("</header>").next().unwrap();
    assert!(head.contains("On 60 test samples:") && head.contains("By the judge, on "), "{head}");
    assert!(head.contains("<strong>WORSE than random</strong>"), "{head}");
    assert_eq!(page.matches("<section id=\"evaluation\"").count(), 1);
    assert!(!page.contains("No test data were given"), "test data were given");
}

#[test]
fn what_cannot_be_judged_is_said_and_no_error() {
    let place = Place::new();
    let all = summary(&judged(&place, "all", &["select.keep=1.0"]));
    assert_eq!(all["judge"]["verdict"], "Not judged: every sample is kept.");
    assert!(!place.path("all/evaluate/commits").exists());
    let few = summary(&judged(&place, "few", &["data.filter=id < 's00030'"]));
    let verdict = few["judge"]["verdict"].as_str().unwrap();
    assert!(verdict.contains("would be held out for testing"), "{few}");
    for name in ["all", "few"] {
        succeed(&["verify", &place.text(name)]);
    }
}

#[test]
fn a_random_coreset_raises_no_alarm() {
    let place = Place::new();
    for seed in ["seed=1", "seed=2", "seed=3"] {
        let args = judged(&place, seed, &["select.strategy=random_stratified", seed]);
        let told = summary(&args);
        let standing = told["judge"]["standing"].as_str().unwrap();
        assert_ne!(standing, "worse", "{told}");
    }
}

#[test]
fn kills_and_threads_change_no_judgement() {
    let place = Place::new();
    let whole = judged(&place, "whole", &[]);
    let expected = succeed(&with(&whole, &["--json", "--quiet", "--threads", "1"]));
    let facts = |name: &str| record(&place.path(name), "judge")["facts"].clone();
    let killed = judged(&place, "killed", &[]);
    // Among and after the proxy models; the tenth commit is that of the coreset.
    for point in ["before-commit:15", "output-written:4", "after-commit:3", "before-publish"] {
        let mut command = unseen(&with(&killed, &["--quiet", "--threads", "2"]));
        let status = command.env("UNSEEN_CRASH_AT", point).status().unwrap();
        assert!(!status.success(), "{point}");
    }
    let found = succeed(&with(&killed, &["--json", "--quiet", "--threads", "2"]));
    assert_eq!(found, expected.replace("whole", "killed"));
    assert_eq!(facts("killed"), facts("whole"));
    assert_eq!(results(&place.path("killed")), results(&place.path("whole")));
    assert_eq!(models(&place.text("killed")), 4);
}

#[test]
fn a_scheduler_can_ask_for_the_judge() {
    let place = Place::new();
    let args = judged(&place, "run", &[]);
    let died = unseen(&with(&args, &["--quiet"]))
        .env("UNSEEN_CRASH_AT", "before-commit:14")
        .status()
        .unwrap();
    assert!(!died.success() && place.path("run/commits/coreset.json").exists());
    let here = place.text("run");
    let task = |id: &str| run(&["task", "run", "--run", &here, "--id", id]).status.code();
    assert_eq!((task("publish"), task("judge"), task("judge")), (Some(75), Some(0), Some(0)));
    summary(&args);
}

#[test]
fn a_forged_verdict_is_found() {
    let place = Place::new();
    summary(&judged(&place, "run", &[]));
    let path = place.path("run/commits/judge.json");
    let honest = std::fs::read(&path).unwrap();
    let mut forged = record(&place.path("run"), "judge");
    forged["facts"]["verdict"] = "50 % kept: 9.9 points above stratified random.".into();
    std::fs::write(&path, sealed(forged)).unwrap();
    let refused = |says: &str| {
        let output = run(&["verify", &place.text("run")]);
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.code() == Some(1) && told.contains(says), "{told}");
    };
    refused("FAILED  judge");
    std::fs::write(&path, honest).unwrap();
    succeed(&["verify", &place.text("run")]);
    // A test that says other than its predictions.
    let tests = dir(&place.text("run")).list("evaluate/commits").unwrap();
    let test = tests.iter().find(|name| name.contains("judge")).unwrap();
    let path = place.path("run").join(test);
    let mut forged: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    forged["facts"]["accuracy"] = 0.999.into();
    std::fs::write(&path, sealed(forged)).unwrap();
    refused("its record is not what its predictions say");
}
