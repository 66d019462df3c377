//! Stands in for `outputs` in a build without models.

use arrow::record_batch::RecordBatch;

use crate::error::Result;
use crate::ingest::Loaded;
use crate::recipe::Recipe;
use crate::run::fit::no_models;
use crate::run::worker::Run;

pub(super) fn tables(_: &Run, _: &Recipe, _: &Loaded, _: &[u32]) -> Result<Vec<RecordBatch>> {
    Err(no_models())
}
