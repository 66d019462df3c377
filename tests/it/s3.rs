//! Runs whose input, run directory and output are on S3: the same results as on local disk, readable
//! by other tools, and going on after the server was away.

use std::io::Write;
use std::process::{Child, Output, Stdio};
use std::time::{Duration, Instant};

use unseen::storage::{Upload, sha256_hex};

use crate::interop::{python, run_python};
use crate::server::{Bucket, Server};
use crate::support::{Place, Toy, dir, results_at, run, succeed, toy_recipe, unseen};

const QUICKSTART: &str = "pipelines/quickstart.toml";

/// The shipped recipe with other addresses and less training.
fn quickstart<'a>(verb: &'a str, settings: &'a [String]) -> Vec<&'a str> {
    let mut args = vec![verb, QUICKSTART, "--json"];
    for setting in settings {
        args.extend(["--set", setting.as_str()]);
    }
    args
}

fn settings(data: &str, output: &str) -> Vec<String> {
    let uris = [format!("data.uri={data}"), format!("output.uri={output}")];
    uris.into_iter().chain(["train.epochs=2".to_owned(), "folds.k=3".to_owned()]).collect()
}

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn the_quickstart_on_s3_equals_the_one_on_local_disk() {
    let Some(bucket) = Bucket::open("quickstart") else { return };
    let place = Place::new();
    let source = "data/fashion_mnist_6k.parquet";
    dir(&bucket.uri("data")).create("mnist.parquet", std::fs::read(source).unwrap()).unwrap();

    let local = settings(source, &place.text("run"));
    let local = json(&succeed(&[&quickstart("run", &local)[..], &["--quiet"]].concat()));
    let on_s3 = settings(&bucket.uri("data/"), &bucket.uri("run/"));
    let planned = json(&succeed(&quickstart("plan", &on_s3)));
    assert!(planned["tasks"].as_array().is_some_and(|tasks| !tasks.is_empty()), "{planned}");
    assert!(dir(&bucket.uri("run")).list("").unwrap().is_empty(), "plan has written something");

    let again = [&quickstart("run", &on_s3)[..], &["--quiet"]].concat();
    let first = json(&succeed(&again));
    assert_eq!(first["selection_sha256"], local["selection_sha256"]);
    assert_eq!(shards(&bucket.uri("run")), shards(&place.text("run")));

    let objects = dir(&bucket.uri("run")).list("").unwrap();
    assert_eq!(json(&succeed(&again))["selection_sha256"], local["selection_sha256"]);
    assert_eq!(
        dir(&bucket.uri("run")).list("").unwrap(),
        objects,
        "a finished run wrote something"
    );
    let status = json(&succeed(&["status", &bucket.uri("run"), "--json"]));
    assert_eq!(status["finished"], true);
    let verified = json(&succeed(&["verify", &bucket.uri("run"), "--json"]));
    assert_eq!(verified["passed"], true, "{verified}");

    let Some(python) = python() else { return };
    let (there, here) = (bucket.uri("run/coreset"), place.text("run/coreset"));
    run_python(&python, &["tests/python/check_s3.py", &there, &here]);
}

/// The shards of a run with their checksums.
fn shards(run: &str) -> Vec<(String, String)> {
    let mut files = results_at(run);
    files.retain(|(path, _)| path.starts_with("coreset/data/"));
    assert!(!files.is_empty());
    files
}

/// A run of some seconds with all that it needs on the server.
struct Slow {
    place: Place,
    uri: String,
    recipe: String,
}

impl Slow {
    /// Gives the run `storage` as the `[storage]` of its recipe.
    fn new(server: &Server, storage: &str) -> Self {
        let place = Place::new();
        Toy::new(3000, 4).write(&place.path("toy.parquet"));
        let toy = std::fs::read(place.path("toy.parquet")).unwrap();
        dir(&server.uri("")).create("toy.parquet", toy).unwrap();
        let uri = server.uri("run");
        let recipe = toy_recipe(&server.uri("toy.parquet"), &uri, storage)
            .replace("epochs = 3", "epochs = 60");
        let recipe = place.recipe("toy.toml", &recipe);
        Self { place, uri, recipe }
    }

