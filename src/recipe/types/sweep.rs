//! `[sweep]`: a grid of recipes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::judge::Judge;
use super::score::By;
use super::select::{Stages, Strategy};
use super::{Method, Mode, Recipe};
use crate::error::{Error, Result};

/// The grid of `unseen sweep`: every combination of these values is a run. A list that is empty stands
/// for the recipe's own value. Runs themselves take no notice of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Sweep {
    /// Values of `seed`.
    pub seed: Vec<u64>,
    /// Values of `mode`. In mode `fitting` there is one stage, whatever `stages` says.
    pub mode: Vec<Mode>,
    /// Values of `select.by`.
    pub by: Vec<By>,
    /// Values of `select.strategy`.
    pub strategy: Vec<Strategy>,
    /// Values of `select.keep`, in place of whatever the recipe says about how much is kept.
    #[schemars(inner(range(min = 0, max = 1)))]
    pub keep: Vec<f64>,
    /// Values of `select.stages`.
    pub stages: Vec<Stages>,
}

impl Sweep {
    /// Whether nothing of it was given.
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Recipe {
    /// The recipes of the grid, each once, the last list moving fastest. All compute the scores that any of them
    /// needs, so that stage 1 is the same for all of one seed and mode.
    ///
    /// # Errors
    /// `InvalidRecipe` if there is no grid, or a combination breaks a law.
    pub fn grid(&self) -> Result<Vec<Self>> {
        if self.sweep.is_default() {
            let message =
                "the recipe has no grid: give it a table [sweep], or --set sweep.keep=[0.3,0.5]";
            return Err(Error::recipe(message));
        }
        let sweep = &self.sweep;
        let mut grid = vec![Self { sweep: Sweep::default(), ..self.clone() }];
        spread(&mut grid, &sweep.seed, |recipe, seed| recipe.seed = *seed);
        spread(&mut grid, &sweep.mode, |recipe, mode| recipe.mode = *mode);
        spread(&mut grid, &sweep.by, |recipe, by| recipe.select.by = by.clone());
        spread(&mut grid, &sweep.strategy, |recipe, strategy| recipe.select.strategy = *strategy);
        spread(&mut grid, &sweep.keep, |recipe, keep| {
            let select = &mut recipe.select;
            (select.keep, select.prune) = (Some(*keep), None);
            (select.keep_rows, select.budget) = (None, None);
        });
        spread(&mut grid, &sweep.stages, |recipe, stages| recipe.select.stages = stages.clone());
        let methods = methods(&grid);
        let mut different: Vec<Self> = Vec::new();
        for mut recipe in grid {
            recipe.score.methods.clone_from(&methods);
            // Every run is evaluated anyway; `auto` cannot do without.
            if recipe.select.strategy != Strategy::Auto {
                recipe.judge = Judge::OFF;
            }
            if recipe.mode == Mode::Fitting {
                recipe.select.stages = Stages::Equal(1);
            }
            recipe.check()?;
            if !different.contains(&recipe) {
                different.push(recipe);
            }
        }
        Ok(different)
    }
}

/// Each recipe once for each value.
fn spread<T>(grid: &mut Vec<Recipe>, values: &[T], set: impl Fn(&mut Recipe, &T)) {
    if values.is_empty() {
        return;
    }
    let with = |recipe: &Recipe, value| {
        let mut recipe = recipe.clone();
        set(&mut recipe, value);
        recipe
    };
    *grid = grid.iter().flat_map(|recipe| values.iter().map(move |v| with(recipe, v))).collect();
}

/// The scores that a recipe of the grid needs, in the order in which they come.
fn methods(grid: &[Recipe]) -> Vec<Method> {
    let mut methods = Vec::new();
    for recipe in grid {
        let by = match recipe.select.by {
            By::Method(method) => Some(method),
            By::Own(_) => None,
        };
        let beta = (recipe.select.strategy == Strategy::Beta).then_some(Method::MeanConfidence);
        for method in recipe.score.methods.iter().copied().chain(by).chain(beta) {
            if !methods.contains(&method) {
                methods.push(method);
            }
        }
    }
    methods
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::parse;

    fn grid(sweep: &str) -> Result<Vec<Recipe>> {
        let text = format!(
            "data = {{uri = 'a', image = 'i'}}\nselect.prune = 0.5\noutput.uri = 'b'\n[sweep]\n{sweep}"
        );
        parse(&text, "grid", &[])?.grid()
    }

    #[test]
    fn a_grid_has_every_combination_once() {
        let grid = grid("seed = [0, 1]\nby = ['margin', 'el2n']\nkeep = [0.3, 0.5]").unwrap();
        let told: Vec<_> = grid
            .iter()
            .map(|r| (r.seed, r.select.by.name().to_owned(), r.select.keep.unwrap()))
            .collect();
        assert_eq!(told.len(), 8);
        assert_eq!(told[0], (0, "margin".to_owned(), 0.3));
        assert_eq!(told[1], (0, "margin".to_owned(), 0.5));
        assert_eq!(told[7], (1, "el2n".to_owned(), 0.5));
        for recipe in &grid {
            assert_eq!(recipe.score.methods, grid[0].score.methods);
            assert!(recipe.score.methods.contains(&Method::El2n));
            assert!(recipe.select.prune.is_none() && recipe.sweep.is_default());
        }
    }

    #[test]
    fn fitting_has_one_stage_and_comes_once() {
        let stages = |sweep| -> Vec<Stages> {
            grid(sweep).unwrap().into_iter().map(|recipe| recipe.select.stages).collect()
        };
        let equal = Stages::Equal;
        assert_eq!(stages("mode = ['unseen', 'fitting']"), [equal(3), equal(1)]);
        let both = stages("mode = ['unseen', 'fitting']\nstages = [2, 4]");
        assert_eq!(both, [equal(2), equal(4), equal(1)]);
    }

    #[test]
    fn a_wrong_grid_is_refused() {
        assert!(grid("").unwrap_err().to_string().contains("no grid"));
        assert_eq!(grid("keep = [1.5]").unwrap_err().exit_code(), 2);
        assert!(grid("bye = ['margin']").unwrap_err().to_string().contains("did you mean `by`"));
        let error = grid("by = ['margn']").unwrap_err();
        assert_eq!(error.exit_code(), 2, "{error}");
    }
}
