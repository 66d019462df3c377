//! How samples move between stages: the paper's second figure.

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Float64Type, Int64Type};
use arrow::record_batch::RecordBatch;

use super::types::Flow;
use crate::error::Result;
use crate::evaluation::spearman;
use crate::run::rows::{column, ints};

/// The quarters of what a stage ranked and left.
const QUARTERS: usize = 4;

/// How samples move, from the selections after each stage, which have the same rows.
pub(super) fn flow(selections: &[RecordBatch]) -> Result<Flow> {
    let stages = selections.iter().zip(1..).map(|(after, stage)| Stage::read(after, stage));
    let stages = stages.collect::<Result<Vec<_>>>()?;
    let mut flow = Flow::default();
    for stage in &stages {
        let mut counts = [0; QUARTERS + 1];
        stage.parts.iter().flatten().for_each(|part| counts[*part] += 1);
        flow.stages.push(counts);
    }
    for pair in stages.windows(2) {
        let (before, after) = (&pair[0], &pair[1]);
        let mut moves = [[0; QUARTERS + 1]; QUARTERS];
        let (mut old, mut new) = (Vec::new(), Vec::new());
        for at in 0..before.parts.len() {
            let (Some(from @ 1..), Some(to)) = (before.parts[at], after.parts[at]) else {
                continue;
            };
            moves[from - 1][to] += 1;
            if let (Some(a), Some(b)) = (before.scores[at], after.scores[at]) {
                old.push(a);
                new.push(b);
            }
        }
        flow.moves.push(moves);
        flow.spearman.push(spearman(&old, &new));
    }
    Ok(flow)
}

/// What one stage did with each sample.
struct Stage {
    /// 0 if it entered, the quarter from 1 if it was ranked and left out, or nothing.
    parts: Vec<Option<usize>>,
    scores: Vec<Option<f64>>,
}

impl Stage {
    fn read(selection: &RecordBatch, stage: i32) -> Result<Self> {
        let (entry, rank) =
            (ints(selection, "stage")?, column(selection, "rank")?.as_primitive::<Int64Type>());
        let score = column(selection, "score")?.as_primitive::<Float64Type>();
        let mut parts = vec![None; selection.num_rows()];
        let mut left = Vec::new();
        for (at, part) in parts.iter_mut().enumerate() {
            match (entry.is_valid(at).then(|| entry.value(at)), rank.is_valid(at)) {
                (Some(entered), _) if entered == stage => *part = Some(0),
                (None, true) => left.push((rank.value(at), at)),
                _ => {}
            }
        }
        left.sort_unstable();
        for (place, (_, at)) in left.iter().enumerate() {
            parts[*at] = Some(1 + place * QUARTERS / left.len());
        }
        Ok(Self { parts, scores: score.iter().map(|s| s.filter(|s| !s.is_nan())).collect() })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Float64Array, Int32Array, Int64Array};

    use super::*;

    fn state(stage: [Option<i32>; 7], rank: [Option<i64>; 7], score: [f64; 7]) -> RecordBatch {
        let columns: [(&str, ArrayRef); 3] = [
            ("stage", Arc::new(Int32Array::from_iter(stage))),
            ("rank", Arc::new(Int64Array::from_iter(rank))),
            ("score", Arc::new(Float64Array::from_iter_values(score))),
        ];
        RecordBatch::try_from_iter_with_nullable(columns.map(|(n, c)| (n, c, true))).unwrap()
    }

    #[test]
    fn samples_are_followed_from_quarter_to_quarter() {
        let one = Some(1);
        // The first enters in stage 1, the last is never ranked; the other five are left, in order.
        let first = state(
            [one, None, None, None, None, None, None],
            [one.map(i64::from), Some(2), Some(3), Some(4), Some(5), Some(6), None],
            [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, f64::NAN],
        );
        // Stage 2 turns the order around and takes the one that was last.
        let second = state(
            [one, None, None, None, None, Some(2), None],
            [Some(1), Some(5), Some(4), Some(3), Some(2), Some(1), None],
            [0.0, 5.0, 4.0, 3.0, 2.0, 1.0, f64::NAN],
        );
        let flow = flow(&[first, second]).unwrap();
        assert_eq!(flow.stages, [[1, 2, 1, 1, 1], [1, 1, 1, 1, 1]]);
        let mut moves = [[0; 5]; 4];
        (moves[0][4], moves[0][3], moves[1][2], moves[2][1], moves[3][0]) = (1, 1, 1, 1, 1);
        assert_eq!(flow.moves, [moves]);
        assert!((flow.spearman[0].unwrap() + 1.0).abs() < 1e-12);
    }
}
