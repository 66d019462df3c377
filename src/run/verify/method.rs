//! The proofs about the method: folds, training sets, unseen scores, the selection.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::{Array, RecordBatch};
use polars::prelude::DataFrame;

use super::super::dataset::assign;
use super::super::rows::{ids, ints, kept_ids, labels, selection_digest, strings, texts};
use super::super::task::{FOLDS, INGEST, METADATA, Task, models, needs_metadata, stages};
use super::Prover;
use crate::error::{Error, Result};
use crate::recipe::{Classes, Copies, FitOn, Mode};
use crate::storage::{frame, parquet};
use crate::{selection, tables};

impl Prover {
    /// The clusters of duplicates follow from the input: decoding holds the digests against it.
    pub(super) fn clusters(&self) -> Result<String> {
        let recipe = &self.run.recipe;
        if !recipe.folds.together() && recipe.select.duplicates == Copies::All {
            return Ok("duplicates are samples like all others".to_owned());
        }
        let samples = self.table(INGEST, "samples.parquet", &tables::samples())?;
        let derived = self.run.clusters(&*self.run.loaded()?)?;
        if derived != texts(&samples, "cluster")? {
            let message = "the clusters of duplicates are not those of the input";
            return Err(Error::corrupt(message));
        }
        let names: BTreeSet<&String> = derived.iter().flatten().collect();
        Ok(format!("{} clusters of duplicates, derived again from the input", names.len()))
    }

    /// The folds follow from the ids and the seed, and they partition the samples.
    pub(super) fn folds(&self) -> Result<String> {
        if self.run.recipe.mode == Mode::Fitting {
            return Ok("fitting mode: no folds".to_owned());
        }
        let samples = self.table(INGEST, "samples.parquet", &tables::samples())?;
        let folds = self.table(FOLDS, "folds.parquet", &tables::folds())?;
        if ids(&samples)? != ids(&folds)? {
            return Err(Error::corrupt("the folds table does not hold exactly the samples"));
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
    pub(super) fn members(&self) -> Result<String> {
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
    pub(super) fn unseen(&self) -> Result<String> {
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
    pub(super) fn coverage(&self) -> Result<String> {
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

    /// What is known of the samples beside their scores is what the source and joined tables say.
    pub(super) fn metadata(&self) -> Result<String> {
        let Some(stored) = self.known()? else { return Ok("none is asked for".to_owned()) };
        if self.run.joins.len() != self.run.recipe.join.len() {
            return Ok(
                "a joined table is gone: only the bytes of what it said are proven".to_owned()
            );
        }
        let samples = self.table(INGEST, "samples.parquet", &tables::samples())?;
        let derived = frame::arrow(self.run.gathered(&samples)?.table)?;
        if derived != frame::arrow(stored)? {
            return Err(Error::corrupt(
                "the metadata table is not what the dataset and the joined tables say",
            ));
        }
        Ok(format!(
            "{} columns of {} samples, gathered again",
            derived.num_columns() - 1,
            derived.num_rows()
        ))
    }

    /// The committed metadata, if there are any.
    fn known(&self) -> Result<Option<DataFrame>> {
        if !needs_metadata(&self.run.recipe) {
            return Ok(None);
        }
        frame::decode(&self.output(METADATA, "metadata.parquet")?.0).map(Some)
    }

    /// The selection follows from the scores, with the right totals and quotas.
    pub(super) fn selection(&self) -> Result<String> {
        let samples = self.table(INGEST, "samples.parquet", &tables::samples())?;
        let (bytes, _) = self.output(INGEST, "classes.json")?;
        let classes: Vec<String> = serde_json::from_slice(&bytes)?;
        let labels = labels(&samples)?;
        let plan = self.run.selection_plan(&labels, &classes)?;
        let (bytes, _) = self.output(INGEST, "samples.parquet")?;
        let terms = self.run.terms(&classes, self.known()?, frame::decode(&bytes)?);
        let mut state = None;
        for stage in 1..=stages(&self.run.recipe) {
            let mut scores = Vec::new();
            for model in 0..models(&self.run.recipe, stage) {
                scores.push(frame::decode(&self.scores(stage, model)?)?);
            }
            let scores = frame::stack(scores)?;
            state = Some(selection::stage(state.as_ref(), &scores, &plan, stage, &terms)?);
        }
        let Some(state) = state else { return Err(Error::internal("a run of no stages")) };
        let errors = match self.run.recipe.select.spread() {
            Classes::HardClass => Some(selection::class_errors(&state, classes.len())?),
            _ => None,
        };
        let (bytes, _) = self.output(INGEST, "quarantine.parquet")?;
        let derived = selection::finish(&state, frame::decode(&bytes)?, &self.run.seed)?;
        let derived = frame::to_arrow(derived, &tables::selection())?;
        let stored = self.selection_table()?;
        if derived != stored {
            return Err(Error::corrupt("the selection table is not what the score tables give"));
        }
        self.totals(&stored, &plan, classes.len(), errors.as_deref())?;
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
        errors: Option<&[u64]>,
    ) -> Result<()> {
        let kept = kept_ids(stored).len() as u64;
        let wanted = if plan.is_exact() { plan.kept() } else { kept };
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
            let aside = ["noise-guard", "filtered", "duplicate"].contains(&reason.value(i));
            eligible[class] += u64::from(!aside);
        }
        if !plan.is_exact() {
            return Ok(());
        }
        let bounds = plan.class_bounds(&eligible, errors)?;
        match (0..classes).find(|class| !bounds[*class].allow(counts[*class])) {
            None => Ok(()),
            Some(class) => Err(Error::corrupt(format!(
                "class {class} keeps {}, not from {} to {}",
                counts[class], bounds[class].least, bounds[class].most
            ))),
        }
    }

    fn scores_each(&self) -> usize {
        match (self.run.recipe.mode, self.run.recipe.folds.fit_on) {
            (Mode::Unseen, FitOn::Fold) => self.run.recipe.folds.k - 1,
            _ => 1,
        }
    }

    pub(super) fn seen_by_design(&self, stage: usize) -> bool {
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
        Ok(kept_ids(&self.table(&task, "selection.parquet", &tables::state())?))
    }

    pub(super) fn models(&self) -> Vec<(usize, usize)> {
        let recipe = &self.run.recipe;
        (1..=stages(recipe)).flat_map(|s| (0..models(recipe, s)).map(move |m| (s, m))).collect()
    }

    pub(super) fn train_table(&self, stage: usize, model: usize) -> Result<RecordBatch> {
        self.table(&Task::Train { stage, model }.to_string(), "members.parquet", &tables::members())
    }

    fn score_table(&self, stage: usize, model: usize) -> Result<RecordBatch> {
        let thin = std::sync::Arc::new(tables::members().as_ref().clone());
        frame::to_arrow(frame::decode(&self.scores(stage, model)?)?, &thin)
    }

    /// A score table, which must come from the outputs that the recipe asks for.
    pub(super) fn scores(&self, stage: usize, model: usize) -> Result<bytes::Bytes> {
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
}
