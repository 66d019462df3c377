//! The shipped recipes on the datasets that are too large to ship.
//!
//! They lie in the folder that `UNSEEN_DATA` names; without it this says loudly that it was skipped.
//! One epoch each: this is about reading, bookkeeping and proof; `docs/results.md` has the figures.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::{AsArray, RecordBatch};

use crate::options::{clusters, table};
use crate::scores::ids;
use crate::support::{Place, skipped, succeed};

/// Prunes, proves, and returns the place, whose `run` is the run; `None` if there is no data.
fn prune(recipe: &str, changes: &[&str], usable: u64) -> Option<Place> {
    if std::env::var_os("UNSEEN_DATA").is_none() {
        skipped(&format!(
            "UNSEEN_DATA is not set, so pipelines/{recipe} was not run on its dataset"
        ));
        return None;
    }
    let place = Place::new();
    let (path, output) =
        (format!("pipelines/{recipe}"), format!("output.uri={}", place.text("run")));
    let mut args =
        vec!["run", &path, "--json", "--quiet", "--set", &output, "--set", "train.epochs=1"];
    changes.iter().for_each(|change| args.extend(["--set", change]));
    let summary: serde_json::Value = serde_json::from_str(&succeed(&args)).unwrap();
    assert_eq!(
        (&summary["usable"], &summary["quarantined"]),
        (&usable.into(), &0.into()),
        "{recipe}"
    );
    succeed(&["verify", &place.text("run")]);
    Some(place)
}

#[test]
fn fashion_mnist() {
    let _ = prune("fashion-mnist.toml", &[], 60_000);
}

#[test]
fn cifar10() {
    // A small part: convolution is slow on two cores.
    let part = "data.filter=split = 'train' AND id LIKE '%/00%'";
    let _ = prune("cifar10.toml", &[part, "select.stages=1"], 1000);
}

#[test]
fn banking77() {
    let _ = prune("banking77.toml", &[], 10_003);
}

/// Of 20,000 rows 1,332 are copies of another. The recipe keeps them together, so that no model scores a
/// copy of what it saw; left alone, they part.
#[test]
fn letter() {
    let everything = ["data.filter=id IS NOT NULL", "select.stages=1"];
    let Some(place) = prune("letter.toml", &everything, 20_000) else { return };
    let run = place.path("run");
    let (apart, together) = clusters(&run);
    assert_eq!((apart, together), (0, 845), "clusters in several folds, and in one");
    let samples = table(&run, "tables/samples.parquet");
    let contents: Vec<&str> = samples["content"].as_string::<i32>().iter().flatten().collect();
    assert_eq!(contents.len() - contents.iter().collect::<BTreeSet<_>>().len(), 1332);
    let content: BTreeMap<&str, &str> = ids(&samples).into_iter().zip(contents).collect();
    for model in 0..5 {
        let of = |table: &RecordBatch| -> BTreeSet<&str> {
            ids(table).into_iter().map(|id| content[id]).collect()
        };
        let saw = of(&table(&run, &format!("tables/members/stage-1-model-{model}.parquet")));
        let scored = of(&table(&run, &format!("tables/scores/stage-1-model-{model}.parquet")));
        assert!(saw.is_disjoint(&scored), "model {model} scored a copy of what it saw");
    }
    let changes = [&["folds.duplicates=ignore"], &everything[..]].concat();
    let Some(place) = prune("letter.toml", &changes, 20_000) else { return };
    let (apart, _) = clusters(&place.path("run"));
    assert!(apart > together / 2, "{apart} of {together} clusters in several folds");
}
