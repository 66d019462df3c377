//! What came out of a run, read back from its committed tables.

use std::collections::BTreeMap;

use arrow::array::AsArray;
use serde::Serialize;

use super::auto::Choice;
use super::evaluate::Judgement;
use super::rows::column;
use super::task::{CORESET, INGEST, Task, models};
use super::worker::Run;
use crate::error::Result;
use crate::recipe::{
    Address, Aggregate, Average, By, FitOn, Form, Mode, Outputs, Recipe, Scale, Strategy,
};
use crate::scoring::{Direction, criterion};
use crate::selection::{self, Spread};
use crate::storage::{Ledger, frame, parquet};
use crate::{shards, tables};

/// The outcome of a finished run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// The run directory.
    pub uri: String,
    /// Usable samples.
    pub usable: u64,
    /// Kept samples.
    pub kept: u64,
    /// Samples in quarantine.
    pub quarantined: u64,
    /// The score that decided.
    pub method: String,
    /// The score and which of its ends is kept, for people.
    pub by: String,
    /// How the score decided, for people.
    pub order: String,
    /// Which models scored, for people.
    pub scored_by: String,
    /// The stages.
    pub stages: Vec<StageSummary>,
    /// How many samples were left out though one with their score is kept; see [`selection::tied`].
    pub tied: u64,
    /// The classes, in the order of their labels.
    pub classes: Vec<ClassCount>,
    /// How many samples each reason holds.
    pub reasons: BTreeMap<String, u64>,
    /// How many labels are suspected to be wrong, if the recipe asked.
    pub suspected_labels: Option<u64>,
    /// What the strategy `auto` chose; none if the recipe named one.
    pub auto: Option<Choice>,
    /// What the judge found; none if it is turned off.
    pub judge: Option<Judgement>,
    /// How the aggregated scores of stage 1 spread.
    pub spread: Spread,
    /// SHA-256 over the kept ids, ascending, one a line.
    pub selection_sha256: String,
    /// How many shards the coreset has.
    pub shards: usize,
    /// Their bytes.
    pub coreset_bytes: u64,
    /// The line of Python that loads the coreset; none for a view.
    pub python: Option<String>,
}

/// One stage of the selection.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StageSummary {
    /// The stage, from 1.
    pub stage: usize,
    /// How many models scored.
    pub models: usize,
    /// How many samples it added.
    pub added: u64,
    /// The score of the last one added.
    pub cut: f64,
    /// The mean accuracy of its models on the samples that they scored.
    pub accuracy: f64,
}

/// One class before and after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClassCount {
    /// Its name.
    pub name: String,
    /// Its usable samples.
    pub total: u64,
    /// Those of them that are kept.
    pub kept: u64,
}

impl Summary {
    /// Reads the outcome of the run behind `ledger`.
    ///
    /// # Errors
    /// `CorruptData` if a table is not what its record says.
    pub(super) fn read(ledger: &Ledger, recipe: &Recipe) -> Result<Self> {
        let coreset = ledger.get(CORESET)?;
        let bytes = ledger.output(&coreset, "selection.parquet")?.0;
        let table = parquet::decode_table(bytes.clone(), &tables::selection())?;
        let selected = frame::decode(&bytes)?;
        let outcome = selection::summary(&selected)?;
        let names: Vec<String> =
            serde_json::from_slice(&ledger.output(&ledger.get(INGEST)?, "classes.json")?.0)?;
        let reasons = reasons(column(&table, "reason")?.as_string::<i32>());
        let rows =
            |name: &str| -> Result<u64> { Ok(ledger.get(INGEST)?.output(name)?.rows.unwrap_or(0)) };
        let (shards, coreset_bytes) = shard_sizes(ledger, recipe)?;
        Ok(Self {
            uri: recipe.output.uri.trim_end_matches('/').to_owned(),
            usable: rows("samples.parquet")?,
            kept: reasons.get("kept").copied().unwrap_or(0),
            quarantined: rows("quarantine.parquet")?,
            method: recipe.select.by.name().to_owned(),
            by: by(recipe),
            order: order(recipe),
            scored_by: scored_by(recipe),
            stages: outcome
                .stages
                .iter()
                .map(|s| stage(ledger, recipe, s))
                .collect::<Result<_>>()?,
            tied: selection::tied(&selected, &recipe.select)?,
            classes: classes(&names, &outcome.classes),
            reasons,
            suspected_labels: suspected_labels(ledger)?,
            auto: Choice::find(ledger)?,
            judge: Judgement::find(ledger)?,
            spread: spread(ledger, recipe)?,
            selection_sha256: coreset
                .facts
                .get("selection_sha256")
                .and_then(|v| v.as_str())
                .unwrap_or_default()
                .to_owned(),
            shards,
            coreset_bytes,
            python: (recipe.output.form == Form::Copy).then(|| python(recipe)),
        })
    }
}

