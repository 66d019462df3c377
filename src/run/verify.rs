//! Proves a finished run from its files alone: nothing is believed that can be derived again.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::{Array, RecordBatch};
use serde::Serialize;

use super::dataset::assign;
use super::identity::RunFile;
use super::manifest::{Manifest, all_tasks, names, published};
use super::memory::{Memory, Needs};
use super::rows::{ids, ints, kept_ids, labels, places, selection_digest, strings};
use super::status::open_in;
use super::task::{CORESET, FOLDS, INGEST, Task, models, stages};
use super::worker::Run;
use crate::error::{Error, Result};
use crate::recipe::{Duplicates, FitOn, Form, Mode, Storage};
use crate::storage::{Dir, Record, frame, parquet};
use crate::{selection, shards, storage, tables};

/// The result of a verification.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verification {
    /// The run directory.
    pub uri: String,
    /// Whether every check passed.
    pub passed: bool,
    /// The checks in order; the first, of every byte, ends them if it fails.
    pub checks: Vec<Check>,
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What is checked, in one word.
    pub name: &'static str,
    /// Whether it holds.
    pub passed: bool,
    /// What was seen.
    pub detail: String,
}

/// Verifies the run in `uri`.
///
/// # Errors
/// `InvalidInput` if there is no finished run. A check that fails is no error: it is in the result.
pub fn verify(uri: &str, storage: &Storage) -> Result<Verification> {
    verify_within(uri, storage, Memory::default())
}

/// As [`verify`], within this memory.
///
/// # Errors
/// As [`verify`].
pub fn verify_within(uri: &str, storage: &Storage, memory: Memory) -> Result<Verification> {
    verify_in(Dir::open(uri, storage)?, storage, memory)
}

