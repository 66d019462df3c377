//! Conditions that users write in Polars SQL: what they may say, and which rows they hold for.

use polars::error::PolarsResult;
use polars::prelude::{
    AggExpr, BooleanFunction, DataFrame, DataType, Expr, FunctionExpr, IntoLazy, StringFunction,
};
use polars::sql::sql_expr;

use crate::error::{Error, Result};
use crate::fence::fence;

const RESULT: &str = "unseen_condition";

/// Characters of an error of Polars that are shown.
const MOST_SAID: usize = 200;

/// A parsed condition on single rows.
#[derive(Clone)]
pub(crate) struct Condition {
    /// The setting that holds it, for messages.
    key: &'static str,
    sql: String,
    expr: Expr,
    /// The columns it reads, ascending.
    pub(crate) columns: Vec<String>,
}

impl Condition {
    /// Parses `sql`, which the setting `key` holds.
    ///
    /// # Errors
    /// `InvalidRecipe` if it is no condition on single rows.
    pub(crate) fn parse(key: &'static str, sql: &str) -> Result<Self> {
        let wrong = |why: &str| Error::recipe(format!("{key} `{sql}` {why}"));
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
        Ok(Self { key, sql: sql.to_owned(), expr: expr.alias(RESULT), columns })
    }

    /// Whether it holds, for each row of `frame`; null counts as false.
    ///
    /// # Errors
    /// `InvalidRecipe` if it cannot be computed or gives anything but true and false.
    pub(crate) fn holds(&self, frame: DataFrame) -> Result<Vec<bool>> {
        // `with_columns`, because `select` would shrink what the optimiser proves constant.
        let expr = self.expr.clone();
        let result: DataFrame = guarded(|| frame.lazy().with_columns([expr]).collect())
            .map_err(|e| self.wrong("cannot be computed").because(e))?;
        let column = result.column(RESULT)?;
        if *column.dtype() != DataType::Boolean {
            return Err(self.wrong(&format!(
                "gives {}, not true or false; compare it with something",
                column.dtype()
            )));
        }
        Ok(column.bool()?.iter().map(|holds| holds == Some(true)).collect())
    }

    /// The error of this condition, with what is wrong about it.
    pub(crate) fn wrong(&self, why: &str) -> Error {
        Error::recipe(format!("{} `{}` {why}", self.key, self.sql))
    }
}

/// Polars panics on some malformed queries; a wrong recipe must stay an error.
pub(crate) fn guarded<T>(query: impl FnOnce() -> PolarsResult<T>) -> Result<T> {
    match fence(query) {
        Some(result) => result.map_err(|e| Error::recipe(brief(&e.to_string()))),
        None => Err(Error::recipe("Polars cannot handle this expression")),
    }
}

/// The first line of what Polars says, which may go on with a tree of the whole expression.
fn brief(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    match line.char_indices().nth(MOST_SAID) {
        Some((end, _)) => format!("{} ...", &line[..end]),
        None => line.to_owned(),
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
