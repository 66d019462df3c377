//! A table of predictions: its thin columns in memory, its numbers in scratch files.

use super::lists::{EMBEDDING, Lists, not_finite};
use super::members::{Labels, class_of};
use super::names::Names;
use super::table::{Kind, Table, integers, numbers, text};
use crate::error::{Error, Result};
use crate::ingest::{Examples, counted};
use crate::recipe::Storage;

/// How far the sum of probabilities may be off 1, as in [`crate::scoring::score_block`].
const SUM: f64 = 1e-3;

/// What models put out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outputs {
    Logits,
    Probabilities,
}

impl Outputs {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Logits => "logits",
            Self::Probabilities => "probabilities",
        }
    }
}

/// One prediction: numbers of its id and its model, its epoch, and its place in the scratch file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Row {
    pub(super) model: u32,
    pub(super) id: u32,
    pub(super) epoch: i64,
    pub(super) at: u64,
}

/// A table of predictions. Every row has `classes` numbers that can be scored.
#[derive(Debug)]
pub(super) struct Predictions {
    pub(super) ids: Names,
    pub(super) models: Names,
    /// Whether `model` is a column of integers, which sort as numbers.
    pub(super) numbered: bool,
    pub(super) outputs: Outputs,
    pub(super) classes: usize,
    /// Whether there is a column `epoch`; else all rows have epoch 0.
    pub(super) epochs: bool,
    pub(super) rows: Vec<Row>,
    /// The class of each id.
    pub(super) labels: Vec<u32>,
    values: Lists,
    /// The embedding of each row, if they were asked for.
    pub(super) embeddings: Option<Lists>,
}

impl Predictions {
    /// Reads the tables at `uris`, with the column `embedding` if it is asked for; `labels` are those
    /// of a table of its own.
    ///
    /// # Errors
    /// `InvalidInput` for missing columns, other types and nulls, rows of another length, numbers that
    /// cannot be scored, and labels that are missing, contradict each other or are no class.
    pub(super) fn read(
        uris: &[String],
        labels: Option<&Labels>,
        embeddings: bool,
        storage: &Storage,
    ) -> Result<Self> {
        let table = Table::open(uris, "predictions", storage)?;
        let mut reader = Reader::new(&table, labels.is_none(), embeddings)?;
        table.each(&reader.columns(), |first, batch| reader.take(first, batch))?;
        let lists = [Some(&reader.found.values), reader.found.embeddings.as_ref()];
        lists.into_iter().flatten().try_for_each(Lists::check)?;
        reader.finish(labels)
    }

    /// The numbers of these rows, one row after another.
    pub(super) fn values(&self, rows: impl Iterator<Item = Row>) -> Result<Vec<f32>> {
        self.values.values(rows)
    }
}

/// Reads a table batch by batch.
struct Reader {
    found: Predictions,
    /// The label of each id, if the table has labels.
    own_labels: Option<Vec<u32>>,
}

impl Reader {
    fn new(table: &Table, own_labels: bool, embeddings: bool) -> Result<Self> {
        let outputs = match (table.has("logits"), table.has("probabilities")) {
            (true, false) => Outputs::Logits,
            (false, true) => Outputs::Probabilities,
            _ => {
                let message = "the predictions table needs a column `logits` or a column `probabilities`, and not both";
                return Err(Error::input(message));
            }
        };
        table.need("id", Kind::Text)?;
        table.need("model", Kind::Text)?;
        table.need(outputs.name(), Kind::Numbers)?;
        let epochs = table.has("epoch");
        if epochs {
            table.need("epoch", Kind::Integer)?;
        }
        if own_labels {
            table
                .need("label", Kind::Integer)
                .map_err(|e| e.at("labels come from the column `label` or from --labels"))?;
        }
        if embeddings {
            table.need(EMBEDDING, Kind::Numbers).map_err(|e| {
                e.at("the embedding is the input of the model's last layer, for GraNd and the methods that compare embeddings")
            })?;
        }
        let found = Predictions {
            ids: Names::default(),
            models: Names::default(),
            numbered: table.is_integer("model"),
            outputs,
            classes: 0,
            epochs,
            rows: Vec::new(),
            labels: Vec::new(),
            values: Lists::new(outputs.name())?,
            embeddings: embeddings.then(|| Lists::new(EMBEDDING)).transpose()?,
        };
        let own_labels = own_labels.then(Vec::new);
        Ok(Self { found, own_labels })
    }

