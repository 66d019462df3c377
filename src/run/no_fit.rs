//! Stands in for `fit` in a build without models: plans and runs are refused with what to do.

use super::Observer;
use super::attempt::Attempt;
use super::scored::Sizes;
use super::worker::Run;
use crate::error::{Error, ErrorKind, Result};
use crate::recipe::Recipe;
use crate::samples::Shape;

impl Run {
    pub(super) fn train(
        &self,
        _: &mut Attempt,
        _: usize,
        _: usize,
        _: &dyn Observer,
    ) -> Result<String> {
        Err(no_models())
    }

    pub(super) fn score(
        &self,
        _: &mut Attempt,
        _: usize,
        _: usize,
        _: &dyn Observer,
    ) -> Result<String> {
        Err(no_models())
    }

    pub(super) fn init_note(&self, _: Shape, _: usize) -> Result<Option<String>> {
        Err(no_models())
    }
}

pub(super) fn sizes(_: &Recipe, _: Shape, _: usize) -> Result<Sizes> {
    Err(no_models())
}

pub(super) fn devices(_: &Recipe) -> Result<Vec<String>> {
    Err(no_models())
}

pub(super) fn no_models() -> Error {
    let message =
        "this build has no models; build it with the feature `train` (it is on by default)";
    Error::new(ErrorKind::DeviceUnavailable, message)
}
