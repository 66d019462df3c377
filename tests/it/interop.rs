//! Other tools open the coreset: Hugging Face `datasets`, pyarrow, Polars, DuckDB.
//!
//! Needs the Python of `UNSEEN_PYTHON` (see `scripts/test`); without it this says so loudly.

use std::process::Command;

use crate::support::{Place, skipped, succeed};

pub(crate) fn python() -> Option<String> {
    let python = std::env::var("UNSEEN_PYTHON").ok();
    if python.is_none() {
        skipped("UNSEEN_PYTHON is not set, so no other tool opened the coreset; use scripts/test");
    }
    python
}

pub(crate) fn run_python(python: &str, args: &[&str]) {
    let output =
        Command::new(python).args(args).current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{args:?}\n{out}\n{err}");
    println!("{out}");
}

fn prune(place: &Place, data: &str, more: &[&str]) {
    let recipe = format!(
        "[data]\nuri = \"{data}\"\nimage = \"image\"\n[model]\narch = \"linear\"\n[train]\nepochs = 1\n\
         [judge]\nseeds = 0\n[folds]\nk = 2\n[select]\nkeep = 0.2\nstages = 1\n[output]\nuri = \"{}\"\nshard_bytes = \"200kB\"\nrow_group_bytes = \"60kB\"\n",
        place.text("run")
    );
    let path = place.recipe("recipe.toml", &recipe);
    let mut args = vec!["run", &path, "--quiet"];
    args.extend(more);
    succeed(&args);
    succeed(&["verify", &place.text("run")]);
}

#[test]
fn the_coreset_of_a_hugging_face_dataset_keeps_its_features_and_bytes() {
    let Some(python) = python() else { return };
    let place = Place::new();
    let source = place.text("hf");
    run_python(
        &python,
        &["tests/python/make_hf_dataset.py", "data/fashion_mnist_6k.parquet", &source],
    );
    prune(&place, &source, &[]);
    let shards = std::fs::read_dir(place.path("hf/data")).unwrap();
    let shards: Vec<String> =
        shards.map(|f| f.unwrap().path().to_str().unwrap().to_owned()).collect();
    let coreset = place.text("run/coreset");
    let mut args = vec!["tests/python/check_coreset.py", &coreset];
    args.extend(shards.iter().map(String::as_str));
    run_python(&python, &args);
}

#[test]
fn the_coreset_of_a_plain_parquet_file_gets_its_features_from_the_card() {
    let Some(python) = python() else { return };
    let place = Place::new();
    let source = "data/fashion_mnist_6k.parquet";
    prune(&place, source, &["--set", "data.filter=split = 'train'", "--set", "output.scores=true"]);
    run_python(&python, &["tests/python/check_coreset.py", &place.text("run/coreset"), source]);
}
