//! Old and new samples side by side.

use std::collections::BTreeMap;

use arrow::array::AsArray;
use arrow::datatypes::{DataType, Field, Float64Type, Schema};
use arrow::record_batch::RecordBatch;

use super::{ClassDrift, Extended, Old};
use crate::error::{Error, Result};
use crate::external::Drift;
use crate::ingest::Loaded;
use crate::recipe::{Aggregate, Method, Needs, Scale, Score};
use crate::run::rows::{column, ints};
use crate::run::task::CORESET;
use crate::run::worker::Run;
use crate::scoring::{Direction, direction};
use crate::selection;
use crate::storage::frame;

/// What the scores of the new samples say beside those of the old ones.
pub(super) fn report(
    run: &Run,
    old: &Old,
    loaded: &Loaded,
    scores: &RecordBatch,
    method: Method,
    (known, output): (u64, &str),
) -> Result<Extended> {
    let spec = plain(&run.recipe.score);
    let (before, after) = (mean(&old.scores, &spec, method)?, mean(scores, &spec, method)?);
    let drift = Drift::new(&before, &after);
    let drift = drift.ok_or_else(|| Error::input("there is no score to compare"))?;
    let cut = match run.ledger.find(CORESET)? {
        Some(record) => record.facts.get("kept").and_then(serde_json::Value::as_u64),
        None => None,
    };
    let cut = cut.and_then(|kept| cut_at(&before, kept as usize, direction(method)));
    let wanted = |score: &&f64| {
        cut.is_some_and(|cut| match direction(method) {
            Direction::KeepHigh => **score >= cut,
            Direction::KeepLow => **score <= cut,
        })
    };
    Ok(Extended {
        uri: run.ledger.dir().uri().to_owned(),
        output: output.to_owned(),
        known,
        new: loaded.samples.len() as u64,
        quarantined: loaded.quarantine.len() as u64,
        method: method.name(),
        left_out: run
            .recipe
            .score
            .methods
            .iter()
            .filter(|method| method.needs() != Needs::Snapshot)
            .map(|method| method.name())
            .collect(),
        drift,
        cut,
        above_cut: cut.map(|_| after.iter().filter(wanted).count() as u64),
        accuracy_old: accuracy(&old.scores)?,
        accuracy_new: accuracy(scores)?,
        classes: classes(old, loaded),
    })
}

/// Scores as they are, without what depends on the samples they are among.
fn plain(score: &Score) -> Score {
    let aggregate = match score.aggregate {
        Aggregate::MeanRank => Aggregate::Mean,
        other => other,
    };
    Score { aggregate, scale: Scale::None, ..score.clone() }
}

/// One score a sample.
fn mean(scores: &RecordBatch, spec: &Score, method: Method) -> Result<Vec<f64>> {
    let scores = frame::stack(vec![frame::from_arrow(scores)?])?;
    let one = selection::aggregate(scores, spec, method).collect()?;
    let schema = Schema::new(vec![Field::new("score", DataType::Float64, true)]);
    let one = frame::to_arrow(one, &schema.into())?;
    let scores = column(&one, "score")?.as_primitive::<Float64Type>();
    Ok(scores.iter().map(|score| score.unwrap_or(f64::NAN)).collect())
}

/// The score of the `kept`-th most wanted.
fn cut_at(scores: &[f64], kept: usize, direction: Direction) -> Option<f64> {
    let mut sorted: Vec<f64> = scores.iter().copied().filter(|score| !score.is_nan()).collect();
    sorted.sort_by(|a, b| match direction {
        Direction::KeepHigh => b.total_cmp(a),
        Direction::KeepLow => a.total_cmp(b),
    });
    sorted.get(kept.checked_sub(1)?).copied()
}

/// The share of rows that are predicted right.
fn accuracy(scores: &RecordBatch) -> Result<f64> {
    let (predicted, labels) = (ints(scores, "predicted")?, ints(scores, "label")?);
    let right = predicted.values().iter().zip(labels.values()).filter(|(p, l)| p == l).count();
    Ok(right as f64 / scores.num_rows().max(1) as f64)
}

fn classes(old: &Old, loaded: &Loaded) -> Vec<ClassDrift> {
    let mut counts: BTreeMap<usize, (u64, u64)> = BTreeMap::new();
    for label in &old.labels {
        counts.entry(*label as usize).or_default().0 += 1;
    }
    for label in &loaded.samples.labels {
        counts.entry(*label as usize).or_default().1 += 1;
    }
    let (all_old, all_new) = (old.labels.len() as f64, loaded.samples.len().max(1) as f64);
    let class = |(label, (old_count, new_count)): (usize, (u64, u64))| ClassDrift {
        name: old.classes[label].clone(),
        old: old_count,
        new: new_count,
        old_share: old_count as f64 / all_old,
        new_share: new_count as f64 / all_new,
    };
    counts.into_iter().map(class).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cut_is_the_score_of_the_last_one_wanted() {
        let scores = [0.3, f64::NAN, 0.1, 0.2];
        assert_eq!(cut_at(&scores, 2, Direction::KeepLow), Some(0.2));
        assert_eq!(cut_at(&scores, 1, Direction::KeepHigh), Some(0.3));
        assert_eq!(cut_at(&scores, 0, Direction::KeepHigh), None);
        assert_eq!(cut_at(&scores, 4, Direction::KeepHigh), None);
    }
}