/// As [`verify_within`], in any directory.
///
/// # Errors
/// As [`verify`].
pub fn verify_in(dir: Dir, storage: &Storage, memory: Memory) -> Result<Verification> {
    let uri = dir.uri().to_owned();
    let (file, ledger) = open_in(dir)?;
    let Some(manifest) = Manifest::find(ledger.dir())? else {
        return Err(Error::input(format!("{uri}: the run is not finished; run it again first")));
    };
    let prover = Prover { run: Run::reopen(file, ledger, storage).within(memory), manifest };
    let proofs: [(&'static str, Proof); 9] = [
        ("checksums", Prover::checksums),
        ("samples", Prover::samples),
        ("folds", Prover::folds),
        ("members", Prover::members),
        ("unseen", Prover::unseen),
        ("coverage", Prover::coverage),
        ("selection", Prover::selection),
        ("input", Prover::input),
        ("coreset", Prover::coreset),
    ];
    let mut checks: Vec<Check> = Vec::new();
    for (name, check) in proofs {
        let (passed, detail) = match check(&prover) {
            Ok(detail) => (true, detail),
            Err(e) => (false, e.to_string()),
        };
        checks.push(Check { name, passed, detail });
        // What damaged files say proves nothing.
        if name == "checksums" && !passed {
            break;
        }
    }
    Ok(Verification { uri, passed: checks.iter().all(|c| c.passed), checks })
}

/// Files that are made when a run ends and have no record of their own.
const MADE_LAST: [&str; 2] = ["coreset/README.md", "coreset/_SUCCESS"];

/// A proof says what was seen, or what is wrong.
type Proof = fn(&Prover) -> Result<String>;

struct Prover {
    run: Run,
    manifest: Manifest,
}

impl Prover {
    /// Every byte that a record or the manifest names is what it says.
    fn checksums(&self) -> Result<String> {
        if self.manifest.run != self.run.ledger.run() {
            return Err(Error::corrupt("manifest.json belongs to another run"));
        }
        let (mut objects, mut bytes) = (0, 0);
        for task in all_tasks(&self.run)? {
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
            if !right || dir.sum(&file.path)?.sha256 != file.sha256 {
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
    fn samples(&self) -> Result<String> {
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

    /// The folds follow from the ids and the seed, and they partition the samples.
    fn folds(&self) -> Result<String> {
        if self.run.recipe.mode == Mode::Fitting {
            return Ok("fitting mode: no folds".to_owned());
        }
        let samples = self.table(INGEST, "samples.parquet", &tables::samples())?;
        let folds = self.table(FOLDS, "folds.parquet", &tables::folds())?;
        if ids(&samples)? != ids(&folds)? {
            return Err(Error::corrupt("the folds table does not hold exactly the samples"));
        }
        if self.run.recipe.folds.duplicates == Duplicates::Together {
            // The digests that decide must be those of the input: decoding holds them against it.
            self.run.loaded()?;
        }
        let derived = assign(&samples, &self.run.recipe, &self.run.seed)?;
        let stored = ints(&folds, "fold")?;
        if let Some(i) = (0..derived.len()).find(|i| stored.value(*i) as u32 != derived[*i]) {
            let id = &ids(&samples)?[i];
            return Err(Error::corrupt(format!(
                "`{id}` is in fold {}, the seed says {}",
                stored.value(i),
                derived[i]
            )));
        }
        let mut sizes = vec![0_usize; self.run.recipe.folds.k];
        for fold in &derived {
            sizes[*fold as usize] += 1;
        }
        Ok(format!(
            "{} disjoint folds of {sizes:?} samples, derived again from the seed",
            sizes.len()
        ))
    }

    /// Every model was trained on what the method says: its fold, the others, all, or the coreset.
    fn members(&self) -> Result<String> {
        let mut models_seen = 0;
        for (stage, model) in self.models() {
            let found = ids(&self.train_table(stage, model)?)?;
            let wanted = self.wanted_members(stage, model)?;
            if found != wanted {
                let message = format!(
                    "model {model} of stage {stage} was trained on {} samples that are not the {} wanted",
                    found.len(),
                    wanted.len()
                );
                return Err(Error::corrupt(message));
            }
            models_seen += 1;
        }
        Ok(format!("{models_seen} training sets are as the method says"))
    }

    /// No score comes from a model that was trained on the sample.
    fn unseen(&self) -> Result<String> {
        let mut scores = 0;
        for (stage, model) in self.models() {
            if self.seen_by_design(stage) {
                continue;
            }
            let members: BTreeSet<String> =
                ids(&self.train_table(stage, model)?)?.into_iter().collect();
            let rated = ids(&self.score_table(stage, model)?)?;
            if let Some(id) = rated.iter().find(|id| members.contains(*id)) {
                return Err(Error::corrupt(format!(
                    "`{id}` was scored by model {model} of stage {stage}, which was trained on it"
                )));
            }
            scores += rated.len();
        }
        let note = if self.run.recipe.mode == Mode::Fitting {
            " (stage 1 in fitting mode: seen by design)"
        } else {
            ""
        };
        Ok(format!("{scores} scores, none by a model that saw the sample{note}"))
    }

    /// In stage 1 every sample has K-1 scores (one, with `complement` and in fitting mode); later
    /// stages score exactly what is not yet kept, with every model.
    fn coverage(&self) -> Result<String> {
        let all = ids(&self.table(INGEST, "samples.parquet", &tables::samples())?)?;
        let each = self.scores_each();
        for stage in 1..=stages(&self.run.recipe) {
            let mut counts: BTreeMap<String, usize> = BTreeMap::new();
            for model in 0..models(&self.run.recipe, stage) {
                for id in ids(&self.score_table(stage, model)?)? {
                    *counts.entry(id).or_default() += 1;
                }
            }
            let kept = if stage == 1 { BTreeSet::new() } else { self.kept_after(stage - 1)? };
            let wanted = if stage == 1 { each } else { models(&self.run.recipe, stage) };
            for id in &all {
                let (found, wanted) =
                    (counts.remove(id).unwrap_or(0), if kept.contains(id) { 0 } else { wanted });
                if found != wanted {
                    return Err(Error::corrupt(format!(
                        "`{id}` has {found} scores in stage {stage}, not {wanted}"
                    )));
                }
            }
            if let Some(id) = counts.keys().next() {
                return Err(Error::corrupt(format!(
                    "`{id}` is scored in stage {stage} and is no sample"
                )));
            }
        }
        Ok(format!(
            "{} samples have {each} scores each in stage 1; later stages score what was not yet kept",
            all.len()
        ))
    }

    /// The selection follows from the scores, with the right totals and quotas.
    fn selection(&self) -> Result<String> {
        let samples = self.table(INGEST, "samples.parquet", &tables::samples())?;
        let (bytes, _) = self.output(INGEST, "classes.json")?;
        let classes: Vec<String> = serde_json::from_slice(&bytes)?;
        let labels = labels(&samples)?;
        let plan = self.run.selection_plan(&labels, &classes)?;
        let mut state = None;
        for stage in 1..=stages(&self.run.recipe) {
            let mut scores = Vec::new();
            for model in 0..models(&self.run.recipe, stage) {
                scores.push(frame::decode(&self.scores(stage, model)?)?);
            }
            let scores = frame::stack(scores)?;
            state = Some(selection::stage(
                state,
                scores,
                &plan,
                stage,
                &self.run.recipe,
                &self.run.seed,
            )?);
        }
        let Some(state) = state else { return Err(Error::internal("a run of no stages")) };
        let (bytes, _) = self.output(INGEST, "quarantine.parquet")?;
        let derived = selection::finish(state, frame::decode(&bytes)?)?;
        let derived = frame::to_arrow(derived, &tables::selection())?;
        let stored = self.selection_table()?;
        if derived != stored {
            return Err(Error::corrupt("the selection table is not what the score tables give"));
        }
        self.totals(&stored, &plan, classes.len())?;
        if selection_digest(&stored) != self.manifest.selection_sha256 {
            return Err(Error::corrupt(
                "the manifest's selection_sha256 is not that of the kept ids",
            ));
        }
        Ok(format!(
            "{} kept, derived again from the scores; totals and quotas hold",
            self.manifest.kept
        ))
    }

    fn totals(
        &self,
        stored: &RecordBatch,
        plan: &selection::SelectionPlan,
        classes: usize,
    ) -> Result<()> {
        let kept = kept_ids(stored).len() as u64;
        let wanted = plan.kept();
        if kept != wanted || kept != self.manifest.kept {
            return Err(Error::corrupt(format!(
                "{kept} samples are kept, the recipe says {wanted}"
            )));
        }
        let (label, reason) = (ints(stored, "label")?, strings(stored, "reason")?);
        let (mut counts, mut eligible) = (vec![0; classes], vec![0; classes]);
        for i in (0..stored.num_rows()).filter(|i| label.is_valid(*i)) {
            let class = label.value(i) as usize;
            counts[class] += u64::from(reason.value(i) == "kept");
            eligible[class] += u64::from(reason.value(i) != "noise-guard");
        }
        let bounds = plan.class_bounds(&eligible)?;
        match (0..classes).find(|class| !bounds[*class].allow(counts[*class])) {
            None => Ok(()),
            Some(class) => Err(Error::corrupt(format!(
                "class {class} keeps {}, not from {} to {}",
                counts[class], bounds[class].least, bounds[class].most
            ))),
        }
    }

    /// The input is still what the run saw.
    fn input(&self) -> Result<String> {
        let objects =
            storage::resolve(self.run.recipe.data.uri.as_slice(), &self.run.recipe.storage)
                .map_err(|e| {
                    e.at("give the command in the directory in which the run was begun")
                })?;
        let changes = RunFile::new(&self.run.recipe, &objects)?.input_changes(&self.run.file);
        if !changes.is_empty() {
            return Err(Error::input(format!(
                "it changed after the run began: {}",
                changes.join("; ")
            )));
        }
        Ok(format!("{} input files are unchanged", objects.len()))
    }

    /// The shards hold exactly the kept rows, every column as in the source, bit for bit.
    fn coreset(&self) -> Result<String> {
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
        let mut rows = 0;
        for index in 0..count {
            let record = self.run.ledger.get(&Task::Shard { index }.to_string())?;
            let shard = self.run.ledger.check(record.output("shard.parquet")?)?;
            shards::compare(&spill, index, shard).map_err(|e| e.at(format!("shard {index}")))?;
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

    fn scores_each(&self) -> usize {
        match (self.run.recipe.mode, self.run.recipe.folds.fit_on) {
            (Mode::Unseen, FitOn::Fold) => self.run.recipe.folds.k - 1,
            _ => 1,
        }
    }

    fn seen_by_design(&self, stage: usize) -> bool {
        stage == 1 && self.run.recipe.mode == Mode::Fitting
    }

    fn wanted_members(&self, stage: usize, model: usize) -> Result<Vec<String>> {
        if stage > 1 {
            return Ok(self.kept_after(stage - 1)?.into_iter().collect());
        }
        let all = ids(&self.table(INGEST, "samples.parquet", &tables::samples())?)?;
        if self.run.recipe.mode == Mode::Fitting {
            return Ok(all);
        }
        let folds = self.table(FOLDS, "folds.parquet", &tables::folds())?;
        let fold = ints(&folds, "fold")?;
        let inside = self.run.recipe.folds.fit_on == FitOn::Fold;
        let wanted = |i: &usize| (fold.value(*i) as usize == model) == inside;
        Ok((0..all.len()).filter(wanted).map(|i| all[i].clone()).collect())
    }

    fn kept_after(&self, stage: usize) -> Result<BTreeSet<String>> {
        let task = Task::Select { stage }.to_string();
        Ok(kept_ids(&self.table(&task, "selection.parquet", &tables::selection())?))
    }

    fn models(&self) -> Vec<(usize, usize)> {
        let recipe = &self.run.recipe;
        (1..=stages(recipe)).flat_map(|s| (0..models(recipe, s)).map(move |m| (s, m))).collect()
    }

    fn selection_table(&self) -> Result<RecordBatch> {
        self.table(CORESET, "selection.parquet", &tables::selection())
    }

    fn train_table(&self, stage: usize, model: usize) -> Result<RecordBatch> {
        self.table(&Task::Train { stage, model }.to_string(), "members.parquet", &tables::members())
    }

    fn score_table(&self, stage: usize, model: usize) -> Result<RecordBatch> {
        let thin = std::sync::Arc::new(tables::members().as_ref().clone());
        frame::to_arrow(frame::decode(&self.scores(stage, model)?)?, &thin)
    }

    /// A score table, which must come from the outputs that the recipe asks for.
    fn scores(&self, stage: usize, model: usize) -> Result<bytes::Bytes> {
        let task = Task::Score { stage, model }.to_string();
        let (bytes, _) = self.output(&task, "scores.parquet")?;
        let (schema, _) = parquet::decode(bytes.clone())?;
        let found = schema.metadata().get(tables::OUTPUTS).map_or("no", String::as_str);
        let wanted = self.run.recipe.score.outputs.name();
        if found != wanted {
            return Err(Error::corrupt(format!(
                "scores.parquet of {task} comes from {found} outputs, but the recipe says {wanted}: scores of both kinds must not be mixed"
            )));
        }
        Ok(bytes)
    }

    fn table(
        &self,
        task: &str,
        name: &str,
        schema: &arrow::datatypes::SchemaRef,
    ) -> Result<RecordBatch> {
        parquet::decode_table(self.output(task, name)?.0, schema)
            .map_err(|e| e.at(format!("{name} of {task}")))
    }

    fn output(&self, task: &str, name: &str) -> Result<(bytes::Bytes, storage::Input)> {
        self.run.ledger.output(&self.run.ledger.get(task)?, name)
    }
}

/// The bytes of the kept rows, as the coreset's record says.
fn kept_bytes(record: &Record) -> u64 {
    record.facts.get("bytes").and_then(serde_json::Value::as_u64).unwrap_or(0)
}
