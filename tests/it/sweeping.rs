//! `unseen sweep`: a grid of runs that share what is equal.

use std::collections::BTreeMap;

use arrow::array::AsArray;
use serde_json::Value;
use unseen::storage::sha256_hex;

use crate::support::{Place, Toy, dir, run, succeed, toy_recipe, unseen};

const GRID: &str = "
[evaluate]
filter = \"id >= 's00200'\"
seeds = 2
[sweep]
mode = [\"unseen\", \"fitting\"]
by = [\"margin\", \"entropy\"]
keep = [0.4, 0.6]
stages = [1, 2]
";

fn recipe(place: &Place, name: &str) -> String {
    Toy::new(260, 3).write(&place.path("toy.parquet"));
    let text = toy_recipe(&place.text("toy.parquet"), &place.text(name), GRID);
    let text = text
        .replace("features = \"features\"", "features = \"features\"\nfilter = \"id < 's00200'\"");
    place.recipe(&format!("{name}.toml"), &text)
}

fn swept(recipe: &str, more: &[&str]) -> Value {
    let args = [&["sweep", recipe, "--quiet", "--json"], more].concat();
    serde_json::from_str(&succeed(&args)).unwrap()
}

/// The records below a sweep, by path, with their checksums.
fn records(sweep: &str) -> BTreeMap<String, String> {
    let dir = dir(sweep);
    let names = dir.list("").unwrap().into_iter().filter(|name| name.contains("/commits/"));
    names.map(|name| (name.clone(), sha256_hex(&dir.read(&name).unwrap()))).collect()
}

#[test]
fn a_grid_is_run_once_and_every_run_of_it_is_proven() {
    let place = Place::new();
    let path = recipe(&place, "sweep");
    let told = swept(&path, &[]);
    assert_eq!((&told["runs"], told["points"].as_array().unwrap().len()), (&12.into(), 12));
    let sweep = place.text("sweep");
    let table = dir(&sweep).read("sweep.parquet").unwrap();
    let rows =
        unseen::storage::parquet::decode_table(table.clone(), &unseen::tables::sweep()).unwrap();
    assert_eq!(rows.num_rows(), 12 * 4 * 2);

    // Two stage 1s, 12 runs (fitting has one stage); what stage 1 wrote is the same in all of a mode.
    let runs: std::collections::BTreeSet<&str> =
        rows["run"].as_string::<i32>().iter().flatten().collect();
    assert_eq!(runs.len(), 12);
    let first = |run: &str| {
        let record = dir(&format!("{sweep}/{run}")).read("commits/train-s1-m0.json").unwrap();
        serde_json::from_slice::<Value>(&record).unwrap()["attempt"].as_str().unwrap().to_owned()
    };
    let attempts: std::collections::BTreeSet<String> = runs.iter().map(|run| first(run)).collect();
    assert_eq!(attempts.len(), 2, "one training for each mode");
    for run in runs {
        succeed(&["verify", &format!("{sweep}/{run}")]);
    }
    // `full` once a seed; random twins once a keep rate and seed, whatever mode, score and stages.
    let trained =
        records(&sweep).keys().filter(|name| name.starts_with("evaluate/commits/train")).count();
    assert!((2 + 2 * 4..=2 + 2 * 4 + 2 * 12).contains(&trained), "{trained} models");
    let random = told["points"].as_array().unwrap().iter().map(|p| p["random"]["mean"].to_string());
    assert_eq!(random.collect::<std::collections::BTreeSet<_>>().len(), 2, "{told}");

    // Nothing is done twice, and a larger grid adds to it.
    let before = records(&sweep);
    assert_eq!(swept(&path, &[]), told);
    assert_eq!(records(&sweep), before);
    let more = swept(
        &path,
        &["--set", "sweep.seed=[5, 6]", "--set", "sweep.mode=[]", "--set", "sweep.stages=[1]"],
    );
    assert_eq!((&more["runs"], more["points"].as_array().unwrap().len()), (&8.into(), 4));
    let after = records(&sweep);
    assert!(before.iter().all(|(name, sha256)| after[name] == *sha256));
    let text = succeed(&["sweep", &path, "--quiet"]);
    assert!(text.contains("fitting  entropy") && text.contains("12 runs in "), "{text}");
    assert!(text.contains(&format!("Plot       {sweep}/sweep.svg")), "{text}");

    // The picture follows from the table.
    let picture = std::fs::read_to_string(place.path("sweep/sweep.svg")).unwrap();
    for wanted in
        [">margin</text>", ">entropy</text>", ">fitting, 1 stage</text>", "class=\"line n\""]
    {
        assert!(picture.contains(wanted), "{wanted} is missing");
    }
    let (svg, png) = (place.text("again.svg"), place.text("again.png"));
    succeed(&["plot", &sweep, "--out", &svg, &png]);
    assert_eq!(std::fs::read_to_string(svg).unwrap(), picture);
    assert_eq!(&std::fs::read(png).unwrap()[1..4], b"PNG");
    let (page, run) =
        (place.text("page.html"), format!("{sweep}/{}", rows["run"].as_string::<i32>().value(0)));
    succeed(&["report", &run, "--sweep", &sweep, "--out", &page]);
    let page = std::fs::read_to_string(page).unwrap();
    assert!(page.contains(">fitting, 1 stage</text>") && page.contains("found with other recipes"));
}

#[test]
fn a_killed_sweep_goes_on() {
    let place = Place::new();
    let (whole, killed) = (recipe(&place, "whole"), recipe(&place, "killed"));
    let small = ["--set", "sweep.mode=[]", "--set", "sweep.by=[]"];
    swept(&whole, &small);
    for point in ["before-commit:9", "after-commit:14", "output-written:30"] {
        let args = [&["sweep", &killed, "--quiet"], &small[..]].concat();
        let status = unseen(&args).env("UNSEEN_CRASH_AT", point).status().unwrap();
        assert!(!status.success(), "{point}");
    }
    swept(&killed, &small);
    let table = |name: &str| dir(&place.text(name)).read("sweep.parquet").unwrap();
    assert_eq!(table("whole"), table("killed"));
}

#[test]
fn a_recipe_without_a_grid_says_so() {
    let place = Place::new();
    let path = recipe(&place, "sweep");
    let text = std::fs::read_to_string(&path).unwrap();
    let path = place.recipe("none.toml", text.split("[sweep]").next().unwrap());
    let output = run(&["sweep", &path, "-q"]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(2) && told.contains("has no grid"), "{told}");
}
