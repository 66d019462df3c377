//! `unseen stability`: how alike scores are, between runs, tables and the models of one run.

use serde_json::Value;

use crate::support::{Place, Toy, run, succeed, toy_recipe};

fn pruned(place: &Place, name: &str, set: &[&str]) -> String {
    Toy::new(300, 3).write(&place.path("toy.parquet"));
    let text = toy_recipe(&place.text("toy.parquet"), &place.text(name), "");
    let recipe = place.recipe(&format!("{name}.toml"), &text);
    let mut args = vec!["run", &recipe, "--quiet"];
    set.iter().for_each(|set| args.extend(["--set", set]));
    succeed(&args);
    place.text(name)
}

fn compared(args: &[&str]) -> Value {
    serde_json::from_str(&succeed(&[&["stability"], args, &["--json"]].concat())).unwrap()
}

fn number(told: &Value, key: &str) -> f64 {
    told[key].as_f64().unwrap_or_else(|| panic!("no {key} in {told}"))
}

/// What a command tells that must end with this code.
fn ended(args: &[&str], code: i32) -> String {
    let output = run(&[&["stability"], args].concat());
    let told = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert_eq!(output.status.code(), Some(code), "{args:?}: {told}");
    told
}

#[test]
fn runs_tables_and_models_are_compared() {
    let place = Place::new();
    let a = pruned(&place, "a", &["select.stages=1"]);
    let b = pruned(&place, "b", &["seed=6", "select.keep=0.4"]);

    let same = compared(&[&a, &a]);
    for key in ["pearson", "spearman", "jaccard"] {
        assert!((number(&same, key) - 1.0).abs() < 1e-12, "{same}");
    }
    let told = compared(&[&a, &b]);
    let pair = &told["pairs"][0];
    assert_eq!((&pair["common"], &pair["top"]), (&300.into(), &150.into()));
    let (pearson, spearman) = (number(&told, "pearson"), number(&told, "spearman"));
    assert!((0.15..0.999).contains(&pearson) && (0.15..0.999).contains(&spearman), "{told}");
    assert!((0.34..0.999).contains(&number(&told, "jaccard")), "more than by chance: {told}");
    // Ranks of the scores are what `diff` correlates, too.
    let diff: Value = serde_json::from_str(&succeed(&["diff", &a, &b, "--json"])).unwrap();
    assert!((diff["spearman"].as_f64().unwrap() - spearman).abs() < 1e-12);
    assert_eq!(compared(&[&a, &b, "--keep", "0.1"])["pairs"][0]["top"], 30);

    // The selection of one step has the scores of stage 1 itself.
    let table = format!("{a}/tables/selection.parquet");
    assert_eq!(compared(&[&table, &b])["pearson"], told["pearson"]);
    let scores = |model: usize| format!("{a}/tables/scores/stage-1-model-{model}.parquet");
    let two = compared(&[&scores(0), &scores(1), "--by", "margin", "--keep", "0.5"]);
    assert_eq!(two["pairs"][0]["common"], 100, "one of three folds is unseen by both");

    let models = compared(&[&a]);
    let pairs = models["pairs"].as_array().unwrap();
    assert_eq!((pairs.len(), models["sides"].as_array().unwrap().len()), (3, 3));
    assert!((number(&pairs[0], "pearson") - number(&two, "pearson")).abs() < 1e-6);
    assert!((number(&pairs[0], "jaccard") - number(&two, "jaccard")).abs() < 1e-12);
    let mean = pairs.iter().map(|pair| number(pair, "spearman")).sum::<f64>() / 3.0;
    assert!((mean - number(&models, "spearman")).abs() < 1e-12);
    assert!(pairs.iter().all(|pair| pair["common"] == 100));
}

#[test]
fn gates_decide_and_wrong_questions_say_why() {
    let place = Place::new();
    let a = pruned(&place, "a", &["select.stages=1"]);
    let told = ended(&[&a, &a, "--gate", "pearson >= 0.8", "--gate", "jaccard > 1"], 1);
    assert!(told.contains("ok         gate pearson >= 0.8: pearson is 1.000"), "{told}");
    assert!(told.contains("FAILED     gate jaccard > 1"), "{told}");
    assert!(ended(&[&a], 0).contains("mean of 3 pairs"));
    assert!(ended(&[&a, &a, "--gate", "pearson >= full"], 2).contains("numbers only"));
    let scores = format!("{a}/tables/scores/stage-1-model-0.parquet");
    assert!(ended(&[&scores, &scores, "--by", "margin"], 2).contains("give --keep"));
    assert!(ended(&[&scores, &a], 1).contains("without --by this must be a selection table"));
    assert!(ended(&[&a, &a, "--by", "forgetting"], 1).contains("forgetting"));
    assert!(ended(&[&place.text("none"), &a], 1).contains("holds no run"));
    let fitting = pruned(&place, "fitting", &["mode=fitting", "select.stages=1"]);
    assert!(ended(&[&fitting], 1).contains("stage 1 has one model"));
    let told = compared(&[&a, &fitting]);
    assert_eq!(told["sides"].as_array().unwrap().len(), 2);
}
