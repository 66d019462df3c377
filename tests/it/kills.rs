//! The binary is killed at random moments and started again until it ends: nothing may differ.
//!
//! `UNSEEN_KILLS=300` makes the loops longer.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, BinaryArray};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::record_batch::RecordBatch;
use unseen::seed::Seed;
use unseen::storage::crash::Point;
use unseen::storage::sha256_hex;

use crate::server::Bucket;
use crate::support::{Place, Toy, dir, results_at, succeed, toy_recipe, unseen, write_parquet};

#[test]
fn twenty_kills_never_change_a_byte() {
    let place = Place::new();
    kill_loop(&place, &place.text("here"), 20);
}

#[test]
fn ten_kills_never_change_a_byte_on_s3() {
    let Some(bucket) = Bucket::open("kills") else { return };
    kill_loop(&Place::new(), &bucket.uri("here"), 10);
}

/// Kills runs whose input and output are below `base` until there have been enough kills.
fn kill_loop(place: &Place, base: &str, usual: usize) {
    let wanted = match std::env::var("UNSEEN_KILLS") {
        Ok(kills) => kills.parse().unwrap(),
        Err(_) => usual,
    };
    Toy::new(3000, 4).write(&place.path("toy.parquet"));
    let toy = std::fs::read(place.path("toy.parquet")).unwrap();
    dir(base).create("toy.parquet", toy).unwrap();
    let whole = Instant::now();
    succeed(&["run", &recipe(place, base, "undisturbed"), "--quiet"]);
    let whole = whole.elapsed();
    let expected = results_at(&format!("{base}/undisturbed"));

    let mut random = Seed::new(99).rng();
    let (mut kills, mut round) = (0, 0);
    while kills < wanted {
        round += 1;
        let path = recipe(place, base, &format!("killed-{round}"));
        let run = format!("{base}/killed-{round}");
        let (mut here, mut seen) = (0, BTreeMap::new());
        while killed(&path, whole.mul_f32(0.05 + 0.6 * random.unit())) {
            here += 1;
            look(&run, &mut seen);
        }
        kills += here;
        succeed(&["run", &path, "--quiet"]);
        let found = results_at(&run);
        assert_eq!(found, expected, "after {kills} kills");
        for shard in &seen {
            let known = found.iter().any(|(path, sha256)| (path, sha256) == shard);
            assert!(known, "a reader saw {shard:?}, which no manifest names");
        }
        succeed(&["verify", &run]);
        let repeated = repeated_attempts(&run);
        let most = here * at_once();
        assert!(repeated <= most, "{here} kills, but {repeated} attempts were begun again");
        assert!(round < 10 * wanted, "the run ends before it can be killed");
    }
    println!("{kills} kills in {round} runs below {base}, a whole one takes {whole:?}");
}

fn recipe(place: &Place, base: &str, name: &str) -> String {
    let text = toy_recipe(&format!("{base}/toy.parquet"), &format!("{base}/{name}"), "");
    place.recipe(&format!("{name}.toml"), &text.replace("epochs = 3", "epochs = 30"))
}

/// Starts a run and kills it after a while. False if it came to its end first.
fn killed(recipe: &str, after: Duration) -> bool {
    let mut command = unseen(&["run", recipe, "--quiet"]);
    let mut child = command.stderr(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
    std::thread::sleep(after.max(Duration::from_millis(5)));
    if child.try_wait().unwrap().is_some() {
        return false;
    }
    child.kill().unwrap();
    child.wait().unwrap();
    true
}

/// What a reader finds after a kill: if there is a manifest, every file that it names is whole; the
/// shards that are in sight join `seen`, with their checksums.
fn look(run: &str, seen: &mut BTreeMap<String, String>) {
    let dir = dir(run);
    let sha256 = |path: &str| sha256_hex(&dir.read(path).unwrap());
    if dir.exists("manifest.json").unwrap() {
        for (path, named) in results_at(run) {
            assert_eq!(sha256(&path), named, "{path} is not whole");
        }
    }
    for shard in dir.list("coreset/data").unwrap() {
        let now = sha256(&shard);
        let before = seen.insert(shard.clone(), now.clone());
        assert!(before.is_none_or(|before| before == now), "{shard} has changed");
    }
}

/// The most tasks that a run of three folds does side by side here.
fn at_once() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).min(3)
}

