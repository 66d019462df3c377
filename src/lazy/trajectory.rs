//! Scores of trajectories as an expression: all epochs of one sample by one model.

use polars::prelude::*;

use super::predictions::{Predictions, outputs};
use crate::recipe::{Method, Trajectory};
use crate::scoring::{self, Block, Dynamics};
use crate::selection::{labels, unfit, whole};

/// The score of a trajectory, `f32`, named like the method, the same on each row of a group. The rows
/// of a group are the epochs of one sample by one model, in any order; use it under `over`, or under
/// `group_by` with `.first()`.
///
/// A query fails where an epoch is missing or there twice, labels differ, a value is null, or there are
/// fewer epochs than the method needs ([`check_trajectory`](scoring::check_trajectory)).
///
/// ```
/// # use polars::prelude::*;
/// use unseen::lazy::{probabilities, trajectory};
/// use unseen::recipe::{Method, Trajectory};
///
/// // Right, wrong, right again: forgotten once.
/// let table = df!(
///     "id" => ["a", "a", "a"],
///     "epoch" => [2, 0, 1],
///     "label" => [0, 0, 0],
///     "p" => [[0.75, 0.25], [0.75, 0.25], [0.25, 0.75]].map(|row| Series::new("".into(), row)),
/// )?;
/// let outputs = probabilities(col("p"));
/// let options = Trajectory::default();
/// let forgetting = trajectory(Method::Forgetting, &options, outputs, col("label"), col("epoch"));
/// let scores = table.lazy().group_by([col("id")]).agg([forgetting.first()]).collect()?;
/// assert_eq!(scores.column("forgetting")?.f32()?.to_vec(), [Some(1.0)]);
/// # PolarsResult::Ok(())
/// ```
pub fn trajectory(
    method: Method,
    options: &Trajectory,
    predictions: impl Into<Predictions>,
    label: Expr,
    epoch: Expr,
) -> Expr {
    let Predictions { outputs: column, form, .. } = predictions.into();
    let (name, options) = (method.name(), options.clone());
    let inputs = [column, label, epoch.cast(DataType::Int64)];
    whole(name, DataType::Float32, &inputs, move |columns| {
        let rows = columns[0].len();
        if rows == 0 {
            return Ok(Series::new_empty(name.into(), &DataType::Float32));
        }
        let epochs = in_order(&columns[2])?;
        if columns[0].null_count() > 0 {
            return Err(unfit(format!("`{name}`: a row has no `{}` (null)", columns[0].name())));
        }
        let (values, classes) = outputs(&columns[0], form.classes)?;
        let label = label_of(&columns[1])?;
        let score = scoring::trajectory(method, &options)
            .ok_or_else(|| unfit(format!("`{name}` watches no training")))?;
        scoring::check_trajectory(method, &options, rows).map_err(|e| unfit(e.to_string()))?;
        let mut dynamics = Dynamics::new(vec![score], 1, classes);
        let watched = options.epochs.unwrap_or(rows);
        for (epoch, row) in epochs.into_iter().take(watched).enumerate() {
            let row = &values[row * classes..(row + 1) * classes];
            let (values, labels) = (form.values(row), &[label]);
            let block = Block { values, classes, labels, embedding_norms: None };
            dynamics.observe(epoch, 0, &block).map_err(|e| unfit(format!("`{name}`: {e}")))?;
        }
        let score = dynamics.finish(watched).first().and_then(|column| column.first().copied());
        Ok(Float32Chunked::full(name.into(), score.unwrap_or(f32::NAN), rows).into_series())
    })
}

/// The rows in the order of their epochs, which have no gap.
fn in_order(epochs: &Column) -> PolarsResult<Vec<usize>> {
    let epochs: Option<Vec<i64>> = epochs.i64()?.iter().collect();
    let epochs = epochs.ok_or_else(|| unfit("a row has no epoch (null)".to_owned()))?;
    let mut rows: Vec<usize> = (0..epochs.len()).collect();
    rows.sort_by_key(|row| epochs[*row]);
    match rows.windows(2).find(|pair| epochs[pair[0]] + 1 != epochs[pair[1]]) {
        None => Ok(rows),
        Some(pair) => Err(unfit(format!(
            "a sample has the epoch {} right after {}; every epoch has one row for each sample and model",
            epochs[pair[1]], epochs[pair[0]]
        ))),
    }
}

/// The label of all rows.
fn label_of(column: &Column) -> PolarsResult<u32> {
    let labels = labels(column)?;
    match labels.iter().find(|label| **label != labels[0] || **label < 0) {
        None => Ok(labels[0] as u32),
        Some(other) => Err(unfit(format!(
            "a sample has the labels {} and {other}; a group holds one sample, with a label from 0",
            labels[0]
        ))),
    }
}
