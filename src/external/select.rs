//! Selection from any score table: nothing is trained, nothing but the table is needed.

use std::collections::BTreeMap;

use arrow::array::{Array, AsArray};
use arrow::compute::{concat_batches, filter_record_batch};
use arrow::datatypes::{Float64Type, Int32Type, Int64Type};
use arrow::record_batch::RecordBatch;
use polars::prelude::DataFrame;
use serde::Serialize;

use super::layout::Layout;
use super::metadata;
use super::table::Table;
use crate::error::{Error, Result};
use crate::recipe::{Copies, Recipe, Select, Storage, Strategy};
use crate::seed::Seed;
use crate::selection::{self, Terms};
use crate::storage::{NewFile, frame};
use crate::tables;

/// The column that names the cluster of duplicates, as in [`tables::samples`].
const CLUSTER: &str = "cluster";

/// The scores of stage 1 of all models, and what is known beside them.
pub struct Scores {
    rows: DataFrame,
    classes: Vec<String>,
    metadata: Option<DataFrame>,
    clusters: Option<DataFrame>,
    /// Rows of later stages, which are left out: they score only what was not yet kept.
    later: u64,
}

/// What was selected.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Selected {
    /// The selection table; `None` if nothing was written.
    pub output: Option<String>,
    /// Scored samples.
    pub samples: u64,
    /// Kept samples.
    pub kept: u64,
    /// Kept samples over scored ones.
    pub keep: f64,
    /// 1 - `keep`.
    pub prune: f64,
    /// The score that decided.
    pub by: String,
    /// The score of the last sample kept; `None` if it has none, or if its strategy does not follow the
    /// order of the scores.
    pub cut: Option<f64>,
    /// The classes.
    pub classes: Vec<ClassKept>,
    /// How many samples each reason holds.
    pub reasons: BTreeMap<String, u64>,
    /// Rows of later stages that played no part.
    pub later_rows: u64,
    /// What must be known to read it, if anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// One class before and after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClassKept {
    /// Its name.
    pub name: String,
    /// Its samples.
    pub total: u64,
    /// Those of them that are kept.
    pub kept: u64,
}

impl Scores {
    /// The score tables at these addresses, for the selection that `recipe` makes: `id`, `label` and
    /// numbers; `model` (0 if there is none), `fold`, `stage` and `predicted` if there are any, and
    /// `probabilities` if they are averaged. Classes are named by their numbers.
    ///
    /// # Errors
    /// `InvalidInput` for missing columns, other types, nulls, scores of clean and training outputs
    /// together, and a sample with two labels.
    pub fn read(uris: &[String], recipe: &Recipe, storage: &Storage) -> Result<Self> {
        let table = Table::open(uris, "scores", storage)?;
        let layout = Layout::new(&table, recipe)?;
        let (mut batches, mut later) = (Vec::new(), 0);
        table.each(&layout.columns(), |first, batch| {
            let batch = layout.batch(batch, first)?;
            let stages = batch["stage"].as_primitive::<Int32Type>();
            let first_stage = stages.iter().map(|stage| Some(stage == Some(1))).collect();
            let kept = filter_record_batch(&batch, &first_stage)?;
            later += (batch.num_rows() - kept.num_rows()) as u64;
            batches.push(kept);
            Ok(())
        })?;
        let Some(schema) = batches.first().map(RecordBatch::schema) else {
            return Err(Error::input("the scores table has no rows"));
        };
        let scores = concat_batches(&schema, &batches)?;
        let most = checked_labels(&scores)?;
        let classes = (0..=most).map(|label| label.to_string()).collect();
        let scores = frame::from_arrow(&scores)?;
        Ok(Self { rows: scores, classes, metadata: None, clusters: None, later })
    }

    /// The score tables of a run's stage 1; `samples` is its table of samples.
    ///
    /// # Errors
    /// `Internal` if their columns differ.
    pub fn of_run(
        tables: Vec<DataFrame>,
        classes: Vec<String>,
        samples: DataFrame,
    ) -> Result<Self> {
        let scores = frame::stack(tables)?.collect()?;
        Ok(Self { rows: scores, classes, metadata: None, clusters: Some(samples), later: 0 })
    }

