//! The law of a prediction table. Every breach is one error that names samples and models.

use std::collections::{BTreeMap, BTreeSet};

use super::members::{Labels, Members};
use super::names::{Names, places};
use super::predictions::{Predictions, Row};
use crate::error::{Error, Result};
use crate::ingest::{Examples, counted};
use crate::recipe::Mode;

/// What is allowed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    /// In `unseen`, no model may score what it was trained on.
    pub(super) mode: Mode,
    /// Leave such predictions out instead of refusing them.
    pub(super) drop_seen: bool,
}

/// Predictions that keep the law, in the order of the score table.
#[derive(Debug)]
pub(super) struct Checked {
    /// The scored samples, ascending by id.
    pub(super) ids: Vec<String>,
    /// The class of each.
    pub(super) labels: Vec<u32>,
    /// The fold of each: the one model that was trained on it.
    pub(super) folds: Vec<Option<i32>>,
    /// The names of the models, by their numbers.
    pub(super) models: Vec<String>,
    /// How many samples each model was trained on.
    pub(super) members: Vec<u64>,
    /// How many epochs each sample and model have, 1 without a column `epoch`.
    pub(super) epochs: usize,
    /// The predictions, ascending by model, id and epoch, with the numbers of `models` and `ids`.
    pub(super) rows: Vec<Row>,
    /// Predictions that were left out because their model was trained on the sample.
    pub(super) dropped: u64,
    /// Samples that are in nobody's training set, if the sets are known.
    pub(super) untrained: u64,
}

/// Holds predictions to the law and takes their rows.
///
/// # Errors
/// `InvalidInput` naming samples and models for: a prediction that is there twice; members of unknown
/// samples or models; models without members, and predictions of what a model was trained on, in mode
/// `unseen`; gaps in the epochs; samples without a score or with fewer than others.
pub(super) fn check(
    predictions: &mut Predictions,
    members: Option<&Members>,
    labels: Option<&Labels>,
    rules: Rules,
) -> Result<Checked> {
    let mut checked = ordered(predictions);
    checked.twice()?;
    if let Some(members) = members {
        let held = checked.members(members, labels, rules.mode)?;
        if rules.mode == Mode::Unseen {
            checked.unseen(&held, rules.drop_seen)?;
            checked.folds(&held);
        }
    }
    if predictions.epochs {
        checked.epochs()?;
    }
    checked.coverage(members, labels)?;
    Ok(checked)
}

/// The predictions with ids and models numbered in their order, and sorted.
fn ordered(predictions: &mut Predictions) -> Checked {
    let ids = predictions.ids.sorted_by(str::to_owned);
    let number = |text: &str| if predictions.numbered { text.parse::<i128>().ok() } else { None };
    let models = predictions.models.sorted_by(|text| (number(text), text.to_owned()));
    let (id_at, model_at) = (places(&ids), places(&models));
    let mut rows = std::mem::take(&mut predictions.rows);
    for row in &mut rows {
        (row.id, row.model) = (id_at[row.id as usize], model_at[row.model as usize]);
    }
    rows.sort_unstable();
    let texts = |order: &[u32], texts: &[String]| -> Vec<String> {
        order.iter().map(|number| texts[*number as usize].clone()).collect()
    };
    Checked {
        labels: ids.iter().map(|id| predictions.labels[*id as usize]).collect(),
        folds: vec![None; ids.len()],
        ids: texts(&ids, predictions.ids.texts()),
        members: vec![0; models.len()],
        models: texts(&models, predictions.models.texts()),
        epochs: 1,
        rows,
        dropped: 0,
        untrained: 0,
    }
}

/// Pairs of sample and model of which the model was trained on the sample.
type Held = BTreeSet<(u32, u32)>;

impl Checked {
    fn pair(&self, row: &Row) -> String {
        format!("`{}` by model `{}`", self.ids[row.id as usize], self.models[row.model as usize])
    }

    fn twice(&self) -> Result<()> {
        let mut twice = Examples::default();
        let key = |row: &Row| (row.model, row.id, row.epoch);
        for pair in self.rows.windows(2).filter(|pair| key(&pair[0]) == key(&pair[1])) {
            twice.add(|| format!("{} in epoch {}", self.pair(&pair[0]), pair[0].epoch));
        }
        refuse(&twice, "prediction", "given twice", "every sample, model and epoch has one row")
    }

    /// The training sets in the numbers of `self`.
    fn members(&mut self, members: &Members, labels: Option<&Labels>, mode: Mode) -> Result<Held> {
        let model = |name: &String| self.models.iter().position(|model| model == name);
        let models: Vec<_> = members.models.texts().iter().map(model).collect();
        let mut strangers = Examples::default();
        for (name, _) in members.models.texts().iter().zip(&models).filter(|(_, at)| at.is_none()) {
            strangers.add(|| format!("`{name}`"));
        }
        refuse(
            &strangers,
            "model",
            "of the members table without predictions",
            "names must be equal",
        )?;
        let known = |id: &str| labels.is_none_or(|labels| labels.ids.find(id).is_some());
        let mut unknown = Examples::default();
        for id in members.ids.texts().iter().filter(|id| !known(id)) {
            unknown.add(|| format!("`{id}`"));
        }
        refuse(&unknown, "sample", "of the members table without a label", "ids must be equal")?;
        let id = |id: &String| self.ids.binary_search(id).ok();
        let ids: Vec<_> = members.ids.texts().iter().map(id).collect();
        let trained = self.ids.iter().filter(|id| members.ids.find(id).is_some()).count();
        self.untrained = (self.ids.len() - trained) as u64;
        let mut held = Held::new();
        for (id, model) in &members.pairs {
            let Some(model) = models[*model as usize] else { continue };
            self.members[model] += 1;
            held.extend(ids[*id as usize].map(|id| (id as u32, model as u32)));
        }
        let mut bare = Examples::default();
        for (name, _) in self.models.iter().zip(&self.members).filter(|(_, n)| **n == 0) {
            bare.add(|| format!("`{name}`"));
        }
        if mode == Mode::Unseen {
            let why = "the members table must say what each model was trained on";
            refuse(&bare, "model", "without members", why)?;
        }
        Ok(held)
    }

