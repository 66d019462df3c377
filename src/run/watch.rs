//! Watches a training: the trajectories of the samples that its model will score.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float32Array, StringArray};
use arrow::record_batch::RecordBatch;

use super::score_table::labels_of;
use super::scored::{trajectories, watched_epochs};
use crate::error::{Place, Result};
use crate::recipe::{Method, Needs, Outputs, Recipe};
use crate::samples::Samples;
use crate::scoring::{Block, Dynamics, Values};
use crate::seed::Seed;
use crate::tables;
use crate::training::{Predictor, Request, View};

/// The trajectories of the samples that a model will score.
pub(super) struct Watch<'a> {
    recipe: &'a Recipe,
    samples: &'a Samples,
    scored: Vec<u32>,
    /// Decides the views of training-mode outputs.
    seed: Seed,
    methods: Vec<Method>,
    dynamics: Dynamics,
}

impl<'a> Watch<'a> {
    /// Begins to watch the samples that will be `scored`, if the recipe asks for a method that has to.
    pub(super) fn begin(
        recipe: &'a Recipe,
        samples: &'a Samples,
        scored: Vec<u32>,
        seed: Seed,
    ) -> Option<Self> {
        let methods = recipe.score.computed(Needs::Trajectory);
        if methods.is_empty() {
            return None;
        }
        let dynamics = Dynamics::new(trajectories(recipe), scored.len(), samples.classes.len());
        Some(Self { recipe, samples, scored, seed, methods, dynamics })
    }

    /// How many samples it passes to look at the models of `epochs` epochs.
    pub(super) fn work(&self, epochs: usize) -> u64 {
        (epochs.min(watched_epochs(self.recipe)) * self.scored.len()) as u64
    }

    /// What was seen so far, as numbers.
    pub(super) fn numbers(&self) -> &[f64] {
        self.dynamics.memory()
    }

    /// Goes on with what was seen of `epochs` epochs.
    ///
    /// # Errors
    /// `CorruptData` if it was seen of other samples.
    pub(super) fn resume(&mut self, epochs: usize, numbers: Vec<f64>) -> Result<()> {
        self.dynamics.resume(epochs.min(watched_epochs(self.recipe)), numbers)
    }

    /// Looks at the model after `epoch` (from 0).
    pub(super) fn look(&mut self, epoch: usize, model: &Predictor<'_>) -> Result<()> {
        if epoch >= watched_epochs(self.recipe) {
            return Ok(());
        }
        let seed = self.seed.of(&format!("epoch={epoch}"));
        let Self { recipe, samples, scored, dynamics, .. } = self;
        let request = Request { indices: scored, view: view(recipe, &seed), embeddings: false };
        let mut first = 0;
        model.predict(&request, &mut |batch| {
            let labels = labels_of(samples, batch.indices);
            let block = Block {
                values: Values::Logits(batch.logits),
                classes: samples.classes.len(),
                labels: &labels,
                embedding_norms: None,
            };
            dynamics
                .observe(epoch, first, &block)
                .at(|| format!("samples from `{}`", samples.ids[batch.indices[0] as usize]))?;
            first += labels.len();
            Ok(())
        })?;
        Ok(())
    }

    /// The table of what was seen.
    pub(super) fn finish(self) -> Result<RecordBatch> {
        let ids = self.scored.iter().map(|i| &self.samples.ids[*i as usize]);
        let mut columns: Vec<ArrayRef> = vec![Arc::new(StringArray::from_iter_values(ids))];
        for scores in self.dynamics.finish(watched_epochs(self.recipe)) {
            columns.push(Arc::new(Float32Array::from(scores)));
        }
        let schema = tables::dynamics(&self.methods, self.recipe.score.outputs);
        Ok(RecordBatch::try_new(schema, columns)?)
    }
}

/// The outputs that scores are computed from.
pub(super) fn view<'a>(recipe: &'a Recipe, seed: &'a Seed) -> View<'a> {
    match recipe.score.outputs {
        Outputs::Clean => View::Clean,
        Outputs::Training => View::Training { train: &recipe.train, seed },
    }
}
