//! One stage after another: the selection table grows, and what is in stays in.
//!
//! The state after a stage is a table with the columns of [`crate::tables::state`] and one row for
//! each usable sample, ascending by id. A sample is *open* while it is neither kept nor set aside for
//! good; only open samples are ranked.

use std::collections::{BTreeMap, BTreeSet};

use polars::prelude::*;

use super::SelectionPlan;
use super::beside::Beside;
use super::budget::Purse;
use super::cells::{Cells, Classes};
use super::fill::fill;
use super::quota::Bounds;
use super::rank::ranking;
use super::scored::{Scored, end};
use super::state::{Reason, State};
use super::strategy::{self, Ranked};
use crate::recipe::{Copies, Score, Select};
use crate::seed::Seed;
use crate::{Error, Result};

/// What decides a selection, beside the scores.
#[derive(Clone)]
pub struct Terms<'a> {
    /// How scores become one, and the scores of one's own.
    pub score: &'a Score,
    /// What is kept.
    pub select: &'a Select,
    /// The class names; the index is the label.
    pub classes: &'a [String],
    /// A row for each usable sample: `id`, and the columns that `select` names.
    pub metadata: Option<DataFrame>,
    /// The columns `id` and `cluster` (a string, null for a sample alone) for `select.duplicates`.
    pub clusters: Option<DataFrame>,
    /// The run's seed.
    pub seed: &'a Seed,
}

/// The selection after stage `t` (from 1), from the one before and the scores of this stage.
///
/// `scores` is one table with the rows of all models of the stage, as
/// [`aggregate`](fn@crate::selection::aggregate) takes it: every usable sample in stage 1, every open
/// one later (others are ignored). Stage 1 first sets aside, for good, what the filter refuses, the
/// hardest under the noise guard, and the duplicates of a sample that is wanted more. Of the open
/// samples the `plan.sizes()[t - 1]` first in the order of the strategy are kept, within the quotas of
/// classes and cells, or as many as the budget pays for.
///
/// Reasons: `kept`; `below-cut`; `quota` (among the first of the stage, but its class or cell was full
/// or the place was kept for one that lacks samples); `budget`; and for those set aside `filtered`,
/// `noise-guard` and `duplicate`, which have no rank.
///
/// # Errors
/// `InvalidInput` if the scores or the metadata do not fit the samples (one lost, one twice);
/// `InvalidRecipe` if a rule cannot hold, naming classes and cells; `Internal` if `previous` is not the
/// selection after stage `t - 1`.
pub fn stage(
    previous: Option<&DataFrame>,
    scores: &LazyFrame,
    plan: &SelectionPlan,
    t: usize,
    terms: &Terms<'_>,
) -> Result<DataFrame> {
    if t == 0 || t > plan.sizes().len() {
        return Err(Error::internal(format!("the plan has no stage {t}")));
    }
    let samples = terms.scored(scores).map_err(|e| e.at(format!("stage {t}")))?;
    let state = match previous {
        None => State::opened(&samples),
        Some(table) => State::read(table)?.rescored(&samples, t)?,
    };
    advanced(state, &samples, plan, t, terms)?.table()
}

impl Terms<'_> {
    /// The scores of one stage.
    pub(super) fn scored(&self, scores: &LazyFrame) -> Result<Scored> {
        let select = self.select;
        Scored::new(scores, self.score, &select.by, select.strategy, self.classes.len())
    }

    /// What is known of the samples beside their scores, if `select` asks for it.
    pub(super) fn beside(&self, ids: &[String], labels: &[usize]) -> Result<Beside> {
        if self.select.needs_columns() {
            Beside::new(ids, labels, self.classes, self.metadata.as_ref())
        } else {
            Beside::new(&[], &[], &[], None)
        }
    }

    fn ranking(&self, state: &State, samples: &[usize]) -> Result<Vec<usize>> {
        let ids: Vec<&str> = samples.iter().map(|i| state.ids[*i].as_str()).collect();
        let scores: Vec<Option<f64>> = samples.iter().map(|i| state.scores[*i]).collect();
        let order = ranking(&ids, &scores, end(self.score, &self.select.by)?, self.seed);
        Ok(order.into_iter().map(|place| samples[place]).collect())
    }
}

