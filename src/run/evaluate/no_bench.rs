//! Stands in for `bench` in a build without models.

use super::{Evaluate, Evaluation};
use crate::error::Result;
use crate::run::Observer;
use crate::run::fit::no_models;

pub(super) fn evaluate(_: &Evaluate<'_>, _: &dyn Observer) -> Result<Evaluation> {
    Err(no_models())
}
