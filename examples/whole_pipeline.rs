//! The whole pipeline from code: a recipe, a run that reports its progress, and the table that
//! says what became of every sample.
//!
//! ```text
//! cargo run --example whole_pipeline -- [KEY=VALUE ...]
//! ```
//!
//! Changes to the recipe come last, as `--set` takes them: `train.epochs=2 output.uri=/tmp/run`.
//! Started again, it goes on where it ended; a finished run does nothing.
#![allow(clippy::print_stdout)]

use polars::prelude::*;
use unseen::recipe::{self, Override};
use unseen::run::{Observer, Run};
use unseen::storage::frame;

const RECIPE: &str = r#"
seed = 0

[data]
uri = "data/fashion_mnist_6k.parquet"
filter = "split = 'train'"
image = "image"

[train]
epochs = 10

[select]
by = "margin"
keep = 0.3

[output]
uri = "runs/whole_pipeline"
"#;

/// One line for each task that is done.
struct Lines;

impl Observer for Lines {
    fn begin(&self, _task: &str, _work: u64, _left: u64) {}

    fn advance(&self, _task: &str, _done: u64, _note: &str) {}

    fn end(&self, task: &str, note: &str) {
        println!("{task:<12} {note}");
    }

    fn wait(&self, task: &str, worker: &str) {
        println!("waiting for {task}: {worker} works on it");
    }

    fn warn(&self, text: &str) {
        println!("warning: {text}");
    }
}

fn main() -> unseen::Result<()> {
    let changes: Vec<Override> =
        std::env::args().skip(1).map(|change| change.parse()).collect::<unseen::Result<_>>()?;
    let run = Run::new(recipe::parse(RECIPE, "RECIPE", &changes)?)?;

    let plan = run.plan()?; // everything is checked, nothing is written
    println!("{} models of {} parameters will be trained", plan.models, plan.parameters);

    let summary = run.execute(&Lines)?;
    println!("\nkept {} of {} samples in {}", summary.kept, summary.usable, summary.uri);

    let selection = frame::decode(&run.dir().read("tables/selection.parquet")?)?;
    let hardest = selection
        .lazy()
        .filter(col("kept").and(col("stage").eq(lit(1))))
        .sort(["rank"], SortMultipleOptions::default())
        .limit(5);
    println!("the five most wanted: {}", hardest.collect()?);
    Ok(())
}
