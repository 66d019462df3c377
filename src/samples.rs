//! The samples in memory, decoded: what models train on and score.

/// The usable samples of a dataset in canonical order, which is the order of their ids.
///
/// Everything downstream addresses a sample by its index in this order, so nothing depends on the
/// order of files or rows.
#[derive(Clone, Debug)]
pub struct Samples {
    /// Unique ids, ascending.
    pub ids: Vec<String>,
    /// Class index of each sample.
    pub labels: Vec<u32>,
    /// Class names; the index is the label.
    pub classes: Vec<String>,
    /// The decoded inputs, one per id.
    pub inputs: Inputs,
}

impl Samples {
    /// How many samples there are.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }
}

/// The shape of one input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// An image of 8-bit pixels, `channels x height x width`.
    Image {
        /// 1 for grey, 3 for colour.
        channels: usize,
        /// Rows of pixels.
        height: usize,
        /// Pixels in a row.
        width: usize,
    },
    /// A vector of features.
    Features {
        /// How many features.
        width: usize,
    },
}

impl Shape {
    /// How many numbers one input has.
    pub fn len(self) -> usize {
        match self {
            Self::Image { channels, height, width } => channels * height * width,
            Self::Features { width } => width,
        }
    }

    /// Whether an input has no number at all.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }
}

/// Decoded inputs of all samples, packed one after another in canonical order.
#[derive(Clone, Debug)]
pub enum Inputs {
    /// Pixels, 0 to 255, channel-major inside an image (CHW).
    Images {
        /// `n * channels * height * width` bytes.
        pixels: Vec<u8>,
        /// The shape of one image.
        shape: Shape,
    },
    /// Feature vectors.
    Features {
        /// `n * width` finite numbers.
        values: Vec<f32>,
        /// The shape of one vector.
        shape: Shape,
    },
}

impl Inputs {
    /// The shape of one input.
    pub fn shape(&self) -> Shape {
        match self {
            Self::Images { shape, .. } | Self::Features { shape, .. } => *shape,
        }
    }
}
