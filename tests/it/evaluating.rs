//! `unseen evaluate`: what a coreset is worth, and that nothing of it is done twice.

use std::collections::BTreeSet;

use arrow::array::AsArray;
use arrow::datatypes::{Float64Type, Int64Type};
use serde_json::Value;
use unseen::recipe::Storage;

use crate::support::{Place, Toy, dir, run, succeed, toy_recipe, unseen};

/// A run over the first 300 of 400 toy samples.
fn pruned(place: &Place, name: &str, set: &[&str]) -> String {
    if !place.path("toy.parquet").exists() {
        Toy::new(400, 3).write(&place.path("toy.parquet"));
    }
    let text = toy_recipe(&place.text("toy.parquet"), &place.text(name), "");
    let recipe = place.recipe(&format!("{name}.toml"), &text);
    let mut args = vec!["run", &recipe, "--quiet", "--set", "data.filter=id < 's00300'"];
    set.iter().for_each(|set| args.extend(["--set", set]));
    succeed(&args);
    place.text(name)
}

fn evaluated(run: &str, more: &[&str]) -> Value {
    let args = [&["evaluate", run, "--quiet", "--json"], more].concat();
    serde_json::from_str(&succeed(&args)).unwrap()
}

fn subset<'a>(told: &'a Value, name: &str) -> &'a Value {
    told["subsets"].as_array().unwrap().iter().find(|s| s["subset"] == name).unwrap()
}

/// The records of evaluations that begin with `task`.
fn records(run: &str, task: &str) -> BTreeSet<String> {
    let names = dir(run).list("evaluate/commits").unwrap().into_iter();
    names.filter(|name| name.starts_with(&format!("evaluate/commits/{task}"))).collect()
}

fn results(run: &str) -> Vec<u8> {
    dir(run).read("evaluate/evaluation.parquet").unwrap().to_vec()
}

#[test]
fn without_test_data_a_part_of_the_training_data_is_held_out_of_every_subset() {
    let place = Place::new();
    let run = pruned(&place, "run", &[]);
    let told = evaluated(&run, &["--seeds", "2"]);
    assert_eq!((&told["test"], &told["held_out"]), (&"held-out".into(), &true.into()));
    let test = told["test_samples"].as_u64().unwrap();
    let samples = |name| subset(&told, name)["samples"].as_u64().unwrap();
    assert!((30..90).contains(&test), "about a fifth: {test}");
    assert_eq!(samples("full"), 300 - test);
    for name in ["coreset", "random", "random_stratified"] {
        assert!((90..150).contains(&samples(name)), "half, without what is held out: {told}");
    }
    let accuracy = subset(&told, "full")["accuracy"]["mean"].as_f64().unwrap();
    assert!((0.4..1.0).contains(&accuracy), "{told}");

    let rows = unseen::run::evaluations(&run, &Storage::default()).unwrap().unwrap();
    assert_eq!(rows.schema(), unseen::tables::evaluation());
    assert_eq!(rows.num_rows(), 8);
    let mean = rows["accuracy"].as_primitive::<Float64Type>().values()[2..4].iter().sum::<f64>();
    assert_eq!(rows["subset"].as_string::<i32>().value(2), "full");
    assert!((mean / 2.0 - accuracy).abs() < 1e-12);
    let tested = rows["test_samples"].as_primitive::<Int64Type>();
    assert!(tested.values().iter().all(|n| *n as u64 == test));
    // Random subsets are as large as what is left of the coreset.
    let samples = rows["samples"].as_primitive::<Int64Type>().values();
    assert!([1, 4, 5, 6, 7].iter().all(|at| samples[*at] == samples[0]), "{samples:?}");
    succeed(&["verify", &run]);
}

#[test]
fn a_second_call_trains_only_what_is_new() {
    let place = Place::new();
    let run = pruned(&place, "run", &["select.keep=0.3"]);
    let first = evaluated(&run, &["--seeds", "1"]);
    let (trained, table) = (records(&run, "train"), results(&run));
    assert_eq!((trained.len(), records(&run, "judge").len()), (4, 4));
    assert_eq!(evaluated(&run, &["--seeds", "1"]), first);
    assert_eq!((records(&run, "train"), results(&run)), (trained.clone(), table));
    evaluated(&run, &["--seeds", "2"]);
    assert!(records(&run, "train").len() == 8 && records(&run, "train").is_superset(&trained));

    // As many steps: only `full` needs no other training.
    let told = evaluated(&run, &["--seeds", "2", "--budget", "iterations"]);
    assert_eq!((records(&run, "train").len(), records(&run, "judge").len()), (14, 16));
    let number = |name, key: &str| subset(&told, name)[key].as_u64().unwrap();
    let (full, coreset) = (number("full", "steps"), number("coreset", "steps"));
    assert!(number("coreset", "epochs") > number("full", "epochs"), "{told}");
    assert!(full.abs_diff(coreset) <= full / 6, "{full} and {coreset} steps, in whole epochs");
    assert_eq!(first["subsets"][0]["steps"], full);

    // Other test rows need other tests of the same models.
    let models = records(&run, "train").len();
    evaluated(&run, &["--seeds", "1", "--test-filter", "id >= 's00300'"]);
    assert_eq!(records(&run, "train").len(), models + 4, "nothing is held out of these");
    evaluated(&run, &["--seeds", "1", "--test-filter", "id >= 's00350'"]);
    assert_eq!(records(&run, "train").len(), models + 4);
}

