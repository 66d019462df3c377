//! What models will score, known before any is trained: how many samples, over how many epochs, and
//! with what memory.

use super::task::stages;
use crate::error::{Error, ErrorKind, Result};
use crate::recipe::{Average, FitOn, Method, Mode, Needs, Recipe};
use crate::scoring::{self, Dynamics, Trajectory};

/// What a model takes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sizes {
    /// Its parameters.
    pub(super) parameters: usize,
    /// The memory of its training, in bytes.
    pub(super) training: u64,
    /// The numbers of an embedding.
    pub(super) embedding: usize,
}

/// The scores of trajectories that a recipe asks for, in the order of their columns.
pub(super) fn trajectories(recipe: &Recipe) -> Vec<Box<dyn Trajectory>> {
    let methods = recipe.score.computed(Needs::Trajectory).into_iter();
    methods.filter_map(|method| scoring::trajectory(method, &recipe.score.trajectory)).collect()
}

/// How many epochs of a training are watched; 0 if no score asks for it.
pub(super) fn watched_epochs(recipe: &Recipe) -> usize {
    if recipe.score.computed(Needs::Trajectory).is_empty() {
        return 0;
    }
    recipe.score.trajectory.epochs.unwrap_or(recipe.train.epochs)
}

/// The list columns of the score tables of a stage.
pub(super) fn stored_lists(recipe: &Recipe, stage: usize) -> Vec<&'static str> {
    let score = &recipe.score;
    let averaged = score.average == Average::Probabilities;
    let probabilities = averaged || (score.label_errors && stage == 1);
    let lists = [("logits", score.logits), ("probabilities", probabilities)];
    lists.into_iter().filter_map(|(name, stored)| stored.then_some(name)).collect()
}

/// The most samples that one model scores. `stage_rows` is what each stage adds; without `folds`
/// they are taken to be equal.
pub(super) fn most_scored(
    recipe: &Recipe,
    rows: u64,
    stage_rows: &[u64],
    folds: Option<&[u32]>,
) -> u64 {
    let k = recipe.folds.k;
    let mut sizes = vec![rows / k as u64, rows.div_ceil(k as u64)];
    if let Some(folds) = folds {
        sizes = vec![0; k];
        folds.iter().for_each(|fold| sizes[*fold as usize] += 1);
    }
    let smallest = sizes.iter().min().copied().unwrap_or(0);
    let first = match (recipe.mode, recipe.folds.fit_on) {
        (Mode::Fitting, _) => rows,
        (Mode::Unseen, FitOn::Fold) => rows - smallest,
        (Mode::Unseen, FitOn::Complement) => sizes.into_iter().max().unwrap_or(0),
    };
    let later = if stages(recipe) > 1 { rows - stage_rows[0] } else { 0 };
    first.max(later)
}

/// Holds the most samples that one model scores to `score.embedding.max_rows`, if they are compared.
///
/// # Errors
/// `LimitExceeded` if they are more.
pub(super) fn check_comparable(recipe: &Recipe, scored: u64) -> Result<()> {
    let methods = recipe.score.computed(Needs::Embeddings);
    let most = recipe.score.embedding.max_rows;
    let Some(first) = methods.first() else { return Ok(()) };
    if scored <= most {
        return Ok(());
    }
    let message = format!(
        "`{}` compares all samples that a model scores with each other: {scored}, more than \
         score.embedding.max_rows = {most} allows; raise it (the time grows with the square), leave \
         the method out of score.methods, or take fewer rows with data.filter",
        first.name()
    );
    Err(Error::new(ErrorKind::LimitExceeded, message))
}

/// The bytes that it takes to watch `scored` samples during a training.
pub(super) fn watching_memory(recipe: &Recipe, scored: u64, classes: usize) -> u64 {
    Dynamics::bytes(&trajectories(recipe), scored as usize, classes)
}

/// About how many bytes it takes to compare the embeddings of `scored` samples: them, a copy, their
/// probabilities, and their neighbours.
pub(super) fn comparing_memory(recipe: &Recipe, scored: u64, width: usize, classes: usize) -> u64 {
    let methods = recipe.score.computed(Needs::Embeddings);
    if methods.is_empty() {
        return 0;
    }
    let classes = if methods.contains(&Method::Cal) { classes } else { 0 };
    let neighbors = recipe.score.embedding.neighbors;
    let numbers = 2 * width + classes + 4 * neighbors + 8;
    scored.saturating_mul((numbers * size_of::<f32>()) as u64)
}
