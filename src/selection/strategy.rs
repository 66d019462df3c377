//! Strategies as orders: the samples in the order in which a stage would take them.
//!
//! Quotas then go down this order, so every strategy works with every class rule and every total is
//! exact. Random choices follow keyed hashes of ids: neither the order of rows nor the other samples
//! decide about one.

use std::collections::{BTreeMap, BTreeSet};

use crate::recipe::{Select, Strategy};
use crate::seed::Seed;
use crate::{Error, Result};

/// The parameters of the Beta density sum to this (DUAL).
const BETA_SUM: f64 = 16.0;
/// The mean confidence of so many of the most wanted places the density (DUAL).
const BETA_TOP: usize = 10;
/// How far confidences keep from 0 and 1, where the density may be infinite.
const BETA_EDGE: f64 = 1e-6;

/// The samples that may be taken, the most wanted first.
pub(super) struct Ranked<'a> {
    pub(super) ids: Vec<&'a str>,
    pub(super) labels: Vec<usize>,
    pub(super) scores: Vec<Option<f64>>,
    /// Mean confidences; all `None` unless the strategy is [`Strategy::Beta`].
    pub(super) confidence: Vec<Option<f64>>,
}

/// The order of a strategy, as places in `ranked`. `prune` is the share of usable samples that is
/// not kept in the end.
///
/// With `by_class` the strategy is applied inside of each class, and the classes take turns.
///
/// # Errors
/// `InvalidInput` naming ids if `beta` meets a negative score or no confidence.
pub(super) fn order(
    ranked: &Ranked<'_>,
    select: &Select,
    prune: f64,
    by_class: bool,
    seed: &Seed,
) -> Result<Vec<usize>> {
    let all: Vec<usize> = (0..ranked.ids.len()).collect();
    let seed = seed.of("strategy");
    let one = |places: &[usize]| match select.strategy {
        Strategy::Top => Ok(places.to_vec()),
        Strategy::Middle => Ok(middle(places)),
        Strategy::Strata => Ok(strata(ranked, places, select.strata, &seed)),
        Strategy::Mixed => {
            Ok(mixed(places, &stratified(ranked, places, &seed), select.random_share))
        }
        Strategy::Random | Strategy::RandomStratified => Ok(random(ranked, places, &seed)),
        Strategy::Beta => beta(ranked, places, select, prune, &seed),
        Strategy::Auto => Err(Error::recipe(
            "the strategy `auto` is chosen in a run, by models; a selection needs another",
        )),
    };
    // These do not look at the other samples.
    let alone = matches!(select.strategy, Strategy::Top | Strategy::Random);
    if !by_class || alone {
        return one(&all);
    }
    let mut classes: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for place in all {
        classes.entry(ranked.labels[place]).or_default().push(place);
    }
    let mut turns = Vec::new();
    for (label, places) in classes {
        turns.extend(
            one(&places)?.into_iter().enumerate().map(|(turn, place)| (turn, label, place)),
        );
    }
    turns.sort_unstable();
    Ok(turns.into_iter().map(|(_, _, place)| place).collect())
}

fn random(ranked: &Ranked<'_>, places: &[usize], seed: &Seed) -> Vec<usize> {
    let mut order = places.to_vec();
    order.sort_by_key(|place| (seed.hash(ranked.ids[*place]), ranked.ids[*place]));
    order
}

/// At random, and each class has its share of every prefix: of `n` of a class the one in place `j` is due
/// at `(j + 1/2) / n`.
fn stratified(ranked: &Ranked<'_>, places: &[usize], seed: &Seed) -> Vec<usize> {
    let mut classes: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for place in random(ranked, places, seed) {
        classes.entry(ranked.labels[place]).or_default().push(place);
    }
    let mut due = Vec::with_capacity(places.len());
    for members in classes.into_values() {
        let n = members.len() as f64;
        due.extend(members.into_iter().enumerate().map(|(j, place)| ((j as f64 + 0.5) / n, place)));
    }
    let tie = |place: usize| (seed.hash(ranked.ids[place]), ranked.ids[place]);
    due.sort_by(|x, y| x.0.total_cmp(&y.0).then_with(|| tie(x.1).cmp(&tie(y.1))));
    due.into_iter().map(|(_, place)| place).collect()
}

/// Two orders of the same places in turns. Of the first `n`, `share * n` (rounded down) are turns of
/// `other`; a turn passes over what the other order has taken.
fn mixed(places: &[usize], other: &[usize], share: f64) -> Vec<usize> {
    let (mut one, mut other) = (places.iter(), other.iter());
    let due = |turns: usize| (share * turns as f64).floor();
    let mut taken = BTreeSet::new();
    let turn = |at: usize| {
        let whose = if due(at + 1) > due(at) { &mut other } else { &mut one };
        whose.find(|place| taken.insert(**place)).copied()
    };
    (0..places.len()).filter_map(turn).collect()
}