#[test]
fn test_rows_are_those_that_were_named_and_no_training_row() {
    let place = Place::new();
    let run = pruned(&place, "run", &["evaluate.filter=id >= 's00300'"]);
    let told = evaluated(&run, &["--seeds", "1"]);
    assert_eq!((&told["held_out"], &told["test_samples"]), (&false.into(), &100.into()));
    assert_eq!(subset(&told, "full")["samples"], 300);
    assert_eq!(subset(&told, "coreset")["samples"], 150);
    let other = place.text("other.parquet");
    let mut toy = Toy::new(60, 3);
    toy.ids.iter_mut().for_each(|id| id.insert(0, 't'));
    toy.write(std::path::Path::new(&other));
    let told = evaluated(&run, &["--seeds", "1", "--test", &other]);
    assert_eq!(told["test_copies"], 60, "the toy is the same under other names");
    let name = |told: &Value| told["test"].as_str().unwrap().to_owned();
    assert!(name(&told).starts_with(&format!("{other} (content ")), "{told}");
    // Another version of the file, with as many samples, is another test.
    let before = std::fs::read(&other).unwrap();
    toy.labels[0] = 1;
    toy.write(std::path::Path::new(&other));
    let again = evaluated(&run, &["--seeds", "1", "--test", &other]);
    assert!(name(&again) != name(&told) && again["test_samples"] == told["test_samples"]);
    std::fs::write(&other, before).unwrap();
    assert_eq!(evaluated(&run, &["--seeds", "1", "--test", &other]), told);
    let rows = unseen::run::evaluations(&run, &Storage::default()).unwrap().unwrap();
    let of =
        |test: &str| rows["test"].as_string::<i32>().iter().filter(|t| *t == Some(test)).count();
    assert_eq!((of(&name(&told)), of(&name(&again))), (4, 4));

    let refused = |args: &[&str], says: &str| {
        let output = crate::support::run(&[&["evaluate", &run, "-q"], args].concat());
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(1) && told.contains(says), "{args:?}: {told}");
    };
    refused(&["--test-filter", "id >= 's00299'"], "1 row of it are samples of the run: `s00299`");
    refused(&["--test-filter", "id > 'x'"], "the test data: ");
    let mut toy = Toy::new(40, 4);
    toy.ids.iter_mut().for_each(|id| id.insert(0, 'x'));
    toy.write(std::path::Path::new(&place.path("four.parquet")));
    refused(&["--test", &place.text("four.parquet")], "of a class that the run does not know");
}

#[test]
fn gates_decide_the_exit_code() {
    let place = Place::new();
    let run = pruned(&place, "run", &[]);
    let gated = |gates: &[&str], code: i32| {
        let mut args = vec!["evaluate", &run, "-q", "--seeds", "1"];
        gates.iter().for_each(|gate| args.extend(["--gate", gate]));
        let output = crate::support::run(&args);
        let told = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert_eq!(output.status.code(), Some(code), "{gates:?}: {told}");
        told
    };
    let told = gated(&["accuracy >= full - 100", "ece <= 100"], 0);
    assert!(told.contains("ok         gate ece <= 100: ece is "), "{told}");
    assert!(told.contains(" % kept: ") && told.contains("held out by keyed hash"), "{told}");
    let told = gated(&["ece <= 100", "accuracy > random + 100"], 1);
    assert!(told.contains("FAILED     gate accuracy > random + 100: accuracy is "), "{told}");
    assert!(gated(&["accuracy >= 0.85"], 2).contains("write 85 for 85 %"));
    assert!(gated(&["acuracy >= full"], 2).contains("`acuracy` is no metric"));
    let told = evaluated(&run, &["--seeds", "1", "--gate", "accuracy >= full - 100"]);
    assert_eq!((&told["passed"], &told["gates"][0]["passed"]), (&true.into(), &true.into()));
}

