//! The laws between fields. Types, choices and ranges are held by `shape`.

mod score;
mod select;

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::address;
use super::devices::Devices;
use super::types::{Arch, FoldsBy, OneOrMany, Optimizer, Precision, Recipe, Schedule};
use crate::secret::holds_user;

/// Shares are compared with this tolerance, because 0.1 + 0.2 is not 0.3.
const ROUNDING: f64 = 1e-9;

/// The smallest row group, in bytes. One kB makes thousands of files; it is there for tests.
const MIN_BYTES: u64 = 1000;

/// A broken law, and the keys it speaks of, the one to blame first.
pub(super) struct Fault {
    pub(super) keys: &'static [&'static str],
    pub(super) message: String,
}

/// The broken laws.
pub(super) fn faults(recipe: &Recipe) -> Vec<Fault> {
    let mut laws = Laws(Vec::new());
    inputs(&mut laws, recipe);
    places(&mut laws, recipe);
    device(&mut laws, recipe);
    model(&mut laws, recipe);
    train(&mut laws, recipe);
    schedule(&mut laws, recipe);
    folds(&mut laws, recipe);
    score::score(&mut laws, recipe);
    select::laws(&mut laws, recipe);
    output(&mut laws, recipe);
    storage(&mut laws, recipe);
    laws.0
}

struct Laws(Vec<Fault>);

impl Laws {
    fn hold(&mut self, holds: bool, keys: &'static [&'static str], otherwise: impl Into<String>) {
        if !holds {
            self.0.push(Fault { keys, message: otherwise.into() });
        }
    }
}

fn inputs(laws: &mut Laws, recipe: &Recipe) {
    let data = &recipe.data;
    let (image, features) = (data.image.is_some(), data.features.is_some());
    laws.hold(
        image || features,
        &["data.image"],
        "[data] needs `image` or `features`: the column that models see",
    );
    laws.hold(
        !(image && features),
        &["data.features", "data.image"],
        "[data] has `image` and `features`; models see one of them",
    );
    let columns = data.features.as_ref().map_or(&[][..], |f| f.as_slice());
    laws.hold(
        columns.iter().all(|name| !name.is_empty()),
        &["data.features"],
        "`data.features` has an empty name",
    );
    laws.hold(distinct(columns), &["data.features"], "`data.features` names a column twice");
    laws.hold(
        image || data.resize.is_none(),
        &["data.resize"],
        "`data.resize` is for images, but the recipe has no `data.image`",
    );
}

fn places(laws: &mut Laws, recipe: &Recipe) {
    let uris = recipe.data.uri.as_slice();
    let inputs: Vec<_> = uris.iter().map(|uri| place(laws, &["data.uri"], uri)).collect();
    for uri in recipe.evaluate.uri.as_ref().map_or(&[][..], OneOrMany::as_slice) {
        place(laws, &["evaluate.uri"], uri);
    }
    let uri = recipe.output.uri.as_str();
    let Some(output) = place(laws, &["output.uri"], uri) else { return };
    let holds = |input: &Option<PathBuf>| input.as_ref().is_some_and(|i| lies_within(&output, i));
    if let Some(input) = inputs.iter().position(holds) {
        let message = format!(
            "`output.uri` ({uri}) lies inside the input {}: the run would read what it writes; choose a directory outside of it",
            uris[input]
        );
        laws.hold(false, &["output.uri", "data.uri"], message);
    }
}

/// A recipe is kept with its run, where everybody can read it.
fn storage(laws: &mut Laws, recipe: &Recipe) {
    laws.hold(
        !recipe.storage.endpoint.as_deref().is_some_and(holds_user),
        &["storage.endpoint"],
        "`storage.endpoint` holds a user; S3 takes its key from the environment or a profile",
    );
    laws.hold(
        !recipe.storage.options.iter().any(|option| holds_user(option)),
        &["storage.options"],
        "`storage.options` holds an address with a user; set it in the environment instead",
    );
}

/// The absolute path of the address that `keys[0]` gives.
fn place(laws: &mut Laws, keys: &'static [&'static str], uri: &str) -> Option<PathBuf> {
    match address::parse(uri) {
        Ok(address) => Some(address.as_path()),
        Err(why) => {
            laws.hold(false, keys, format!("`{}` {why}", keys[0]));
            None
        }
    }
}

/// Whether a run directory would be part of an input, going by the absolute paths alone. A glob
/// without `**` stays at its own depth, so only what lies at that depth is part of it.
fn lies_within(output: &Path, input: &Path) -> bool {
    let parts: Vec<_> = input.iter().map(OsStr::to_string_lossy).collect();
    let wild = parts.iter().position(|part| part.contains(['*', '?', '[', '{']));
    let fixed: PathBuf = input.iter().take(wild.unwrap_or(parts.len())).collect();
    let deep = wild.is_none() || parts.iter().any(|part| part.contains("**"));
    output.starts_with(fixed) && (deep || output.iter().count() >= parts.len())
}

fn device(laws: &mut Laws, recipe: &Recipe) {
    let devices = recipe.device.parse::<Devices>();
    laws.hold(
        recipe.train.precision == Precision::F32 || devices != Ok(Devices::Cpu),
        &["train.precision", "device"],
        "`bf16` and `f16` are for CUDA devices, on the CPU they are slower than `f32`: set `train.precision` \
         to `f32`, or `device` to `cuda`",
    );
    if let Err(why) = devices {
        laws.hold(false, &["device"], why);
    }
}

