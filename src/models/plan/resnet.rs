//! Residual nets of He et al., CVPR 2016, with the names and shapes of torchvision.

use super::convnet::conv_norm;
use super::{Step, head, not_images};
use crate::recipe::Stem;
use crate::samples::Shape;
use crate::{Error, Result};

/// The sizes of a ResNet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Resnet {
    pub(super) width: usize,
    pub(super) stem: Stem,
    /// Blocks of each stage.
    pub(super) depths: [usize; 4],
    /// Blocks of three convolutions instead of two.
    pub(super) bottleneck: bool,
}

impl Resnet {
    /// The steps from an image to one logit per class.
    ///
    /// # Errors
    /// `InvalidRecipe` if inputs are no images or the width is 0.
    pub(super) fn steps(self, shape: Shape, classes: usize) -> Result<Vec<Step>> {
        let Shape::Image { channels, .. } = shape else { return Err(not_images("a ResNet")) };
        if self.width == 0 {
            return Err(Error::recipe("model.width must be 1 or more"));
        }
        let mut steps = self.stem(channels);
        let mut inputs = self.width;
        for (stage, depth) in self.depths.into_iter().enumerate() {
            for block in 0..depth {
                let name = format!("layer{}.{block}", stage + 1);
                let stride = if stage > 0 && block == 0 { 2 } else { 1 };
                let (block, outputs) = self.block(&name, inputs, self.width << stage, stride);
                steps.push(block);
                inputs = outputs;
            }
        }
        steps.push(Step::Average);
        steps.push(head("fc", inputs, classes));
        Ok(steps)
    }

    fn stem(self, channels: usize) -> Vec<Step> {
        let sizes = match self.stem {
            Stem::Cifar => [3, 1],
            Stem::Imagenet => [7, 2],
        };
        let names = ["conv1".to_owned(), "bn1".to_owned()];
        let mut steps = conv_norm(names, [channels, self.width], sizes, true).to_vec();
        if self.stem == Stem::Imagenet {
            steps.push(Step::Pool { kernel: 3 });
        }
        steps
    }

    /// Convolutions beside a shortcut, which is a 1x1 convolution where the size changes; and how many
    /// channels come out. As in torchvision the 3x3 convolution of a bottleneck has the stride.
    fn block(self, name: &str, inputs: usize, width: usize, stride: usize) -> (Step, usize) {
        let outputs = if self.bottleneck { 4 * width } else { width };
        let sizes = if self.bottleneck {
            vec![
                ([inputs, width], [1, 1]),
                ([width, width], [3, stride]),
                ([width, outputs], [1, 1]),
            ]
        } else {
            vec![([inputs, width], [3, stride]), ([width, width], [3, 1])]
        };
        let mut body = Vec::new();
        for (i, (channels, kernel)) in sizes.iter().enumerate() {
            let names = ["conv", "bn"].map(|part| format!("{name}.{part}{}", i + 1));
            body.extend(conv_norm(names, *channels, *kernel, i + 1 < sizes.len()));
        }
        let mut shortcut = Vec::new();
        if stride != 1 || inputs != outputs {
            let names = ["0", "1"].map(|part| format!("{name}.downsample.{part}"));
            shortcut.extend(conv_norm(names, [inputs, outputs], [1, stride], false));
        }
        (Step::Residual { body, shortcut }, outputs)
    }
}
