//! What can be told of a selection before anything is scored.

use super::SelectionPlan;
use super::budget::Purse;
use super::cells::{Cells, Classes, Demand};
use super::feasible::Room;
use super::stage::Terms;
use crate::{Error, Result};

/// Holds filter, quotas and budget against the usable samples `ids` with their `labels`, before models
/// are trained for nothing. The noise guard and the rule `hard_class`, which follow scores, may still
/// break what holds here.
///
/// # Errors
/// `InvalidInput` if the metadata do not fit the samples or a cost is missing; `InvalidRecipe` if the
/// filter leaves too few, or naming demands that contradict each other.
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
    if (open.len() as u64) < plan.kept() && plan.is_exact() {
        return Err(Error::recipe(format!(
            "{} of {} samples are to be kept, but select.filter leaves {}; keep less, or relax it",
            plan.kept(),
            ids.len(),
            open.len()
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
    match room.solve(&cells.demands.iter().collect::<Vec<&Demand>>())? {
        Some(_) => Ok(()),
        None => Err(room.conflict(&cells.demands)?),
    }
}
