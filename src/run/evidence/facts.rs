//! The tables of a finished run.

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;

use super::types::{Provenance, Unusable};
use crate::error::{Error, Result};
use crate::recipe::Storage;
use crate::run::identity::RunFile;
use crate::run::manifest::Manifest;
use crate::run::rows::{ids, places, texts};
use crate::run::status::open;
use crate::run::summary::Summary;
use crate::run::task::{CORESET, INGEST, Task, stages};
use crate::storage::{Ledger, parquet};
use crate::tables;

/// What a finished run has written down.
pub(super) struct Facts {
    pub(super) uri: String,
    pub(super) file: RunFile,
    pub(super) ledger: Ledger,
    pub(super) manifest: Manifest,
    pub(super) summary: Summary,
    /// The class names; the index is the label.
    pub(super) names: Vec<String>,
    /// The usable samples, ascending by id.
    pub(super) samples: RecordBatch,
    /// The selection after each stage, with the rows of `samples`.
    pub(super) states: Vec<RecordBatch>,
    /// What became of every sample.
    pub(super) selection: RecordBatch,
}

impl Facts {
    pub(super) fn read(uri: &str, storage: &Storage) -> Result<Self> {
        let (file, ledger) = open(uri, storage)?;
        let Some(manifest) = Manifest::find(ledger.dir())? else {
            let message = "the run is not finished; give its `unseen run` command again first";
            return Err(Error::input(message).at(uri));
        };
        let table = |task: &str, name: &str, schema: &SchemaRef| -> Result<RecordBatch> {
            parquet::decode_table(ledger.output(&ledger.get(task)?, name)?.0, schema)
        };
        let names = ledger.output(&ledger.get(INGEST)?, "classes.json")?.0;
        let state = |stage| {
            table(&Task::Select { stage }.to_string(), "selection.parquet", &tables::state())
        };
        Ok(Self {
            uri: uri.to_owned(),
            summary: Summary::read(&ledger, &file.recipe)?,
            names: serde_json::from_slice(&names)?,
            samples: table(INGEST, "samples.parquet", &tables::samples())?,
            states: (1..=stages(&file.recipe)).map(state).collect::<Result<_>>()?,
            selection: table(CORESET, "selection.parquet", &tables::selection())?,
            file,
            manifest,
            ledger,
        })
    }

    /// An output of a task, if the task has it.
    pub(super) fn output(&self, task: Task, name: &str) -> Result<Option<bytes::Bytes>> {
        let record = self.ledger.get(&task.to_string())?;
        let has = record.outputs.iter().any(|output| output.name == name);
        has.then(|| Ok(self.ledger.output(&record, name)?.0)).transpose()
    }

    /// The name of a class.
    pub(super) fn class(&self, label: i32) -> String {
        let name = usize::try_from(label).ok().and_then(|label| self.names.get(label));
        name.cloned().unwrap_or_else(|| format!("class {label}"))
    }

    pub(super) fn quarantine(&self) -> Result<Vec<Unusable>> {
        let bytes = self.output(Task::Ingest, "quarantine.parquet")?.unwrap_or_default();
        let table = parquet::decode_table(bytes, &tables::quarantine())?;
        let rows = ids(&table)?.into_iter().zip(places(&table)?).zip(texts(&table, "reason")?);
        Ok(rows
            .map(|((id, (file, group, row)), reason)| {
                let uri = self.file.input.get(file as usize).map_or("", |object| &object.uri);
                let place = format!("{uri}, row group {group}, row {row}");
                Unusable { id, place, reason: reason.unwrap_or_default() }
            })
            .collect())
    }

    pub(super) fn provenance(&self) -> Result<Provenance> {
        Ok(Provenance {
            version: self.manifest.version.clone(),
            fingerprint: self.file.fingerprint.clone(),
            seed: self.file.recipe.seed,
            recipe: self.file.recipe.to_toml()?,
            input: self.file.input.iter().chain(&self.file.join).cloned().collect(),
            files: self.manifest.files.clone(),
        })
    }
}