    /// With the columns that a selection names, from the table at `uri` (Parquet, CSV or JSON), which has
    /// a row for each sample with its `id`; and with its `cluster` (null for a sample alone), if one of
    /// each is to be kept.
    ///
    /// # Errors
    /// `InvalidInput` if it lacks a column or a sample, or an id is null or there twice.
    pub fn beside(self, uri: &str, select: &Select, storage: &Storage) -> Result<Self> {
        let mut names = selection::named_columns(select)?;
        let one = select.duplicates == Copies::One;
        if one && !names.iter().any(|name| name == CLUSTER) {
            names.push(CLUSTER.to_owned());
        }
        let mut ids: Vec<&str> = self.rows.column("id")?.str()?.iter().flatten().collect();
        ids.sort_unstable();
        ids.dedup();
        let table = metadata::read(uri, names, &ids, storage)?;
        let clusters = one.then(|| table.clone());
        Ok(Self { clusters, ..self.with(table) })
    }

    /// With these columns: `id` and what a selection names.
    #[must_use]
    pub fn with(self, metadata: DataFrame) -> Self {
        Self { metadata: Some(metadata), ..self }
    }

    /// The selection that `recipe` makes of these scores in one step: the contract of
    /// [`tables::selection`].
    ///
    /// # Errors
    /// `InvalidRecipe` if its rules cannot hold for these classes; `InvalidInput` if the scores do not
    /// fit together.
    pub fn select(&self, recipe: &Recipe) -> Result<RecordBatch> {
        if recipe.select.duplicates == Copies::One && self.clusters.is_none() {
            return Err(Error::recipe(
                "select.duplicates = \"one\" needs to know the duplicates: give --metadata a table with the columns `id` and `cluster`",
            ));
        }
        let terms = Terms {
            score: &recipe.score,
            select: &recipe.select,
            classes: &self.classes,
            metadata: self.metadata.clone(),
            clusters: self.clusters.clone(),
            seed: &Seed::new(recipe.seed),
        };
        let scores = frame::stack(vec![self.rows.clone()])?;
        frame::to_arrow(selection::select(&scores, &terms)?, &tables::selection())
    }

    /// As [`Scores::select`], with the table written to `output` if there is one.
    ///
    /// # Errors
    /// As [`Scores::select`], and `Unavailable` if it cannot be written.
    pub fn select_into(&self, recipe: &Recipe, output: Option<&NewFile>) -> Result<Selected> {
        let selection = self.select(recipe)?;
        let mut selected = self.summary(recipe, &selection);
        if let Some(output) = output {
            output.write_table(&selection)?;
            selected.output = Some(output.uri().to_owned());
        }
        Ok(selected)
    }

    /// What a selection of these scores came to.
    pub fn summary(&self, recipe: &Recipe, selection: &RecordBatch) -> Selected {
        let kept = selection["kept"].as_boolean();
        let (rank, score) = (
            selection["rank"].as_primitive::<Int64Type>(),
            selection["score"].as_primitive::<Float64Type>(),
        );
        let all = || (0..selection.num_rows()).filter(|at| kept.value(*at));
        let last = all().max_by_key(|at| rank.value(*at));
        let mut reasons = BTreeMap::new();
        for reason in selection["reason"].as_string::<i32>().iter().flatten() {
            *reasons.entry(reason.to_owned()).or_default() += 1;
        }
        let (samples, count) = (selection.num_rows() as u64, all().count() as u64);
        let keep = count as f64 / samples.max(1) as f64;
        Selected {
            output: None,
            samples,
            kept: count,
            keep,
            prune: 1.0 - keep,
            by: recipe.select.by.name().to_owned(),
            cut: last
                .filter(|at| recipe.select.strategy == Strategy::Top && score.is_valid(*at))
                .map(|at| score.value(at)),
            classes: self.classes_of(selection),
            reasons,
            later_rows: self.later,
            note: None,
        }
    }

    fn classes_of(&self, selection: &RecordBatch) -> Vec<ClassKept> {
        let mut classes: Vec<ClassKept> = self
            .classes
            .iter()
            .map(|name| ClassKept { name: name.clone(), total: 0, kept: 0 })
            .collect();
        let labels = selection["label"].as_primitive::<Int32Type>();
        for (label, kept) in labels.iter().zip(selection["kept"].as_boolean()) {
            let class = label.and_then(|label| classes.get_mut(label as usize));
            if let Some(class) = class {
                class.total += 1;
                class.kept += u64::from(kept == Some(true));
            }
        }
        classes
    }
}

/// The highest label; no sample has two.
fn checked_labels(scores: &RecordBatch) -> Result<i32> {
    let mut labels = BTreeMap::new();
    let (ids, values) = (&scores["id"], scores["label"].as_primitive::<Int32Type>());
    for (id, label) in ids.as_string::<i32>().iter().flatten().zip(values.values()) {
        if labels.insert(id, *label).is_some_and(|before| before != *label) {
            let message = format!("sample `{id}` has different labels in different rows");
            return Err(Error::input(message));
        }
    }
    Ok(labels.into_values().max().unwrap_or(0))
}
