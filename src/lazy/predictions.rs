//! Columns of predictions, unpacked into the rows that scoring takes.

use polars::prelude::*;

use crate::scoring::{Block, Criterion, Values, score_block};
use crate::selection::unfit;

/// The columns that hold what a model says: logits or probabilities, and embeddings if there are any.
/// An expression alone holds logits.
#[derive(Clone, Debug)]
pub struct Predictions {
    pub(super) outputs: Expr,
    pub(super) embedding: Option<Expr>,
    pub(super) form: Form,
}

/// What the numbers of an output are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Form {
    pub(super) probabilities: bool,
    pub(super) classes: Option<usize>,
}

impl Form {
    pub(super) fn values(self, numbers: &[f32]) -> Values<'_> {
        if self.probabilities { Values::Probabilities(numbers) } else { Values::Logits(numbers) }
    }
}

/// A column of logits, one number a class.
pub fn logits(outputs: Expr) -> Predictions {
    let form = Form { probabilities: false, classes: None };
    Predictions { outputs, embedding: None, form }
}

/// A column of distributions over the classes: numbers from 0 to 1 that sum to 1.
pub fn probabilities(outputs: Expr) -> Predictions {
    let form = Form { probabilities: true, classes: None };
    Predictions { outputs, embedding: None, form }
}

impl Predictions {
    /// Every row has `classes` numbers. Without this, lists have to agree with each other, as far as
    /// Polars hands them over together.
    pub fn classes(mut self, classes: usize) -> Self {
        self.form.classes = Some(classes);
        self
    }

    /// The column of embeddings, the inputs of the model's last layer: a `List` or `Array` of `f32` or
    /// `f64` of any width.
    pub fn embedding(mut self, embedding: Expr) -> Self {
        self.embedding = Some(embedding);
        self
    }
}

impl From<Expr> for Predictions {
    fn from(outputs: Expr) -> Self {
        logits(outputs)
    }
}

/// The columns of one batch: outputs, then the label and the embedding where they are given.
pub(super) struct Batch<'a> {
    pub(super) form: Form,
    pub(super) outputs: &'a Column,
    pub(super) label: Option<Column>,
    pub(super) embedding: Option<Column>,
}

impl Batch<'_> {
    /// A column for each criterion; null where an input is.
    pub(super) fn scores(&self, criteria: &[&dyn Criterion]) -> PolarsResult<Vec<Series>> {
        let (values, classes) = outputs(self.outputs, self.form.classes)?;
        let rows = self.outputs.len();
        let labels = self.label.as_ref().map_or_else(|| Ok(vec![0; rows]), labels)?;
        let norms = self.embedding.as_ref().map(norms).transpose()?;
        let block = Block {
            values: self.form.values(&values),
            classes,
            labels: &labels,
            embedding_norms: norms.as_deref(),
        };
        let mut scores = vec![0.0; rows * criteria.len()];
        score_block(&block, criteria, &mut scores)
            .map_err(|e| unfit(format!("column `{}`: {e}", self.outputs.name())))?;

        let inputs = [Some(self.outputs), self.label.as_ref(), self.embedding.as_ref()];
        let nulls: Vec<BooleanChunked> =
            inputs.into_iter().flatten().map(Column::is_null).collect();
        let missing = |row: usize| nulls.iter().any(|nulls| nulls.get(row) == Some(true));
        let column = |i: usize| {
            let of_row = |row: usize| (!missing(row)).then(|| scores[row * criteria.len() + i]);
            let column: Float32Chunked = (0..rows).map(of_row).collect();
            column.with_name(criteria[i].name().into()).into_series()
        };
        Ok((0..criteria.len()).map(column).collect())
    }
}

/// Whether a column may hold outputs or embeddings; its numbers may be `f32` or `f64`.
pub(super) fn check_numbers(field: &Field) -> PolarsResult<()> {
    match field.dtype() {
        DataType::List(inner) | DataType::Array(inner, _) if inner.is_float() => Ok(()),
        other => Err(unfit(format!(
            "column `{}` is {other}; it must be a list or an array of f32 or f64",
            field.name()
        ))),
    }
}

/// Whether a column may hold labels.
pub(super) fn check_label(field: &Field) -> PolarsResult<()> {
    if field.dtype().is_integer() {
        return Ok(());
    }
    let (name, kind) = (field.name(), field.dtype());
    Err(unfit(format!("column `{name}` is {kind}; labels must be integers")))
}

/// All rows, one after another, and their width. A null row becomes a certain prediction, which is
/// valid as logits and as probabilities; its score is dropped.
pub(super) fn outputs(column: &Column, classes: Option<usize>) -> PolarsResult<(Vec<f32>, usize)> {
    let lists = lists(column)?;
    let first = || lists.amortized_iter().flatten().next().map(|row| row.as_ref().len());
    let classes = classes.or_else(first).unwrap_or(1);
    let mut values = Vec::with_capacity(lists.len() * classes);
    for (i, row) in lists.amortized_iter().enumerate() {
        let start = values.len();
        match &row {
            Some(row) => values.extend(numbers(row.as_ref())?),
            None => values.push(1.0),
        }
        let found = values.len() - start;
        if row.is_some() && found != classes {
            return Err(unfit(format!(
                "column `{}`: row {i} has {found} numbers, but there are {classes} classes",
                column.name()
            )));
        }
        values.resize(start + classes, 0.0);
    }
    Ok((values, classes))
}

fn norms(column: &Column) -> PolarsResult<Vec<f32>> {
    let norm = |row: &Series| -> PolarsResult<f32> {
        let squares = numbers(row)?.map(|h| f64::from(h).powi(2));
        Ok(squares.fold(0.0, |sum, h| sum + h).sqrt() as f32)
    };
    lists(column)?
        .amortized_iter()
        .map(|row| row.map_or(Ok(0.0), |row| norm(row.as_ref())))
        .collect()
}

fn lists(column: &Column) -> PolarsResult<ListChunked> {
    Ok(column.cast(&DataType::List(Box::new(DataType::Float32)))?.list()?.clone())
}

/// The numbers of a row; null is NaN, which scoring refuses.
fn numbers(row: &Series) -> PolarsResult<impl Iterator<Item = f32> + '_> {
    Ok(row.f32()?.iter().map(|z| z.unwrap_or(f32::NAN)))
}

fn labels(column: &Column) -> PolarsResult<Vec<u32>> {
    let labels = column.strict_cast(&DataType::UInt32)?;
    Ok(labels.u32()?.iter().map(Option::unwrap_or_default).collect())
}
