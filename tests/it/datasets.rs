//! The shipped recipes on the datasets that are too large to ship.
//!
//! They lie in the folder that `UNSEEN_DATA` names; without it this says loudly that it was skipped.
//! One epoch each: this is about reading, bookkeeping and proof; `docs/results.md` has the figures.

use crate::options::clusters;
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

/// The set has exact duplicates, which the recipe keeps together; left alone, they part.
#[test]
fn letter() {
    let Some(place) = prune("letter.toml", &[], 15_998) else { return };
    let (apart, together) = clusters(&place.path("run"));
    assert!(apart == 0 && together > 500, "{apart} clusters in several folds, {together} in one");
    let changes = ["folds.duplicates=ignore", "select.stages=1"];
    let Some(place) = prune("letter.toml", &changes, 15_998) else { return };
    let (apart, _) = clusters(&place.path("run"));
    assert!(apart > together / 2, "{apart} of {together} clusters in several folds");
}
