//! The map in ARCHITECTURE.md, held against the imports.

use std::path::{Path, PathBuf};

/// Which rooms a room may use.
const MAY_USE: &[(&str, &[&str])] = &[
    ("secret", &[]),
    ("error", &["secret"]),
    ("fence", &[]),
    ("sql", &["error", "fence"]),
    ("seed", &[]),
    ("distance", &[]),
    ("evaluation", &["error"]),
    ("samples", &["error"]),
    ("recipe", &["error", "secret"]),
    ("tables", &["error", "recipe"]),
    ("storage", &["error", "fence", "recipe", "samples", "secret", "tables"]),
    ("ingest", &["error", "fence", "recipe", "samples", "sql", "storage", "tables"]),
    ("folds", &["distance", "error", "recipe", "seed"]),
    ("models", &["error", "recipe", "samples", "seed"]),
    ("training", &["error", "recipe", "samples", "seed", "models"]),
    ("scoring", &["distance", "error", "recipe", "seed"]),
    (
        "external",
        &[
            "error",
            "ingest",
            "recipe",
            "samples",
            "scoring",
            "seed",
            "selection",
            "storage",
            "tables",
        ],
    ),
    ("selection", &["error", "recipe", "scoring", "seed", "sql", "tables"]),
    ("lazy", &["error", "folds", "recipe", "scoring", "seed", "selection"]),
    ("shards", &["error", "recipe", "samples", "seed", "storage", "tables"]),
    ("report", &["error", "evaluation", "run"]),
    ("records", &["error", "recipe", "run", "storage"]),
];

/// Which files may name a crate.
const ONLY_IN: &[(&str, &[&str])] = &[
    ("object_store", &["src/storage/"]),
    // `::parquet` is the crate; `storage::parquet` is ours. Shards say how columns are encoded.
    ("::parquet::", &["src/storage/", "src/shards/encode.rs", "src/shards/tests.rs"]),
    (
        "polars",
        &[
            "src/storage/frame.rs",
            "src/selection/",
            "src/external/select.rs",
            "src/external/metadata.rs",
            "src/sql.rs",
            "src/lazy/",
            "src/error.rs",
            "src/run/attempt.rs",
            "src/run/metadata.rs",
            "src/run/stages.rs",
            "src/run/verify/method.rs",
            "src/run/summary.rs",
            "src/lib.rs",
        ],
    ),
    ("candle_core", &["src/models/", "src/training/", "src/error.rs"]),
    ("candle_nn", &["src/models/", "src/training/"]),
    ("usvg", &["src/report/png.rs"]),
    ("tiny_skia", &["src/report/png.rs"]),
];

fn sources() -> Vec<(String, String)> {
    fn walk(dir: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|e| e == "rs") {
                found.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = Vec::new();
    walk(&root.join("src"), &mut paths);
    paths.sort();
    let relative = |p: &PathBuf| p.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
    paths
        .iter()
        .map(|p| (relative(p), product_code(&std::fs::read_to_string(p).unwrap())))
        .collect()
}

/// The text without comments and without what stands behind the first `#[cfg(test)]`.
fn product_code(text: &str) -> String {
    let code = text.split("\n#[cfg(test)]\nmod").next().unwrap();
    code.lines().filter(|l| !l.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

fn is_test_file(path: &str) -> bool {
    path.ends_with("tests.rs") || path.contains("/tests/") || path.ends_with("reference.rs")
}

/// The rooms that a text names: `crate::room` and `crate::{room, other::Item}`.
fn used_rooms(code: &str) -> Vec<String> {
    let word = |text: &str| -> String {
        text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
    };
    let mut rooms = Vec::new();
    for after in code.split("crate::").skip(1) {
        let Some(list) = after.strip_prefix('{') else {
            rooms.push(word(after));
            continue;
        };
        let mut depth = 0;
        let mut item = String::new();
        for c in list.chars() {
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => rooms.push(word(&std::mem::take(&mut item))),
                _ => {}
            }
            if c != ',' || depth > 0 {
                item.push(c);
            }
        }
        rooms.push(word(&item));
    }
    rooms
}

#[test]
fn used_rooms_are_found_in_every_form() {
    let code =
        "use crate::run::Run; use crate::{folds, models::{Net, open},\n cli}; crate::seed::Seed";
    assert_eq!(used_rooms(code), ["run", "folds", "models", "cli", "seed"]);
}

#[test]
fn rooms_use_only_what_the_map_allows() {
    let rooms: Vec<&str> = MAY_USE.iter().map(|(name, _)| *name).chain(["run", "cli"]).collect();
    let mut wrong = Vec::new();
    for (path, code) in sources().iter().filter(|(path, _)| !is_test_file(path)) {
        let room = path.trim_start_matches("src/").split(['/', '.']).next().unwrap();
        let Some((_, allowed)) = MAY_USE.iter().find(|(name, _)| *name == room) else { continue };
        for used in used_rooms(code).iter().map(String::as_str).filter(|used| rooms.contains(used))
        {
            if used != room && !allowed.contains(&used) {
                wrong.push(format!("{path} uses {used}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn heavy_crates_stay_in_their_rooms() {
    let mut wrong = Vec::new();
    for (path, code) in sources().iter().filter(|(path, _)| !is_test_file(path)) {
        for (name, rooms) in ONLY_IN {
            let names =
                code.contains(&format!("{name}::")) || code.contains(&format!("use {name}"));
            if names && !rooms.iter().any(|room| path.starts_with(room)) {
                wrong.push(format!("{path} names {name}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_module_says_what_it_is() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (path, _) in sources() {
        let text = std::fs::read_to_string(root.join(&path)).unwrap();
        assert!(text.starts_with("//!"), "{path} has no module documentation");
    }
}

#[test]
fn promises_name_tests_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| std::fs::read_to_string(root.join(path));
    for page in ["docs/storage.md", "SECURITY.md"] {
        let text = read(page).unwrap();
        let mut file = String::new();
        let mut named = 0;
        // Every other piece between backquotes is code; a name of a test follows its file.
        for code in text.split('`').skip(1).step_by(2) {
            if Path::new(code).extension().is_some_and(|e| e == "rs") {
                let at =
                    if code.contains('/') { code.to_owned() } else { format!("tests/it/{code}") };
                file = read(&at).unwrap_or_else(|_| panic!("{page} names {code}"));
                named += 1;
            } else if code.split('_').count() > 3
                && code.chars().all(|c| c == '_' || c.is_lowercase())
            {
                assert!(file.contains(&format!("fn {code}()")), "{page} names {code}");
                named += 1;
            }
        }
        assert!(named > 5, "{page} names only {named} tests");
    }
}
