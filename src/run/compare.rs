//! Scores that look at all samples of a model together: their embeddings, compared.

use super::rows::packed;
use super::score_table::ScoreTable;
use super::worker::Run;
use crate::error::Result;
use crate::recipe::{Needs, Recipe};
use crate::samples::Samples;
use crate::scoring::{self, Cloud, Direction};
use crate::seed::Seed;

impl Run {
    /// Adds the scores of embeddings to the table of one model, whose seed this is.
    pub(super) fn compare(
        &self,
        table: &mut ScoreTable<'_>,
        samples: &Samples,
        scored: &[u32],
        seed: &Seed,
    ) -> Result<()> {
        let methods = self.recipe.score.computed(Needs::Embeddings);
        if methods.is_empty() || scored.is_empty() {
            return Ok(());
        }
        let points = match table.embeddings.take() {
            Some(points) => points,
            None => packed(&*self.embeddings()?, scored)?,
        };
        let tie = self.seed.of("tie");
        let ties: Vec<u64> = scored.iter().map(|i| tie.hash(&samples.ids[*i as usize])).collect();
        let (labels, difficulty) = (table.labels(), difficulty(table, &self.recipe));
        let cloud = Cloud {
            points: &points,
            width: points.len() / scored.len(),
            labels: &labels,
            classes: samples.classes.len(),
            probabilities: table.probabilities.as_deref(),
            difficulty: difficulty.as_deref(),
            ties: &ties,
        };
        let mut columns = Vec::new();
        for method in methods {
            let seed = seed.of(method.name());
            let options = &self.recipe.score.embedding;
            columns.push((method, scoring::embedding_scores(method, &cloud, options, &seed)?));
        }
        table.scores.extend(columns);
        Ok(())
    }
}

/// The score that D2 passes along, high for hard samples: one whose low end is kept is taken as its
/// distance from the largest.
fn difficulty(table: &ScoreTable<'_>, recipe: &Recipe) -> Option<Vec<f32>> {
    let method = recipe.score.embedding.difficulty;
    let scores = table.scores.get(&method)?;
    Some(match scoring::direction(method) {
        Direction::KeepHigh => scores.clone(),
        Direction::KeepLow => {
            let largest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            scores.iter().map(|score| largest - score).collect()
        }
    })
}
