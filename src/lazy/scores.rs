//! Scores as expressions: one number of each prediction, `f32`, named like the method. Elementwise, so
//! they work wherever an expression does.

use polars::prelude::*;

use super::predictions::{Batch, Form, Predictions, check_label, check_numbers};
use crate::recipe::Method;
use crate::scoring::{Criterion, criterion};
use crate::selection::unfit;

/// `-sum p ln p`, in nats; high is kept.
///
/// ```
/// # use polars::prelude::*;
/// use unseen::lazy::{entropy, probabilities};
///
/// let rows = [[0.5, 0.5], [1.0, 0.0]].map(|row| Series::new("".into(), row));
/// let table = df!("p" => rows)?.lazy().select([entropy(probabilities(col("p")))]).collect()?;
/// assert_eq!(table.column("entropy")?.f32()?.to_vec(), [Some(2f32.ln()), Some(0.0)]);
/// # PolarsResult::Ok(())
/// ```
pub fn entropy(predictions: impl Into<Predictions>) -> Expr {
    by_method(Method::Entropy, predictions.into(), None)
}

/// The largest minus the second largest probability; low is kept.
///
/// ```
/// # use polars::prelude::*;
/// use unseen::lazy::{margin, probabilities};
///
/// let table = df!("class" => [0, 0, 1], "p" => [[0.75, 0.25], [0.5, 0.5], [0.125, 0.875]]
///     .map(|row| Series::new("".into(), row)))?;
/// let means = table.lazy()
///     .group_by_stable(["class"])
///     .agg([margin(probabilities(col("p"))).mean()])
///     .collect()?;
/// assert_eq!(means.column("margin")?.f32()?.to_vec(), [Some(0.25), Some(0.75)]);
/// # PolarsResult::Ok(())
/// ```
pub fn margin(predictions: impl Into<Predictions>) -> Expr {
    by_method(Method::Margin, predictions.into(), None)
}

/// One minus the largest probability; high is kept.
///
/// ```
/// # use polars::prelude::*;
/// use unseen::lazy::{least_confidence, probabilities};
///
/// let rows = [[0.75, 0.25], [1.0, 0.0]].map(|row| Series::new("".into(), row));
/// let expression = least_confidence(probabilities(col("p")).classes(2));
/// let table = df!("p" => rows)?.lazy().select([expression]).collect()?;
/// assert_eq!(table.column("least_confidence")?.f32()?.to_vec(), [Some(0.25), Some(0.0)]);
/// # PolarsResult::Ok(())
/// ```
pub fn least_confidence(predictions: impl Into<Predictions>) -> Expr {
    by_method(Method::LeastConfidence, predictions.into(), None)
}

/// The norm of the probabilities minus the one-hot label; high is kept.
///
/// ```
/// # use polars::prelude::*;
/// use unseen::lazy::{el2n, probabilities};
///
/// let rows = [[0.0, 1.0], [0.0, 1.0]].map(|row| Series::new("".into(), row));
/// let table = df!("label" => [0, 1], "p" => rows)?.lazy();
/// let table = table.select([el2n(probabilities(col("p")), col("label"))]).collect()?;
/// assert_eq!(table.column("el2n")?.f32()?.to_vec(), [Some(2f32.sqrt()), Some(0.0)]);
/// # PolarsResult::Ok(())
/// ```
pub fn el2n(predictions: impl Into<Predictions>, label: Expr) -> Expr {
    by_method(Method::El2n, predictions.into(), Some(label))
}

/// `-ln p` of the label; high is kept.
///
/// ```
/// # use polars::prelude::*;
/// use unseen::lazy::cross_entropy;
///
/// let rows = [[0f32, 0.0], [0.0, 1000.0]].map(|row| Series::new("".into(), row));
/// let table = df!("label" => [0, 0], "logits" => rows)?.lazy();
/// let table = table.select([cross_entropy(col("logits"), col("label"))]).collect()?;
/// assert_eq!(table.column("cross_entropy")?.f32()?.to_vec(), [Some(2f32.ln()), Some(1000.0)]);
/// # PolarsResult::Ok(())
/// ```
pub fn cross_entropy(predictions: impl Into<Predictions>, label: Expr) -> Expr {
    by_method(Method::CrossEntropy, predictions.into(), Some(label))
}

