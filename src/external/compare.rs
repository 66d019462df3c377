//! The embeddings of all samples that one model predicts, compared.

use super::checks::Checked;
use super::predictions::Row;
use super::scorer::Scorer;
use crate::error::{Error, Result};
use crate::recipe::{Method, Needs};
use crate::scoring::{self, Cloud};

impl Scorer<'_> {
    /// The scores of the methods that compare embeddings, for all rows of one model: in the order of
    /// [`crate::recipe::Score::computed`], a score for each of its samples. Its embeddings are in
    /// memory meanwhile, for CAL and D2 its outputs too.
    pub(super) fn compared(
        &self,
        checked: &Checked,
        rows: &[Row],
    ) -> Result<Vec<(Method, Vec<f32>)>> {
        let methods = self.score.computed(Needs::Embeddings);
        let Some(embeddings) = self.predictions.embeddings.as_ref().filter(|_| !methods.is_empty())
        else {
            return Ok(Vec::new());
        };
        let last: Vec<Row> =
            rows.iter().skip(checked.epochs - 1).step_by(checked.epochs).copied().collect();
        let points = embeddings.values(last.iter().copied())?;
        let labels: Vec<u32> = last.iter().map(|row| checked.labels[row.id as usize]).collect();
        let tie = self.seed.of("tie");
        let ties: Vec<u64> =
            last.iter().map(|row| tie.hash(&checked.ids[row.id as usize])).collect();
        let mut probabilities = None;
        if methods.contains(&Method::Cal) {
            let outputs = self.predictions.values(last.into_iter())?;
            probabilities = Some(self.probabilities(&outputs));
        }
        let difficulty = self.difficulty(checked, rows)?;
        let cloud = Cloud {
            points: &points,
            width: embeddings.width,
            labels: &labels,
            classes: self.predictions.classes,
            probabilities: probabilities.as_deref(),
            difficulty: difficulty.as_deref(),
            ties: &ties,
            chosen: &[],
        };
        let model = rows.first().map_or(0, |row| row.model);
        let seed = self.seed.of("embeddings").of(&format!("model={model}"));
        let score = |method: Method| {
            let (options, seed) = (&self.score.embedding, seed.of(method.name()));
            Ok((method, scoring::embedding_scores(method, &cloud, options, &seed)?))
        };
        methods.into_iter().map(score).collect()
    }

    /// The score that D2 passes along, if D2 is asked for.
    fn difficulty(&self, checked: &Checked, rows: &[Row]) -> Result<Option<Vec<f32>>> {
        if !self.score.methods.contains(&Method::D2) {
            return Ok(None);
        }
        let method = self.score.embedding.difficulty;
        let column = self.columns(checked, rows)?.scores.remove(&method);
        let scores = column.ok_or_else(|| Error::internal("D2 lacks its difficulty"))?;
        Ok(Some(scoring::difficulty(method, &scores)))
    }
}
