//! Plain convolution nets.

use super::{Step, head, not_images};
use crate::samples::Shape;
use crate::{Error, Result};

/// Blocks of a convolution with its norm; all but the last are pooled.
pub(super) fn convnet(
    width: usize,
    blocks: usize,
    shape: Shape,
    classes: usize,
) -> Result<Vec<Step>> {
    let Shape::Image { channels, height, width: columns } = shape else {
        return Err(not_images("a convnet"));
    };
    let most = height.min(columns).ilog2() as usize + 1;
    if width == 0 || !(1..=most).contains(&blocks) {
        return Err(Error::recipe(format!(
            "model.width must be 1 or more and model.blocks 1 to {most}, as each block but the \
             last halves images of {height}x{columns}"
        )));
    }
    let mut steps = Vec::new();
    let mut inputs = channels;
    for i in 0..blocks {
        let outputs = width << i;
        let name = |part| format!("blocks.{i}.{part}");
        steps.extend(conv_norm([name("conv"), name("norm")], [inputs, outputs], [3, 1], true));
        steps.push(if i + 1 < blocks { Step::Pool { kernel: 2 } } else { Step::Average });
        inputs = outputs;
    }
    steps.push(head("head", inputs, classes));
    Ok(steps)
}

/// A convolution and its norm.
pub(super) fn conv_norm(
    [conv, norm]: [String; 2],
    [inputs, outputs]: [usize; 2],
    [kernel, stride]: [usize; 2],
    relu: bool,
) -> [Step; 2] {
    let conv = Step::Conv { name: conv, inputs, outputs, kernel, stride };
    [conv, Step::Norm { name: norm, channels: outputs, relu }]
}
