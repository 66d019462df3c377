//! Scores of embeddings as an expression: all samples of one model, compared.

use polars::prelude::*;

use super::predictions::{Batch, Predictions, outputs};
use crate::recipe::{Embedding, Method, Needs};
use crate::scoring::{self, Cloud, criterion, softmax};
use crate::seed::Seed;
use crate::selection::{labels, unfit, whole};

/// The columns of samples whose embeddings are compared.
#[derive(Clone, Debug)]
pub struct Embedded {
    /// Unique strings.
    pub id: Expr,
    /// Classes, from 0.
    pub label: Expr,
    /// Lists or arrays of `f32` or `f64`, all of one width.
    pub embedding: Expr,
    /// What the model says, for `cal` and for the difficulty of `d2`.
    pub outputs: Option<Predictions>,
}

/// The score of a method that looks at embeddings, `f32`, named like the method. It compares all rows,
/// under `over` those of a group, such as the samples of one model. Results do not depend on the order
/// of rows; `seed` breaks ties by ids and starts k-means.
///
/// A query fails for nulls, embeddings of different widths, more rows than `options.max_rows` where pairs
/// are compared, and outputs that are missing.
///
/// ```
/// # use polars::prelude::*;
/// use unseen::lazy::{Embedded, compared};
/// use unseen::recipe::{Embedding, Method};
/// use unseen::seed::Seed;
///
/// let rows = [[0f32, 0.0], [0.0, 1.0], [9.0, 9.0]].map(|row| Series::new("".into(), row));
/// let table = df!("id" => ["a", "b", "c"], "label" => [0, 0, 1], "h" => rows)?;
/// let of = Embedded { id: col("id"), label: col("label"), embedding: col("h"), outputs: None };
/// let place = compared(Method::KCenter, &Embedding::default(), of, &Seed::new(0));
/// let places = table.lazy().select([place]).collect()?;
/// // The farthest from the first one comes second.
/// let mut places: Vec<f32> = places.column("k_center")?.f32()?.into_no_null_iter().collect();
/// assert!(places[2] < 2.0);
/// places.sort_by(f32::total_cmp);
/// assert_eq!(places, [0.0, 1.0, 2.0]);
/// # PolarsResult::Ok(())
/// ```
pub fn compared(method: Method, options: &Embedding, of: Embedded, seed: &Seed) -> Expr {
    let (name, options) = (method.name(), options.clone());
    let (tie, seed) = (seed.of("tie"), seed.of("embeddings").of(name));
    let form = of.outputs.as_ref().map(|outputs| outputs.form);
    let inputs: Vec<Expr> = [of.id, of.label, of.embedding]
        .into_iter()
        .chain(of.outputs.map(|outputs| outputs.outputs))
        .collect();
    whole(name, DataType::Float32, &inputs, move |columns| {
        if columns[0].is_empty() {
            return Ok(Series::new_empty(name.into(), &DataType::Float32));
        }
        if let Some(column) = columns.iter().find(|column| column.null_count() > 0) {
            return Err(unfit(format!("`{name}`: a row has no `{}` (null)", column.name())));
        }
        let ids: Vec<&str> = columns[0].str()?.iter().flatten().collect();
        // Ties that the keyed hash leaves go by id, whatever the order of rows.
        let mut order: Vec<usize> = (0..ids.len()).collect();
        order.sort_by_key(|row| ids[*row]);
        let sorted = sorted(columns, &order)?;
        let labels = classes_of(&sorted[1])?;
        let (points, width) = outputs(&sorted[2], None)?;
        let said = form.zip(sorted.get(3)).map(|(form, outputs)| Batch {
            form,
            outputs,
            label: Some(sorted[1].clone()),
            embedding: Some(sorted[2].clone()),
        });
        let said = said.map(|batch| said_by(method, &options, &batch)).transpose()?;
        let (classes, probabilities, difficulty) = said.unwrap_or_default();
        let ties: Vec<u64> = order.iter().map(|row| tie.hash(ids[*row])).collect();
        let most = labels.iter().max().map_or(0, |label| *label as usize + 1);
        if most > classes && form.is_some() {
            return Err(unfit(format!("label {} is none of {classes} classes", most - 1)));
        }
        let cloud = Cloud {
            points: &points,
            width,
            labels: &labels,
            classes: classes.max(most),
            probabilities: probabilities.as_deref(),
            difficulty: difficulty.as_deref(),
            ties: &ties,
            chosen: &[],
        };
        lacks(method, &cloud).map_or(Ok(()), |what| {
            Err(unfit(format!("`{name}` needs {what}: give the outputs of the model")))
        })?;
        let scores = scoring::embedding_scores(method, &cloud, &options, &seed)
            .map_err(|e| unfit(e.to_string()))?;
        let mut back = vec![0.0; scores.len()];
        order.iter().zip(scores).for_each(|(row, score)| back[*row] = score);
        Ok(Float32Chunked::from_vec(name.into(), back).into_series())
    })
}

fn sorted(columns: &[Column], order: &[usize]) -> PolarsResult<Vec<Column>> {
    let rows: Vec<IdxSize> = order.iter().map(|row| *row as IdxSize).collect();
    let rows = IdxCa::from_vec("".into(), rows);
    columns.iter().map(|column| column.take(&rows)).collect()
}

fn classes_of(column: &Column) -> PolarsResult<Vec<u32>> {
    let class = |label: i32| {
        u32::try_from(label).map_err(|_| unfit(format!("the label {label} is no class")))
    };
    labels(column)?.into_iter().map(class).collect()
}

/// The number of classes, probabilities for `cal`, difficulties for `d2`.
type Said = (usize, Option<Vec<f32>>, Option<Vec<f32>>);

fn said_by(method: Method, options: &Embedding, batch: &Batch<'_>) -> PolarsResult<Said> {
    let (values, classes) = outputs(batch.outputs, batch.form.classes)?;
    let probabilities = (method == Method::Cal).then(|| {
        let mut rows = values.clone();
        if !batch.form.probabilities {
            let pairs = values.chunks(classes).zip(rows.chunks_mut(classes));
            pairs.for_each(|(logits, row)| softmax(logits, row));
        }
        rows
    });
    let difficulty = match method {
        Method::D2 => Some(difficulty(options.difficulty, batch)?),
        _ => None,
    };
    Ok((classes, probabilities, difficulty))
}

fn difficulty(method: Method, batch: &Batch<'_>) -> PolarsResult<Vec<f32>> {
    let by = criterion(method).filter(|_| method.needs() == Needs::Snapshot).ok_or_else(|| {
        unfit(format!("`{}` is no score of one prediction; `d2` needs one here", method.name()))
    })?;
    let scores = batch.scores(&[by])?;
    let scores: Vec<f32> = scores[0].f32()?.into_no_null_iter().collect();
    Ok(scoring::difficulty(method, &scores))
}

/// What a method needs and does not have.
fn lacks(method: Method, cloud: &Cloud<'_>) -> Option<&'static str> {
    match method {
        Method::Cal if cloud.probabilities.is_none() => Some("probabilities"),
        Method::D2 if cloud.difficulty.is_none() => Some("a difficulty"),
        _ => None,
    }
}
