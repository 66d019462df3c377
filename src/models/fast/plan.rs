//! What the fast path computes: a list of layers, and the nodes and weights it comes down to.
//!
//! Every convolution is followed by a batch norm and has no bias, as in the nets this is for. The
//! first one reads the images, the last layer's result is averaged over its pixels.

use std::ops::Range;

use candle_core::{Result, bail};

use super::simd::{LANES, blocks};
use super::stem::Stem;

/// One layer of a convolution net.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Layer {
    /// A convolution with padding `kernel / 2` and without bias, batch norm, and ReLU if asked for.
    /// The kernel is 1x1 or 3x3, the stride 1 or 2; the first layer takes any odd kernel and stride.
    Conv { outputs: usize, kernel: usize, stride: usize, relu: bool },
    /// Max-pooling with stride 2: 2x2, where an odd last row or column is cropped, or 3x3 with a
    /// border of one pixel.
    Pool { kernel: usize },
    /// `relu(body(x) + shortcut(x))`. The body has two convolutions or more; an empty shortcut is
    /// the identity. Both hold nothing but convolutions.
    Residual { body: Vec<Layer>, shortcut: Vec<Layer> },
}

/// Channels and pixels of one image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) channels: usize,
    pub(crate) height: usize,
    pub(crate) width: usize,
}

impl Size {
    /// Pixels of sixteen channels.
    pub(super) fn len(self) -> usize {
        blocks(self.channels) * self.plane()
    }

    pub(super) fn plane(self) -> usize {
        self.height * self.width
    }

    /// What a convolution with padding makes of it.
    fn strided(self, channels: usize, stride: usize) -> Self {
        let along = |len: usize| (len - 1) / stride + 1;
        Self { channels, height: along(self.height), width: along(self.width) }
    }
}

/// A convolution with its norm, and where its numbers lie.
#[derive(Clone, Debug)]
pub(crate) struct Conv {
    pub(crate) input: Size,
    pub(crate) output: Size,
    pub(crate) kernel: usize,
    pub(crate) stride: usize,
    pub(crate) relu: bool,
    /// Of the weights in PyTorch's order, which `kernel` and `input` of the first convolution do not
    /// show: its taps count as channels of a 1x1 convolution.
    pub(crate) shape: [usize; 4],
    /// In theta: the weights in that order, then the factors of the norm, then its offsets.
    pub(crate) theta: Range<usize>,
    /// In the statistics: the means, then the variances.
    pub(crate) statistics: Range<usize>,
    /// The node it reads.
    pub(super) source: usize,
    /// The join whose gradient it takes, if its result goes there.
    pub(super) joins: Option<usize>,
    /// What the source's gradient is made of.
    pub(super) role: Role,
    /// How the first convolution reads images.
    pub(super) stem: Option<Stem>,
}

/// What becomes of a convolution's gradient by its input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// It is all there is.
    Only,
    /// Another convolution adds to it.
    Shortcut,
    /// It is added to the shortcut's, or to that of the join where the shortcut is the identity.
    Body { join: usize, identity: bool },
}

impl Conv {
    /// The factors of the norm in theta.
    pub(crate) fn scale(&self) -> Range<usize> {
        let start = self.theta.end - 2 * self.output.channels;
        start..start + self.output.channels
    }

    /// The weights in theta.
    pub(crate) fn weight(&self) -> Range<usize> {
        self.theta.start..self.scale().start
    }

    /// The offsets of the norm in theta.
    pub(crate) fn offset(&self) -> Range<usize> {
        self.scale().end..self.theta.end
    }
}

/// A step whose result is kept.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) kind: Kind,
    pub(super) size: Size,
}

impl Node {
    pub(super) fn reads(&self, node: usize) -> bool {
        match &self.kind {
            Kind::Images(_) => false,
            Kind::Conv(conv) => conv.source == node,
            Kind::Pool { source, .. } => *source == node,
            Kind::Join { left, right } => *left == node || *right == node,
        }
    }
}

#[derive(Clone, Debug)]
pub(super) enum Kind {
    /// The images, with the border that the first convolution needs.
    Images(Stem),
    Conv(Conv),
    Pool {
        source: usize,
        input: Size,
        kernel: usize,
    },
    Join {
        left: usize,
        right: usize,
    },
}

/// A checked net: its nodes in the order in which they are computed.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(super) input: Size,
    pub(super) nodes: Vec<Node>,
    theta: usize,
    statistics: usize,
}

impl Plan {
    /// The net of `layers` over images of size `input`.
    ///
    /// # Errors
    /// If a layer is not one that the fast path computes, or images become smaller than a pixel.
    pub(crate) fn new(input: Size, layers: &[Layer]) -> Result<Self> {
        let mut plan = Self { input, nodes: Vec::new(), theta: 0, statistics: 0 };
        for layer in layers {
            match layer {
                Layer::Conv { .. } => match plan.last() {
                    Some(source) => plan.conv(layer, source, Role::Only)?,
                    None => plan.first(layer)?,
                },
                Layer::Pool { kernel } => plan.pool(*kernel)?,
                Layer::Residual { body, shortcut } => plan.residual(body, shortcut)?,
            }
        }
        if plan.nodes.is_empty() {
            bail!("a net for the fast path has no layer");
        }
        Ok(plan)
    }

    /// Its convolutions in order: what theta and the statistics consist of.
    pub(crate) fn convs(&self) -> impl Iterator<Item = &Conv> {
        self.nodes.iter().filter_map(|node| match &node.kind {
            Kind::Conv(conv) => Some(conv),
            _ => None,
        })
    }

    /// Numbers in theta.
    pub(crate) fn theta_len(&self) -> usize {
        self.theta
    }

