//! Labels that are probably wrong, by confident learning (Northcutt et al., 2021), as cleanlab's
//! `find_label_issues` finds them with its default rule, `prune_by_noise_rate`.

use std::collections::BTreeMap;

use rayon::prelude::*;

use super::label_quality::{NormalizedMargin, SelfConfidence};
use super::{Block, Criterion, Values, score_block};
use crate::Result;

/// cleanlab's tolerance in comparisons, and the least threshold of a class.
const TOLERANCE: f64 = 1e-6;
const LEAST_THRESHOLD: f64 = 2e-6;

/// What the predictions say about the label of one sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LabelError {
    /// The probability of the label, from 0 to 1; low is suspect.
    pub self_confidence: f32,
    /// `(p_label - max_{c != label} p_c + 1) / 2`, from 0 to 1; low is suspect.
    pub normalized_margin: f32,
    /// The class with the largest probability, the lowest of equals.
    pub suggested: u32,
    /// Whether the label is probably wrong.
    pub suspected: bool,
}

/// The mean probabilities of samples over models, summed in the order in which they come.
#[derive(Clone, Debug)]
pub struct MeanProbabilities {
    classes: usize,
    sums: Vec<f32>,
    counts: Vec<u32>,
}

impl MeanProbabilities {
    /// Of `samples` samples, none predicted yet.
    pub fn new(samples: usize, classes: usize) -> Self {
        Self { classes, sums: vec![0.0; samples * classes], counts: vec![0; samples] }
    }

    /// How many classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Adds the `classes` probabilities that a model gives for sample `at`.
    pub fn add(&mut self, at: usize, probabilities: &[f32]) {
        let sums = &mut self.sums[at * self.classes..(at + 1) * self.classes];
        sums.iter_mut().zip(probabilities).for_each(|(sum, p)| *sum += p);
        self.counts[at] += 1;
    }

    /// `n x classes` means, row-major.
    ///
    /// # Errors
    /// The first sample that no model predicted.
    pub fn finish(mut self) -> std::result::Result<Vec<f32>, usize> {
        if let Some(at) = self.counts.iter().position(|count| *count == 0) {
            return Err(at);
        }
        for (row, count) in self.sums.chunks_mut(self.classes).zip(&self.counts) {
            for sum in row {
                *sum /= *count as f32;
            }
        }
        Ok(self.sums)
    }
}

/// Judges `n` labels by the `n x classes` probabilities, row-major, of models that never saw them.
///
/// 1. The threshold of class k is the mean `p_k` over the samples labelled k; a class without samples
///    has none. A sample counts for the class whose threshold it reaches, or, if several, for the
///    most probable class; it counts for none if it reaches none.
/// 2. The confident joint counts samples by label and by that class. Its diagonal is at least 1; each
///    row is scaled to the number of samples with its label and rounded so that its sum stays.
/// 3. For each label j and other class k, the joint's count of samples labelled j, with the largest
///    `p_k - p_j`, are suspected; equals in the order of rows. One sample per label is left.
/// 4. A label that is the prediction after all is not suspected.
///
/// # Errors
/// As [`score_block`].
pub fn label_errors(
    probabilities: &[f32],
    classes: usize,
    labels: &[u32],
) -> Result<Vec<LabelError>> {
    let values = Values::Probabilities(probabilities);
    let block = Block { values, classes, labels, embedding_norms: None };
    let quality: [&dyn Criterion; 2] = [&SelfConfidence, &NormalizedMargin];
    let mut scores = vec![0.0; labels.len() * quality.len()];
    score_block(&block, &quality, &mut scores)?;

    let suspected = suspected(probabilities, classes, labels);
    let rows = scores.par_chunks(quality.len()).zip(probabilities.par_chunks(classes));
    let judged = rows.zip(labels).zip(suspected).map(|(((scores, row), label), suspected)| {
        let predicted = largest(row);
        let own = f64::from(row[*label as usize]) + TOLERANCE;
        let agrees = predicted == *label as usize || own > f64::from(row[predicted]);
        LabelError {
            self_confidence: scores[0],
            normalized_margin: scores[1],
            suggested: predicted as u32,
            suspected: suspected && !agrees,
        }
    });
    Ok(judged.collect())
}