/// Attempts beyond the first of each task: the work that kills caused to be done again.
fn repeated_attempts(run: &str) -> usize {
    let status: serde_json::Value =
        serde_json::from_str(&succeed(&["status", run, "--json"])).unwrap();
    let attempts = |task: &serde_json::Value| task["attempts"].as_u64().unwrap() as usize;
    status["tasks"].as_array().unwrap().iter().map(|task| attempts(task).saturating_sub(1)).sum()
}

#[test]
fn two_processes_on_one_run_agree() {
    let place = Place::new();
    Toy::new(1500, 4).write(&place.path("toy.parquet"));
    let path =
        place.recipe("toy.toml", &toy_recipe(&place.text("toy.parquet"), &place.text("run"), ""));
    let start = || {
        unseen(&["run", &path, "--json"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    };
    let outputs: Vec<_> =
        [start(), start(), start()].map(|child| child.wait_with_output().unwrap()).into();
    for output in &outputs {
        assert!(output.status.success());
        assert_eq!(output.stdout, outputs[0].stdout);
    }
    succeed(&["verify", &place.text("run")]);
}

#[test]
fn a_death_at_any_named_point_changes_nothing() {
    let place = Place::new();
    Toy::new(300, 3).write(&place.path("small.parquet"));
    let small = Deaths::new(&place, "small");
    for point in Point::ALL.into_iter().filter(|point| *point != Point::PartSent) {
        assert!(small.at(point, 1), "{} is never passed", point.name());
        // In the middle of the run and towards its end; some points are passed only once.
        small.at(point, 5);
        small.at(point, 13);
    }
    // Only large shards are sent in parts.
    write_parquet(&place.path("large.parquet"), &with_blobs(&Toy::new(300, 3), 80_000), 50);
    assert!(Deaths::new(&place, "large").at(Point::PartSent, 1), "no part is sent");
}

/// The rows of a toy, each with this many bytes that do not compress.
fn with_blobs(toy: &Toy, size: usize) -> RecordBatch {
    let rows = toy.batch(0..toy.ids.len());
    let mut random = Seed::new(7).rng();
    let mut blob = || (0..size).map(|_| random.below(256) as u8).collect::<Vec<u8>>();
    let blobs: BinaryArray = (0..rows.num_rows()).map(|_| Some(blob())).collect();
    let field = Field::new("blob", DataType::Binary, true);
    let fields: Vec<_> = rows.schema().fields().iter().cloned().chain([Arc::new(field)]).collect();
    let columns = rows.columns().iter().cloned().chain([Arc::new(blobs) as ArrayRef]).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

/// Runs on one dataset that die, and what they must come to.
struct Deaths<'a> {
    place: &'a Place,
    data: &'a str,
    expected: BTreeMap<String, String>,
}

impl<'a> Deaths<'a> {
    fn new(place: &'a Place, data: &'a str) -> Self {
        let mut deaths = Self { place, data, expected: BTreeMap::new() };
        let name = format!("{data}-undisturbed");
        succeed(&["run", &deaths.recipe(&name), "--quiet"]);
        deaths.expected = results_at(&place.text(&name)).into_iter().collect();
        deaths
    }

    fn recipe(&self, name: &str) -> String {
        let data = self.place.text(&format!("{}.parquet", self.data));
        let text = toy_recipe(&data, &self.place.text(name), "");
        let text = text.replace("epochs = 3", "epochs = 3\ncheckpoint_epochs = 1");
        self.place.recipe(&format!("{name}.toml"), &text)
    }

    /// Whether the run died at the n-th passage of the point; then it is resumed and compared.
    fn at(&self, point: Point, time: usize) -> bool {
        let name = format!("{}-{}-{time}", self.data, point.name());
        let (path, run) = (self.recipe(&name), self.place.text(&name));
        let died = unseen(&["run", &path, "--quiet"])
            .env("UNSEEN_CRASH_AT", format!("{}:{time}", point.name()))
            .stderr(Stdio::null())
            .stdout(Stdio::null())
            .status()
            .unwrap();
        look(&run, &mut BTreeMap::new());
        succeed(&["run", &path, "--quiet"]);
        let results: BTreeMap<_, _> = results_at(&run).into_iter().collect();
        assert_eq!(results, self.expected, "{name}");
        assert!(repeated_attempts(&run) <= at_once(), "{name}: tasks were done again");
        !died.success()
    }
}
