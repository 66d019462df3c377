//! The tasks around the stages: ingest, folds, the outcome, the shards.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{Array, Int32Array};
use arrow::record_batch::RecordBatch;

use super::attempt::Attempt;
use super::rows::{column, ids, ints, kept_rows, labels, selection_digest, strings, texts};
use super::scored::{check_methods, most_scored};
use super::task::{self, CORESET, INGEST, Task, needs_metadata};
use super::worker::Run;
use crate::error::{Error, Result};
use crate::recipe::{Form, Mode, Recipe};
use crate::samples::Samples;
use crate::seed::Seed;
use crate::shards::{self, Kept, Spill};
use crate::storage::parquet;
use crate::{folds, ingest, selection, storage, tables};

impl Run {
    /// Decodes every sample; what cannot be used is quarantined with its reason.
    pub(super) fn ingest(&self, attempt: &mut Attempt) -> Result<String> {
        let loaded = self.loaded()?;
        let (samples, quarantine) = ingest::tables(&loaded, &self.clusters(&loaded)?)?;
        self.check_usable(&loaded.samples, &samples)?;
        attempt.write_table("samples.parquet", &samples)?;
        attempt.write_table("quarantine.parquet", &quarantine)?;
        attempt.write("classes.json", &serde_json::to_vec(&loaded.samples.classes)?, None)?;
        attempt.fact("max_quarantined", self.recipe.data.max_quarantined);
        let (usable, bad, copies) = (samples.num_rows(), quarantine.num_rows(), copies(&samples)?);
        attempt.fact("duplicates", copies);
        attempt.fact("clustered", usable - column(&samples, "cluster")?.null_count());
        Ok(format!("{usable} samples ({copies} exact copies of another), {bad} quarantined"))
    }

    /// What the plan checked for all rows must also hold for those that can be used, and for folds in
    /// which duplicates stay together.
    fn check_usable(&self, decoded: &Samples, table: &RecordBatch) -> Result<()> {
        let plan = self.selection_plan(&decoded.labels, &decoded.classes)?;
        let folds = match self.recipe.mode {
            Mode::Unseen => Some(assign(table, &self.recipe, &self.seed)?),
            Mode::Fitting => None,
        };
        let rows = decoded.len() as u64;
        let scored = most_scored(&self.recipe, rows, plan.sizes(), folds.as_deref());
        check_methods(&self.recipe, rows, scored)?;
        if needs_metadata(&self.recipe) {
            return Ok(()); // The task that gathers them checks more.
        }
        let clusters = storage::frame::from_arrow(table)?;
        let terms = self.terms(&decoded.classes, None, clusters);
        selection::check_terms(&decoded.ids, &decoded.labels, &plan, &terms)
    }

    /// Gives every sample its fold.
    pub(super) fn folds(&self, attempt: &mut Attempt) -> Result<String> {
        let samples = attempt.table(INGEST, "samples.parquet", &tables::samples())?;
        let folds = assign(&samples, &self.recipe, &self.seed)?;
        let k = self.recipe.folds.k;
        let columns: Vec<Arc<dyn Array>> = vec![
            Arc::clone(column(&samples, "id")?),
            Arc::new(Int32Array::from_iter_values(folds.iter().map(|f| *f as i32))),
        ];
        attempt.write_table("folds.parquet", &RecordBatch::try_new(tables::folds(), columns)?)?;
        Ok(format!("{k} folds of about {} samples", folds.len() / k))
    }

    /// Fixes the outcome: why each sample was kept or not, and where each kept row goes.
    pub(super) fn coreset(&self, attempt: &mut Attempt) -> Result<String> {
        let last = Task::Select { stage: task::stages(&self.recipe) }.to_string();
        let state = attempt.frame(&last, "selection.parquet")?;
        let quarantine = attempt.frame(INGEST, "quarantine.parquet")?;
        let selection = selection::finish(&state, quarantine, &self.seed)?;
        attempt.write_frame("selection.parquet", selection.clone(), &tables::selection())?;
        let selection = storage::frame::to_arrow(selection, &tables::selection())?;
        let samples = attempt.table(INGEST, "samples.parquet", &tables::samples())?;
        let digest = selection_digest(&selection);
        let kept = kept_rows(&samples, &selection)?;
        let (rows, bytes) = (kept.len(), kept.iter().map(|k| k.bytes).sum::<u64>());
        let layout = shards::layout(kept, self.recipe.output.shard_bytes.0, &self.seed);
        let uris: Vec<String> = self.file.input.iter().map(|o| o.uri.clone()).collect();
        attempt.write_table("view.parquet", &shards::view(&layout, &uris)?)?;
        let shards = if self.recipe.output.form == Form::Copy { layout.len() } else { 0 };
        attempt.fact("shards", shards);
        attempt.fact("kept", rows);
        attempt.fact("bytes", bytes);
        attempt.fact("selection_sha256", digest);
        Ok(format!("{rows} samples kept, {shards} shards"))
    }