/// Those closest to the middle of the ranking first; of two the more wanted (Xia et al. 2023 keep
/// the ranks 0.5 -/+ keep / 2 of the distance to the class centre).
fn middle(places: &[usize]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..places.len()).collect();
    order.sort_by_key(|i| ((2 * i + 1).abs_diff(places.len()), *i));
    order.into_iter().map(|i| places[i]).collect()
}

/// Strata of equal width take turns, at random inside (CCS, Zheng et al. 2023).
///
/// CCS visits strata from the smallest on and gives each an equal part of what is left, as far as it
/// has that many. That is the same as taking one of each in turn, where the last turn, which may not
/// go round, serves the largest first. Missing scores come last.
fn strata(ranked: &Ranked<'_>, places: &[usize], count: usize, seed: &Seed) -> Vec<usize> {
    let scores = places.iter().filter_map(|place| ranked.scores[*place]);
    let (low, high) = scores.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), score| {
        (low.min(score), high.max(score))
    });
    // The cast saturates: equal scores (0 / 0) are one stratum, and the highest is in the last.
    let stratum = |score: f64| (((score - low) / (high - low)) * count as f64) as usize;
    let mut strata: BTreeMap<Option<usize>, Vec<usize>> = BTreeMap::new();
    for place in random(ranked, places, seed) {
        let stratum = ranked.scores[place].map(|score| stratum(score).min(count - 1));
        strata.entry(stratum).or_default().push(place);
    }
    let missing = strata.remove(&None).unwrap_or_default();
    let mut turns = Vec::new();
    for (stratum, places) in strata {
        let rank = (std::cmp::Reverse(places.len()), std::cmp::Reverse(stratum));
        turns.extend(places.into_iter().enumerate().map(|(turn, place)| (turn, rank, place)));
    }
    turns.sort_unstable();
    turns.into_iter().map(|(_, _, place)| place).chain(missing).collect()
}

/// Drawn without replacement with weights `BetaPDF(m; a, b) * score` (DUAL, Cho et al. 2025), `m`
/// the mean confidence: `b = 15 (1 - mu) (1 - prune^c)`, `a = 16 - b`, `mu` the mean of `m` over the
/// 10 most wanted.
///
/// The draw orders samples by `-ln(u) / weight` with `u` from the hash of the id (Efraimidis and
/// Spirakis 2006): the first `n` are a draw of `n`, for every `n`.
fn beta(
    ranked: &Ranked<'_>,
    places: &[usize],
    select: &Select,
    prune: f64,
    seed: &Seed,
) -> Result<Vec<usize>> {
    let m = confidences(ranked, places)?;
    let top = &m[..m.len().min(BETA_TOP)];
    let mu = top.iter().fold(0.0, |sum, m| sum + m) / top.len().max(1) as f64;
    let b = (BETA_SUM - 1.0) * (1.0 - mu) * (1.0 - prune.powf(select.beta_exponent));
    let a = BETA_SUM - b;
    let mut keys: Vec<(f64, u64, usize)> = Vec::with_capacity(places.len());
    for (place, m) in places.iter().zip(m) {
        let score = ranked.scores[*place].unwrap_or(0.0);
        if score < 0.0 {
            return Err(Error::input(format!(
                "select.strategy = \"beta\" weighs by the score, but that of `{}` is {score}; use a score that is never negative",
                ranked.ids[*place]
            )));
        }
        // Logarithms, because the density may be beyond f64; its constant factor plays no part.
        let weight = score.ln() + (a - 1.0) * m.ln() + (b - 1.0) * (1.0 - m).ln();
        let hash = seed.hash(ranked.ids[*place]);
        keys.push(((-unit(hash).ln()).ln() - weight, hash, *place));
    }
    keys.sort_by(|x, y| x.0.total_cmp(&y.0).then((x.1, x.2).cmp(&(y.1, y.2))));
    Ok(keys.into_iter().map(|(_, _, place)| place).collect())
}

fn confidences(ranked: &Ranked<'_>, places: &[usize]) -> Result<Vec<f64>> {
    let one = |place: &usize| {
        let confidence = ranked.confidence[*place].ok_or_else(|| {
            Error::input(format!(
                "select.strategy = \"beta\" needs `mean_confidence`, but `{}` has none",
                ranked.ids[*place]
            ))
        });
        confidence.map(|m| m.clamp(BETA_EDGE, 1.0 - BETA_EDGE))
    };
    places.iter().map(one).collect()
}

/// A number in (0, 1) from 53 bits of a hash.
fn unit(hash: u64) -> f64 {
    ((hash >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
}
