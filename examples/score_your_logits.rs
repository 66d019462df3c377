//! Scores the logits of any framework: a table with `id`, `label` and a list of `logits` a row
//! becomes a score table, with one column for each criterion.
//!
//! ```text
//! cargo run --example score_your_logits -- [LOGITS.parquet [SCORES.parquet]]
//! ```
#![allow(clippy::print_stdout, clippy::disallowed_methods)]

use polars::prelude::*;
use unseen::prelude::*;
use unseen::recipe::{Method, Outputs};
use unseen::scoring::direction;
use unseen::seed::Seed;
use unseen::storage::{frame, parquet};
use unseen::tables;

fn main() -> unseen::Result<()> {
    let mut paths = std::env::args().skip(1);
    let predictions = match paths.next() {
        Some(path) => LazyFrame::scan_parquet((*path).into(), ScanArgsParquet::default())?,
        None => four_kinds_of_samples()?.lazy(),
    };
    let scores = score(predictions).collect()?;
    let columns = ["id"].into_iter().chain(Method::COMMON.map(Method::name));
    println!("{}", scores.select(columns)?);

    // A score is stored as it was published; each criterion says which of its ends is kept.
    for method in Method::COMMON {
        let (name, end) = (method.name(), direction(method));
        let first = scores.clone().lazy().unseen_top(name, end, 1, &Seed::new(0)).collect()?;
        let first = first.column("id")?.str()?.get(0).unwrap_or("none").to_owned();
        println!("{name:<17} most wanted: {first:<18} {end:?}");
    }

    if let Some(path) = paths.next() {
        // The contract of score tables, so that everything that reads those of a run reads this.
        let table = frame::to_arrow(scores, &tables::scores(&Method::COMMON, &[], Outputs::Clean))?;
        std::fs::write(path, parquet::encode_table(&table)?)?;
    }
    Ok(())
}

/// The scores of one model, ascending by id.
fn score(predictions: LazyFrame) -> LazyFrame {
    let logits = col("logits").cast(DataType::List(Box::new(DataType::Float32)));
    predictions
        .select([
            col("id").cast(DataType::String),
            col("label").cast(DataType::Int32),
            lit(NULL).cast(DataType::Int32).alias("fold"), // which fold, if you have folds
            lit(1).alias("stage"),
            lit(0).alias("model"), // give each of your models its number
            logits.clone().list().arg_max().cast(DataType::Int32).alias("predicted"),
            logits,
        ])
        .unseen_score(&Method::COMMON, col("logits"))
        .drop(by_name(["logits"], true, false))
        .sort(["id"], SortMultipleOptions::default())
}

/// Four samples of class 0 of three, and what a model may say about them.
fn four_kinds_of_samples() -> PolarsResult<DataFrame> {
    let logits: [[f32; 3]; 4] =
        [[6.0, 0.0, 0.0], [2.0, 2.0, -9.0], [0.1, 0.0, -0.1], [0.0, 6.0, 0.0]];
    df!(
        "id" => ["sure and right", "torn between two", "knows nothing", "sure and wrong"],
        "label" => [0, 0, 0, 0],
        "logits" => logits.map(|row| Series::new("".into(), row)),
    )
}
