//! What if: a recipe with changes, and one for score tables that no recipe made.

use super::document::Override;
use super::file::parse;
use super::types::{Recipe, Stages, Strategy};
use crate::error::{Error, Result};

/// What says how much is kept. A recipe has one of them.
const AMOUNTS: [&str; 4] = ["select.keep", "select.prune", "select.keep_rows", "select.budget"];

/// A recipe for tables of scores: its data, its training and its output play no part.
const FOR_SCORES: &str = "
data = { uri = 'scores', features = 'unused' }
train.epochs = 1000000
select = { keep = 1.0, stages = 1 }
output = { uri = 'selection' }
";

impl Recipe {
    /// This recipe with changes, selecting in one step. A change that says how much is kept takes the
    /// place of what said so before.
    ///
    /// # Errors
    /// `InvalidRecipe` for a wrong change, for one of `select.stages`, and for the strategy `auto`.
    pub fn in_one_step(&self, changes: &[Override]) -> Result<Self> {
        if changes.iter().any(|change| change.key == "select.stages") {
            let message = "--set select.stages: what was scored once is selected in one step";
            return Err(Error::recipe(message));
        }
        let mut recipe = self.clone();
        recipe.select.stages = Stages::Equal(1);
        if changes_amount(changes) {
            let given = |amount| names(changes, amount);
            let select = &mut recipe.select;
            select.keep = select.keep.filter(|_| given("select.keep"));
            select.prune = select.prune.filter(|_| given("select.prune"));
            select.keep_rows = select.keep_rows.filter(|_| given("select.keep_rows"));
            select.budget = select.budget.take().filter(|_| given("select.budget"));
        }
        let recipe = parse(&recipe.to_toml()?, "the recipe with these changes", changes)?;
        if recipe.select.strategy == Strategy::Auto {
            let message = "the strategy `auto` trains models to choose, which a selection from scores does not: \
                 name another, such as --set select.strategy=top";
            return Err(Error::recipe(message));
        }
        Ok(recipe)
    }

    /// A recipe that selects from score tables, from its changes to the defaults alone.
    ///
    /// # Errors
    /// `InvalidRecipe` for a wrong change, or if none says how much is kept.
    pub fn for_scores(changes: &[Override]) -> Result<Self> {
        if !changes_amount(changes) {
            let message = "nothing says how much is kept: give --keep 0.5, --prune 0.5, or --set select.keep_rows=1000";
            return Err(Error::recipe(message));
        }
        parse(FOR_SCORES, "the recipe of score tables", &[])?.in_one_step(changes)
    }
}

fn changes_amount(changes: &[Override]) -> bool {
    AMOUNTS.iter().any(|amount| names(changes, amount))
}

/// Whether a change is of `key` or of something below it.
fn names(changes: &[Override], key: &str) -> bool {
    let below = |change: &Override| {
        change.key.strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    changes.iter().any(below)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::{By, Classes, Method};

    fn changes(texts: &[&str]) -> Vec<Override> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn base() -> Recipe {
        let text = "data = {uri = 'a', image = 'i'}\nselect = {keep_rows = 5, stages = 2}\noutput.uri = 'b'";
        parse(text, "base", &[]).unwrap()
    }

    #[test]
    fn a_new_amount_takes_the_place_of_the_old_one() {
        let same = base().in_one_step(&changes(&["select.classes=uniform"])).unwrap();
        assert_eq!((same.select.keep_rows, same.select.classes), (Some(5), Classes::Uniform));
        assert_eq!(same.select.stages, Stages::Equal(1));
        let other = base().in_one_step(&changes(&["select.keep=0.25"])).unwrap();
        assert_eq!((other.select.keep, other.select.keep_rows), (Some(0.25), None));
    }

    #[test]
    fn score_tables_need_no_recipe() {
        let recipe =
            Recipe::for_scores(&changes(&["select.keep=0.3", "select.by=margin"])).unwrap();
        assert_eq!(
            (recipe.select.keep, &recipe.select.by),
            (Some(0.3), &By::Method(Method::Margin))
        );
        let error = Recipe::for_scores(&changes(&["select.by=margin"])).unwrap_err();
        assert!(error.to_string().contains("how much is kept"), "{error}");
    }

    #[test]
    fn wrong_changes_say_so() {
        for (change, says) in [
            ("select.stages=2", "one step"),
            ("select.kep=0.5", "did you mean `keep`?"),
            ("select.keep=1.5", "--set select.keep=1.5"),
            ("select.strategy=auto", "name another, such as --set select.strategy=top"),
        ] {
            let error = base().in_one_step(&changes(&[change])).unwrap_err();
            assert!(error.exit_code() == 2 && error.to_string().contains(says), "{error}");
        }
    }
}
