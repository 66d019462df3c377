//! The end of a run: every result gets its public name, and the manifest is written last.
//!
//! Until the manifest is there, nothing below `tables/` and `coreset/` is a promise.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::label_errors::LABEL_ERRORS;
use super::task::{
    CORESET, DYNAMICS, FOLDS, INGEST, METADATA, Task, models, needs_metadata, stages,
};
use super::worker::Run;
use crate::error::{Error, ErrorKind, Place, Result};
use crate::recipe::{Form, Mode, Needs};
use crate::shards;
use crate::storage::crash::Point;
use crate::storage::{Dir, FORMAT, Output, Written, seal, sha256_hex, unseal};

pub(super) const MANIFEST: &str = "manifest.json";

/// What a finished run holds. Its presence says that the run is whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "unseen manifest", transform = crate::storage::checksum_schema)]
pub struct Manifest {
    /// Version of the run directory's format.
    pub format: u32,
    /// The version of `unseen` that finished the run.
    pub version: String,
    /// The run's fingerprint, as in `run.json`.
    pub run: String,
    /// SHA-256 over the kept ids, ascending, one a line.
    pub selection_sha256: String,
    /// The samples that could be used.
    pub usable: u64,
    /// The samples that are kept.
    pub kept: u64,
    /// The samples in quarantine.
    pub quarantined: u64,
    /// Every published file.
    pub files: Vec<Published>,
}

/// A published file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Published {
    /// Its name below the run directory.
    pub path: String,
    /// Its size.
    pub bytes: u64,
    /// Its rows, if it is a table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// SHA-256 of its bytes.
    pub sha256: String,
}

impl Manifest {
    /// The manifest of the run in `dir`, or `None` while the run is not finished.
    ///
    /// # Errors
    /// `CorruptData` if it is damaged, `Conflict` if another version wrote it.
    pub fn find(dir: &Dir) -> Result<Option<Self>> {
        let Some(bytes) = dir.find(MANIFEST)? else { return Ok(None) };
        unseal(&bytes).map(Some).at(|| dir.uri_of(MANIFEST))
    }

    /// The published files that are not there any more.
    pub(super) fn missing(&self, dir: &Dir) -> Result<Vec<String>> {
        let there = published(dir)?;
        let gone = self.files.iter().filter(|file| there.binary_search(&file.path).is_err());
        Ok(gone.map(|file| file.path.clone()).collect())
    }
}

/// Gives every committed result its public name, then writes the manifest.
pub(super) fn publish(run: &Run) -> Result<()> {
    let dir = run.ledger.dir();
    let mut files = Vec::new();
    Point::BeforePublish.pass();
    for (task, name, path) in names(run)? {
        let record = run.ledger.get(&task)?;
        files.push(publish_one(dir, record.output(&name)?, &path)?);
        Point::Published.pass();
    }
    let card = super::summary::card(run)?.into_bytes();
    files.push(create_same(dir, "coreset/README.md", card)?);
    let coreset = run.ledger.get(CORESET)?;
    let digest = coreset
        .facts
        .get("selection_sha256")
        .and_then(|d| d.as_str())
        .unwrap_or_default()
        .to_owned();
    files.push(create_same(dir, "coreset/_SUCCESS", format!("{digest}\n").into_bytes())?);
    let rows = |task: &str, name: &str| -> Result<u64> {
        Ok(run.ledger.get(task)?.output(name)?.rows.unwrap_or(0))
    };
    let manifest = Manifest {
        format: FORMAT,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        run: run.ledger.run().to_owned(),
        selection_sha256: digest,
        usable: rows(INGEST, "samples.parquet")?,
        kept: rows(CORESET, "view.parquet")?,
        quarantined: rows(INGEST, "quarantine.parquet")?,
        files,
    };
    Point::BeforeManifest.pass();
    create_same(dir, MANIFEST, seal(&manifest)?)?;
    Point::AfterManifest.pass();
    Ok(())
}

/// The names of all files that lie where results are published, sorted.
pub(super) fn published(dir: &Dir) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for place in ["coreset", "models", "tables"] {
        names.extend(dir.list(place)?);
    }
    Ok(names)
}

/// Which output of which task gets which public name.
pub(super) fn names(run: &Run) -> Result<Vec<(String, String, String)>> {
    let name =
        |task: &str, name: &str, path: &str| (task.to_owned(), name.to_owned(), path.to_owned());
    let score = &run.recipe.score;
    let watched = !score.computed(Needs::Trajectory).is_empty();
    let mut all = vec![
        name(INGEST, "samples.parquet", "tables/samples.parquet"),
        name(INGEST, "quarantine.parquet", "tables/quarantine.parquet"),
        name(INGEST, "classes.json", "tables/classes.json"),
    ];
    if needs_metadata(&run.recipe) {
        all.push(name(METADATA, "metadata.parquet", "tables/metadata.parquet"));
    }
    if run.recipe.mode == Mode::Unseen {
        all.push(name(FOLDS, "folds.parquet", "tables/folds.parquet"));
    }
    for stage in 1..=stages(&run.recipe) {
        for model in 0..models(&run.recipe, stage) {
            let (train, score) = (
                Task::Train { stage, model }.to_string(),
                Task::Score { stage, model }.to_string(),
            );
            let at = format!("stage-{stage}-model-{model}");
            all.push(name(&score, "scores.parquet", &format!("tables/scores/{at}.parquet")));
            all.push(name(&train, "members.parquet", &format!("tables/members/{at}.parquet")));
            if watched {
                all.push(name(&train, DYNAMICS, &format!("tables/dynamics/{at}.parquet")));
            }
            all.push(name(&train, "model.safetensors", &format!("models/{at}.safetensors")));
            all.push(name(&train, "model.json", &format!("models/{at}.json")));
        }
    }
    if score.label_errors {
        let select = Task::Select { stage: 1 }.to_string();
        all.push(name(&select, LABEL_ERRORS, "tables/label_errors.parquet"));
    }
    all.push(name(CORESET, "selection.parquet", "tables/selection.parquet"));
    all.push(name(CORESET, "view.parquet", "coreset/_view/view.parquet"));
    if run.recipe.output.form == Form::Copy {
        let count = run.shard_count()?;
        for index in 0..count {
            let path =
                format!("coreset/{}", shards::shard_name(&run.recipe.output.split, index, count));
            all.push(name(&Task::Shard { index }.to_string(), "shard.parquet", &path));
        }
    }
    Ok(all)
}

fn publish_one(dir: &Dir, output: &Output, path: &str) -> Result<Published> {
    let file = Published {
        path: path.to_owned(),
        bytes: output.bytes,
        rows: output.rows,
        sha256: output.sha256.clone(),
    };
    if dir.publish(&output.path, path)? == Written::AlreadyThere
        && dir.sum(path)?.sha256 != file.sha256
    {
        return Err(taken(dir, path));
    }
    Ok(file)
}

/// Creates a file, or finds it there with the same bytes.
fn create_same(dir: &Dir, path: &str, bytes: Vec<u8>) -> Result<Published> {
    let file = Published {
        path: path.to_owned(),
        bytes: bytes.len() as u64,
        rows: None,
        sha256: sha256_hex(&bytes),
    };
    if dir.create(path, bytes)? == Written::AlreadyThere && dir.sum(path)?.sha256 != file.sha256 {
        return Err(taken(dir, path));
    }
    Ok(file)
}

fn taken(dir: &Dir, path: &str) -> Error {
    let message =
        format!("{} is there with other bytes; remove it and run again", dir.uri_of(path));
    Error::new(ErrorKind::Conflict, message)
}
