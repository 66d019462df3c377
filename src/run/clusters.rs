//! Clusters of duplicates: samples that models see as the same, and near ones if the recipe says how
//! near.

use super::rows::packed;
use super::worker::Run;
use crate::error::Result;
use crate::folds;
use crate::ingest::Loaded;
use crate::samples::Inputs;

impl Run {
    /// The cluster of each sample, named after the first id in it; `None` for a sample that is alone.
    pub(super) fn clusters(&self, loaded: &Loaded) -> Result<Vec<Option<String>>> {
        let contents: Vec<String> = loaded.contents.iter().map(ToString::to_string).collect();
        let near = match self.recipe.folds.near {
            None => None,
            Some(cosine) => Some(self.near(loaded, cosine)?),
        };
        Ok(folds::clusters(&loaded.samples.ids, &contents, near.as_deref()))
    }

    /// For each sample the first of its near duplicates, by `data.embedding` or else by the features.
    fn near(&self, loaded: &Loaded, cosine: f64) -> Result<Vec<usize>> {
        let most = self.recipe.score.embedding.max_rows;
        let of = |vectors: &Inputs| {
            let all: Vec<u32> = (0..loaded.samples.len() as u32).collect();
            folds::near_duplicates(&packed(vectors, &all)?, vectors.shape().len(), cosine, most)
        };
        match self.recipe.data.embedding {
            None => of(&loaded.samples.inputs),
            Some(_) => of(&*self.embeddings()?),
        }
    }
}
