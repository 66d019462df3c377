//! Stored models: weights as safetensors bytes and a JSON card that says how to use them.

use std::collections::BTreeMap;

use candle_core::Device;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};

use super::net::Net;
use super::plan::{Architecture, Parameter};
use crate::samples::Shape;
use crate::{Error, ErrorKind, Result};

/// The version of the card and of the names and shapes of tensors.
const FORMAT: u32 = 1;

/// A model as bytes: equal weights give equal bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// A safetensors document, tensors sorted by name.
    pub weights: Vec<u8>,
    /// What the weights belong to.
    pub card: ModelCard,
}

/// All that is needed beside the weights to run a model. It is stored as JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelCard {
    /// The version of this document.
    pub format: u32,
    /// The architecture and its sizes.
    pub model: Architecture,
    /// The shape of one input.
    pub input: Shape,
    /// How many classes.
    pub classes: usize,
    /// How raw inputs are shifted and scaled.
    pub scaling: Scaling,
}

/// The shift and scale of inputs: `(x - mean) / std`, where `x` is a pixel over 255 or a feature.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scaling {
    /// One mean per channel or feature. In f32, which JSON brings back exactly.
    pub mean: Vec<f32>,
    /// One positive deviation per channel or feature.
    pub std: Vec<f32>,
}

impl Scaling {
    /// How many means and deviations inputs of `shape` have: one per channel or feature.
    pub fn len_for(shape: Shape) -> usize {
        match shape {
            Shape::Image { channels, .. } => channels,
            Shape::Features { width } => width,
        }
    }

    /// Leaves inputs as they are.
    pub fn identity(shape: Shape) -> Self {
        let len = Self::len_for(shape);
        Self { mean: vec![0.0; len], std: vec![1.0; len] }
    }

    fn fits(&self, shape: Shape) -> bool {
        let len = Self::len_for(shape);
        let finite = self.mean.iter().all(|m| m.is_finite());
        let positive = self.std.iter().all(|s| s.is_finite() && *s > 0.0);
        self.mean.len() == len && self.std.len() == len && finite && positive
    }
}

impl ModelCard {
    /// The card of a model of this build's format.
    pub fn new(model: Architecture, input: Shape, classes: usize, scaling: Scaling) -> Self {
        Self { format: FORMAT, model, input, classes, scaling }
    }

    /// The JSON document.
    ///
    /// # Errors
    /// `CorruptData` if a number cannot be written as JSON.
    pub fn to_json(&self) -> Result<Vec<u8>> {
        Ok(serde_json::to_vec_pretty(self)?)
    }
}

impl Checkpoint {
    /// The bytes of a network.
    ///
    /// # Errors
    /// `Internal` if a tensor cannot be read back from its device.
    pub fn of(net: &Net, card: ModelCard) -> Result<Self> {
        let mut stored = BTreeMap::new();
        for (name, _, var) in net.tensors() {
            let values = var.flatten_all()?.to_vec1::<f32>()?;
            let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
            stored.insert(name, (var.dims().to_vec(), bytes));
        }
        let unusable = |e| Error::internal("the weights cannot be stored").because(e);
        let mut views = Vec::with_capacity(stored.len());
        for (name, (dims, bytes)) in &stored {
            let view = TensorView::new(Dtype::F32, dims.clone(), bytes).map_err(unusable)?;
            views.push((*name, view));
        }
        let weights = safetensors::serialize(views, None).map_err(unusable)?;
        Ok(Self { weights, card })
    }

    /// Reads a stored model and checks that weights and card belong together.
    ///
    /// # Errors
    /// `CorruptData` if either document cannot be read, or a tensor is missing, unknown, of
    /// another shape or type, or holds a number that is not finite.
    pub fn load(weights: &[u8], card: &[u8]) -> Result<Self> {
        let card: ModelCard = serde_json::from_slice(card)
            .map_err(|e| Error::corrupt("the model card cannot be read").because(e))?;
        let checkpoint = Self { weights: weights.to_vec(), card };
        checkpoint.net(&Device::Cpu)?;
        Ok(checkpoint)
    }

    /// The network on `device`.
    ///
    /// # Errors
    /// `CorruptData` as for [`Checkpoint::load`].
    pub fn net(&self, device: &Device) -> Result<Net> {
        let card = &self.card;
        if card.format != FORMAT {
            return Err(Error::corrupt(format!(
                "the model card has format {}, but this build reads format {FORMAT}",
                card.format
            )));
        }
        if !card.scaling.fits(card.input) {
            return Err(Error::corrupt("the model card's scaling does not fit its input shape"));
        }
        let stored = SafeTensors::deserialize(&self.weights)
            .map_err(|e| Error::corrupt("the weights cannot be read").because(e))?;
        let mut used = 0;
        let net = Net::build(&card.model, card.input, card.classes, device, |parameter| {
            used += 1;
            values(&stored, parameter)
        });
        let net = net.map_err(|e| match e.kind() {
            ErrorKind::InvalidRecipe | ErrorKind::InvalidInput => {
                Error::corrupt("the model card describes no possible model").because(e)
            }
            _ => e,
        })?;
        if used != stored.len() {
            return Err(Error::corrupt("the weights hold tensors that the model does not have"));
        }
        Ok(net)
    }
}

pub(super) fn values(stored: &SafeTensors<'_>, parameter: &Parameter) -> Result<Vec<f32>> {
    let name = &parameter.name;
    let view = stored
        .tensor(name)
        .map_err(|_| Error::corrupt(format!("the weights hold no tensor {name}")))?;
    if view.dtype() != Dtype::F32 || view.shape() != parameter.shape {
        return Err(Error::corrupt(format!(
            "tensor {name} is {:?} {:?}, but the model needs F32 {:?}",
            view.dtype(),
            view.shape(),
            parameter.shape
        )));
    }
    let (numbers, _) = view.data().as_chunks::<4>();
    let values: Vec<f32> = numbers.iter().map(|b| f32::from_le_bytes(*b)).collect();
    if values.iter().any(|v| !v.is_finite()) {
        return Err(Error::corrupt(format!("tensor {name} holds a number that is not finite")));
    }
    Ok(values)
}
