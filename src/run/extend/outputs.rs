//! The models of stage 1 score new samples.

use arrow::array::Int32Array;
use arrow::record_batch::RecordBatch;

use crate::error::{Place, Result};
use crate::ingest::Loaded;
use crate::models::Checkpoint;
use crate::recipe::{FitOn, Recipe};
use crate::run::score_table::ScoreTable;
use crate::run::task::{Task, models};
use crate::run::worker::Run;
use crate::training::{self, View};

/// The score table of each model that has something to score; `folds` are those of the samples, and
/// `recipe` says which scores.
pub(super) fn tables(
    run: &Run,
    recipe: &Recipe,
    loaded: &Loaded,
    folds: &[u32],
) -> Result<Vec<RecordBatch>> {
    let samples = &loaded.samples;
    let inside = recipe.folds.fit_on == FitOn::Fold;
    let mut tables = Vec::new();
    for model in 0..models(recipe, 1) {
        let unseen = |i: &u32| (folds[*i as usize] as usize == model) != inside;
        let scored: Vec<u32> = (0..samples.len() as u32).filter(unseen).collect();
        if scored.is_empty() {
            continue;
        }
        let task = Task::Train { stage: 1, model }.to_string();
        let record = run.ledger.get(&task)?;
        let weights = run.ledger.output(&record, "model.safetensors")?.0;
        let card = run.ledger.output(&record, "model.json")?.0;
        let checkpoint = Checkpoint::load(&weights, &card)?;
        let mut table = ScoreTable::new(recipe, samples, &scored, 1);
        let request = training::Request {
            indices: &scored,
            view: View::Clean,
            embeddings: table.needs_embeddings(),
        };
        training::predict(&checkpoint, samples, &recipe.device, &request, &mut |batch| {
            table.push(batch)
        })
        .at(|| format!("model {model} of stage 1"))?;
        let folds = Int32Array::from_iter_values(scored.iter().map(|i| folds[*i as usize] as i32));
        tables.push(table.finish(folds, model)?);
    }
    Ok(tables)
}
