//! A scoring method of your own: implement `Criterion`, then score, aggregate and rank with it as
//! with those that ship. A score of what happens while a model trains implements `Trajectory` instead;
//! `scoring::Dynamics` feeds it.
//!
//! ```text
//! cargo run --example custom_method
//! ```
#![allow(clippy::print_stdout)]

use polars::prelude::*;
use unseen::lazy::score_by;
use unseen::prelude::*;
use unseen::recipe::Score;
use unseen::scoring::{Criterion, Direction, Prediction};
use unseen::seed::Seed;

/// Gini impurity, `1 - sum p^2`: the chance that two guesses drawn from the prediction differ.
struct Gini;

impl Criterion for Gini {
    fn name(&self) -> &'static str {
        "gini"
    }

    fn direction(&self) -> Direction {
        Direction::KeepHigh // impure is hard, and hard is kept
    }

    fn score(&self, prediction: &Prediction<'_>) -> f32 {
        1.0 - prediction.probabilities.iter().map(|p| p * p).sum::<f32>()
    }
}

fn main() -> unseen::Result<()> {
    // What two models say about three samples of three classes.
    #[rustfmt::skip]
    let logits = [
        [4.0f32, 0.0, 0.0], [3.0, 0.0, 0.5], // easy
        [1.0, 1.0, 1.1],    [0.5, 0.4, 0.6], // open
        [2.0, 1.9, 0.0],    [3.0, 0.0, 1.0], // close
    ];
    let predictions = df!(
        "id" => ["easy", "easy", "open", "open", "close", "close"],
        "label" => [0, 0, 2, 2, 1, 1],
        "fold" => [0, 0, 0, 0, 0, 0],
        "model" => [1, 2, 1, 2, 1, 2],
        "logits" => logits.map(|row| Series::new("".into(), row)),
    )?;
    let ranked = predictions
        .lazy()
        .with_column(score_by(&Gini, col("logits"), col("label")))
        .unseen_aggregate(&Score::default(), &Gini)
        .unseen_top("score", Gini.direction(), 3, &Seed::new(0));
    println!("{}", ranked.collect()?);
    Ok(())
}
