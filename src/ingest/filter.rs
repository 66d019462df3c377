//! `data.filter`: a Polars SQL condition on single rows.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema};
use arrow::record_batch::RecordBatch;
use polars::prelude::{AggExpr, BooleanFunction, FunctionExpr, StringFunction};
use polars::prelude::{DataFrame, DataType as PolarsType, Expr, IntoLazy};
use polars::sql::sql_expr;

use super::column::plain;
use super::schema::unknown;
use crate::error::{Error, Result};
use crate::fence::fence;
use crate::storage::frame;

const RESULT: &str = "unseen_filter";

/// Checks that `sql` is a condition on single rows, and names the columns it reads, ascending.
///
/// # Errors
/// `InvalidRecipe` if it is not.
pub fn check_filter(sql: &str) -> Result<Vec<String>> {
    Ok(Filter::parse(sql)?.columns)
}

/// A parsed condition.
pub(super) struct Filter {
    sql: String,
    expr: Expr,
    /// The columns it reads, ascending.
    pub(super) columns: Vec<String>,
}

impl Filter {
    pub(super) fn parse(sql: &str) -> Result<Self> {
        let wrong = |why: &str| Error::recipe(format!("data.filter `{sql}` {why}"));
        let parsed = guarded(|| sql_expr(sql));
        let expr =
            parsed.map_err(|e| wrong("is no SQL condition, such as split = 'train'").because(e))?;
        if !expr.into_iter().all(is_rowwise) {
            return Err(wrong(
                "must look at one row at a time, with comparisons, AND, OR, NOT, IN, LIKE, IS NULL, CASE and CAST; functions over several rows cannot be used",
            ));
        }
        let names = expr.clone().meta().root_names();
        let mut columns: Vec<String> = names.iter().map(ToString::to_string).collect();
        columns.sort();
        columns.dedup();
        if columns.is_empty() {
            return Err(wrong("names no column"));
        }
        Ok(Self { sql: sql.to_owned(), expr: expr.alias(RESULT), columns })
    }

    /// Holds the condition against the columns and types there are, before any row is read.
    pub(super) fn check(&self, schema: &Schema) -> Result<()> {
        for name in &self.columns {
            let field = schema.field_with_name(name).map_err(|_| {
                self.wrong(&format!("names the column `{name}`, {}", unknown(schema, name)))
            })?;
            if portable(field.data_type()).is_none() {
                return Err(self.wrong(&format!(
                    "reads the column `{name}` of type {}; strings, numbers, booleans, dates \
                     and timestamps without a zone can be used",
                    field.data_type()
                )));
            }
        }
        let empty = RecordBatch::new_empty(Arc::new(schema.clone()));
        self.rows(&empty).map(|_| ())
    }

    /// The rows of `batch` for which the condition is true (null counts as false), ascending.
    pub(super) fn rows(&self, batch: &RecordBatch) -> Result<Vec<u32>> {
        // `with_columns`, because `select` would shrink what the optimiser proves constant.
        let frame = frame::from_arrow(&self.project(batch)?)?;
        let expr = self.expr.clone();
        let result: DataFrame = guarded(|| frame.lazy().with_columns([expr]).collect())
            .map_err(|e| self.wrong("cannot be computed").because(e))?;
        let column = result.column(RESULT)?;
        if *column.dtype() != PolarsType::Boolean {
            return Err(self.wrong(&format!(
                "gives {}, not true or false; compare it with something",
                column.dtype()
            )));
        }
        let keep = column.bool()?.iter().zip(0_u32..);
        Ok(keep.filter_map(|(keep, row)| (keep == Some(true)).then_some(row)).collect())
    }

    fn project(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let mut columns: Vec<(Field, ArrayRef)> = Vec::new();
        for name in &self.columns {
            let missing = || Error::internal(format!("the filter's column `{name}` was not read"));
            let array = batch.column_by_name(name).ok_or_else(missing)?;
            let kind = portable(array.data_type()).ok_or_else(missing)?;
            let values = cast(array, plain(array.data_type()))?;
            columns.push((Field::new(name, kind.clone(), true), cast(&values, &kind)?));
        }
        let (fields, arrays): (Vec<Field>, Vec<ArrayRef>) = columns.into_iter().unzip();
        Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)?)
    }

    fn wrong(&self, why: &str) -> Error {
        Error::recipe(format!("data.filter `{}` {why}", self.sql))
    }
}

/// Polars panics on some malformed queries; a wrong recipe must stay an error.
fn guarded<T>(query: impl FnOnce() -> polars::error::PolarsResult<T>) -> Result<T, Error> {
    match fence(query) {
        Some(result) => result.map_err(|e| Error::recipe(e.to_string())),
        None => Err(Error::recipe("Polars cannot handle this expression")),
    }
}

/// Whether a node's value for a row depends on that row alone. Anything else would make the
/// result depend on how rows are spread over row groups.
fn is_rowwise(node: &Expr) -> bool {
    use BooleanFunction as B;
    match node {
        Expr::Alias(..)
        | Expr::Column(_)
        | Expr::Literal(_)
        | Expr::BinaryExpr { .. }
        | Expr::Cast { .. }
        | Expr::Ternary { .. } => true,
        // The list of `IN (1, 2)`.
        Expr::Agg(AggExpr::Implode { input, .. }) => matches!(**input, Expr::Literal(_)),
        Expr::Function { function: FunctionExpr::Boolean(function), .. } => matches!(
            function,
            B::IsNull
                | B::IsNotNull
                | B::IsFinite
                | B::IsInfinite
                | B::IsNan
                | B::IsNotNan
                | B::IsIn { .. }
                | B::AllHorizontal
                | B::AnyHorizontal
                | B::Not
        ),
        // `LIKE` becomes a search for a pattern.
        Expr::Function { function: FunctionExpr::StringExpr(function), .. } => {
            matches!(function, StringFunction::Contains { .. })
        }
        Expr::Function { function, .. } => {
            matches!(function, FunctionExpr::Coalesce | FunctionExpr::Negate)
        }
        _ => false,
    }
}

/// The type in which a column crosses into Polars, which is built for few types.
fn portable(kind: &DataType) -> Option<DataType> {
    use DataType as D;
    Some(match plain(kind) {
        D::Int8 | D::Int16 | D::Int32 => D::Int32,
        D::UInt8 | D::UInt16 | D::UInt32 => D::UInt32,
        D::Float16 | D::Float32 => D::Float32,
        D::Utf8 | D::LargeUtf8 | D::Utf8View => D::LargeUtf8,
        same @ (D::Int64
        | D::UInt64
        | D::Float64
        | D::Boolean
        | D::Date32
        | D::Timestamp(_, None)) => same.clone(),
        _ => return None,
    })
}
