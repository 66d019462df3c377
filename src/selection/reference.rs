//! The selection once more, from its description alone: sorted vectors, no tables, no sharing of
//! code with what it checks (only the seed's hash is common, because it defines the tie order).

use std::collections::BTreeSet;

use crate::recipe::{Aggregate, Classes, Scale};
use crate::seed::Seed;

pub(super) struct Rules {
    pub(super) keep_low: bool,
    pub(super) scale: Scale,
    pub(super) aggregate: Aggregate,
    pub(super) classes: Classes,
    pub(super) floor: Option<Part>,
    pub(super) cap: Option<Part>,
    /// What each class makes up of the coreset, in parts of their sum.
    pub(super) target: Option<Vec<usize>>,
    pub(super) sizes: Vec<usize>,
    pub(super) guarded: usize,
    pub(super) seed: Seed,
}

/// A part of a class.
#[derive(Clone, Copy, Debug)]
pub(super) enum Part {
    Rows(usize),
    Sixteenths(usize),
}

impl Part {
    fn of(self, size: usize) -> usize {
        match self {
            Self::Rows(rows) => rows,
            Self::Sixteenths(share) => (2 * share * size + 16) / 32,
        }
    }
}

/// The least and the most that is kept of one class.
type Bounds = (usize, usize);

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    pub(super) id: String,
    pub(super) label: i32,
    pub(super) score: Option<f64>,
    pub(super) rank: Option<i64>,
    pub(super) stage: Option<i32>,
    pub(super) reason: String,
}

/// `stages[t][model][sample]` are scores; samples ascend by id. `None` if the rules cannot hold.
pub(super) fn select(
    samples: &[(String, i32)],
    stages: &[Vec<Vec<f32>>],
    r: &Rules,
) -> Option<Vec<Row>> {
    let fresh = |(id, label): &(String, i32)| Row {
        id: id.clone(),
        label: *label,
        score: None,
        rank: None,
        stage: None,
        reason: String::new(),
    };
    let mut rows: Vec<Row> = samples.iter().map(fresh).collect();
    let mut bounds = class_bounds(&rows, r)?;
    for (t, models) in stages.iter().enumerate() {
        let scored: Vec<usize> = (0..rows.len()).filter(|i| open(&rows[*i])).collect();
        let columns: Vec<Vec<f64>> = models
            .iter()
            .map(|m| scaled(scored.iter().map(|i| f64::from(m[*i])).collect(), r))
            .collect();
        for (j, i) in scored.iter().enumerate() {
            rows[*i].score = one_score(columns.iter().map(|c| c[j]).collect(), r.aggregate);
        }
        let mut queue = scored;
        queue.sort_by(|a, b| before(&rows[*a], &rows[*b], r));
        if t == 0 {
            queue.drain(..r.guarded).for_each(|i| rows[i].reason = "noise-guard".into());
            bounds = class_bounds(&rows, r)?;
        }
        let taken = taken(&rows, &queue, &bounds, r, t);
        for (place, i) in queue.into_iter().enumerate() {
            let row = &mut rows[i];
            let reason = match (taken.contains(&i), place < r.sizes[t]) {
                (true, _) => "kept",
                (false, true) => "quota",
                (false, false) => "below-cut",
            };
            row.reason = reason.into();
            row.rank = Some(place as i64 + 1);
            row.stage = (reason == "kept").then_some(t as i32 + 1);
        }
    }
    Some(rows)
}

/// What stage `t` takes of the queue: first the best of each class that lacks rows, as many as it
/// must get now, then the best of all, each class up to its most.
fn taken(rows: &[Row], queue: &[usize], bounds: &[Bounds], r: &Rules, t: usize) -> BTreeSet<usize> {
    let class = |i: &usize| rows[*i].label as usize;
    let in_before = |c| rows.iter().filter(|x| kept(x) && x.label as usize == c).count();
    let mut count: Vec<usize> = (0..bounds.len()).map(in_before).collect();
    let lacking: Vec<usize> =
        bounds.iter().zip(&count).map(|((least, _), n)| least.saturating_sub(*n)).collect();
    let to_come: usize = r.sizes[t..].iter().sum();
    let due = (lacking.iter().sum::<usize>() * r.sizes[t]).div_ceil(to_come);
    let due = largest_remainder(due, &lacking);
    let mut taken = BTreeSet::new();
    for (c, due) in due.into_iter().enumerate() {
        taken.extend(queue.iter().filter(|i| class(i) == c).take(due));
        count[c] += due;
    }
    for i in queue {
        if taken.len() < r.sizes[t] && !taken.contains(i) && count[class(i)] < bounds[class(i)].1 {
            taken.insert(*i);
            count[class(i)] += 1;
        }
    }
    taken
}

fn kept(row: &Row) -> bool {
    row.reason == "kept"
}

fn open(row: &Row) -> bool {
    !kept(row) && row.reason != "noise-guard"
}

fn before(a: &Row, b: &Row, r: &Rules) -> std::cmp::Ordering {
    let badness = |row: &Row| match row.score {
        None => (true, 0.0),
        Some(s) => (false, if r.keep_low { s } else { -s }),
    };
    let tie = |row: &Row| (r.seed.of("tie").hash(&row.id), row.id.clone());
    badness(a).partial_cmp(&badness(b)).unwrap().then_with(|| tie(a).cmp(&tie(b)))
}

