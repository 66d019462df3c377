//! Same input, recipe and seed, same bytes: for any number of threads and any order of the input.

use std::collections::BTreeSet;
use std::sync::Mutex;

use unseen::run::{Observer, Run};

use crate::scores::write_pictures;
use crate::support::{Place, Toy, results, succeed, toy_recipe, write_parquet};

#[test]
fn threads_do_not_change_a_byte() {
    let place = Place::new();
    Toy::new(1200, 3).write(&place.path("toy.parquet"));
    let mut all = Vec::new();
    // Wide enough for the matrix products to be split over threads.
    let wide = ["--set", "model.hidden=[256]", "--set", "train.batch_size=256"];
    for threads in ["1", "2", "5"] {
        let name = format!("run-{threads}");
        let recipe = place.recipe(
            &format!("{name}.toml"),
            &toy_recipe(&place.text("toy.parquet"), &place.text(&name), ""),
        );
        succeed(&[&["run", &recipe, "--threads", threads, "--quiet"], &wide[..]].concat());
        all.push(results(&place.path(&name)));
    }
    assert_eq!(all[0], all[1], "1 and 2 threads");
    assert_eq!(all[0], all[2], "1 and 5 threads");
}

/// Sees which trainings run side by side.
#[derive(Default)]
struct SideBySide {
    running: Mutex<BTreeSet<String>>,
    most: Mutex<usize>,
}

impl Observer for SideBySide {
    fn begin(&self, task: &str, _: u64, _: u64) {
        let mut running = self.running.lock().unwrap();
        running.insert(task.to_owned());
        let mut most = self.most.lock().unwrap();
        *most = running.len().max(*most);
    }

    fn advance(&self, task: &str, _: u64, _: &str) {
        assert!(self.running.lock().unwrap().contains(task));
    }

    fn end(&self, task: &str, _: &str) {
        assert!(self.running.lock().unwrap().remove(task));
    }

    fn wait(&self, _: &str, _: &str) {}

    fn warn(&self, _: &str) {}
}

#[test]
fn trainings_side_by_side_do_not_change_a_byte() {
    let place = Place::new();
    write_pictures(&place.path("toy.parquet"), 96);
    let run = |name: &str, (arch, epochs): (&str, usize), threads: usize| {
        let text = toy_recipe(&place.text("toy.parquet"), &place.text(name), "")
            .replace("epochs = 3", &format!("epochs = {epochs}\nflip = true\ncrop = 1"))
            .replace("features = \"features\"", "image = \"image\"")
            .replace("arch = \"mlp\"", &format!("arch = \"{arch}\"\nwidth = 16\nblocks = 2"));
        let recipe = unseen::recipe::parse(&text, name, &[]).unwrap();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let seen = SideBySide::default();
        pool.install(|| Run::new(recipe).unwrap().execute(&seen)).unwrap();
        let all = 3.min(threads);
        let most = *seen.most.lock().unwrap();
        assert_eq!(most, all, "{arch}: side by side with {threads} threads");
        results(&place.path(name))
    };
    // The fast path of convolution nets, dense layers, and Candle's own operations, a few slow steps of which do.
    for job in [("convnet", 20), ("mlp", 20), ("vit_tiny", 1)] {
        let arch = job.0;
        let one = run(&format!("{arch}-1"), job, 1);
        for threads in [2, 3, 4] {
            let name = format!("{arch}-{threads}");
            assert_eq!(run(&name, job, threads), one, "{arch} with {threads} threads");
        }
    }
}

#[test]
fn the_order_of_files_and_rows_does_not_change_selection_or_shards() {
    let place = Place::new();
    let toy = Toy::new(900, 3);
    write_parquet(&place.path("a/x.parquet"), &toy.batch(0..400), 64);
    write_parquet(&place.path("a/y.parquet"), &toy.batch(400..900), 1000);
    // The same rows elsewhere: other files, other row groups, reversed.
    write_parquet(&place.path("b/p.parquet"), &toy.batch((0..500).rev()), 17);
    write_parquet(&place.path("b/q.parquet"), &toy.batch((500..900).rev()), 1000);
    let uris = [
        format!("[\"{0}/x.parquet\", \"{0}/y.parquet\"]", place.text("a")),
        format!("[\"{0}/y.parquet\", \"{0}/x.parquet\"]", place.text("a")),
        format!("\"{}\"", place.text("b")),
    ];
    let mut outcomes = Vec::new();
    for (i, uri) in uris.iter().enumerate() {
        let name = format!("run-{i}");
        let text = toy_recipe("DATA", &place.text(&name), "").replace("\"DATA\"", uri);
        succeed(&["run", &place.recipe(&format!("{name}.toml"), &text), "--quiet"]);
        outcomes.push(results(&place.path(&name)));
    }
    assert_eq!(outcomes[0], outcomes[1], "the same files listed in another order");
    let independent_of_place = |all: &[(String, String)]| -> Vec<(String, String)> {
        let about_rows = |p: &str| p.contains("samples.parquet") || p.contains("_view");
        all.iter().filter(|(path, _)| !about_rows(path)).cloned().collect()
    };
    assert_eq!(
        independent_of_place(&outcomes[0]),
        independent_of_place(&outcomes[2]),
        "the same rows in other files"
    );
    assert!(outcomes[0].iter().any(|(path, _)| path.starts_with("coreset/data/")));
}

#[test]
fn another_seed_gives_another_selection() {
    let place = Place::new();
    Toy::new(300, 3).write(&place.path("toy.parquet"));
    let digest = |seed: &str| {
        let name = format!("run-{seed}");
        let recipe = place
            .recipe("toy.toml", &toy_recipe(&place.text("toy.parquet"), &place.text(&name), ""));
        let text =
            succeed(&["run", &recipe, "--set", &format!("seed={seed}"), "--quiet", "--json"]);
        serde_json::from_str::<serde_json::Value>(&text).unwrap()["selection_sha256"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert_ne!(digest("1"), digest("2"));
}