/// The norm of the gradient of the last layer, whose input is `embedding`; high is kept.
///
/// ```
/// # use polars::prelude::*;
/// use unseen::lazy::grand;
///
/// let table = df!(
///     "label" => [0],
///     "logits" => [Series::new("".into(), [0f32, 0.0])],
///     "h" => [Series::new("".into(), [1f32, 1.0, 1.0])],
/// )?;
/// let table = table.lazy().select([grand(col("logits"), col("label"), col("h"))]).collect()?;
/// assert_eq!(table.column("grand")?.f32()?.to_vec(), [Some(0.5f32.sqrt() * 2.0)]);
/// # PolarsResult::Ok(())
/// ```
pub fn grand(predictions: impl Into<Predictions>, label: Expr, embedding: Expr) -> Expr {
    by_method(Method::Grand, predictions.into().embedding(embedding), Some(label))
}

/// The probability of the label; low is kept.
///
/// ```
/// # use polars::prelude::*;
/// use unseen::lazy::{probabilities, self_confidence};
///
/// let rows = [Some([0.25, 0.75]), None].map(|row| row.map(|row| Series::new("".into(), row)));
/// let table = df!("label" => [0, 0], "p" => rows)?.lazy();
/// let table = table.select([self_confidence(probabilities(col("p")), col("label"))]).collect()?;
/// assert_eq!(table.column("self_confidence")?.f32()?.to_vec(), [Some(0.25), None]);
/// # PolarsResult::Ok(())
/// ```
pub fn self_confidence(predictions: impl Into<Predictions>, label: Expr) -> Expr {
    by_method(Method::SelfConfidence, predictions.into(), Some(label))
}

/// `(p of the label - largest other p + 1) / 2`; low is kept.
///
/// ```
/// # use polars::prelude::*;
/// use unseen::lazy::{normalized_margin, probabilities};
///
/// let table = df!("label" => [1], "p" => [Series::new("".into(), [0.5, 0.25, 0.25])])?.lazy();
/// let table = table.select([normalized_margin(probabilities(col("p")), col("label"))]).collect()?;
/// assert_eq!(table.column("normalized_margin")?.f32()?.to_vec(), [Some(0.375)]);
/// # PolarsResult::Ok(())
/// ```
pub fn normalized_margin(predictions: impl Into<Predictions>, label: Expr) -> Expr {
    by_method(Method::NormalizedMargin, predictions.into(), Some(label))
}

/// `ln(c + 1) / c` of the normalised entropy over p of the label, c; low is kept.
///
/// ```
/// # use polars::prelude::*;
/// use unseen::lazy::{confidence_weighted_entropy, probabilities};
///
/// let table = df!("label" => [0], "p" => [Series::new("".into(), [0.5, 0.5])])?.lazy();
/// let score = confidence_weighted_entropy(probabilities(col("p")), col("label"));
/// let table = table.select([score]).collect()?;
/// let score = table.column("confidence_weighted_entropy")?.f32()?.get(0).unwrap();
/// assert!((score - 3f32.ln() / 2.0).abs() < 1e-6);
/// # PolarsResult::Ok(())
/// ```
pub fn confidence_weighted_entropy(predictions: impl Into<Predictions>, label: Expr) -> Expr {
    by_method(Method::ConfidenceWeightedEntropy, predictions.into(), Some(label))
}

