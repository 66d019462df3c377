//! Vision transformers with the names of timm.

use super::{Step, head, not_images};
use crate::samples::Shape;
use crate::{Error, Result};

/// The sizes of a vision transformer.
#[derive(Clone, Copy, Debug)]
pub(in crate::models) struct Vit {
    pub(in crate::models) patch: usize,
    pub(in crate::models) width: usize,
    pub(in crate::models) depth: usize,
    pub(in crate::models) heads: usize,
}

impl Vit {
    /// DeiT-Tiny.
    pub(super) fn tiny(patch: usize) -> Self {
        Self { patch, width: 192, depth: 12, heads: 3 }
    }

    /// The steps from an image to one logit per class.
    ///
    /// # Errors
    /// `InvalidRecipe` if inputs are no images, or no whole number of patches.
    pub(in crate::models) fn steps(self, shape: Shape, classes: usize) -> Result<Vec<Step>> {
        let Self { patch, width: outputs, depth, heads } = self;
        let Shape::Image { channels: inputs, height, width } = shape else {
            return Err(not_images("a vision transformer"));
        };
        if patch == 0 || !height.is_multiple_of(patch) || !width.is_multiple_of(patch) {
            return Err(Error::recipe(format!(
                "model.patch = {patch} does not divide images of {height}x{width}; \
                 choose another model.patch or data.resize"
            )));
        }
        let places = 1 + (height / patch) * (width / patch);
        let mut steps = vec![Step::Tokens { inputs, outputs, patch, places }];
        let name = |i| format!("blocks.{i}");
        steps.extend((0..depth).map(|i| Step::Block { name: name(i), width: outputs, heads }));
        steps.push(Step::ClassToken { name: "norm".to_owned(), width: outputs });
        steps.push(head("head", outputs, classes));
        Ok(steps)
    }
}
