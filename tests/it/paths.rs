//! Nothing that a dataset says becomes part of a path, and no link leads a run out of its directory.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float32Array, StringArray};
use arrow::record_batch::RecordBatch;

use crate::support::{Place, Toy, run, succeed, toy_recipe, write_parquet};

/// Names that mean something to a file system, a URL or an eye.
fn evil() -> Vec<String> {
    let long = "n".repeat(300);
    let names = [
        "..",
        "../../evil",
        "/etc/evil",
        "evil\0nul",
        "%2e%2e%2fevil",
        "evil#1",
        "#1",
        "evil//b",
        "./evil",
        "\u{2025}/evil",
        "\u{ff0e}\u{ff0e}\u{ff0f}evil",
        "ev\u{456}l",
        "evil\n",
        "C:\\evil",
        "~evil",
        "$(evil)",
        " ",
        ".",
        "evil.parquet",
        &long,
    ];
    names.map(str::to_owned).into()
}

fn files(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut left = vec![root.to_owned()];
    while let Some(path) = left.pop() {
        if path.is_dir() {
            left.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            found.push(path.strip_prefix(root).unwrap().to_str().unwrap().to_owned());
        }
    }
    found.sort();
    found
}

#[test]
fn ids_and_class_names_never_become_paths() {
    let place = Place::new();
    let names = evil();
    let count = 4 * names.len();
    // Each name is an id, and each a class of four samples.
    let ids = (0..count).map(|i| match i / names.len() {
        0 => names[i].clone(),
        round => format!("{}{round}", names[i % names.len()]),
    });
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(StringArray::from_iter_values(ids))),
        ("label", Arc::new(StringArray::from_iter_values(names.iter().cycle().take(count)))),
        ("features", Arc::new(Float32Array::from_iter_values((0..count).map(|i| i as f32)))),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let input = place.path("in put #1/%2e%2e/\u{2025}.parquet");
    write_parquet(&input, &batch, 16);
    let before = files(&place.path("."));
    let recipe = toy_recipe(input.to_str().unwrap(), &place.text("run"), "");
    succeed(&["run", &place.recipe("toy.toml", &recipe), "--quiet"]);
    succeed(&["verify", &place.text("run")]);
    let written = files(&place.path("run"));
    for path in &written {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-./".contains(c);
        let rest = path.replace("README.md", "").replace("_SUCCESS", "");
        assert!(rest.chars().all(plain) && !path.contains("evil"), "{path}");
        assert!(path.split('/').all(|part| part != ".." && part.len() < 64), "{path}");
    }
    assert!(written.len() > 40, "{written:?}");
    std::fs::remove_dir_all(place.path("run")).unwrap();
    std::fs::remove_file(place.path("toy.toml")).unwrap();
    assert_eq!(files(&place.path(".")), before);
}

#[test]
fn a_split_is_no_path() {
    let place = Place::new();
    Toy::new(60, 2).write(&place.path("toy.parquet"));
    let recipe = toy_recipe(&place.text("toy.parquet"), &place.text("run"), "");
    for split in evil().into_iter().filter(|name| !name.contains('\0') && !name.starts_with('n')) {
        let path = place.recipe("toy.toml", &recipe);
        let set = format!("output.split={}", serde_json::to_string(&split).unwrap());
        let answer = run(&["run", &path, "--set", &set]);
        assert_eq!(answer.status.code(), Some(2), "{split:?}");
    }
    assert!(!place.path("run").exists());
}

#[test]
fn a_run_does_not_write_through_a_link() {
    for name in ["commits", "coreset", "models", "claims", "tables", "tasks", "coreset/data"] {
        let place = Place::new();
        Toy::new(60, 2).write(&place.path("toy.parquet"));
        std::fs::create_dir(place.path("outside")).unwrap();
        let link = place.path("run").join(name);
        std::fs::create_dir_all(link.parent().unwrap()).unwrap();
        symlink(place.path("outside"), &link).unwrap();
        let recipe = toy_recipe(&place.text("toy.parquet"), &place.text("run"), "");
        let answer = run(&["run", &place.recipe("toy.toml", &recipe), "--quiet"]);
        let stderr = String::from_utf8_lossy(&answer.stderr);
        assert_eq!(answer.status.code(), Some(1), "{name}");
        assert!(
            stderr.contains(link.to_str().unwrap()) && stderr.contains("symbolic link"),
            "{stderr}"
        );
        assert!(files(&place.path("outside")).is_empty(), "{name}");
        assert!(!place.path("run/manifest.json").exists(), "{name}");
    }
}

#[test]
fn a_run_directory_that_is_a_link_was_named_by_its_user() {
    let place = Place::new();
    Toy::new(60, 2).write(&place.path("toy.parquet"));
    std::fs::create_dir(place.path("elsewhere")).unwrap();
    symlink(place.path("elsewhere"), place.path("run")).unwrap();
    let recipe = toy_recipe(&place.text("toy.parquet"), &place.text("run"), "");
    succeed(&["run", &place.recipe("toy.toml", &recipe), "--quiet"]);
    succeed(&["verify", &place.text("run")]);
    assert!(place.path("elsewhere/manifest.json").exists());
}

#[test]
fn links_to_input_are_followed_as_caches_are_made_of_them() {
    let place = Place::new();
    Toy::new(60, 2).write(&place.path("blobs/0123"));
    std::fs::create_dir_all(place.path("snapshot/data")).unwrap();
    symlink("../../blobs/0123", place.path("snapshot/data/train.parquet")).unwrap();
    let recipe = toy_recipe(&place.text("snapshot"), &place.text("run"), "");
    succeed(&["run", &place.recipe("toy.toml", &recipe), "--quiet"]);
    succeed(&["verify", &place.text("run")]);
    // A link to itself leads nowhere, and a directory in itself has no end.
    symlink("loop.parquet", place.path("snapshot/loop.parquet")).unwrap();
    symlink("../snapshot", place.path("snapshot/again")).unwrap();
    let recipe = toy_recipe(&place.text("snapshot"), &place.text("other"), "");
    let answer = run(&["run", &place.recipe("toy.toml", &recipe), "--quiet"]);
    let stderr = String::from_utf8_lossy(&answer.stderr);
    assert_eq!(answer.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("snapshot") && !stderr.contains("panicked"), "{stderr}");
}