/// A criterion of your own. One that needs embeddings finds them in [`Predictions::embedding`].
///
/// ```
/// # use polars::prelude::*;
/// use unseen::lazy::{probabilities, score_by};
/// use unseen::scoring::{Criterion, Direction, Prediction};
///
/// struct Gini;
///
/// impl Criterion for Gini {
///     fn name(&self) -> &'static str {
///         "gini"
///     }
///     fn direction(&self) -> Direction {
///         Direction::KeepHigh
///     }
///     fn score(&self, prediction: &Prediction<'_>) -> f32 {
///         1.0 - prediction.probabilities.iter().map(|p| p * p).sum::<f32>()
///     }
/// }
///
/// let table = df!("label" => [0], "p" => [Series::new("".into(), [0.5, 0.5])])?.lazy();
/// let table = table.select([score_by(&Gini, probabilities(col("p")), col("label"))]).collect()?;
/// assert_eq!(table.column("gini")?.f32()?.to_vec(), [Some(0.5)]);
/// # PolarsResult::Ok(())
/// ```
pub fn score_by(
    criterion: &'static dyn Criterion,
    predictions: impl Into<Predictions>,
    label: Expr,
) -> Expr {
    one(criterion.name(), vec![criterion], predictions.into(), Some(label))
}

fn by_method(method: Method, predictions: Predictions, label: Option<Expr>) -> Expr {
    one(method.name(), criterion(method).into_iter().collect(), predictions, label)
}

fn one(
    name: &'static str,
    criteria: Vec<&'static dyn Criterion>,
    predictions: Predictions,
    label: Option<Expr>,
) -> Expr {
    let first = move |mut columns: Vec<Series>| {
        columns.pop().ok_or_else(|| unfit(format!("`{name}` is no score of one prediction")))
    };
    expression(name, DataType::Float32, criteria, predictions, label, first)
}

/// Several scores at once, as a struct named `name` with a field for each.
pub(super) fn together(
    name: &'static str,
    criteria: Vec<&'static dyn Criterion>,
    predictions: Predictions,
    label: Expr,
) -> Expr {
    let fields = criteria.iter().map(|c| Field::new(c.name().into(), DataType::Float32));
    let kind = DataType::Struct(fields.collect());
    let pack = move |columns: Vec<Series>| {
        let rows = columns.first().map_or(0, |column| column.len());
        Ok(StructChunked::from_series(name.into(), rows, columns.iter())?.into_series())
    };
    expression(name, kind, criteria, predictions, Some(label), pack)
}

/// The elementwise expression of what `pack` makes of the columns of scores.
fn expression(
    name: &'static str,
    kind: DataType,
    criteria: Vec<&'static dyn Criterion>,
    predictions: Predictions,
    label: Option<Expr>,
    pack: impl Fn(Vec<Series>) -> PolarsResult<Series> + Send + Sync + 'static,
) -> Expr {
    let Predictions { outputs, embedding, form } = predictions;
    let (labelled, embedded) = (label.is_some(), embedding.is_some());
    let inputs: Vec<Expr> = [Some(outputs), label, embedding].into_iter().flatten().collect();
    let compute = move |columns: &mut [Column]| {
        let scores = batch(form, columns, labelled, embedded)?.scores(&criteria)?;
        Ok(pack(scores)?.with_name(name.into()).into_column())
    };
    let field = move |_: &Schema, fields: &[Field]| {
        let (numbers, labels) = match fields {
            [outputs, label, more @ ..] if labelled => {
                ([outputs].into_iter().chain(more), Some(label))
            }
            [outputs, more @ ..] => ([outputs].into_iter().chain(more), None),
            [] => return Err(unfit(format!("`{name}` has no input"))),
        };
        numbers.into_iter().try_for_each(check_numbers)?;
        labels.map_or(Ok(()), check_label)?;
        Ok(Field::new(name.into(), kind.clone()))
    };
    map_multiple(compute, inputs, field).alias(name)
}

fn batch(
    form: Form,
    columns: &[Column],
    labelled: bool,
    embedded: bool,
) -> PolarsResult<Batch<'_>> {
    let [outputs, others @ ..] = columns else {
        return Err(unfit("a score has no input".to_owned()));
    };
    // A literal comes as a single value.
    let rows = outputs.len();
    let full = |c: &Column| if c.len() == rows { c.clone() } else { c.new_from_index(0, rows) };
    let label = others.first().filter(|_| labelled).map(full);
    let embedding = others.last().filter(|_| embedded).map(full);
    Ok(Batch { form, outputs, label, embedding })
}
