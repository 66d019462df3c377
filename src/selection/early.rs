//! What can be told of a selection before anything is scored.

use std::collections::BTreeSet;

use super::SelectionPlan;
use super::budget::Purse;
use super::cells::{Cells, Classes};
use super::feasible::Room;
use super::fill::check_room;
use super::stage::{Terms, clusters};
use crate::recipe::Copies;
use crate::{Error, Result};

/// Holds filter, duplicates, quotas and budget against the usable samples `ids` with their `labels`, before models
/// are trained for nothing. The noise guard and the rule `hard_class`, which follow scores, may still
/// break what holds here.
///
/// # Errors
/// `InvalidInput` if the metadata do not fit the samples or a cost is missing; `InvalidRecipe` if the
/// filter and the rule for duplicates leave too few, or naming demands that contradict each other.
pub fn check_terms(
    ids: &[String],
    labels: &[u32],
    plan: &SelectionPlan,
    terms: &Terms<'_>,
) -> Result<()> {
    let labels: Vec<usize> = labels.iter().map(|label| *label as usize).collect();
    let beside = terms.beside(ids, &labels)?;
    let open: Vec<usize> = match &terms.select.filter {
        None => (0..ids.len()).collect(),
        Some(sql) => {
            let passes = beside.filter(sql)?.into_iter().enumerate();
            passes.filter(|(_, passes)| *passes).map(|(i, _)| i).collect()
        }
    };
    let left = left(ids, &open, terms)?;
    if left < plan.kept() && plan.is_exact() {
        return Err(Error::recipe(format!(
            "{} of {} samples are to be kept, but select.filter and select.duplicates leave {left}; keep less, or relax them",
            plan.kept(),
            ids.len(),
        )));
    }
    if Purse::of(terms.select, &beside)?.is_some() || terms.select.quota.is_empty() {
        return Ok(());
    }
    let mut eligible = vec![0; terms.classes.len()];
    for i in &open {
        eligible[labels[*i]] += 1;
    }
    let bounds = plan.class_bounds(&eligible, None)?;
    let (names, eligible) = (terms.classes, eligible.as_slice());
    let rules = Classes { names, labels: &labels, bounds: &bounds, eligible };
    let cells = Cells::new(&terms.select.quota, &beside, rules, plan.kept())?;
    let (least, most) = (vec![0; cells.count], cells.counts(&open));
    let room = Room { least, most, total: plan.kept() };
    check_room(&cells, &room)
}

/// How many of the open samples can be kept together, when one may stand for each cluster.
fn left(ids: &[String], open: &[usize], terms: &Terms<'_>) -> Result<u64> {
    if terms.select.duplicates == Copies::All {
        return Ok(open.len() as u64);
    }
    let clusters = clusters(terms.clusters.as_ref())?;
    let mut seen = BTreeSet::new();
    let mut stands = |i: &&usize| clusters.get(ids[**i].as_str()).is_none_or(|c| seen.insert(*c));
    Ok(open.iter().filter(|i| stands(i)).count() as u64)
}
