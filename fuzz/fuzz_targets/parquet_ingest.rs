//! Any bytes as a dataset: they are read or refused, and nothing panics or grows without bound.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;
use unseen::ingest;
use unseen::recipe::{Data, parse};

static PLACE: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir().expect("a folder"));

/// libFuzzer's hook ends the process at any panic. One that ends at a fence is an answer, not a
/// finding; one that gets out of the target still ends the process.
static HOOK: LazyLock<()> = LazyLock::new(|| std::panic::set_hook(Box::new(|_| ())));

/// The columns of the seeds; what a file lacks is refused early.
const COLUMNS: [&str; 5] = [
    "features = 'features'",
    "features = ['x', 'y']",
    "image = 'image'",
    "image = 'image'\nid_from = 'content'",
    "features = 'x'\nfilter = \"label <> 'dog'\"",
];

static DATA: LazyLock<Vec<Data>> = LazyLock::new(|| {
    let file = PLACE.path().join("input.parquet");
    let data = |columns: &str| {
        let text = format!(
            "[data]\nuri = '{}'\n{columns}\n[select]\nkeep = 0.5\n[output]\nuri = 'run'",
            file.display()
        );
        parse(&text, "fuzz.toml", &[]).expect("a recipe").data
    };
    COLUMNS.map(data).into()
});

fuzz_target!(|bytes: &[u8]| {
    LazyLock::force(&HOOK);
    std::fs::write(PLACE.path().join("input.parquet"), bytes).expect("room");
    for data in DATA.iter() {
        let _ = ingest::survey(data, None)
            .and_then(|survey| ingest::load(&survey, data, &ingest::Room::default()));
    }
});