fn model(laws: &mut Laws, recipe: &Recipe) {
    let model = &recipe.model;
    laws.hold(
        matches!(model.arch, Arch::Linear | Arch::Mlp) || recipe.data.image.is_some(),
        &["model.arch"],
        "`convnet`, ResNets and `vit_tiny` take images, but the recipe has no `data.image`; use `mlp` or \
         `linear`",
    );
    laws.hold(
        model.arch != Arch::Mlp || !model.hidden.is_empty(),
        &["model.hidden"],
        "`mlp` needs a hidden layer: set `model.hidden`, or use `linear`",
    );
}

fn train(laws: &mut Laws, recipe: &Recipe) {
    let train = &recipe.train;
    if let Some(init) = &train.init {
        place(laws, &["train.init"], init);
        laws.hold(
            init.ends_with(".safetensors"),
            &["train.init"],
            format!("`train.init` is a .safetensors file, not `{init}`"),
        );
    }
    laws.hold(
        train.optimizer != Optimizer::Sgd || !train.nesterov || train.momentum > 0.0,
        &["train.nesterov", "train.momentum"],
        "Nesterov momentum needs `train.momentum` above 0; set it, or set `train.nesterov` to false",
    );
    laws.hold(
        train.warmup_epochs <= train.epochs as f64,
        &["train.warmup_epochs", "train.epochs"],
        format!(
            "the warm-up takes {} epochs, but `train.epochs` is {}",
            train.warmup_epochs, train.epochs
        ),
    );
    let images = recipe.data.image.is_some();
    laws.hold(
        images || !train.flip,
        &["train.flip"],
        "`train.flip` is for images, but the recipe has no `data.image`",
    );
    laws.hold(
        images || train.crop == 0,
        &["train.crop"],
        "`train.crop` is for images, but the recipe has no `data.image`",
    );
}

fn schedule(laws: &mut Laws, recipe: &Recipe) {
    let (schedule, steps) = (recipe.train.schedule, &recipe.train.step_epochs);
    laws.hold(
        schedule == Schedule::Step || steps.is_empty(),
        &["train.step_epochs", "train.schedule"],
        "`train.step_epochs` needs `train.schedule` to be `step`",
    );
    laws.hold(
        schedule != Schedule::Step || !steps.is_empty(),
        &["train.schedule"],
        "the schedule `step` needs `train.step_epochs`: the epochs at which the rate falls",
    );
    laws.hold(
        steps.is_sorted_by(|a, b| a < b),
        &["train.step_epochs"],
        "`train.step_epochs` must ascend",
    );
}

fn folds(laws: &mut Laws, recipe: &Recipe) {
    let folds = &recipe.folds;
    laws.hold(
        !folds.stratify || folds.by == FoldsBy::Random,
        &["folds.stratify", "folds.by"],
        "folds by hash cannot be stratified: the hash alone decides; use `by = \"random\"`",
    );
    laws.hold(
        !folds.stratify || folds.group.is_none(),
        &["folds.stratify", "folds.group"],
        "grouped folds cannot be stratified: a group moves as one; drop `stratify` or `group`",
    );
    laws.hold(
        !folds.stratify || !folds.together(),
        &["folds.stratify", "folds.duplicates", "folds.near"],
        "folds that keep duplicates together cannot be stratified: they move as one; drop `stratify`, or `duplicates` and `near`",
    );
    laws.hold(
        folds.near.is_none() || recipe.data.embedding.is_some() || recipe.data.features.is_some(),
        &["folds.near", "data.embedding"],
        "`folds.near` compares vectors, but the recipe has images alone; name a column of embeddings in `data.embedding`",
    );
}

fn distinct<T: Ord>(items: &[T]) -> bool {
    items.iter().collect::<BTreeSet<_>>().len() == items.len()
}

fn output(laws: &mut Laws, recipe: &Recipe) {
    let output = &recipe.output;
    laws.hold(
        !output.split.is_empty()
            && output.split.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'),
        &["output.split"],
        format!("`{}` is not a split name; use letters, digits and _", output.split),
    );
    laws.hold(
        output.row_group_bytes.0 >= MIN_BYTES,
        &["output.row_group_bytes"],
        format!("`output.row_group_bytes` must be at least {MIN_BYTES}"),
    );
    laws.hold(
        output.shard_bytes >= output.row_group_bytes,
        &["output.shard_bytes", "output.row_group_bytes"],
        "a shard holds whole row groups, so `output.shard_bytes` must not be below `output.row_group_bytes`",
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_inside_an_input_is_seen() {
        let here = std::env::current_dir().unwrap();
        let here = here.to_str().unwrap();
        let path = |uri: &str| address::parse(uri).unwrap().as_path();
        let within = |output: &str, input: &str| lies_within(&path(output), &path(input));
        let inside = [
            ("data/run", &*format!("{here}/data")),
            (&*format!("file://{here}/data/run"), "data"),
            ("../data/run", "../data/x/.."),
            ("file:///a%20b/run", "/a b"),
            ("data", "data"),
            ("data/", "./data"),
            ("data/run", "data"),
            ("file:///d/run", "/d"),
            ("data/x/../run", "data"),
            ("data/run", "data/**/*.parquet"),
            ("data/run", "data/*"),
            ("s3://b/data/run", "s3://b/data/"),
            ("s3://b/data/run", "s3a://b"),
        ];
        for (output, input) in inside {
            assert!(within(output, input), "{output} in {input}");
        }
        let outside = [
            ("runs/a", "data"),
            ("data2", "data"),
            ("data/../runs", "data"),
            ("data/run", "data/a.parquet"),
            ("/data/run", "data"),
            ("../data/run", "data"),
            ("s3://b/runs", "s3://b/data"),
            ("s3://b/data/run", "s3://c/data"),
            ("gs://b/data/run", "s3://b/data"),
            ("/s3:x/b/run", "s3://b"),
        ];
        for (output, input) in outside {
            assert!(!within(output, input), "{output} not in {input}");
        }
    }
}
