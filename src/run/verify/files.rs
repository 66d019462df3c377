//! The proofs about bytes: checksums, the rows of the source, the coreset.

use std::collections::{BTreeMap, BTreeSet};

use arrow::record_batch::RecordBatch;

use super::super::identity::RunFile;
use super::super::init::init_object;
use super::super::manifest::{names, published};
use super::super::memory::Needs;
use super::super::metadata::join_objects;
use super::super::rows::{ids, kept_ids, labels, places};
use super::super::status::known_tasks;
use super::super::task::{CORESET, INGEST, Task};
use super::Prover;
use crate::error::{Error, Result};
use crate::recipe::{Form, IdFrom};
use crate::storage::Record;
use crate::{shards, storage, tables};

/// Files that are made when a run ends and have no record of their own.
const MADE_LAST: [&str; 2] = ["coreset/README.md", "coreset/_SUCCESS"];

impl Prover {
    /// Every byte that a record or the manifest names is what it says.
    pub(super) fn checksums(&self) -> Result<String> {
        if self.manifest.run != self.run.ledger.run() {
            return Err(Error::corrupt("manifest.json belongs to another run"));
        }
        let (mut objects, mut bytes) = (0, 0);
        for task in known_tasks(&self.run.ledger, &self.run.recipe)? {
            for output in &self.run.ledger.get(&task.to_string())?.outputs {
                self.run.ledger.check(output)?;
                (objects, bytes) = (objects + 1, bytes + output.bytes);
            }
        }
        self.published()?;
        Ok(format!(
            "{objects} outputs with {bytes} bytes and {} published files match",
            self.manifest.files.len()
        ))
    }

    /// The published files are exactly the committed outputs, under their public names.
    fn published(&self) -> Result<()> {
        let dir = self.run.ledger.dir();
        let mut wanted = BTreeMap::new();
        for (task, name, path) in names(&self.run)? {
            wanted.insert(path, self.run.ledger.get(&task)?.output(&name)?.sha256.clone());
        }
        for file in &self.manifest.files {
            let committed = wanted.remove(&file.path);
            let right = committed
                .map_or(MADE_LAST.contains(&file.path.as_str()), |sha256| sha256 == file.sha256);
            if !right || !dir.exists(&file.path)? || dir.sum(&file.path)?.sha256 != file.sha256 {
                let message = format!("{} is not what was committed", dir.uri_of(&file.path));
                return Err(Error::corrupt(message));
            }
        }
        if let Some(path) = wanted.keys().next() {
            return Err(Error::corrupt(format!("the manifest does not name {path}")));
        }
        let named: BTreeSet<&String> = self.manifest.files.iter().map(|f| &f.path).collect();
        match published(dir)?.iter().find(|path| !named.contains(path)) {
            Some(path) => {
                Err(Error::corrupt(format!("{} is no file of this run", dir.uri_of(path))))
            }
            None => Ok(()),
        }
    }

    /// Ids are unique and ascend; nothing is both usable and in quarantine; every sample is the row
    /// of the source that the table says, with its label, and no row of the source is lost.
    pub(super) fn samples(&self) -> Result<String> {
        let samples = self.table(INGEST, "samples.parquet", &tables::samples())?;
        let quarantine = self.table(INGEST, "quarantine.parquet", &tables::quarantine())?;
        let (usable, bad) = (ids(&samples)?, ids(&quarantine)?);
        if let Some((low, high)) = usable.iter().zip(&usable[1..]).find(|(low, high)| low >= high) {
            return Err(Error::corrupt(format!("id `{high}` is not above `{low}`")));
        }
        let usable_set: BTreeSet<&String> = usable.iter().collect();
        if let Some(both) = bad.iter().find(|id| usable_set.contains(id)) {
            return Err(Error::corrupt(format!("`{both}` is usable and in quarantine")));
        }
        self.source_rows(&samples, &quarantine)?;
        Ok(format!(
            "{} unique samples and {} in quarantine are the rows of the source",
            usable.len(),
            bad.len()
        ))
    }