fn scaled(values: Vec<f64>, r: &Rules) -> Vec<f64> {
    let known: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
    let n = known.len() as f64;
    let kind = if r.aggregate == Aggregate::MeanRank { Scale::Rank } else { r.scale };
    let mean = known.iter().sum::<f64>() / n;
    let sd = (known.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / n).sqrt();
    let place = |v: f64| {
        let (below, same) = (known.iter().filter(|o| **o < v), known.iter().filter(|o| **o == v));
        below.count() as f64 + (same.count() as f64 - 1.0) / 2.0
    };
    let scale = |v: f64| match kind {
        _ if !v.is_finite() => f64::NAN,
        Scale::None => v,
        Scale::Z => {
            if sd == 0.0 {
                0.0
            } else {
                (v - mean) / sd
            }
        }
        Scale::Rank => {
            if n < 2.0 {
                0.0
            } else {
                place(v) / (n - 1.0)
            }
        }
    };
    values.into_iter().map(scale).collect()
}

fn one_score(mut v: Vec<f64>, aggregate: Aggregate) -> Option<f64> {
    let (n, sum) = (v.len(), v.iter().sum::<f64>());
    if sum.is_nan() {
        return None;
    }
    v.sort_by(|a, b| a.partial_cmp(b).unwrap());
    Some(match aggregate {
        Aggregate::Mean | Aggregate::MeanRank => sum / n as f64,
        Aggregate::Median if n % 2 == 1 => v[n / 2],
        Aggregate::Median => f64::midpoint(v[n / 2 - 1], v[n / 2]),
        Aggregate::Min => v[0],
        Aggregate::Max => v[n - 1],
    })
}

/// How many of each class are kept in the end, at least and at most.
fn class_bounds(rows: &[Row], r: &Rules) -> Option<Vec<Bounds>> {
    let classes = rows.iter().map(|x| x.label as usize + 1).max().unwrap_or(0);
    let count = |which: &dyn Fn(&Row) -> bool| -> Vec<usize> {
        let of = |c| rows.iter().filter(|x| x.label == c as i32 && which(x)).count();
        (0..classes).map(of).collect()
    };
    let (size, room) = (count(&|_| true), count(&|x| x.reason != "noise-guard"));
    let total: usize = r.sizes.iter().sum();
    if let Some(target) = &r.target {
        let counts = largest_remainder(total, target);
        let fits = counts.iter().zip(&room).all(|(count, room)| count <= room);
        return fits.then(|| counts.into_iter().map(|n| (n, n)).collect());
    }
    let least = |c: usize| r.floor.map_or(0, |floor| floor.of(size[c])).min(size[c]);
    let most = |c: usize| r.cap.map_or(size[c], |cap| cap.of(size[c])).min(size[c]);
    if (0..classes).any(|c| least(c) > most(c)) {
        return None;
    }
    let bounds: Vec<Bounds> =
        (0..classes).map(|c| (least(c).min(room[c]), most(c).min(room[c]))).collect();
    let (low, high) = bounds.iter().fold((0, 0), |(low, high), b| (low + b.0, high + b.1));
    if total < low || high < total {
        return None;
    }
    let exact = |counts: Vec<usize>| counts.into_iter().map(|n| (n, n)).collect();
    Some(match r.classes {
        Classes::Global | Classes::HardClass => bounds,
        Classes::Uniform => exact(dealt(total, &bounds)),
        Classes::Proportional => exact(shared(total, &size, &bounds)),
    })
}

/// Every class has its least; then one row at a time to the class with the fewest that has room.
fn dealt(total: usize, bounds: &[Bounds]) -> Vec<usize> {
    let mut got: Vec<usize> = bounds.iter().map(|b| b.0).collect();
    while got.iter().sum::<usize>() < total {
        let with_room = (0..got.len()).filter(|c| got[*c] < bounds[*c].1);
        let poorest = with_room.min_by_key(|c| got[*c]).unwrap();
        got[poorest] += 1;
    }
    got
}

/// Shares by size; those that break their bounds in the direction that weighs more are fixed at
/// them, and the others share again.
fn shared(total: usize, size: &[usize], bounds: &[Bounds]) -> Vec<usize> {
    let mut fixed: Vec<Option<usize>> = vec![None; size.len()];
    loop {
        let weight = |c: usize| if fixed[c].is_none() { size[c] } else { 0 };
        let weights: Vec<usize> = (0..size.len()).map(weight).collect();
        let share = largest_remainder(total - fixed.iter().flatten().sum::<usize>(), &weights);
        let got: Vec<usize> = (0..size.len()).map(|c| fixed[c].unwrap_or(share[c])).collect();
        let excess = |c: usize| got[c] as i64 - got[c].clamp(bounds[c].0, bounds[c].1) as i64;
        let sum: i64 = (0..size.len()).map(excess).sum();
        let broken = |c: &usize| if sum >= 0 { excess(*c) > 0 } else { excess(*c) < 0 };
        let broken: Vec<usize> = (0..size.len()).filter(broken).collect();
        if broken.is_empty() {
            return got;
        }
        for c in broken {
            fixed[c] = Some(got[c].clamp(bounds[c].0, bounds[c].1));
        }
    }
}

fn largest_remainder(total: usize, weights: &[usize]) -> Vec<usize> {
    let sum = weights.iter().sum::<usize>().max(1);
    let mut shares: Vec<usize> = weights.iter().map(|w| total * w / sum).collect();
    while shares.iter().sum::<usize>() < total && weights.iter().any(|w| *w > 0) {
        // The class furthest below its exact share; the first of several.
        let behind = |c: usize| (total * weights[c]) as i64 - (shares[c] * sum) as i64;
        let next = (0..weights.len()).rev().max_by_key(|c| behind(*c)).unwrap();
        shares[next] += 1;
    }
    shares
}
