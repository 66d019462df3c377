//! Scores of one's own: Polars SQL over the aggregated scores of methods.

use polars::prelude::*;
use polars::sql::sql_expr;

use super::aggregate::{ScoredBy, aggregate};
use super::scale::ranks;
use super::scored::{collected, end};
use crate::recipe::{Method, Own, Score, Select, Strategy, words};
use crate::scoring::{Direction, direction};
use crate::sql::guarded;
use crate::{Error, Result};

/// Holds the scores that decide against the methods there are: every one of `score.own` on tables
/// without content, and the one that `select` names against its strategy.
///
/// # Errors
/// `InvalidRecipe`, naming the expression and the columns there are, if it cannot be parsed, names
/// another column, gives no number, or does not give one for each row; or if the strategy `beta` is to
/// weigh by a score of which the low end is kept.
pub fn check_scores(spec: &Score, select: &Select) -> Result<()> {
    if select.strategy == Strategy::Beta && end(spec, &select.by)? == Direction::KeepLow {
        return Err(Error::recipe(format!(
            "select.strategy = \"beta\" weighs by the score, so the high end must be kept; of `{}` it is the low one",
            select.by.name()
        )));
    }
    let names: Vec<String> = spec.methods.iter().map(|method| method.name().to_owned()).collect();
    for own in &spec.own {
        for rows in [0, 3] {
            let columns = spec.methods.iter().map(|method| {
                let values: Vec<f64> = (0..rows).map(f64::from).collect();
                Column::new(method.name().into(), values)
            });
            evaluated(own, DataFrame::new(rows as usize, columns.collect())?, &names)?;
        }
    }
    Ok(())
}

/// The score of each sample: `id`, `label`, `fold` and `score`, ascending by `id`.
pub(super) fn own_score(scores: &LazyFrame, spec: &Score, own: &Own) -> Result<DataFrame> {
    let there = score_columns(scores)?;
    let used: Vec<&String> =
        there.iter().filter(|name| own.words().any(|word| word == name.as_str())).collect();
    let mut table: Option<DataFrame> = None;
    for name in &used {
        let method = Method::ALL.into_iter().find(|method| method.name() == name.as_str());
        let by = method.map_or_else(|| ScoredBy::Column(name.as_str().into()), ScoredBy::from);
        let one = collected(aggregate(scores.clone(), spec, by))?;
        let column = one.column("score")?.clone().with_name(name.as_str().into());
        table.get_or_insert(one).with_column(column)?;
    }
    let Some(mut table) = table else {
        return Err(fault(own, &there, "names no column of scores"));
    };
    // Rows ascend by id and lie in one piece, so no function can see anything that may change.
    table.rechunk_mut();
    let score = evaluated(own, table.select(used.into_iter().map(String::as_str))?, &there)?;
    table.with_column(score)?;
    Ok(table.select(["id", "label", "fold", "score"])?)
}

/// Columns of score tables that are no scores.
const OTHERS: [&str; 5] = ["label", "fold", "stage", "model", "predicted"];

/// The columns of a score table that hold scores.
fn score_columns(scores: &LazyFrame) -> Result<Vec<String>> {
    let schema = scores.clone().collect_schema()?;
    let scores = schema
        .iter()
        .filter(|(name, kind)| kind.is_primitive_numeric() && !OTHERS.contains(&name.as_str()));
    Ok(scores.map(|(name, _)| name.to_string()).collect())
}

/// The error of an expression over these columns.
fn fault(own: &Own, columns: &[String], why: &str) -> Error {
    Error::recipe(format!(
        "score.own `{}`: `{}` {why}; the columns are {}",
        own.name,
        own.sql,
        columns.join(", ")
    ))
}

/// The column `score` (`f64`, missing where it is not finite), one value for each row of `methods`.
/// `known` are the columns that an expression may name.
fn evaluated(own: &Own, mut methods: DataFrame, known: &[String]) -> Result<Column> {
    let rows = methods.height();
    let fault = |why: &str| fault(own, known, why);
    let sql = with_ranks(own, &mut methods, &fault)?;
    let expr = guarded(|| sql_expr(&sql)).map_err(|e| fault("is no SQL expression").because(e))?;
    for name in expr.clone().meta().root_names() {
        if methods.column(&name).is_err() {
            return Err(fault(&format!("names the column `{name}`, which does not exist")));
        }
    }
    let result = guarded(|| methods.lazy().select([expr.alias("score")]).collect())
        .map_err(|e| fault("cannot be computed").because(e))?;
    let score = result.column("score")?;
    if score.len() != rows {
        return Err(fault(&format!(
            "gives {} values for {rows} rows, not one for each",
            score.len()
        )));
    }
    if !score.dtype().is_primitive_numeric() {
        return Err(fault(&format!("gives {}, not a number", score.dtype())));
    }
    let score = score.cast(&DataType::Float64)?;
    let finite = score.f64()?.iter().map(|score| score.filter(|score| score.is_finite()));
    Ok(Float64Chunked::from_iter_options("score".into(), finite).into_column())
}

/// The expression with a column in the place of each `rank(x)`, which is added to `methods`.
///
/// Polars' own `RANK` orders the rows of a window; ours runs from 0 to 1, ties share their mean, and 1
/// is the end of `x` that is kept.
fn with_ranks(own: &Own, methods: &mut DataFrame, fault: &dyn Fn(&str) -> Error) -> Result<String> {
    let sql = own.sql.as_str();
    let (mut text, mut from) = (String::new(), 0);
    let words = words(sql);
    for (i, word) in words.iter().enumerate() {
        let call = sql[word.end..].trim_start();
        if !sql[word.clone()].eq_ignore_ascii_case("rank") || !call.starts_with('(') {
            continue;
        }
        let column = words.get(i + 1).map_or("", |word| &sql[word.clone()]);
        let inside = call[1..].split_once(')').map_or("", |(inside, _)| inside);
        if inside.trim().trim_matches('"') != column {
            return Err(fault("has a `rank` of more than a column; rank(x) takes one column"));
        }
        let end = sql.len() - call.len() + 1 + inside.len() + 1;
        let name = format!("rank({column})");
        methods.with_column(ranked(methods, column, &name, fault)?)?;
        text.push_str(&sql[from..word.start]);
        text.extend(["\"", &name, "\""]);
        from = end;
    }
    text.push_str(&sql[from..]);
    Ok(text)
}

fn ranked(
    methods: &DataFrame,
    column: &str,
    name: &str,
    fault: &dyn Fn(&str) -> Error,
) -> Result<Column> {
    let Ok(values) = methods.column(column) else {
        return Err(fault(&format!("ranks the column `{column}`, which does not exist")));
    };
    let method = Method::ALL.into_iter().find(|method| method.name() == column);
    let end = match method.map(direction) {
        Some(Direction::KeepLow) => -1.0,
        // Of a score that is no method's, nobody knows; high counts.
        _ => 1.0,
    };
    let values = values.f64()?.iter();
    let mut values: Vec<f64> = values.map(|v| end * v.unwrap_or(f64::NAN)).collect();
    ranks(&mut values);
    let present = values.into_iter().map(|rank| Some(rank).filter(|rank| !rank.is_nan()));
    Ok(Float64Chunked::from_iter_options(name.into(), present).into_column())
}
