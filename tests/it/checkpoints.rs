//! A training that is killed goes on from its last checkpoint, and nobody can tell from the results.

use std::process::{Output, Stdio};

use serde_json::Value;

use crate::scores::write_pictures;
use crate::support::{Place, results, run, succeed, toy_recipe, unseen};

/// The training that is killed: 32 samples in batches of 16, so 4 epochs of 2 steps.
const TASK: &str = "train-s1-m0";

const EVERY_EPOCH: &str = "train.checkpoint_epochs=1";

/// So short that one is due before every step.
const EVERY_STEP: &str = "train.checkpoint_minutes=1e-9";

/// Runs on pictures with watched trainings, and what they must come to.
struct Trainings {
    place: Place,
    arch: &'static str,
    expected: Vec<(String, String)>,
}

impl Trainings {
    fn new(arch: &'static str) -> Self {
        let place = Place::new();
        write_pictures(&place.path("toy.parquet"), 96);
        let mut trainings = Self { place, arch, expected: Vec::new() };
        succeed(&["run", &trainings.recipe("undisturbed"), "--quiet"]);
        trainings.expected = results(&trainings.place.path("undisturbed"));
        trainings
    }

    fn recipe(&self, name: &str) -> String {
        let watched = "[score]\nmethods = [\"forgetting\", \"tdds\"]\ntrajectory.window = 3";
        let text = toy_recipe(&self.place.text("toy.parquet"), &self.place.text(name), watched)
            .replace("epochs = 3", "epochs = 4\nflip = true\ncrop = 1")
            .replace("features = \"features\"", "image = \"image\"")
            .replace("arch = \"mlp\"", &format!("arch = \"{}\"\nwidth = 4\nblocks = 2", self.arch));
        self.place.recipe(&format!("{name}.toml"), &text)
    }

    /// A run that died at `point` while it kept checkpoints so often; its directory.
    fn died(&self, name: &str, often: &str, point: &str) -> String {
        let args = ["run", &self.recipe(name), "--quiet", "--threads", "1", "--set", often];
        let mut command = unseen(&args);
        command.env("UNSEEN_CRASH_AT", point).stderr(Stdio::null()).stdout(Stdio::null());
        assert!(!command.status().unwrap().success(), "{point} is never passed");
        self.place.text(name)
    }

    /// Goes on to the end with another cadence, which is no other run.
    fn end(&self, name: &str) {
        succeed(&["run", &self.recipe(name), "--quiet", "--set", "train.checkpoint_minutes=0"]);
        assert_eq!(results(&self.place.path(name)), self.expected, "{}: {name}", self.arch);
        let dir = self.place.text(name);
        succeed(&["verify", &dir]);
        assert!(!self.checkpoint(name).exists(), "the task is committed");
    }

    fn checkpoint(&self, name: &str) -> std::path::PathBuf {
        self.place.path(name).join("checkpoints").join(TASK)
    }
}

/// Does the training that was killed, and dies if it needs more than `steps` steps.
fn within(steps: usize, dir: &str) -> Output {
    let mut command = unseen(&["task", "run", "--run", dir, "--id", TASK]);
    command.env("UNSEEN_CRASH_AT", format!("training-step:{}", steps + 1)).output().unwrap()
}

#[test]
fn a_training_that_is_killed_goes_on_with_the_same_bytes() {
    for arch in ["convnet", "mlp"] {
        let trainings = Trainings::new(arch);
        for (name, often, point, left) in [
            ("in-an-epoch", EVERY_EPOCH, "training-step:6", 4),
            ("between-epochs", EVERY_EPOCH, "training-step:5", 4),
            ("after-a-step", EVERY_STEP, "checkpointed:3", 5),
            ("at-the-last-step", EVERY_STEP, "training-step:8", 2),
            ("before-the-record", EVERY_STEP, "before-commit:3", 1),
        ] {
            let dir = trainings.died(name, often, point);
            assert!(trainings.checkpoint(name).exists(), "{arch}: {name}");
            assert!(!within(left - 1, &dir).status.success(), "{arch}: {name} has nothing to do");
            let output = within(left, &dir);
            assert!(output.status.success(), "{arch}: {name} does more than is left: {output:?}");
            assert!(!trainings.checkpoint(name).exists());
            trainings.end(name);
        }
    }
}

#[test]
fn a_checkpoint_that_is_damaged_or_of_another_run_is_not_trusted() {
    let trainings = Trainings::new("mlp");
    let other = {
        let dir = trainings.died("other", "seed=9", "claimed:3");
        std::fs::create_dir(format!("{dir}/checkpoints")).unwrap();
        succeed(&["status", &dir]);
        trainings.died("elsewhere", EVERY_EPOCH, "training-step:6");
        std::fs::copy(trainings.checkpoint("elsewhere"), trainings.checkpoint("other")).unwrap();
        within(8, &dir)
    };
    assert!(other.status.success(), "{other:?}");
    assert!(String::from_utf8_lossy(&other.stderr).contains("of another run"), "{other:?}");
    for (name, byte) in [("head", 20), ("state", 400)] {
        let dir = trainings.died(name, EVERY_EPOCH, "training-step:6");
        let mut bytes = std::fs::read(trainings.checkpoint(name)).unwrap();
        bytes[byte] ^= 4;
        std::fs::write(trainings.checkpoint(name), bytes).unwrap();
        let output = within(8, &dir);
        assert!(output.status.success(), "{output:?}");
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(told.contains(&format!("{TASK} begins anew")), "{told}");
        trainings.end(name);
    }
}

#[test]
fn plan_status_and_clean_know_checkpoints() {
    let trainings = Trainings::new("convnet");
    let json = |args: &[&str]| -> Value { serde_json::from_str(&succeed(args)).unwrap() };
    let dir = trainings.died("run", EVERY_EPOCH, "training-step:6");
    let recipe = trainings.recipe("run");
    let bytes = std::fs::metadata(trainings.checkpoint("run")).unwrap().len();
    let planned = json(&["plan", &recipe, "--json"])["checkpoint_bytes"].as_u64().unwrap();
    assert!(bytes.abs_diff(planned) < 1500, "{bytes} bytes, {planned} planned");
    let none = ["plan", &recipe, "--json", "--set", "train.checkpoint_minutes=0"];
    assert_eq!(json(&none)["checkpoint_bytes"], 0);

    let status = json(&["status", &dir, "--json"]);
    let task = status["tasks"].as_array().unwrap().iter().find(|task| task["task"] == TASK);
    assert!(task.unwrap()["checkpoint_seconds"].as_u64().unwrap() < 600, "{task:?}");
    assert!(succeed(&["status", &dir]).contains(", checkpoint of "));

    let litter = || -> Vec<String> {
        let cleaned = json(&["clean", &dir, "--json", "--older-than", "0s", "--delete"]);
        let paths = cleaned["litter"].as_array().unwrap().iter();
        paths.map(|object| object["path"].as_str().unwrap().to_owned()).collect()
    };
    let kept = std::fs::read(trainings.checkpoint("run")).unwrap();
    assert!(!litter().iter().any(|path| path.starts_with("checkpoints/")), "it is needed");
    trainings.end("run");
    // As if the process had died between the record and the removal.
    std::fs::write(trainings.checkpoint("run"), kept).unwrap();
    assert_eq!(run(&["verify", &dir]).status.code(), Some(0));
    assert!(litter().contains(&format!("checkpoints/{TASK}")));
    assert_eq!(run(&["verify", &dir]).status.code(), Some(0));
}
