//! Selects from score tables that exist, inside a Polars query: one score a sample from several
//! models, the best third with each class keeping its share, joined with what is known about it.
//!
//! ```text
//! cargo run --example select_from_scores -- [RUN [IDS.txt]]
//! ```
//!
//! `RUN` is the directory of a finished run. Without it the tables are made here.
#![allow(clippy::print_stdout, clippy::disallowed_methods)]

use polars::prelude::*;
use unseen::prelude::*;
use unseen::recipe::{Classes, Method, Score};
use unseen::scoring::direction;
use unseen::seed::Seed;
use unseen::selection::quota;

fn main() -> unseen::Result<()> {
    let mut args = std::env::args().skip(1);
    let (scores, metadata) = match args.next() {
        // Only stage 1: its models scored the whole dataset, those of later stages what was left.
        Some(run) => (
            scan(&format!("{run}/tables/scores/stage-1-model-*.parquet"))?,
            scan(&format!("{run}/tables/samples.parquet"))?,
        ),
        None => made_up()?,
    };

    let by = Method::El2n;
    let one_score = scores.unseen_aggregate(&Score::default(), by).collect()?;
    let third = quota::total(one_score.height() as u64, 1.0 / 3.0) as u32;
    let end = direction(by);
    let kept = one_score
        .lazy()
        // The seed decides between equal scores.
        .unseen_select("score", end, third, Classes::Proportional, &Seed::new(0))
        .select([col("id"), col("label"), col("score")])
        .join(
            metadata.select([col("id"), col("bytes")]),
            [col("id")],
            [col("id")],
            JoinArgs::new(JoinType::Inner),
        )
        .sort(["id"], SortMultipleOptions::default())
        .collect()?;

    let bytes = kept.column("bytes")?.as_materialized_series().sum::<i64>()?;
    println!("{kept}\n{} samples kept, {bytes} bytes", kept.height());
    if let Some(path) = args.next() {
        let ids: Vec<&str> = kept.column("id")?.str()?.iter().flatten().collect();
        std::fs::write(path, ids.join("\n") + "\n")?;
    }
    Ok(())
}

fn scan(path: &str) -> PolarsResult<LazyFrame> {
    LazyFrame::scan_parquet(path.into(), ScanArgsParquet::default())
}

/// Six samples of two classes, each scored by two of three models, and their sizes.
fn made_up() -> PolarsResult<(LazyFrame, LazyFrame)> {
    let scores = df!(
        "id" => ["a", "a", "b", "b", "c", "c", "d", "d", "e", "e", "f", "f"],
        "label" => [0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1],
        "fold" => [0, 0, 1, 1, 2, 2, 0, 0, 1, 1, 2, 2],
        "model" => [1, 2, 0, 2, 0, 1, 1, 2, 0, 2, 0, 1],
        "el2n" => [0.9f32, 0.7, 0.2, 0.3, 0.1, 0.1, 0.4, 0.2, 0.5, 0.3, 0.1, 0.0],
    )?;
    let metadata = df!(
        "id" => ["a", "b", "c", "d", "e", "f"],
        "bytes" => [310i64, 290, 305, 120, 140, 133],
    )?;
    Ok((scores.lazy(), metadata.lazy()))
}