/// The state after stage `t`, from the one before with the scores of this stage.
pub(super) fn advanced(
    mut state: State,
    scored: &Scored,
    plan: &SelectionPlan,
    t: usize,
    terms: &Terms<'_>,
) -> Result<State> {
    check_before(&state, plan, t)?;
    let beside = terms.beside(&state.ids, &state.labels)?;
    if t == 1 {
        set_aside(&mut state, plan, terms, &beside)?;
    }
    let ranked = terms.ranking(&state, &state.open())?;
    let (order, taken) = match Purse::of(terms.select, &beside)? {
        Some(purse) => (ranked.clone(), spent(&state, &ranked, &purse, plan, t)?),
        None => chosen(&state, &ranked, scored, plan, t, terms, &beside)?,
    };
    enter(&mut state, plan, t, &ranked, &order, &taken);
    Ok(state)
}

fn check_before(state: &State, plan: &SelectionPlan, t: usize) -> Result<()> {
    let rows = state.ids.len() as u64;
    if t == 1 && rows != plan.rows() {
        return Err(Error::input(format!(
            "stage 1 scored {rows} samples, but {} are usable",
            plan.rows()
        )));
    }
    let got = state.reasons.iter().filter(|reason| **reason == Reason::Kept).count() as u64;
    let want: u64 = plan.sizes()[..t - 1].iter().sum();
    if rows != plan.rows() || (plan.is_exact() && got != want) || (t == 1 && got > 0) {
        return Err(Error::internal(format!(
            "before stage {t} the selection keeps {got} of {rows} samples, not {want} of {}",
            plan.rows()
        )));
    }
    Ok(())
}

/// Sets aside for good what is never kept: by the filter, else the noise guard, else as a duplicate.
fn set_aside(
    state: &mut State,
    plan: &SelectionPlan,
    terms: &Terms<'_>,
    beside: &Beside,
) -> Result<()> {
    let all: Vec<usize> = (0..state.ids.len()).collect();
    let ranked = terms.ranking(state, &all)?;
    for i in &ranked[..plan.guarded() as usize] {
        state.reasons[*i] = Reason::NoiseGuard;
    }
    if let Some(sql) = &terms.select.filter {
        let passes = beside.filter(sql)?.into_iter().enumerate().filter(|(_, passes)| !passes);
        passes.for_each(|(i, _)| state.reasons[i] = Reason::Filtered);
    }
    if terms.select.duplicates == Copies::One {
        let clusters = clusters(terms.clusters.as_ref())?;
        let mut seen = BTreeSet::new();
        for i in
            ranked.iter().filter(|i| !state.reasons[**i].is_final()).copied().collect::<Vec<_>>()
        {
            let cluster = clusters.get(state.ids[i].as_str());
            if cluster.is_some_and(|cluster| !seen.insert(cluster)) {
                state.reasons[i] = Reason::Duplicate;
            }
        }
    }
    check_enough(state, plan)
}

/// The cluster of each sample that is not alone.
pub(super) fn clusters(table: Option<&DataFrame>) -> Result<BTreeMap<&str, &str>> {
    let Some(table) = table else { return Ok(BTreeMap::new()) };
    let (ids, clusters) = (table.column("id")?.str()?, table.column("cluster")?.str()?);
    let pairs = ids.iter().zip(clusters.iter());
    Ok(pairs.filter_map(|(id, cluster)| Some((id?, cluster?))).collect())
}

fn check_enough(state: &State, plan: &SelectionPlan) -> Result<()> {
    let of = |reason| state.reasons.iter().filter(|r| **r == reason).count();
    let [filtered, guarded, copies] =
        [Reason::Filtered, Reason::NoiseGuard, Reason::Duplicate].map(of);
    let (left, kept) = (state.open().len() as u64, plan.kept());
    if left >= kept || (!plan.is_exact() && left > 0) {
        return Ok(());
    }
    Err(Error::recipe(format!(
        "{kept} of {} samples are to be kept, but only {left} may be: select.filter refuses {filtered}, select.drop_hardest takes {guarded} and select.duplicates {copies}; keep less, or relax one of them",
        plan.rows()
    )))
}