    fn start(&self) -> Child {
        let mut command = unseen(&["run", &self.recipe, "--quiet"]);
        command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Waits until the run has done its first two tasks.
    fn under_way(&self, child: &mut Child) {
        let begun = Instant::now();
        while dir(&self.uri).list("commits").unwrap().len() < 3 {
            assert!(child.try_wait().unwrap().is_none(), "the run has ended");
            assert!(begun.elapsed() < Duration::from_mins(2), "the run does not begin");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The results are those of a run on local disk.
    fn check(&self) {
        let local = toy_recipe(&self.place.text("toy.parquet"), &self.place.text("run"), "")
            .replace("epochs = 3", "epochs = 60");
        succeed(&["run", &self.place.recipe("local.toml", &local), "--quiet"]);
        assert_eq!(shards(&self.uri), shards(&self.place.text("run")));
        succeed(&["verify", &self.uri]);
    }
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_run_waits_for_a_server_that_comes_back() {
    let Some(server) = Server::alone("short-outage") else { return };
    let slow = Slow::new(&server, "");
    let mut child = slow.start();
    slow.under_way(&mut child);
    let paused = server.pause();
    std::thread::sleep(Duration::from_secs(4));
    let waits = child.try_wait().unwrap().is_none();
    drop(paused);
    let output = child.wait_with_output().unwrap();
    assert!(waits && output.status.success(), "{waits} {}", stderr(&output));
    assert!(stderr(&output).contains("retry"), "no retry is logged:\n{}", stderr(&output));
    slow.check();
}

#[test]
fn a_run_whose_server_stays_away_fails_and_resumes() {
    let Some(server) = Server::alone("long-outage") else { return };
    let slow = Slow::new(&server, "[storage]\nretries = 2\nretry_seconds = 1\n");
    let mut child = slow.start();
    slow.under_way(&mut child);
    let paused = server.pause();
    let output = child.wait_with_output().unwrap();
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    let error = said.lines().find(|line| line.starts_with("error: ")).unwrap_or(&said);
    assert!(error.contains(&slow.uri), "the error names no object: {error}");
    assert!(!said.contains("panicked"), "{said}");
    let down = run(&["status", &slow.uri, "--storage", "retries=1"]);
    assert_eq!(down.status.code(), Some(1), "{}", stderr(&down));
    drop(paused);
    assert!(!dir(&slow.uri).exists("manifest.json").unwrap(), "half a run looks whole");
    succeed(&["run", &slow.recipe, "--quiet"]);
    slow.check();
}

#[test]
fn the_doctor_finds_all_that_a_run_needs_on_s3() {
    let Some(bucket) = Bucket::open("doctor") else { return };
    let found = json(&succeed(&["doctor", &bucket.uri("run"), "--json"]));
    assert_eq!(found["fit"], true, "{found:#}");
    let findings = found["findings"].as_array().unwrap();
    assert!(findings.iter().all(|finding| finding["works"] == true), "{found:#}");
    assert!(dir(&bucket.uri("run")).list("").unwrap().is_empty(), "the doctor left something");
}

#[test]
fn a_large_object_goes_to_s3_in_parts_and_an_abandoned_one_leaves_none() {
    let Some(bucket) = Bucket::open("parts") else { return };
    let place = dir(&bucket.uri("large"));
    let bytes: Vec<u8> = (0..30_000_000_u32).map(|i| (i ^ (i >> 9)) as u8).collect();
    let mut upload = Upload::new(&place, "whole");
    upload.write_all(&bytes).unwrap();
    assert!(!place.exists("whole").unwrap(), "half an object is in sight");
    assert_eq!(upload.finish().unwrap().sha256, sha256_hex(&bytes));
    assert_eq!(place.read("whole").unwrap(), bytes);

    let mut abandoned = Upload::new(&place, "abandoned");
    abandoned.write_all(&bytes).unwrap();
    drop(abandoned);
    assert_eq!(place.list("").unwrap(), ["whole"]);
    let Some(python) = python() else { return };
    run_python(&python, &["tests/python/no_open_uploads.py", &bucket.uri("large")]);
}
