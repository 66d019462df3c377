//! The weights that trainings start from: `train.init`.

use bytes::Bytes;

use super::worker::Run;
use crate::error::{Error, ErrorKind, Place, Result};
use crate::recipe::Recipe;
use crate::storage::{Object, resolve_one};

/// The file may take this part of the memory, as it lies there beside the nets that start from it.
const MEMORY_PARTS: u64 = 8;

/// The file that a recipe names.
///
/// # Errors
/// `InvalidInput` if the address stands for none or for several; `Unavailable` if it cannot be read.
pub(super) fn init_object(recipe: &Recipe) -> Result<Option<Object>> {
    let one = |uri| resolve_one(uri, &recipe.storage).at(|| "train.init".to_owned());
    recipe.train.init.as_deref().map(one).transpose()
}

impl Run {
    /// The bytes of the file, if there is one.
    ///
    /// # Errors
    /// `LimitExceeded` if it is too large; `Unavailable` if it cannot be read.
    pub(super) fn init_weights(&self) -> Result<Option<Bytes>> {
        let Some(object) = &self.init else { return Ok(None) };
        let most = self.memory.bytes / MEMORY_PARTS;
        if object.bytes > most {
            let message = format!(
                "the weights have {} bytes; within the memory that is allowed `train.init` may have {most}: give more --memory",
                object.bytes
            );
            return Err(Error::new(ErrorKind::LimitExceeded, message).at(object.uri.clone()));
        }
        object.read().at(|| object.uri.clone()).map(Some)
    }
}
