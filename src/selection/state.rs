//! The selection between stages, as plain columns.

use polars::prelude::*;

use super::scored::Scored;
use crate::{Error, Result};

/// Why a sample is kept or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    Kept,
    BelowCut,
    Quota,
    Budget,
    NoiseGuard,
    Filtered,
    Duplicate,
}

impl Reason {
    const ALL: [Self; 7] = [
        Self::Kept,
        Self::BelowCut,
        Self::Quota,
        Self::Budget,
        Self::NoiseGuard,
        Self::Filtered,
        Self::Duplicate,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::BelowCut => "below-cut",
            Self::Quota => "quota",
            Self::Budget => "budget",
            Self::NoiseGuard => "noise-guard",
            Self::Filtered => "filtered",
            Self::Duplicate => "duplicate",
        }
    }

    /// Whether a sample with this reason is never kept.
    pub(super) fn is_final(self) -> bool {
        matches!(self, Self::NoiseGuard | Self::Filtered | Self::Duplicate)
    }

    fn of(name: Option<&str>) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|reason| Some(reason.name()) == name);
        found.ok_or_else(|| Error::internal(format!("`{}` is no reason", name.unwrap_or("null"))))
    }
}

/// One entry for each usable sample, ascending by id.
#[derive(Clone, Debug)]
pub(super) struct State {
    pub(super) ids: Vec<String>,
    pub(super) labels: Vec<usize>,
    folds: Vec<Option<i32>>,
    pub(super) scores: Vec<Option<f64>>,
    pub(super) ranks: Vec<Option<i64>>,
    pub(super) stages: Vec<Option<i32>>,
    pub(super) reasons: Vec<Reason>,
    /// How many predictions of stage 1 were wrong; `None` where they are not known.
    pub(super) wrong: Vec<Option<i32>>,
}

impl State {
    /// Before stage 1: everything is open.
    pub(super) fn opened(scored: &Scored) -> Self {
        let rows = scored.ids.len();
        Self {
            ids: scored.ids.clone(),
            labels: scored.labels.clone(),
            folds: scored.folds.clone(),
            scores: scored.scores.clone(),
            ranks: vec![None; rows],
            stages: vec![None; rows],
            reasons: vec![Reason::BelowCut; rows],
            wrong: scored.wrong.clone(),
        }
    }

    /// From the table that [`State::table`] made.
    ///
    /// # Errors
    /// `Internal` if a column is missing or holds what it must not.
    pub(super) fn read(table: &DataFrame) -> Result<Self> {
        let table = table.sort(["id"], SortMultipleOptions::default())?;
        let ids = table.column("id")?.str()?.iter();
        let reasons = table.column("reason")?.str()?.iter().map(Reason::of);
        Ok(Self {
            ids: ids.map(|id| id.unwrap_or_default().to_owned()).collect(),
            labels: super::column::labels(table.column("label")?)?
                .into_iter()
                .map(|label| label as usize)
                .collect(),
            folds: table.column("fold")?.i32()?.iter().collect(),
            scores: table.column("score")?.f64()?.iter().collect(),
            ranks: table.column("rank")?.i64()?.iter().collect(),
            stages: table.column("stage")?.i32()?.iter().collect(),
            reasons: reasons.collect::<Result<_>>()?,
            wrong: table.column("wrong")?.i32()?.iter().collect(),
        })
    }

    /// The table with the columns of [`crate::tables::state`].
    ///
    /// # Errors
    /// None in practice: the columns are equally long.
    pub(super) fn table(&self) -> Result<DataFrame> {
        let labels: Vec<i32> = self.labels.iter().map(|label| *label as i32).collect();
        let kept: Vec<bool> = self.reasons.iter().map(|r| *r == Reason::Kept).collect();
        let reasons: Vec<&str> = self.reasons.iter().map(|r| r.name()).collect();
        Ok(df!(
            "id" => &self.ids, "label" => labels, "fold" => &self.folds, "score" => &self.scores,
            "rank" => &self.ranks, "stage" => &self.stages, "kept" => kept, "reason" => reasons,
            "wrong" => &self.wrong,
        )?)
    }

    /// With the scores of stage `t`.
    ///
    /// # Errors
    /// `InvalidInput` if an open sample has none.
    pub(super) fn rescored(mut self, scored: &Scored, t: usize) -> Result<Self> {
        let mut lost = Vec::new();
        for i in self.open() {
            match scored.find(&self.ids[i]) {
                Some(row) => self.scores[i] = scored.scores[row],
                None => lost.push(i),
            }
        }
        let Some(first) = lost.first() else { return Ok(self) };
        Err(Error::input(format!(
            "stage {t} has no score for {} samples, such as `{}`",
            lost.len(),
            self.ids[*first]
        )))
    }

    /// The samples that may still be kept, ascending.
    pub(super) fn open(&self) -> Vec<usize> {
        let open = |i: &usize| self.reasons[*i] != Reason::Kept && !self.reasons[*i].is_final();
        (0..self.ids.len()).filter(open).collect()
    }

    /// How many samples of each of `classes` classes have a reason that `counts`.
    pub(super) fn count(&self, classes: usize, counts: impl Fn(Reason) -> bool) -> Vec<u64> {
        let mut sizes = vec![0; classes];
        for (label, reason) in self.labels.iter().zip(&self.reasons) {
            sizes[*label] += u64::from(counts(*reason));
        }
        sizes
    }

    /// How many predictions of stage 1 were wrong in each class.
    ///
    /// # Errors
    /// `InvalidInput` if the score tables have no predictions.
    pub(super) fn errors(&self, classes: usize) -> Result<Vec<u64>> {
        let mut errors = vec![0; classes];
        for ((label, wrong), id) in self.labels.iter().zip(&self.wrong).zip(&self.ids) {
            let wrong = wrong.ok_or_else(|| {
                Error::input(format!(
                    "select.classes = \"hard_class\" needs the column `predicted` in the score tables for every sample, but `{id}` has none"
                ))
            })?;
            errors[*label] += u64::from(wrong.unsigned_abs());
        }
        Ok(errors)
    }
}
