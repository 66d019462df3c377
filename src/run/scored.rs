//! What models will score, known before any is trained: how many samples, over how many epochs, and
//! with what memory.

use super::task::stages;
use crate::error::Result;
use crate::folds;
use crate::recipe::{Average, By, EmbeddingFrom, FitOn, Method, Mode, Needs, Recipe};
use crate::scoring::{self, Dynamics, Trajectory};

/// What a model takes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sizes {
    /// Its parameters.
    pub(super) parameters: usize,
    /// The memory of its training, in bytes.
    pub(super) training: u64,
    /// The bytes of its checkpoints, without what is watched; 0 if none are kept.
    pub(super) checkpoint: u64,
    /// The numbers of an embedding.
    pub(super) embedding: usize,
    /// How many trainings find a place at once: on the CPU a thread, else a device.
    pub(super) places: usize,
}

/// Scores of a stage that are the same for every model: the stage, and a column over all open samples
/// for each method.
pub(super) type Shared = (usize, Vec<(Method, Vec<f32>)>);

/// Whether a method orders samples one after another, so that those chosen before matter.
pub(super) fn orders(method: Method) -> bool {
    matches!(method, Method::KCenter | Method::Herding | Method::FacilityLocation)
}

/// Whether what decides is a place in an order that each model makes for itself.
pub(super) fn ordered_by_models(recipe: &Recipe) -> bool {
    let By::Method(by) = recipe.select.by else { return false };
    (orders(by) && !is_shared(recipe, by)) || by == Method::D2
}

/// Whether every model would give the same scores: embeddings are a column, and the method looks at
/// nothing else of a model.
pub(super) fn is_shared(recipe: &Recipe, method: Method) -> bool {
    recipe.score.embedding.from == EmbeddingFrom::Column
        && !matches!(method, Method::Cal | Method::D2)
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

/// The column of embeddings, if anything in the recipe looks at it.
pub(super) fn embedding_column(recipe: &Recipe) -> Option<&str> {
    let compared = !recipe.score.computed(Needs::Embeddings).is_empty();
    let used = compared && recipe.score.embedding.from == EmbeddingFrom::Column;
    recipe.data.embedding.as_deref().filter(|_| used || recipe.folds.near.is_some())
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
        for fold in folds {
            sizes[*fold as usize] += 1;
        }
    }
    let smallest = sizes.iter().min().copied().unwrap_or(0);
    let first = match (recipe.mode, recipe.folds.fit_on) {
        (Mode::Fitting, _) => rows,
        (Mode::Unseen, FitOn::Fold) => rows - smallest,
        (Mode::Unseen, FitOn::Complement) => sizes.into_iter().max().unwrap_or(0),
    };
    let added = stage_rows.first().copied().unwrap_or(0);
    let later = if stages(recipe) > 1 { rows - added } else { 0 };
    first.max(later)
}

/// Whether the recipe's methods can work: trainings are long enough for those that watch them, and what
/// compares samples has no more of them than `score.embedding.max_rows`: `rows` are all, and a model
/// scores at most `scored`.
///
/// # Errors
/// `InvalidRecipe` or `LimitExceeded`, naming the method.
pub(super) fn check_methods(recipe: &Recipe, rows: u64, scored: u64) -> Result<()> {
    let score = &recipe.score;
    if recipe.folds.near.is_some() {
        folds::near_limit(rows, score.embedding.max_rows)?;
    }
    for method in score.computed(Needs::Trajectory) {
        scoring::check_trajectory(method, &score.trajectory, recipe.train.epochs)?;
    }
    for method in score.computed(Needs::Embeddings) {
        let compared = if is_shared(recipe, method) { rows } else { scored };
        scoring::embedding_limit(method, compared as usize, &score.embedding)?;
    }
    Ok(())
}

/// The bytes of what is seen of `scored` samples while a training is watched.
pub(super) fn watching_memory(recipe: &Recipe, scored: u64, classes: usize) -> u64 {
    Dynamics::bytes(&trajectories(recipe), scored as usize, classes)
}

/// About how many bytes it takes to look for near duplicates among `rows` vectors: them, their
/// directions, a copy of these, and what 256 of them are near to.
pub(super) fn near_memory(recipe: &Recipe, rows: u64, width: usize) -> u64 {
    let width = if recipe.folds.near.is_some() { width } else { 0 };
    rows.saturating_mul(((3 * width + if width > 0 { 256 } else { 0 }) * size_of::<f32>()) as u64)
}

/// About how many bytes it takes to compare embeddings, where a model scores `scored` of `rows` samples:
/// them and those chosen before, two copies, their probabilities, and their neighbours.
pub(super) fn comparing_memory(
    recipe: &Recipe,
    (rows, scored): (u64, u64),
    width: usize,
    classes: usize,
) -> u64 {
    let methods = recipe.score.computed(Needs::Embeddings);
    if methods.is_empty() {
        return 0;
    }
    let classes = if methods.contains(&Method::Cal) { classes } else { 0 };
    let neighbors = recipe.score.embedding.neighbors;
    let numbers = 3 * width + classes + 12 * neighbors + 16;
    let all = methods.iter().any(|method| orders(*method) || is_shared(recipe, *method));
    let compared = if all { rows } else { scored };
    compared.saturating_mul((numbers * size_of::<f32>()) as u64)
}
