//! Who was in which model's training set, and which class each sample has.

use std::collections::BTreeSet;

use super::names::Names;
use super::table::{Kind, Table, integers, text};
use crate::error::{Error, Result};
use crate::ingest::{Examples, counted};
use crate::recipe::Storage;

/// The training sets, as the membership table tells them: a row for each sample and model.
#[derive(Debug, Default)]
pub(super) struct Members {
    /// The ids that it names.
    pub(super) ids: Names,
    /// The models that it names.
    pub(super) models: Names,
    /// Pairs of a number in `ids` and one in `models`.
    pub(super) pairs: BTreeSet<(u32, u32)>,
}

impl Members {
    /// Reads the table at `uri`: `id` and `model`.
    ///
    /// # Errors
    /// `InvalidInput` for missing columns, other types and nulls.
    pub(super) fn read(uri: &str, storage: &Storage) -> Result<Self> {
        let table = Table::open(&[uri.to_owned()], "members", storage)?;
        table.need("id", Kind::Text)?;
        table.need("model", Kind::Text)?;
        let mut members = Self::default();
        table.each(&["id", "model"], |first, batch| {
            let (ids, models) = (text(batch, "id", first)?, text(batch, "model", first)?);
            for (id, model) in ids.iter().flatten().zip(models.iter().flatten()) {
                let pair = (members.ids.add(id), members.models.add(model));
                members.pairs.insert(pair);
            }
            Ok(())
        })?;
        Ok(members)
    }
}

/// The class of each sample of a table of its own.
#[derive(Debug, Default)]
pub(super) struct Labels {
    /// The ids.
    pub(super) ids: Names,
    /// The class of each, from 0.
    pub(super) classes: Vec<u32>,
}

impl Labels {
    /// Reads the table at `uri`: `id` and `label`.
    ///
    /// # Errors
    /// `InvalidInput` for missing columns, other types, nulls, a negative label, and an id that is
    /// there twice.
    pub(super) fn read(uri: &str, storage: &Storage) -> Result<Self> {
        let table = Table::open(&[uri.to_owned()], "labels", storage)?;
        table.need("id", Kind::Text)?;
        table.need("label", Kind::Integer)?;
        let (mut labels, mut twice) = (Self::default(), Examples::default());
        table.each(&["id", "label"], |first, batch| {
            let (ids, classes) = (text(batch, "id", first)?, integers(batch, "label", first)?);
            for (id, class) in ids.iter().flatten().zip(classes.values()) {
                if labels.ids.add(id) as usize == labels.classes.len() {
                    labels.classes.push(class_of(id, *class)?);
                } else {
                    twice.add(|| format!("`{id}`"));
                }
            }
            Ok(())
        })?;
        if twice.is_empty() {
            return Ok(labels);
        }
        let count = counted(twice.count(), "id");
        Err(Error::input(format!("{count} given twice in the labels table: {twice}")))
    }
}

/// A label as a class.
pub(super) fn class_of(id: &str, label: i64) -> Result<u32> {
    u32::try_from(label).map_err(|_| {
        Error::input(format!("sample `{id}` has the label {label}; classes count from 0"))
    })
}
