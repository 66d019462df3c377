//! Scores that look at all samples of a model together: their embeddings, compared.

use super::rows::packed;
use super::score_table::ScoreTable;
use super::scored::is_shared;
use super::worker::Run;
use crate::error::Result;
use crate::recipe::{Method, Needs, Recipe};
use crate::samples::Samples;
use crate::scoring::{self, Cloud};
use crate::seed::Seed;

impl Run {
    /// Adds the scores of embeddings to the table of one model, whose seed this is. `chosen` are the
    /// embeddings, by the model, of what earlier stages kept.
    pub(super) fn compare(
        &self,
        table: &mut ScoreTable<'_>,
        samples: &Samples,
        scored: &[u32],
        (stage, seed): (usize, &Seed),
        chosen: &[f32],
    ) -> Result<()> {
        let methods = self.recipe.score.computed(Needs::Embeddings);
        if methods.is_empty() || scored.is_empty() {
            return Ok(());
        }
        let (shared, own): (Vec<_>, Vec<_>) =
            methods.into_iter().partition(|method| is_shared(&self.recipe, *method));
        let mut columns = self.shared(samples, scored, stage, &shared)?;
        if !own.is_empty() {
            let points = match table.embeddings.take() {
                Some(points) => points,
                None => packed(&*self.embeddings()?, scored)?,
            };
            let difficulty = difficulty(table, &self.recipe);
            let beside = (table.probabilities.as_deref(), difficulty.as_deref());
            let packed = (points.as_slice(), chosen);
            columns.extend(self.compared(samples, scored, packed, beside, &own, seed)?);
        }
        table.scores.extend(columns);
        Ok(())
    }

    /// The scores that all models of a stage share, for those that one of them scores: computed once in
    /// a process, over all samples that are open, after those that are kept.
    fn shared(
        &self,
        samples: &Samples,
        scored: &[u32],
        stage: usize,
        methods: &[Method],
    ) -> Result<Vec<(Method, Vec<f32>)>> {
        if methods.is_empty() {
            return Ok(Vec::new());
        }
        // In later stages a model scores all that is open, and the others are kept.
        let all: Vec<u32> = (0..samples.len() as u32).collect();
        let open = if stage == 1 { &all[..] } else { scored };
        let mut shared = self.shared_scores();
        if shared.as_ref().is_none_or(|(of, _)| *of != stage) {
            let kept: Vec<u32> =
                all.iter().copied().filter(|i| open.binary_search(i).is_err()).collect();
            let embeddings = self.embeddings()?;
            let (points, chosen) = (packed(&embeddings, open)?, packed(&embeddings, &kept)?);
            let (packed, seed) = ((&points[..], &chosen[..]), self.seed.of("embeddings"));
            let seed = seed.of(&format!("stage={stage}"));
            let columns = self.compared(samples, open, packed, (None, None), methods, &seed)?;
            *shared = Some((stage, columns));
        }
        let columns = shared.iter().flat_map(|(_, columns)| columns);
        let place = |i: &u32| open.binary_search(i).unwrap_or_default();
        Ok(columns
            .map(|(method, column)| (*method, scored.iter().map(|i| column[place(i)]).collect()))
            .collect())
    }

    /// The scores of methods for the samples `of`, whose embeddings are given, after those chosen before.
    fn compared(
        &self,
        samples: &Samples,
        of: &[u32],
        (points, chosen): (&[f32], &[f32]),
        (probabilities, difficulty): (Option<&[f32]>, Option<&[f32]>),
        methods: &[Method],
        seed: &Seed,
    ) -> Result<Vec<(Method, Vec<f32>)>> {
        let tie = self.seed.of("tie");
        let ties: Vec<u64> = of.iter().map(|i| tie.hash(&samples.ids[*i as usize])).collect();
        let labels: Vec<u32> = of.iter().map(|i| samples.labels[*i as usize]).collect();
        let (width, classes) = (points.len() / of.len().max(1), samples.classes.len());
        let (labels, ties) = (&labels[..], &ties[..]);
        let cloud =
            Cloud { points, width, labels, classes, probabilities, difficulty, ties, chosen };
        let options = &self.recipe.score.embedding;
        let score = |method: &Method| {
            let seed = seed.of(method.name());
            Ok((*method, scoring::embedding_scores(*method, &cloud, options, &seed)?))
        };
        methods.iter().map(score).collect()
    }
}

/// The score that D2 passes along.
fn difficulty(table: &ScoreTable<'_>, recipe: &Recipe) -> Option<Vec<f32>> {
    let method = recipe.score.embedding.difficulty;
    table.scores.get(&method).map(|scores| scoring::difficulty(method, scores))
}