/// `load_dataset` takes a directory on disk; in a bucket it takes files (through `s3fs` and its kin).
fn python(recipe: &Recipe) -> String {
    let (uri, split) = (recipe.output.uri.trim_end_matches('/'), &recipe.output.split);
    match Address::parse(uri) {
        Ok(Address::Object { .. }) => format!(
            "datasets.load_dataset(\"parquet\", data_files={{\"{split}\": \"{uri}/coreset/data/{split}-*.parquet\"}}, split=\"{split}\")"
        ),
        _ => format!("datasets.load_dataset(\"{uri}/coreset\", split=\"{split}\")"),
    }
}

fn by(recipe: &Recipe) -> String {
    let name = recipe.select.by.name();
    match selection::end(&recipe.score, &recipe.select.by) {
        Ok(Direction::KeepHigh) => format!("{name} (high is kept)"),
        Ok(Direction::KeepLow) => format!("{name} (low is kept)"),
        Err(_) => name.to_owned(),
    }
}

fn order(recipe: &Recipe) -> String {
    let by = by(recipe);
    match recipe.select.strategy {
        Strategy::Top => format!("most wanted first by {by}"),
        Strategy::Strata => format!("from strata of {by}"),
        Strategy::Beta => format!("drawn by {by} and confidence"),
        Strategy::Middle => format!("from the middle of {by}"),
        Strategy::Mixed => format!(
            "most wanted first by {by}, mixed with {:.0} % at random",
            100.0 * recipe.select.random_share
        ),
        Strategy::Random => "at random".to_owned(),
        Strategy::RandomStratified => "at random, each class its share".to_owned(),
        Strategy::Auto => format!("not chosen yet, by {by}"),
    }
}

fn scored_by(recipe: &Recipe) -> String {
    let k = recipe.folds.k;
    let whose = match (recipe.mode, recipe.folds.fit_on) {
        (Mode::Unseen, FitOn::Fold) => format!(
            "{k} models, each trained on one of {k} folds and scoring the others: {} unseen scores a sample",
            k - 1
        ),
        (Mode::Unseen, FitOn::Complement) => format!(
            "{k} models, each trained on all folds but one and scoring that one: 1 unseen score a sample"
        ),
        (Mode::Fitting, _) => {
            "one model trained on every sample it scored (fitting mode: the scores are not unseen)"
                .to_owned()
        }
    };
    match recipe.score.outputs {
        Outputs::Clean => whose,
        Outputs::Training => whose + ", from outputs in training mode",
    }
}

fn reasons(column: &arrow::array::StringArray) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for reason in column.iter().flatten() {
        // Each quarantined sample has its own reason; the table lists them.
        let reason = if reason.starts_with("quarantined") { "quarantined" } else { reason };
        *counts.entry(reason.to_owned()).or_default() += 1;
    }
    counts
}

fn stage(ledger: &Ledger, recipe: &Recipe, cut: &selection::StageCut) -> Result<StageSummary> {
    let number = cut.stage as usize;
    let models = models(recipe, number);
    let mut accuracy = 0.0;
    for model in 0..models {
        let record = ledger.get(&Task::Score { stage: number, model }.to_string())?;
        accuracy += record.facts.get("accuracy").and_then(serde_json::Value::as_f64).unwrap_or(0.0);
    }
    Ok(StageSummary {
        stage: number,
        models,
        added: cut.rows,
        cut: cut.score.unwrap_or(f64::NAN),
        accuracy: accuracy / models as f64,
    })
}