/// The order of the strategy, and what quotas let the stage take of it.
fn chosen(
    state: &State,
    ranked: &[usize],
    scored: &Scored,
    plan: &SelectionPlan,
    t: usize,
    terms: &Terms<'_>,
    beside: &Beside,
) -> Result<(Vec<usize>, Vec<usize>)> {
    let order = ordered(state, ranked, scored, plan, terms)?;
    let (classes, select) = (terms.classes.len(), terms.select);
    let eligible = state.count(classes, |reason| !reason.is_final());
    let errors = match select.spread() {
        crate::recipe::Classes::HardClass => Some(state.errors(classes)?),
        _ => None,
    };
    let bounds = plan.class_bounds(&eligible, errors.as_deref())?;
    let size = plan.sizes()[t - 1];
    if select.quota.is_empty() {
        let kept = state.count(classes, |reason| reason == Reason::Kept);
        let mut quota = plan.stage_quota(size, &bounds, &kept);
        let taken = order.iter().filter(|i| quota.take(state.labels[**i] as i32));
        let taken = taken.copied().collect();
        return Ok((order, taken));
    }
    let rules = rules(state, terms.classes, &bounds, &eligible);
    let cells = Cells::new(&select.quota, beside, rules, plan.kept())?;
    let taken = fill(&order, &kept(state), &cells, plan.kept(), size as usize)?;
    Ok((order, taken))
}

fn rules<'a>(
    state: &'a State,
    names: &'a [String],
    bounds: &'a [Bounds],
    eligible: &'a [u64],
) -> Classes<'a> {
    Classes { names, labels: &state.labels, bounds, eligible }
}

fn kept(state: &State) -> Vec<usize> {
    (0..state.ids.len()).filter(|i| state.reasons[*i] == Reason::Kept).collect()
}

fn ordered(
    state: &State,
    ranked: &[usize],
    scored: &Scored,
    plan: &SelectionPlan,
    terms: &Terms<'_>,
) -> Result<Vec<usize>> {
    let confidence = |i: &usize| scored.confidence[scored.find(&state.ids[*i])?];
    let pool = Ranked {
        ids: ranked.iter().map(|i| state.ids[*i].as_str()).collect(),
        labels: ranked.iter().map(|i| state.labels[*i]).collect(),
        scores: ranked.iter().map(|i| state.scores[*i]).collect(),
        confidence: ranked.iter().map(confidence).collect(),
    };
    let prune = 1.0 - plan.kept() as f64 / plan.rows() as f64;
    let by_class = terms.select.fixes_classes();
    let order = strategy::order(&pool, terms.select, prune, by_class, terms.seed)?;
    Ok(order.into_iter().map(|place| ranked[place]).collect())
}

fn spent(
    state: &State,
    ranked: &[usize],
    purse: &Purse,
    plan: &SelectionPlan,
    t: usize,
) -> Result<Vec<usize>> {
    let kept = kept(state);
    let taken = purse.spend(ranked, &kept, plan.spent(t).unwrap_or(1.0));
    if taken.is_empty() && kept.is_empty() { Err(purse.too_small(t)) } else { Ok(taken) }
}

/// Writes down what stage `t` decided.
fn enter(
    state: &mut State,
    plan: &SelectionPlan,
    t: usize,
    ranked: &[usize],
    order: &[usize],
    taken: &[usize],
) {
    for (i, rank) in ranked.iter().zip(1..) {
        state.ranks[*i] = Some(rank);
    }
    let size = plan.sizes()[t - 1] as usize;
    for (place, i) in order.iter().enumerate() {
        state.reasons[*i] = match (plan.is_exact(), place < size) {
            (false, _) => Reason::Budget,
            (true, true) => Reason::Quota,
            (true, false) => Reason::BelowCut,
        };
    }
    for i in taken {
        state.reasons[*i] = Reason::Kept;
        state.stages[*i] = Some(t as i32);
    }
}