    fn source_rows(&self, samples: &RecordBatch, quarantine: &RecordBatch) -> Result<()> {
        let survey = self.run.survey()?;
        let mut stored = BTreeMap::new();
        for table in [samples, quarantine] {
            for (id, place) in ids(table)?.into_iter().zip(places(table)?) {
                stored.insert(id, place);
            }
        }
        let label = ids(samples)?.into_iter().zip(labels(samples)?).collect::<BTreeMap<_, _>>();
        for row in &survey.rows {
            let place = (row.file, row.row_group, row.row);
            let same_label = label.get(&row.id).is_none_or(|label| *label == row.label);
            if stored.remove(&row.id) != Some(place) || !same_label {
                return Err(Error::corrupt(format!(
                    "`{}` is not the row of the source that the table says",
                    row.id
                )));
            }
        }
        match stored.keys().next() {
            Some(id) => Err(Error::corrupt(format!("`{id}` is not in the source"))),
            None => Ok(()),
        }
    }

    /// The input is still what the run saw.
    pub(super) fn input(&self) -> Result<String> {
        let objects =
            storage::resolve(self.run.recipe.data.uri.as_slice(), &self.run.recipe.storage)
                .map_err(|e| {
                    e.at("give the command in the directory in which the run was begun")
                })?;
        let recipe = &self.run.recipe;
        let (joins, init) = (join_objects(recipe)?, init_object(recipe)?);
        let now = RunFile::new(recipe, &objects, &joins, init.as_ref())?;
        let changes = now.input_changes(&self.run.file);
        if !changes.is_empty() {
            return Err(Error::input(format!(
                "it changed after the run began: {}",
                changes.join("; ")
            )));
        }
        Ok(format!(
            "{} input files are unchanged",
            objects.len() + now.join.len() + now.init.iter().len()
        ))
    }

    /// The shards hold exactly the kept rows, every column as in the source, bit for bit.
    pub(super) fn coreset(&self) -> Result<String> {
        let view = self.table(CORESET, "view.parquet", &tables::view())?;
        let selection = self.selection_table()?;
        let viewed: BTreeSet<String> = ids(&view)?.into_iter().collect();
        if viewed != kept_ids(&selection) || viewed.len() != view.num_rows() {
            return Err(Error::corrupt("the view does not hold exactly the kept samples"));
        }
        if self.run.recipe.output.form == Form::View {
            return Ok(format!(
                "the view names the {} kept rows; no copy was asked for",
                viewed.len()
            ));
        }
        let kept = kept_bytes(&self.run.ledger.get(CORESET)?);
        let room = Needs::of_shards(&self.run, kept)?.split(self.run.memory)?.spill;
        let spill = self.run.read_shards(room, |_| true)?;
        let count = self.run.shard_count()?;
        let data = &self.run.recipe.data;
        let id = (data.id_from == IdFrom::Column).then_some(data.id.as_str());
        let mut rows = 0;
        for index in 0..count {
            let record = self.run.ledger.get(&Task::Shard { index }.to_string())?;
            let shard = self.run.ledger.check(record.output("shard.parquet")?)?;
            shards::compare(&spill, index, shard, id)
                .map_err(|e| e.at(format!("shard {index}")))?;
            rows += spill.kept(index)?.len();
        }
        if rows != viewed.len() {
            return Err(Error::corrupt(format!(
                "the shards hold {rows} rows, {} are kept",
                viewed.len()
            )));
        }
        Ok(format!(
            "{rows} rows in {count} shards equal their source rows in every column, bit for bit"
        ))
    }
}

/// The bytes of the kept rows, as the coreset's record says.
fn kept_bytes(record: &Record) -> u64 {
    record.facts.get("bytes").and_then(serde_json::Value::as_u64).unwrap_or(0)
}
