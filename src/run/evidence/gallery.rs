//! Samples to look at: at the top, at the cut and at the bottom of the ranking, and suspected labels.

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Float32Type, Float64Type, Int64Type};

use super::Question;
use super::facts::Facts;
use super::types::{Gallery, Shelf, Shown, Suspect, Suspects};
use crate::error::{Error, ErrorKind, Place, Result};
use crate::ingest::{Glimpse, Wanted, glimpses};
use crate::run::identity::RunFile;
use crate::run::init::init_object;
use crate::run::label_errors::LABEL_ERRORS;
use crate::run::metadata::join_objects;
use crate::run::rows::{column, ints, places, strings};
use crate::run::task::Task;
use crate::storage::{parquet, resolve};
use crate::tables;

/// How many samples are shown at each place of the ranking, and how many labels.
const SHOWN: usize = 12;

/// Samples at both ends and at the cut of the ranking, and the labels that are suspected most.
pub(super) fn gallery(
    facts: &Facts,
    question: &Question<'_>,
) -> Result<(Gallery, Option<Suspects>)> {
    let mut shelves: Vec<(&str, Vec<usize>)> = ranked(facts)?;
    let suspects = suspected(facts)?;
    let doubted = suspects.iter().flat_map(|s| s.iter().take(SHOWN).map(|s| s.row)).collect();
    shelves.push(("suspects", doubted));
    let rows: Vec<usize> = shelves.iter().flat_map(|(_, rows)| rows.iter().copied()).collect();
    let (seen, note) = match question.samples.then(|| look(facts, question, &rows)) {
        Some(Ok(seen)) => (seen, None),
        Some(Err(e)) if e.kind() == ErrorKind::InvalidRecipe => return Err(e),
        Some(Err(e)) => (vec![Glimpse::Nothing(String::new()); rows.len()], Some(e.to_string())),
        None => (vec![Glimpse::Nothing(String::new()); rows.len()], None),
    };
    let mut shown = rows.iter().zip(seen).map(|(row, glimpse)| facts.shown(*row, glimpse));
    let mut told = Vec::new();
    for (name, rows) in &shelves {
        let samples = shown.by_ref().take(rows.len()).collect::<Result<Vec<_>>>()?;
        told.push(Shelf { name: (*name).to_owned(), samples });
    }
    let first = told.pop().map(|shelf| shelf.samples).unwrap_or_default();
    told.retain(|shelf| !shelf.samples.is_empty());
    Ok((Gallery { shelves: told, note }, suspects.map(|found| facts.suspects(&found, first))))
}

/// Rows of the selection at the places of the ranking: first what is kept, in the order in which it came
/// in, then what is not, in the order of the last stage.
fn ranked(facts: &Facts) -> Result<Vec<(&'static str, Vec<usize>)>> {
    let (stage, rank) = (
        ints(&facts.selection, "stage")?,
        column(&facts.selection, "rank")?.as_primitive::<Int64Type>(),
    );
    let (mut kept, mut left) = (Vec::new(), Vec::new());
    for at in (0..rank.len()).filter(|at| rank.is_valid(*at)) {
        let entry = stage.is_valid(at).then(|| stage.value(at));
        if entry.is_some() { &mut kept } else { &mut left }.push((entry, rank.value(at), at));
    }
    kept.sort_unstable();
    left.sort_unstable();
    let rows = |all: &[(Option<i32>, i64, usize)]| all.iter().map(|(.., at)| *at).collect();
    let last = |all: &[(Option<i32>, i64, usize)]| rows(&all[all.len().saturating_sub(SHOWN)..]);
    let first = |all: &[(Option<i32>, i64, usize)]| rows(&all[..all.len().min(SHOWN)]);
    Ok(vec![
        ("Wanted most: the first that were kept", first(&kept)),
        ("At the cut: the last that were kept", last(&kept)),
        ("At the cut: the first that were not", first(&left)),
        ("Wanted least: the last of all", last(&left)),
    ])
}

