//! Stands in for `bench` in a build without models.

use super::proxies::{Job, Proxied};
use super::{Evaluate, Evaluation, Tested};
use crate::error::Result;
use crate::run::Observer;
use crate::run::fit::no_models;
use crate::run::worker::Run;
use crate::storage::Ledger;

pub(super) fn evaluate(_: &Evaluate<'_>, _: &dyn Observer) -> Result<Evaluation> {
    Err(no_models())
}

pub(in crate::run) fn rows_in(_: &Run, _: Ledger, _: &dyn Observer) -> Result<Vec<Tested>> {
    Err(no_models())
}

pub(super) fn proxied(_: &Job<'_>, _: Option<&dyn Observer>) -> Result<Proxied> {
    Err(no_models())
}

pub(in crate::run) fn impossible(_: &Run) -> Result<Option<String>> {
    Err(no_models())
}
