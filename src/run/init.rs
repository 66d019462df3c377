//! The weights that trainings start from: `train.init`.

use bytes::Bytes;

use super::worker::{Run, lock};
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
    /// The bytes of the file, if there is one, read once for all trainings.
    ///
    /// # Errors
    /// `LimitExceeded` if it is too large; `Unavailable` if it cannot be read.
    pub(super) fn init_weights(&self) -> Result<Option<Bytes>> {
        let Some(object) = &self.init else { return Ok(None) };
        let mut held = lock(&self.weights);
        if let Some(weights) = &*held {
            return Ok(Some(weights.clone()));
        }
        let most = self.memory.bytes / MEMORY_PARTS;
        if object.bytes > most {
            let message = format!(
                "the weights have {} bytes; within the memory that is allowed `train.init` may have {most}: give more --memory",
                object.bytes
            );
            return Err(Error::new(ErrorKind::LimitExceeded, message).at(object.uri.clone()));
        }
        Ok(Some(held.insert(object.read().at(|| object.uri.clone())?).clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::parse;

    #[test]
    fn all_trainings_share_what_was_read_once() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("weights.safetensors");
        std::fs::write(&file, b"weights").unwrap();
        let text = format!(
            "data = {{ uri = '{}/data/fashion_mnist_6k.parquet', image = 'image' }}\n\
             model.arch = 'resnet18'\ntrain.init = '{}'\nselect.keep = 0.5\noutput.uri = '{}/run'",
            env!("CARGO_MANIFEST_DIR"),
            file.display(),
            place.path().display()
        );
        let run = Run::new(parse(&text, "init.toml", &[]).unwrap()).unwrap();
        let first = run.init_weights().unwrap().unwrap();
        std::fs::remove_file(&file).unwrap();
        let second = run.init_weights().unwrap().unwrap();
        assert_eq!((first.as_ptr(), &second[..]), (second.as_ptr(), &b"weights"[..]));
        run.forget_loaded();
        assert!(run.init_weights().is_err(), "it is still held");
    }
}