    fn columns(&self) -> Vec<&'static str> {
        let mut columns = vec!["id", "model", self.found.outputs.name()];
        columns.extend(self.found.epochs.then_some("epoch"));
        columns.extend(self.own_labels.is_some().then_some("label"));
        columns.extend(self.found.embeddings.as_ref().map(Lists::name));
        columns
    }

    fn take(&mut self, first: u64, batch: &arrow::record_batch::RecordBatch) -> Result<()> {
        let (ids, models) = (text(batch, "id", first)?, text(batch, "model", first)?);
        let epochs = if self.found.epochs { Some(integers(batch, "epoch", first)?) } else { None };
        let labels = match self.own_labels {
            Some(_) => Some(integers(batch, "label", first)?),
            None => None,
        };
        let outputs = self.found.outputs;
        let lists = numbers(batch, outputs.name())?;
        let points = self.found.embeddings.is_some().then(|| numbers(batch, EMBEDDING));
        let points = points.transpose()?;
        for row in 0..batch.num_rows() {
            let id = self.found.ids.add(ids.value(row));
            let model = self.found.models.add(models.value(row));
            let epoch = epochs.as_ref().map_or(0, |epochs| epochs.value(row));
            let at = self.found.rows.len() as u64;
            self.found.rows.push(Row { model, id, epoch, at });
            if let Some(labels) = &labels {
                self.label(id, labels.value(row))?;
            }
            let name = || name(ids.value(row), models.value(row));
            self.found.values.add(&lists, row, &name, |values| fault(values, outputs))?;
            if let (Some(points), Some(found)) = (&points, &mut self.found.embeddings) {
                found.add(points, row, &name, |values| not_finite(values, "coordinate"))?;
            }
        }
        Ok(())
    }

    fn label(&mut self, id: u32, label: i64) -> Result<()> {
        let name = &self.found.ids.texts()[id as usize];
        let class = class_of(name, label)?;
        let Some(labels) = &mut self.own_labels else { return Ok(()) };
        match labels.get(id as usize) {
            None => labels.push(class),
            Some(before) if *before == class => {}
            Some(before) => {
                return Err(Error::input(format!(
                    "sample `{name}` has the labels {before} and {class} in different rows"
                )));
            }
        }
        Ok(())
    }

    fn finish(self, labels: Option<&Labels>) -> Result<Predictions> {
        let mut found = self.found;
        if found.rows.is_empty() {
            return Err(Error::input("the predictions table has no rows"));
        }
        found.classes = found.values.width;
        found.labels = match (self.own_labels, labels) {
            (Some(own), _) => own,
            (None, Some(labels)) => joined(&found.ids, labels)?,
            (None, None) => return Err(Error::internal("no labels")),
        };
        let mut wrong = Examples::default();
        for (id, label) in found.ids.texts().iter().zip(&found.labels) {
            if *label as usize >= found.classes {
                wrong.add(|| format!("`{id}` has {label}"));
            }
        }
        if wrong.is_empty() {
            return Ok(found);
        }
        let (count, last) = (counted(wrong.count(), "label"), found.classes.saturating_sub(1));
        let what = found.outputs.name();
        Err(Error::input(format!(
            "{count} outside of the classes: there are {} {what}, so classes run from 0 to {last}: {wrong}",
            found.classes
        )))
    }
}

/// The labels of these ids.
fn joined(ids: &Names, labels: &Labels) -> Result<Vec<u32>> {
    let (mut joined, mut unknown) = (Vec::new(), Examples::default());
    for id in ids.texts() {
        match labels.ids.find(id) {
            Some(number) => joined.push(labels.classes[number as usize]),
            None => unknown.add(|| format!("`{id}`")),
        }
    }
    if unknown.is_empty() {
        return Ok(joined);
    }
    let count = counted(unknown.count(), "sample");
    let message =
        format!("{count} with predictions but without a row in the labels table: {unknown}");
    Err(Error::input(message))
}

/// Why a row of outputs cannot be scored.
fn fault(values: &[f32], outputs: Outputs) -> Option<String> {
    let not_finite = not_finite(values, "class");
    if not_finite.is_some() || outputs == Outputs::Logits {
        return not_finite;
    }
    if let Some(at) = values.iter().position(|value| !(0.0..=1.0).contains(value)) {
        return Some(format!("has the probability {} for class {at}", values[at]));
    }
    let sum: f64 = values.iter().map(|value| f64::from(*value)).sum();
    ((sum - 1.0).abs() > SUM).then(|| format!("has probabilities that sum to {sum:.4}, not 1"))
}

/// A prediction in messages.
fn name(id: &str, model: &str) -> String {
    format!("`{id}` by model `{model}`")
}
