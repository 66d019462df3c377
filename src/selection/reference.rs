//! The selection once more, from its description alone: sorted vectors, no tables, no sharing of
//! code with what it checks (only the seed's hash is common, because it defines the tie order).

use crate::recipe::{Aggregate, Classes, Scale};
use crate::seed::Seed;

pub(super) struct Rules {
    pub(super) keep_low: bool,
    pub(super) scale: Scale,
    pub(super) aggregate: Aggregate,
    pub(super) classes: Classes,
    pub(super) sizes: Vec<usize>,
    pub(super) guarded: usize,
    pub(super) seed: Seed,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    pub(super) id: String,
    pub(super) label: i32,
    pub(super) score: Option<f64>,
    pub(super) rank: Option<i64>,
    pub(super) stage: Option<i32>,
    pub(super) reason: String,
}

/// `stages[t][model][sample]` are scores; samples ascend by id.
pub(super) fn select(samples: &[(String, i32)], stages: &[Vec<Vec<f32>>], r: &Rules) -> Vec<Row> {
    let fresh = |(id, label): &(String, i32)| Row {
        id: id.clone(),
        label: *label,
        score: None,
        rank: None,
        stage: None,
        reason: String::new(),
    };
    let mut rows: Vec<Row> = samples.iter().map(fresh).collect();
    let mut targets = Vec::new();
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
            targets = class_targets(&rows, r);
        }
        let lacking: Vec<usize> = (0..targets.len())
            .map(|c| targets[c] - rows.iter().filter(|x| kept(x) && x.label == c as i32).count())
            .collect();
        let mut free = largest_remainder(r.sizes[t], &lacking);
        let mut left = r.sizes[t];
        for (place, i) in queue.into_iter().enumerate() {
            let row = &mut rows[i];
            let room = if r.classes == Classes::Global {
                &mut left
            } else {
                &mut free[row.label as usize]
            };
            let reason = match (*room > 0, place < r.sizes[t]) {
                (true, _) => "kept",
                (false, true) => "quota",
                (false, false) => "below-cut",
            };
            *room -= usize::from(reason == "kept");
            row.reason = reason.into();
            row.rank = Some(place as i64 + 1);
            row.stage = (reason == "kept").then_some(t as i32 + 1);
        }
    }
    rows
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

/// How many of each class are kept in the end.
fn class_targets(rows: &[Row], r: &Rules) -> Vec<usize> {
    let classes = rows.iter().map(|x| x.label as usize + 1).max().unwrap_or(0);
    let count = |which: &dyn Fn(&Row) -> bool| -> Vec<usize> {
        let of = |c| rows.iter().filter(|x| x.label == c as i32 && which(x)).count();
        (0..classes).map(of).collect()
    };
    let room = count(&|x| x.reason != "noise-guard");
    let total: usize = r.sizes.iter().sum();
    match r.classes {
        Classes::Global => Vec::new(),
        // One row at a time to each class in turn, as long as it has room.
        Classes::Uniform => {
            let mut got = vec![0; classes];
            while got.iter().sum::<usize>() < total {
                for c in 0..classes {
                    if got[c] < room[c] && got.iter().sum::<usize>() < total {
                        got[c] += 1;
                    }
                }
            }
            got
        }
        Classes::Proportional => {
            let mut full: Vec<Option<usize>> = vec![None; classes];
            loop {
                let weight = |(c, n): (usize, usize)| if full[c].is_none() { n } else { 0 };
                let weights: Vec<usize> =
                    count(&|_| true).into_iter().enumerate().map(weight).collect();
                let share =
                    largest_remainder(total - full.iter().flatten().sum::<usize>(), &weights);
                let got: Vec<usize> = (0..classes).map(|c| full[c].unwrap_or(share[c])).collect();
                let over: Vec<usize> = (0..classes).filter(|c| got[*c] > room[*c]).collect();
                if over.is_empty() {
                    return got;
                }
                for c in over {
                    full[c] = Some(room[c]);
                }
            }
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
