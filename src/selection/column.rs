//! Expressions that need to see whole columns at once, in row order.

use polars::prelude::*;

/// The columns that `compute` makes of `inputs`, one value a row, named `name`.
///
/// Polars treats it as a function of all rows: it is neither split into batches nor moved past a
/// filter.
pub(crate) fn whole<F>(name: &'static str, kind: DataType, inputs: &[Expr], compute: F) -> Expr
where
    F: Fn(&[Column]) -> PolarsResult<Series> + Send + Sync + 'static,
{
    let named = move |columns: &mut [Column]| Ok(compute(columns)?.with_name(name.into()).into());
    let field = move |_: &Schema, _: &[Field]| Ok(Field::new(name.into(), kind.clone()));
    apply_multiple(named, inputs, field, false).alias(name)
}

/// The error of a table that does not fit.
pub(crate) fn unfit(message: String) -> PolarsError {
    PolarsError::ComputeError(message.into())
}

/// The values of a column of labels or models, which must be integers without nulls.
pub(crate) fn labels(column: &Column) -> PolarsResult<Vec<i32>> {
    let column = column.strict_cast(&DataType::Int32)?;
    let labels: Option<Vec<i32>> = column.i32()?.iter().collect();
    labels.ok_or_else(|| unfit(format!("a row has no `{}` (null)", column.name())))
}
