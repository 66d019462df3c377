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
use unseen::scoring::{Block, Values, criterion, direction, score_block};
use unseen::seed::Seed;
use unseen::storage::{frame, parquet};
use unseen::tables;

fn main() -> unseen::Result<()> {
    let mut paths = std::env::args().skip(1);
    let predictions = match paths.next() {
        Some(path) => LazyFrame::scan_parquet((*path).into(), ScanArgsParquet::default())?,
        None => four_kinds_of_samples()?.lazy(),
    };
    let scores = score(predictions)?;
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
fn score(predictions: LazyFrame) -> unseen::Result<DataFrame> {
    let table = predictions
        .select([
            col("id").cast(DataType::String),
            col("label").cast(DataType::Int32),
            lit(NULL).cast(DataType::Int32).alias("fold"), // which fold, if you have folds
            lit(1).alias("stage"),
            lit(0).alias("model"), // give each of your models its number
            col("logits").cast(DataType::List(Box::new(DataType::Float32))),
        ])
        .sort(["id"], SortMultipleOptions::default())
        .collect()?;

    // One row of logits after another: n x classes numbers.
    let flat = table.column("logits")?.list()?.get_inner();
    let logits: Vec<f32> = flat.f32()?.iter().map(|z| z.unwrap_or(f32::NAN)).collect();
    let labels: Vec<u32> =
        table.column("label")?.i32()?.iter().flatten().map(|l| l as u32).collect();
    let classes = logits.len() / table.height().max(1);

    // One row of scores after another: n x criteria numbers.
    let criteria: Vec<_> = Method::COMMON.into_iter().filter_map(criterion).collect();
    let mut scores = vec![0.0; table.height() * criteria.len()];
    let values = Values::Logits(&logits);
    let block = Block { values, classes, labels: &labels, embedding_norms: None };
    score_block(&block, &criteria, &mut scores)?;

    let mut table = table.drop("logits")?;
    let predicted = logits.chunks(classes).map(|row| {
        let first = |best, i: usize| if row[i] > row[best] { i } else { best };
        (0..classes).fold(0, first) as i32
    });
    table.with_column(Column::new("predicted".into(), predicted.collect::<Vec<_>>()))?;
    for (i, criterion) in criteria.iter().enumerate() {
        let column: Vec<f32> = scores.chunks(criteria.len()).map(|row| row[i]).collect();
        table.with_column(Column::new(criterion.name().into(), column))?;
    }
    Ok(table)
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