    /// Numbers in the running statistics.
    pub(crate) fn statistics_len(&self) -> usize {
        self.statistics
    }

    /// Features per image.
    pub(crate) fn features(&self) -> usize {
        self.output().channels
    }

    /// The size before the last average.
    pub(super) fn output(&self) -> Size {
        self.nodes.last().map_or(self.input, |node| node.size)
    }

    /// Numbers per image.
    pub(super) fn image_len(&self) -> usize {
        self.input.channels * self.input.plane()
    }

    /// How many images `x` holds.
    ///
    /// # Errors
    /// If it does not hold whole images, or none.
    pub(super) fn count(&self, x: &[f32]) -> Result<usize> {
        if x.is_empty() || !x.len().is_multiple_of(self.image_len()) {
            bail!("{} numbers are no images of {:?}", x.len(), self.input);
        }
        Ok(x.len() / self.image_len())
    }

    /// # Errors
    /// If theta has another size than the plan says.
    pub(super) fn check(&self, theta: &[f32]) -> Result<()> {
        if theta.len() != self.theta {
            bail!("{} weights for a net that has {}", theta.len(), self.theta);
        }
        Ok(())
    }

    fn last(&self) -> Option<usize> {
        self.nodes.len().checked_sub(1)
    }

    /// The first convolution, which reads bordered images.
    fn first(&mut self, layer: &Layer) -> Result<()> {
        let (input, Layer::Conv { outputs, kernel, stride, relu }) = (self.input, layer) else {
            bail!("a net for the fast path begins with a convolution");
        };
        let (outputs, relu, kernel, stride) = (*outputs, *relu, *kernel, *stride);
        if kernel % 2 == 0 || stride == 0 || input.channels * input.plane() == 0 {
            bail!("the fast path has no {layer:?} over {input:?}");
        }
        let output = input.strided(input.channels * kernel * kernel, stride);
        let stem = Stem::new(input, output, kernel, stride);
        // As the convolution sees its input: a channel for each tap.
        self.nodes.push(Node { kind: Kind::Images(stem.clone()), size: output });
        self.conv(&Layer::Conv { outputs, kernel: 1, stride: 1, relu }, 0, Role::Only)?;
        if let Some(Node { kind: Kind::Conv(conv), .. }) = self.nodes.last_mut() {
            conv.shape = [outputs, input.channels, kernel, kernel];
            conv.stem = Some(stem.clone());
        }
        // As it lies in memory.
        self.nodes[0].size = Size { channels: LANES, height: 1, width: stem.bordered_len() };
        Ok(())
    }

    fn conv(&mut self, layer: &Layer, source: usize, role: Role) -> Result<()> {
        let Layer::Conv { outputs, kernel, stride, relu } = *layer else {
            bail!("a residual block holds convolutions only, not {layer:?}");
        };
        if !(matches!(kernel, 1 | 3) && matches!(stride, 1 | 2) && outputs > 0) {
            bail!("the fast path has no {layer:?}");
        }
        let input = self.nodes[source].size;
        let output = input.strided(outputs, stride);
        let numbers = outputs * input.channels * kernel * kernel + 2 * outputs;
        let theta = self.theta..self.theta + numbers;
        let statistics = self.statistics..self.statistics + 2 * outputs;
        (self.theta, self.statistics) = (theta.end, statistics.end);
        let conv = Conv {
            shape: [outputs, input.channels, kernel, kernel],
            joins: None,
            input,
            output,
            kernel,
            stride,
            relu,
            theta,
            statistics,
            source,
            role,
            stem: None,
        };
        self.nodes.push(Node { kind: Kind::Conv(conv), size: output });
        Ok(())
    }

    fn pool(&mut self, kernel: usize) -> Result<()> {
        let Some(source) = self.last() else { bail!("the fast path does not pool images") };
        let input @ Size { channels, height, width } = self.nodes[source].size;
        let border = match kernel {
            2 => 0,
            3 => 2,
            _ => bail!("the fast path has no pooling of {kernel}x{kernel}"),
        };
        if height.min(width) + border < kernel {
            bail!("images of {height}x{width} are too small to pool");
        }
        let along = |len: usize| (len + border - kernel) / 2 + 1;
        let size = Size { channels, height: along(height), width: along(width) };
        self.nodes.push(Node { kind: Kind::Pool { source, input, kernel }, size });
        Ok(())
    }

    fn residual(&mut self, body: &[Layer], shortcut: &[Layer]) -> Result<()> {
        let Some(input) = self.last() else { bail!("a residual block cannot come first") };
        if body.len() < 2 {
            bail!("the body of a residual block needs two convolutions or more");
        }
        let join = self.nodes.len() + body.len() + shortcut.len();
        let identity = shortcut.is_empty();
        let left = self.chain(body, input, Role::Body { join, identity }, join)?;
        let right =
            if identity { input } else { self.chain(shortcut, input, Role::Shortcut, join)? };
        let size = self.nodes[left].size;
        if size != self.nodes[right].size {
            bail!("body and shortcut of a residual block differ in size");
        }
        self.nodes.push(Node { kind: Kind::Join { left, right }, size });
        Ok(())
    }

    /// Convolutions from `input` to `join`; returns the last one.
    fn chain(&mut self, layers: &[Layer], input: usize, first: Role, join: usize) -> Result<usize> {
        let mut source = input;
        for (i, layer) in layers.iter().enumerate() {
            self.conv(layer, source, if i == 0 { first } else { Role::Only })?;
            source = self.nodes.len() - 1;
        }
        if let Some(Node { kind: Kind::Conv(conv), .. }) = self.nodes.last_mut() {
            if conv.relu {
                bail!("a residual block has its ReLU behind the sum");
            }
            conv.joins = Some(join);
        }
        Ok(source)
    }
}