fn suspected_labels(ledger: &Ledger) -> Result<Option<u64>> {
    let record = ledger.get(&Task::Select { stage: 1 }.to_string())?;
    Ok(record.facts.get("suspected_labels").and_then(serde_json::Value::as_u64))
}

fn classes(names: &[String], counts: &[selection::ClassCount]) -> Vec<ClassCount> {
    let find = |label: usize| counts.iter().find(|c| c.label as usize == label);
    let count = |(label, name): (usize, &String)| {
        let (total, kept) = find(label).map_or((0, 0), |c| (c.before, c.kept));
        ClassCount { name: name.clone(), total, kept }
    };
    names.iter().enumerate().map(count).collect()
}

/// How the scores of stage 1 spread, aggregated as they were for the selection.
fn spread(ledger: &Ledger, recipe: &Recipe) -> Result<Spread> {
    let mut tables = Vec::new();
    for model in 0..models(recipe, 1) {
        let record = ledger.get(&Task::Score { stage: 1, model }.to_string())?;
        tables.push(frame::decode(&ledger.output(&record, "scores.parquet")?.0)?);
    }
    let names: Vec<String> =
        serde_json::from_slice(&ledger.output(&ledger.get(INGEST)?, "classes.json")?.0)?;
    let scores = selection::one_score(frame::stack(tables)?, &recipe.score, &recipe.select.by)?;
    selection::spread(&scores, score_range(recipe, names.len()))
}

/// The range in which aggregated scores can lie; `None` if there is no bound.
pub(super) fn score_range(recipe: &Recipe, classes: usize) -> Option<(f64, f64)> {
    let ranks = recipe.score.aggregate == Aggregate::MeanRank || recipe.score.scale == Scale::Rank;
    let By::Method(method) = recipe.select.by else { return None };
    match (recipe.score.average, recipe.score.scale) {
        (Average::Scores, _) if ranks => Some((0.0, 1.0)),
        (Average::Scores, Scale::Z) => None,
        _ => criterion(method)?.maximum(classes).map(|maximum| (0.0, maximum)),
    }
}

fn shard_sizes(ledger: &Ledger, recipe: &Recipe) -> Result<(usize, u64)> {
    if recipe.output.form == Form::View {
        return Ok((0, 0));
    }
    let coreset = ledger.get(CORESET)?;
    let count =
        coreset.facts.get("shards").and_then(serde_json::Value::as_u64).unwrap_or(0) as usize;
    let mut bytes = 0;
    for index in 0..count {
        bytes += ledger.get(&Task::Shard { index }.to_string())?.output("shard.parquet")?.bytes;
    }
    Ok((count, bytes))
}

/// The dataset card of the coreset.
pub(super) fn card(run: &Run) -> Result<String> {
    let summary = Summary::read(&run.ledger, &run.recipe)?;
    let survey = run.survey()?;
    let files: Vec<String> = run.file.input.iter().map(|o| o.uri.clone()).collect();
    let classes: Vec<shards::ClassCount> = summary
        .classes
        .iter()
        .map(|c| shards::ClassCount { name: c.name.clone(), total: c.total, kept: c.kept })
        .collect();
    let stages: Vec<u64> = summary.stages.iter().map(|s| s.added).collect();
    let coreset = run.ledger.get(CORESET)?;
    let judge = summary.judge.as_ref().map(|judgement| match judgement.figures {
        Some(_) => format!("{} ({})", judgement.verdict, judgement.caveat()),
        None => judgement.verdict.clone(),
    });
    let data_bytes = coreset.facts.get("bytes").and_then(serde_json::Value::as_u64).unwrap_or(0);
    Ok(shards::card(&shards::CardInfo {
        recipe: &run.recipe,
        score: &summary.by,
        schema: &survey.schema,
        files: &files,
        label_names: survey.label_names.as_deref(),
        classes: &classes,
        stages: &stages,
        judge: judge.as_deref(),
        usable: summary.usable,
        quarantined: summary.quarantined,
        kept: summary.kept,
        data_bytes,
        shard_bytes: summary.coreset_bytes,
        selection_sha256: &summary.selection_sha256,
        command: "unseen run RECIPE.toml  # the recipe is in run.json",
    }))
}
