//! The arithmetic of transformers by Candle's differentiable operations, on tokens `[batch, places,
//! width]`. Formulas and names as in timm's `vision_transformer.py`. Kinds of numbers as in `ops`.

use candle_core::{D, Result, Tensor};

use super::ops::{spread, wide};

/// Added to variances, as in the layer norms of timm's vision transformers.
const EPSILON: f64 = 1e-6;

/// A weight `[out, in]` and its bias `[out]`, or the factor and the offset of a norm, `[width]` each.
pub(super) type Affine = [Tensor; 2];

/// The weights of a block.
pub(super) struct Block {
    pub(super) norm1: Affine,
    pub(super) qkv: Affine,
    pub(super) proj: Affine,
    pub(super) norm2: Affine,
    pub(super) fc1: Affine,
    pub(super) fc2: Affine,
}

/// The tokens of `images [batch, channels, height, width]`: the patches in the order of rows through
/// `proj`, a convolution `[width, channels, patch, patch]` without overlap, behind the class token
/// `[1, 1, width]`, all plus `positions [1, places, width]`.
pub(super) fn tokens(
    images: &Tensor,
    [weight, bias]: &Affine,
    class: &Tensor,
    positions: &Tensor,
) -> Result<Tensor> {
    let (batch, channels, height, width) = images.dims4()?;
    let (outputs, _, patch, _) = weight.dims4()?;
    let (rows, columns) = (height / patch, width / patch);
    let patches = images.contiguous()?.reshape(&[batch, channels, rows, patch, columns, patch])?;
    let patches = patches.permute([0, 2, 4, 1, 3, 5])?.contiguous()?;
    let patches = patches.reshape((batch, rows * columns, channels * patch * patch))?;
    let tokens = linear(&patches, &[weight.reshape((outputs, ()))?, bias.clone()])?;
    let class = class.broadcast_as((batch, 1, outputs))?.to_dtype(tokens.dtype())?;
    let tokens = Tensor::cat(&[&class, &tokens], 1)?;
    &tokens + spread(positions, &tokens)?
}

/// `x + attention(norm1(x))`, then that plus `mlp(norm2(...))`.
pub(super) fn block(x: &Tensor, weights: &Block, heads: usize) -> Result<Tensor> {
    let inner = attention(&norm(x, &weights.norm1)?, &weights.qkv, heads)?;
    let x = (x + linear(&inner, &weights.proj)?)?;
    let hidden = linear(&norm(&x, &weights.norm2)?, &weights.fc1)?.gelu_erf()?;
    &x + linear(&hidden, &weights.fc2)?
}

/// The norm of the class token, `[batch, width]`.
pub(super) fn class_token(x: &Tensor, weights: &Affine) -> Result<Tensor> {
    norm(&x.narrow(1, 0, 1)?.contiguous()?, weights)?.squeeze(1)
}

/// Each place looks at all: `softmax(q k^T / sqrt(width / heads)) v`, head by head.
fn attention(x: &Tensor, qkv: &Affine, heads: usize) -> Result<Tensor> {
    let (batch, places, width) = x.dims3()?;
    let each = width / heads;
    let qkv = linear(x, qkv)?.reshape((batch, places, 3, heads, each))?;
    let qkv = qkv.permute([2, 0, 3, 1, 4])?.contiguous()?;
    let (q, k, v) = (qkv.get(0)?, qkv.get(1)?, qkv.get(2)?);
    let scores = (q / (each as f64).sqrt())?.matmul(&k.t()?)?;
    let mixed = softmax(&wide(&scores)?)?.to_dtype(v.dtype())?.matmul(&v)?;
    mixed.transpose(1, 2)?.contiguous()?.reshape((batch, places, width))
}

/// Over the last axis. What is subtracted cancels, so that it needs no gradient.
fn softmax(x: &Tensor) -> Result<Tensor> {
    let e = x.broadcast_sub(&x.detach().max_keepdim(D::Minus1)?)?.exp()?;
    e.broadcast_div(&e.sum_keepdim(D::Minus1)?)
}

/// `x weight^T + bias`, as one product.
fn linear(x: &Tensor, [weight, bias]: &Affine) -> Result<Tensor> {
    let (batch, places, inputs) = x.dims3()?;
    let weight = weight.to_dtype(x.dtype())?;
    let out = x.reshape((batch * places, inputs))?.matmul(&weight.t()?)?;
    (&out + spread(bias, &out)?)?.reshape((batch, places, ()))
}

/// Layer norm over the last axis, computed in f32.
pub(super) fn norm(x: &Tensor, [scale, offset]: &Affine) -> Result<Tensor> {
    let (kind, x) = (x.dtype(), wide(x)?);
    let centred = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?;
    let deviation = (centred.sqr()?.mean_keepdim(D::Minus1)? + EPSILON)?.sqrt()?;
    let scaled = centred.broadcast_div(&deviation)?.broadcast_mul(scale)?;
    scaled.broadcast_add(offset)?.to_dtype(kind)
}