/// The inputs of some rows of the selection.
fn look(facts: &Facts, question: &Question<'_>, rows: &[usize]) -> Result<Vec<Glimpse>> {
    let mut recipe = facts.file.recipe.clone();
    recipe.storage = question.storage.over(&recipe.storage);
    let objects = resolve(recipe.data.uri.as_slice(), &recipe.storage)
        .at(|| "give the command in the directory in which the run was begun".to_owned())?;
    let init = init_object(&recipe)?;
    let now = RunFile::new(&recipe, &objects, &join_objects(&recipe)?, init.as_ref())?;
    if let Some(change) = now.input_changes(&facts.file).first() {
        return Err(Error::new(ErrorKind::Conflict, change));
    }
    let (ids, all) = (strings(&facts.samples, "id")?, places(&facts.samples)?);
    let wanted = strings(&facts.selection, "id")?;
    // Both tables ascend by id; what is in quarantine has no rank, and hence is not asked for.
    let mut of_row = std::collections::BTreeMap::new();
    let mut at = 0;
    for row in 0..wanted.len() {
        if at < ids.len() && ids.value(at) == wanted.value(row) {
            of_row.insert(row, all[at]);
            at += 1;
        }
    }
    let place = |row: &usize| {
        let unknown = || Error::corrupt(format!("`{}` is no sample", wanted.value(*row)));
        of_row.get(row).copied().ok_or_else(unknown)
    };
    let places = rows.iter().map(place).collect::<Result<Vec<_>>>()?;
    let (data, text) = (&recipe.data, question.text);
    glimpses(&Wanted { objects: &objects, data, text, places: &places })
}

/// A suspected label.
struct Doubt {
    /// The row of the selection.
    row: usize,
    margin: f32,
    suggested: i32,
    self_confidence: f32,
}

/// The suspected labels, the most suspect first; `None` if the run did not look for them.
fn suspected(facts: &Facts) -> Result<Option<Vec<Doubt>>> {
    let Some(bytes) = facts.output(Task::Select { stage: 1 }, LABEL_ERRORS)? else {
        return Ok(None);
    };
    let table = parquet::decode_table(bytes, &tables::label_errors())?;
    let suspected = column(&table, "suspected")?.as_boolean();
    let float = |name| Ok::<_, Error>(column(&table, name)?.as_primitive::<Float32Type>());
    let (margin, confidence) = (float("normalized_margin")?, float("self_confidence")?);
    let suggested = ints(&table, "suggested")?;
    let (ids, all) = (strings(&table, "id")?, strings(&facts.selection, "id")?);
    let mut rows = all.iter().enumerate();
    let mut found = Vec::new();
    for at in 0..table.num_rows() {
        // Both tables ascend by id.
        let row = rows.find(|(_, id)| *id == Some(ids.value(at))).map(|(row, _)| row);
        let row = row.ok_or_else(|| Error::corrupt(format!("`{}` is no sample", ids.value(at))))?;
        if suspected.value(at) {
            found.push(Doubt {
                row,
                margin: margin.value(at),
                suggested: suggested.value(at),
                self_confidence: confidence.value(at),
            });
        }
    }
    found.sort_by(|a, b| a.margin.total_cmp(&b.margin).then(a.row.cmp(&b.row)));
    Ok(Some(found))
}

impl Facts {
    fn shown(&self, row: usize, glimpse: Glimpse) -> Result<Shown> {
        let selection = &self.selection;
        let (label, stage) = (ints(selection, "label")?, ints(selection, "stage")?);
        let score = column(selection, "score")?.as_primitive::<Float64Type>();
        let rank = column(selection, "rank")?.as_primitive::<Int64Type>();
        Ok(Shown {
            id: strings(selection, "id")?.value(row).to_owned(),
            class: self.class(label.value(row)),
            score: score.is_valid(row).then(|| score.value(row)),
            rank: rank.is_valid(row).then(|| rank.value(row)),
            stage: stage.is_valid(row).then(|| stage.value(row)),
            glimpse,
        })
    }

    fn suspects(&self, found: &[Doubt], first: Vec<Shown>) -> Suspects {
        let suspect = |(shown, doubt): (Shown, &Doubt)| Suspect {
            shown,
            suggested: self.class(doubt.suggested),
            self_confidence: f64::from(doubt.self_confidence),
        };
        Suspects {
            count: found.len() as u64,
            first: first.into_iter().zip(found).map(suspect).collect(),
        }
    }
}