    /// Cuts one shard out of the source.
    pub(super) fn shard(&self, attempt: &mut Attempt, index: usize) -> Result<String> {
        let spill = self.spill(|| {
            // Nobody looks at samples any more.
            self.forget_loaded();
            self.read_rows(self.split()?.spill)
        })?;
        for (task, name) in SHARD_READS {
            attempt.uses(task, name)?;
        }
        let mut writer = attempt.writer("shard.parquet");
        let encoded =
            shards::encode_shard(spill, index, self.recipe.output.scores, &mut writer).map(|_| ());
        writer.settle(encoded)?;
        let rows = spill.kept(index)?.len();
        let bytes = attempt.finish(writer, rows as u64)?;
        Ok(format!("{rows} rows, {bytes} bytes"))
    }

    /// The rows of all shards that are not committed yet.
    fn read_rows(&self, room: shards::Room) -> Result<Spill> {
        let mut left = BTreeSet::new();
        for index in 0..self.shard_count()? {
            if self.ledger.find(&Task::Shard { index }.to_string())?.is_none() {
                left.insert(index);
            }
        }
        self.read_shards(room, |index| left.contains(&index))
    }

    /// The rows of the shards that are `wanted`.
    pub(super) fn read_shards(
        &self,
        room: shards::Room,
        wanted: impl Fn(usize) -> bool,
    ) -> Result<Spill> {
        let [samples, view, selection] = SHARD_READS.map(|(task, name)| {
            let schema = match name {
                "samples.parquet" => tables::samples(),
                "view.parquet" => tables::view(),
                _ => tables::selection(),
            };
            let bytes = self.ledger.output(&self.ledger.get(task)?, name)?.0;
            parquet::decode_table(bytes, &schema)
        });
        let mut rows = shard_rows(&view?, &samples?, &selection?)?;
        rows.retain(|index, _| wanted(*index));
        let survey = self.survey()?;
        let bytes = self.recipe.output.row_group_bytes.0;
        Spill::read(&survey.parquet, &survey.schema, rows, bytes, room)
    }
}

fn contents(samples: &RecordBatch) -> Result<Vec<String>> {
    Ok(strings(samples, "content")?.iter().flatten().map(str::to_owned).collect())
}

/// How many samples are exact copies of another one.
fn copies(samples: &RecordBatch) -> Result<usize> {
    let contents = contents(samples)?;
    Ok(contents.len() - contents.iter().collect::<BTreeSet<_>>().len())
}

/// What decides a shard beside the source.
const SHARD_READS: [(&str, &str); 3] =
    [(INGEST, "samples.parquet"), (CORESET, "view.parquet"), (CORESET, "selection.parquet")];

/// The folds of the samples table, from the recipe and the seed alone.
pub(super) fn assign(samples: &RecordBatch, recipe: &Recipe, seed: &Seed) -> Result<Vec<u32>> {
    let mut groups = match recipe.folds.group {
        Some(_) => Some(texts(samples, "group")?),
        None => None,
    };
    if recipe.folds.together() {
        let (clusters, contents) = (texts(samples, "cluster")?, contents(samples)?);
        groups = Some(folds::together(groups.as_deref(), Some(&clusters), &contents));
    }
    let ids = ids(samples)?;
    folds::assign(&ids, &labels(samples)?, groups.as_deref(), &recipe.folds, seed)
}

/// The rows of each shard in their order, from the committed tables.
fn shard_rows(
    view: &RecordBatch,
    samples: &RecordBatch,
    selection: &RecordBatch,
) -> Result<BTreeMap<usize, Vec<Kept>>> {
    let kept = kept_rows(samples, selection)?;
    let (id, shard) = (strings(view, "id")?, ints(view, "shard")?);
    let mut shards: BTreeMap<usize, Vec<Kept>> = BTreeMap::new();
    for i in 0..view.num_rows() {
        let at = kept.binary_search_by(|k| k.id.as_str().cmp(id.value(i)));
        let at = at.map_err(|_| {
            Error::corrupt(format!("the view names `{}`, which is not kept", id.value(i)))
        })?;
        shards.entry(shard.value(i) as usize).or_default().push(kept[at].clone());
    }
    Ok(shards)
}
