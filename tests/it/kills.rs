//! The binary is killed at random moments and started again until it ends: nothing may differ.

use std::process::Stdio;
use std::time::Duration;

use unseen::seed::Seed;
use unseen::storage::crash::Point;

use crate::support::{Place, Toy, results, succeed, toy_recipe, unseen};

const KILLS: usize = 20;

#[test]
fn twenty_kills_never_change_a_byte() {
    let place = Place::new();
    Toy::new(3000, 4).write(&place.path("toy.parquet"));
    let recipe = |name: &str| {
        let text = toy_recipe(&place.text("toy.parquet"), &place.text(name), "")
            .replace("epochs = 3", "epochs = 30");
        place.recipe(&format!("{name}.toml"), &text)
    };
    let started = std::time::Instant::now();
    succeed(&["run", &recipe("undisturbed"), "--quiet"]);
    let whole = started.elapsed();
    let expected = results(&place.path("undisturbed"));

    let mut random = Seed::new(99).rng();
    let (mut kills, mut round) = (0, 0);
    while kills < KILLS {
        round += 1;
        let name = format!("killed-{round}");
        let path = recipe(&name);
        loop {
            let mut child = unseen(&["run", &path, "--quiet"])
                .stderr(Stdio::null())
                .stdout(Stdio::null())
                .spawn()
                .unwrap();
            std::thread::sleep(
                whole.mul_f32(0.05 + 0.6 * random.unit()).max(Duration::from_millis(5)),
            );
            if child.try_wait().unwrap().is_some() {
                break;
            }
            child.kill().unwrap();
            child.wait().unwrap();
            kills += 1;
            no_half_results(&place, &name);
        }
        succeed(&["run", &path, "--quiet"]);
        assert_eq!(results(&place.path(&name)), expected, "after {kills} kills");
        succeed(&["verify", &place.text(&name)]);
        assert!(round < 10 * KILLS, "the run ends before it can be killed");
    }
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

/// Whatever a kill left: a manifest is only there when every file that it names is.
fn no_half_results(place: &Place, name: &str) {
    let run = place.path(name);
    if run.join("manifest.json").exists() {
        for (path, sha256) in results(&run) {
            let bytes = std::fs::read(run.join(&path)).unwrap();
            assert_eq!(unseen::storage::sha256_hex(&bytes), sha256, "{path} is not whole");
        }
    }
}

#[test]
fn a_death_at_any_named_point_changes_nothing() {
    let place = Place::new();
    Toy::new(300, 3).write(&place.path("toy.parquet"));
    let recipe = |name: &str| {
        let text = toy_recipe(&place.text("toy.parquet"), &place.text(name), "");
        place.recipe(&format!("{name}.toml"), &text)
    };
    succeed(&["run", &recipe("undisturbed"), "--quiet"]);
    let expected = results(&place.path("undisturbed"));
    let mut deaths = 0;
    for point in Point::ALL {
        // The first time, in the middle, and towards the end of the run.
        for time in [1, 5, 13] {
            let name = format!("{}-{time}", point.name());
            let path = recipe(&name);
            let died = unseen(&["run", &path, "--quiet"])
                .env("UNSEEN_CRASH_AT", format!("{}:{time}", point.name()))
                .stderr(Stdio::null())
                .stdout(Stdio::null())
                .status()
                .unwrap();
            deaths += usize::from(!died.success());
            no_half_results(&place, &name);
            succeed(&["run", &path, "--quiet"]);
            assert_eq!(results(&place.path(&name)), expected, "{name}");
            repeated_at_most(&place.text(&name), 1);
        }
    }
    // Every point is passed; some only once, and no tiny shard is sent in parts.
    assert!(deaths >= Point::ALL.len() + 6, "only {deaths} deaths");
}

/// How many attempts there were beyond one for each task.
fn repeated_at_most(run: &str, most: u64) {
    let status: serde_json::Value =
        serde_json::from_str(&succeed(&["status", run, "--json"])).unwrap();
    let attempts = |t: &serde_json::Value| t["attempts"].as_u64().unwrap();
    let repeated: u64 =
        status["tasks"].as_array().unwrap().iter().map(|t| attempts(t).saturating_sub(1)).sum();
    assert!(repeated <= most, "{repeated} tasks were done again:\n{status:#}");
}