    fn unseen(&mut self, held: &Held, drop_seen: bool) -> Result<()> {
        let seen = |row: &Row| held.contains(&(row.id, row.model));
        if drop_seen {
            let before = self.rows.len();
            self.rows.retain(|row| !seen(row));
            self.dropped = (before - self.rows.len()) as u64;
            return Ok(());
        }
        let mut found = Examples::default();
        for row in self.rows.iter().filter(|row| seen(row)) {
            found.add(|| self.pair(row));
        }
        let why = "leave them out with --drop-seen, or score with --mode fitting";
        refuse(&found, "prediction", "by a model that was trained on the sample", why)
    }

    /// The fold of a sample is the one model that was trained on it.
    fn folds(&mut self, held: &Held) {
        let mut by: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for (id, model) in held {
            by.entry(*id).or_default().push(*model);
        }
        for (id, models) in by {
            if let [one] = models[..] {
                self.folds[id as usize] = Some(one as i32);
            }
        }
    }

    /// Every sample and model must have the same epochs, without a gap: those that most have.
    fn epochs(&mut self) -> Result<()> {
        let pair = |a: &Row, b: &Row| (a.model, a.id) == (b.model, b.id);
        let mut counts: BTreeMap<Vec<i64>, usize> = BTreeMap::new();
        for rows in self.rows.chunk_by(pair) {
            let epochs: Vec<i64> = rows.iter().map(|row| row.epoch).collect();
            *counts.entry(epochs).or_default() += 1;
        }
        let usual = counts.into_iter().max_by_key(|(epochs, pairs)| (*pairs, epochs.len()));
        let Some((usual, _)) = usual else { return Ok(()) };
        let gap = usual.windows(2).any(|pair| pair[1] != pair[0] + 1);
        let mut wrong = Examples::default();
        for rows in self.rows.chunk_by(pair) {
            if gap || !rows.iter().map(|row| &row.epoch).eq(&usual) {
                let epochs: Vec<i64> = rows.iter().map(|row| row.epoch).collect();
                wrong.add(|| format!("{} has {}", self.pair(&rows[0]), listed(&epochs)));
            }
        }
        self.epochs = usual.len();
        let what = if gap {
            "of sample and model with a gap in their epochs".to_owned()
        } else {
            format!("of sample and model with other epochs than {}", listed(&usual))
        };
        let why = "every sample and model needs all epochs, without a gap";
        refuse(&wrong, "pair", &what, why)
    }

    /// Every known sample needs a score, and all of them equally many.
    fn coverage(&self, members: Option<&Members>, labels: Option<&Labels>) -> Result<()> {
        let mut scores: BTreeMap<&str, usize> =
            self.ids.iter().map(|id| (id.as_str(), 0)).collect();
        let told = members.map(|m| &m.ids).into_iter().chain(labels.map(|l| &l.ids));
        for id in told.flat_map(Names::texts) {
            scores.entry(id).or_default();
        }
        for rows in self.rows.chunk_by(|a, b| (a.model, a.id) == (b.model, b.id)) {
            *scores.entry(&self.ids[rows[0].id as usize]).or_default() += 1;
        }
        let mut bare = Examples::default();
        for (id, _) in scores.iter().filter(|(_, count)| **count == 0) {
            bare.add(|| format!("`{id}`"));
        }
        let why = "some model that was not trained on them must predict them";
        refuse(&bare, "sample", "without a score", why)?;
        let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
        for count in scores.values() {
            *counts.entry(*count).or_default() += 1;
        }
        let usual = counts.into_iter().max_by_key(|(count, samples)| (*samples, *count));
        let usual = usual.map_or(0, |(count, _)| count);
        let mut odd = Examples::default();
        for (id, count) in scores.iter().filter(|(_, count)| **count != usual) {
            odd.add(|| format!("`{id}` has {count}"));
        }
        let what = format!("with another number of scores than the usual {usual}");
        refuse(&odd, "sample", &what, "scores can only be compared over equally many models")
    }
}

/// Epochs for people: `0 to 9`, or each of a few, or how many.
fn listed(epochs: &[i64]) -> String {
    match epochs {
        [first, .., last] if epochs.windows(2).all(|pair| pair[1] == pair[0] + 1) => {
            format!("{first} to {last}")
        }
        few if few.len() <= 12 => format!("{few:?}"),
        [first, .., last] => format!("{} between {first} and {last}", epochs.len()),
        _ => format!("{}", epochs.len()),
    }
}

/// The error that tells these examples, if there are any.
fn refuse(examples: &Examples, noun: &str, what: &str, advice: &str) -> Result<()> {
    if examples.is_empty() {
        return Ok(());
    }
    let count = counted(examples.count(), noun);
    Err(Error::input(format!("{count} {what}: {examples}; {advice}")))
}
