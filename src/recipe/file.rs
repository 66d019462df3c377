//! Reading a recipe: from a text to values that keep every law.

use std::collections::BTreeSet;

use serde_json::Value;

use super::check::faults;
use super::document::{Document, Override};
use super::expand::{Lookup, expand};
use super::shape::first_fault;
use super::types::{By, Method, Mode, OneOrMany, Own, Recipe, Stages, Strategy};
use crate::error::Result;

/// Reads the recipe `text`, applies the overrides in turn, takes `${NAME}` from the environment,
/// fills in every default and checks every law; `name` is the file's name in messages.
///
/// ```
/// let text = "
///     data = { uri = 'digits.parquet', image = 'image' }
///     select = { keep = 0.5 }
///     output = { uri = 'runs/digits' }";
/// let recipe = unseen::recipe::parse(text, "digits.toml", &["seed=7".parse()?])?;
/// assert_eq!((recipe.seed, recipe.folds.k), (7, 5));
/// # Ok::<(), unseen::Error>(())
/// ```
///
/// # Errors
/// `InvalidRecipe`: `file:line:column: what is wrong and what would be right`, or
/// `--set key=value: ...` where an override is to blame.
// The environment is read here and nowhere else.
#[allow(clippy::disallowed_methods)]
pub fn parse(text: &str, name: &str, overrides: &[Override]) -> Result<Recipe> {
    parse_with(text, name, overrides, &|name| std::env::var(name).ok())
}

/// [`parse`] with an environment of the caller's choice.
///
/// # Errors
/// As [`parse`].
pub fn parse_with(
    text: &str,
    name: &str,
    overrides: &[Override],
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Recipe> {
    let document = Document::parse(text, name, overrides)?;
    let mut recipe = shaped(&document)?;
    expand_addresses(&document, &mut recipe, env)?;
    resolve(&document, &mut recipe);
    lawful(&document, &recipe)?;
    Ok(recipe)
}

impl Recipe {
    /// Holds a recipe that was built in code to the rules that [`parse`] holds a file to. Unlike
    /// `parse` it fills in nothing.
    ///
    /// # Errors
    /// `InvalidRecipe`, with the line in [`Recipe::to_toml`].
    pub fn check(&self) -> Result<()> {
        let text = self.to_toml()?;
        let document = Document::parse(&text, "recipe", &[])?;
        lawful(&document, &shaped(&document)?)
    }
}

/// The JSON Schema of recipes.
pub fn json_schema() -> schemars::Schema {
    schemars::schema_for!(Recipe)
}

fn shaped(document: &Document) -> Result<Recipe> {
    let schema: Value = json_schema().into();
    match first_fault(&schema, document.root()) {
        Some(fault) => {
            let hint = document.quoted(fault.place).filter(|_| fault.wants_text);
            Err(document.error(fault.place, &(fault.message + &hint.unwrap_or_default())))
        }
        None => document.read(),
    }
}

fn expand_addresses(document: &Document, recipe: &mut Recipe, env: Lookup) -> Result<()> {
    let inputs = recipe.data.uri.as_mut_slice().iter_mut().map(|uri| ("data.uri", uri));
    let tests = recipe.evaluate.uri.as_mut().map_or(&mut [][..], OneOrMany::as_mut_slice);
    let tests = tests.iter_mut().map(|uri| ("evaluate.uri", uri));
    let joins = recipe.join.iter_mut().map(|join| ("join.uri", &mut join.uri));
    let init = recipe.train.init.iter_mut().map(|uri| ("train.init", uri));
    let output = [("output.uri", &mut recipe.output.uri)];
    for (key, uri) in inputs.chain(tests).chain(joins).chain(init).chain(output) {
        *uri = expand(uri, env)
            .map_err(|why| document.error(document.place(&[key]), &format!("`{key}` {why}")))?;
    }
    Ok(())
}

/// Fills in the defaults that depend on other fields.
fn resolve(document: &Document, recipe: &mut Recipe) {
    if recipe.mode == Mode::Fitting && !document.has("select.stages") {
        recipe.select.stages = Stages::Equal(1);
    }
    let by = match recipe.select.by {
        By::Method(method) => Some(method),
        By::Own(_) => None,
    };
    let confidence = recipe.select.strategy == Strategy::Beta;
    let own: BTreeSet<&str> = recipe.score.own.iter().flat_map(Own::words).collect();
    let own = Method::ALL.into_iter().filter(|method| own.contains(method.name()));
    let wanted = by.into_iter().chain(confidence.then_some(Method::MeanConfidence)).chain(own);
    for method in wanted.collect::<Vec<_>>() {
        if !recipe.score.methods.contains(&method) {
            recipe.score.methods.push(method);
        }
    }
}

fn lawful(document: &Document, recipe: &Recipe) -> Result<()> {
    let placed = faults(recipe).into_iter().map(|fault| (document.place(fault.keys), fault));
    match placed.min_by_key(|(place, _)| *place) {
        Some((place, fault)) => Err(document.error(place, &fault.message)),
        None => Ok(()),
    }
}
