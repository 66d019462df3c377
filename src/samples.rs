//! The samples, decoded: what models train on and score.

use std::sync::Arc;

use crate::error::{Error, Result};

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

impl std::fmt::Display for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Image { channels, height, width } => {
                write!(f, "{channels}x{height}x{width} images")
            }
            Self::Features { width } => write!(f, "{width} features"),
        }
    }
}

impl Shape {
    /// How many numbers one input has.
    pub fn len(self) -> usize {
        match self {
            Self::Image { channels, height, width } => channels * height * width,
            Self::Features { width } => width,
        }
    }

    /// The bytes of one input: one for a pixel, four for a feature.
    pub fn bytes(self) -> usize {
        match self {
            Self::Image { .. } => self.len(),
            Self::Features { width } => width * size_of::<f32>(),
        }
    }

    /// Whether an input has no number at all.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }
}

/// Bytes that lie elsewhere than in memory, such as in a scratch file.
pub trait ReadAt: std::fmt::Debug + Send + Sync {
    /// Fills `out` with the bytes from `position` on.
    ///
    /// # Errors
    /// `Unavailable` if they cannot be read.
    fn read_at(&self, position: u64, out: &mut [u8]) -> Result<()>;
}

/// The decoded inputs of all samples, in memory or elsewhere.
///
/// An image is `channels * height * width` bytes from 0 to 255, channel-major (CHW); a feature vector
/// is `width` finite 32-bit floats, little-endian.
#[derive(Clone, Debug)]
pub struct Inputs {
    shape: Shape,
    bytes: Packed,
    /// Where each sample lies: how many inputs are before it. `None` if they lie in canonical order.
    places: Option<Vec<u32>>,
}

/// Inputs packed one after another.
#[derive(Clone, Debug)]
pub enum Packed {
    /// In memory.
    Memory(Vec<u8>),
    /// In a file.
    Elsewhere(Arc<dyn ReadAt>),
}

impl Inputs {
    /// Packed inputs; `places` says for each sample how many inputs lie before its own.
    pub fn new(shape: Shape, bytes: Packed, places: Vec<u32>) -> Self {
        Self { shape, bytes, places: Some(places) }
    }

    /// Images of `shape` in canonical order.
    pub fn images(pixels: Vec<u8>, shape: Shape) -> Self {
        Self { shape, bytes: Packed::Memory(pixels), places: None }
    }

    /// Feature vectors of `width` in canonical order.
    pub fn features(values: &[f32], width: usize) -> Self {
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        Self { shape: Shape::Features { width }, bytes: Packed::Memory(bytes), places: None }
    }

    /// The shape of one input.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// The bytes of the input of sample `index`; `buffer` holds them if they are not in memory.
    ///
    /// # Errors
    /// `Unavailable` if they cannot be read; `Internal` if there is no such sample.
    pub fn get<'a>(&'a self, index: u32, buffer: &'a mut Vec<u8>) -> Result<&'a [u8]> {
        let missing = || Error::internal(format!("there is no input of sample {index}"));
        let place = match &self.places {
            Some(places) => *places.get(index as usize).ok_or_else(missing)?,
            None => index,
        };
        let length = self.shape.bytes();
        match &self.bytes {
            Packed::Memory(bytes) => bytes
                .get(place as usize * length..)
                .and_then(|b| b.get(..length))
                .ok_or_else(missing),
            Packed::Elsewhere(store) => {
                buffer.resize(length, 0);
                store.read_at(u64::from(place) * length as u64, buffer)?;
                Ok(buffer)
            }
        }
    }
}

/// The numbers of a feature vector.
pub fn floats(bytes: &[u8]) -> impl Iterator<Item = f32> {
    bytes.as_chunks().0.iter().map(|number| f32::from_le_bytes(*number))
}