/// Steps 1 to 3.
fn suspected(probabilities: &[f32], classes: usize, labels: &[u32]) -> Vec<bool> {
    let mut members = vec![Vec::new(); classes];
    for (row, label) in labels.iter().enumerate() {
        members[*label as usize].push(row);
    }
    let thresholds = thresholds(probabilities, classes, &members);
    let row = |i: usize| &probabilities[i * classes..(i + 1) * classes];
    let guesses: Vec<Option<usize>> =
        (0..labels.len()).into_par_iter().map(|i| guess(row(i), &thresholds)).collect();
    let found = members.par_iter().enumerate().flat_map_iter(|(label, members)| {
        let counts = confident_counts(label, members, &guesses);
        let found = to_remove(label, counts).into_iter().flat_map(move |(class, count)| {
            let margin = |i: usize| f64::from(row(i)[class]) - f64::from(row(i)[label]);
            let mut order = members.clone();
            order.sort_by(|a, b| margin(*b).total_cmp(&margin(*a)));
            order.truncate(count);
            order
        });
        if members.len() > 1 { Some(found) } else { None }.into_iter().flatten()
    });
    let mut suspected = vec![false; labels.len()];
    found.collect::<Vec<usize>>().into_iter().for_each(|i| suspected[i] = true);
    suspected
}

/// The mean `p_k` over the members of class k; infinite for a class without.
fn thresholds(probabilities: &[f32], classes: usize, members: &[Vec<usize>]) -> Vec<f64> {
    let threshold = |(class, members): (usize, &Vec<usize>)| {
        let p = |row: &usize| f64::from(probabilities[row * classes + class]);
        let sum = members.iter().fold(0.0, |sum, row| sum + p(row));
        let mean = if members.is_empty() { f64::INFINITY } else { sum / members.len() as f64 };
        mean.max(LEAST_THRESHOLD)
    };
    members.par_iter().enumerate().map(threshold).collect()
}

/// The class that a sample counts for.
fn guess(row: &[f32], thresholds: &[f64]) -> Option<usize> {
    let reached = |class: &usize| f64::from(row[*class]) >= thresholds[*class] - TOLERANCE;
    let mut confident = (0..row.len()).filter(reached);
    let first = confident.next()?;
    Some(if confident.next().is_some() { largest(row) } else { first })
}

fn largest(row: &[f32]) -> usize {
    (1..row.len()).fold(0, |best, class| if row[class] > row[best] { class } else { best })
}

/// The row of the confident joint for one label, scaled and rounded: class to count. Classes without a
/// count are left out, so memory grows with the samples and not with the square of the classes.
fn confident_counts(
    label: usize,
    members: &[usize],
    guesses: &[Option<usize>],
) -> BTreeMap<usize, i64> {
    let mut counts = BTreeMap::from([(label, 0u64)]);
    for class in members.iter().filter_map(|row| guesses[*row]) {
        *counts.entry(class).or_default() += 1;
    }
    counts.entry(label).and_modify(|own| *own = (*own).max(1));
    let total = counts.values().sum::<u64>() as f64;
    let scaled: Vec<f64> =
        counts.values().map(|count| *count as f64 / total * members.len() as f64).collect();
    counts.into_keys().zip(rounded(&scaled, members.len() as i64)).collect()
}

/// Rounds so that the sum becomes `total`: what rounding moved furthest is moved back.
fn rounded(values: &[f64], total: i64) -> Vec<i64> {
    let mut counts: Vec<i64> = values.iter().map(|v| v.round_ties_even() as i64).collect();
    let excess = counts.iter().sum::<i64>() - total;
    let lost = |i: &usize| values[*i] - values[*i].round_ties_even();
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| lost(a).total_cmp(&lost(b)));
    if excess < 0 {
        order.reverse();
    }
    for i in order.into_iter().take(excess.unsigned_abs() as usize) {
        counts[i] -= excess.signum();
    }
    counts
}

/// How many samples of a label are suspected for each other class, one at least left: a diagonal that
/// has to grow takes the same from each other count.
fn to_remove(label: usize, counts: BTreeMap<usize, i64>) -> Vec<(usize, usize)> {
    let own = counts.get(&label).copied().unwrap_or_default();
    let others = counts.values().filter(|count| **count != 0).count() as f64 - 1.0;
    let less = (1 - own).max(0) as f64 / others.max(1.0);
    let others = counts.into_iter().filter(|(class, _)| *class != label);
    others.map(|(class, count)| (class, (count as f64 - less).max(0.0) as usize)).collect()
}
