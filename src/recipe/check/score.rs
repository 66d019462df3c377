//! The laws about scores and what they need.

use super::{Laws, distinct};
use crate::recipe::types::{Average, By, EmbeddingFrom, Method, Needs, Recipe};

pub(super) fn score(laws: &mut Laws, recipe: &Recipe) {
    let score = &recipe.score;
    laws.hold(distinct(&score.methods), &["score.methods"], "`score.methods` names a score twice");
    averaged(laws, recipe);
    trajectory(laws, recipe);
    laws.hold(
        score.embedding.from != EmbeddingFrom::Column || recipe.data.embedding.is_some(),
        &["score.embedding.from", "data.embedding"],
        "embeddings come from a column, but the recipe has no `data.embedding`: name the column, or set `score.embedding.from` to `model`",
    );
    let difficulty = score.embedding.difficulty;
    laws.hold(
        difficulty.needs() != Needs::Embeddings,
        &["score.embedding.difficulty"],
        format!(
            "`{}` looks at embeddings itself and cannot be the difficulty of `d2`; use a score of outputs such as `el2n`",
            difficulty.name()
        ),
    );
}

/// The score of mean probabilities follows from them alone.
fn averaged(laws: &mut Laws, recipe: &Recipe) {
    let methods = match &recipe.select.by {
        By::Method(method) => std::slice::from_ref(method),
        By::Own(_) => &recipe.score.methods,
    };
    let from_outputs = |m: &&Method| m.needs() == Needs::Snapshot && **m != Method::Grand;
    let other = methods.iter().find(|method| !from_outputs(method));
    laws.hold(
        recipe.score.average == Average::Scores || other.is_none(),
        &["score.average", "select.by"],
        format!(
            "mean probabilities have no `{}`, which needs more than the probabilities of a sample; set `score.average` to `scores`",
            other.map_or("", |method| method.name())
        ),
    );
}

fn trajectory(laws: &mut Laws, recipe: &Recipe) {
    let (watched, trained) = (recipe.score.trajectory.epochs, recipe.train.epochs);
    laws.hold(
        watched.is_none_or(|watched| watched <= trained),
        &["score.trajectory.epochs", "train.epochs"],
        format!(
            "`score.trajectory.epochs` is {}, but `train.epochs` is {trained}: what is watched is the first epochs of a training",
            watched.unwrap_or_default()
        ),
    );
}