#[test]
fn a_killed_evaluation_goes_on_and_threads_change_nothing() {
    let place = Place::new();
    let (whole, killed) = (pruned(&place, "whole", &[]), pruned(&place, "killed", &[]));
    let args = ["--seeds", "1", "--threads", "1"];
    let expected = evaluated(&whole, &args);
    for point in ["before-commit", "after-commit", "output-written"] {
        let mut command = unseen(&["evaluate", &killed, "-q", "--seeds", "1", "--threads", "2"]);
        let status = command.env("UNSEEN_CRASH_AT", point).status().unwrap();
        assert!(!status.success(), "{point}");
    }
    assert!(records(&killed, "judge").len() < 4, "it was killed before its end");
    let found = evaluated(&killed, &["--seeds", "1", "--threads", "2"]);
    assert_eq!(found["subsets"], expected["subsets"]);
    assert_eq!(results(&killed), results(&whole));
    // What the killed ones left is found.
    let args = ["clean", &killed, "--older-than", "0s", "--json"];
    let litter: Value = serde_json::from_str(&succeed(&args)).unwrap();
    let litter = litter["litter"].as_array().unwrap();
    let of_models = |o: &&Value| o["path"].as_str().unwrap().starts_with("evaluate/tasks/train-");
    assert!(litter.iter().any(|o| of_models(&o)), "{litter:?}");
    succeed(&[&args[..4], &["--delete"]].concat());
    assert_eq!(evaluated(&killed, &["--seeds", "1"])["subsets"], expected["subsets"]);
}

#[test]
fn a_training_of_an_evaluation_goes_on_where_it_was_killed() {
    let place = Place::new();
    let every = "train.checkpoint_epochs=1";
    let (whole, killed) = (pruned(&place, "whole", &[every]), pruned(&place, "killed", &[every]));
    evaluated(&whole, &["--seeds", "1"]);
    // `full` has 3 epochs of about 16 steps; the checkpoint is that of the second.
    let within = |steps: usize| {
        // One after the other.
        let args = ["evaluate", &killed, "-q", "--seeds", "1", "--threads", "1"];
        let mut command = unseen(&args);
        command.env("UNSEEN_CRASH_AT", format!("training-step:{steps}")).output().unwrap()
    };
    assert!(!within(36).status.success());
    let kept = dir(&killed).list("evaluate/checkpoints").unwrap();
    assert_eq!(kept.len(), 1, "{kept:?}");
    let task = kept[0].rsplit('/').next().unwrap().to_owned();
    // `clean` spares it, and who works on a training is known, so it spares that, too.
    succeed(&["clean", &killed, "--older-than", "0s", "--delete"]);
    assert_eq!(dir(&killed).list("evaluate/checkpoints").unwrap(), kept);
    assert!(!dir(&killed).list(&format!("evaluate/claims/{task}")).unwrap().is_empty());
    // One epoch is left of it: the second step of the next training is not reached within fewer.
    assert!(!within(20).status.success());
    assert_eq!(records(&killed, &task).len(), 1, "{task} was not ended within an epoch");
    evaluated(&killed, &["--seeds", "1"]);
    assert_eq!(results(&killed), results(&whole));
    assert!(dir(&killed).list("evaluate/checkpoints").unwrap().is_empty());
}

#[test]
fn the_memory_of_test_samples_is_counted() {
    let place = Place::new();
    let here = pruned(&place, "run", &[]);
    let mut toy = Toy::new(20_000, 3);
    toy.ids.iter_mut().for_each(|id| id.insert(0, 't'));
    toy.write(&place.path("test.parquet"));
    let test = place.text("test.parquet");
    let least = |more: &[&str]| -> u64 {
        let output = run(&[&["evaluate", &here, "-q", "--memory", "1MiB"], more].concat());
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && told.contains("the run needs at least"), "{told}");
        let after = told.split("give --memory ").nth(1).unwrap();
        after.split("MiB").next().unwrap().parse().unwrap()
    };
    let (alone, beside) = (least(&[]), least(&["--test", &test]));
    // 20,000 rows of more than 650 bytes.
    assert!(beside >= alone + 12, "{alone} MiB alone, {beside} MiB with test samples");
    let memory = format!("{beside}MiB");
    let told = evaluated(&here, &["--seeds", "1", "--test", &test, "--memory", &memory]);
    assert_eq!(told["test_samples"], 20_000);
}

#[test]
fn a_run_that_has_not_selected_cannot_be_evaluated() {
    let place = Place::new();
    let here = pruned(&place, "run", &[]);
    std::fs::remove_file(place.path("run/commits/coreset.json")).unwrap();
    let output = run(&["evaluate", &here, "-q"]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(1) && told.contains("has not selected yet"), "{told}");
    assert_eq!(unseen::run::evaluations(&here, &Storage::default()).unwrap(), None);
}
