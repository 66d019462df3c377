//! Sixteen channels of one pixel, the unit of everything here, and how they are computed.
//!
//! `pulp` picks the widest instructions of the processor at run time and is safe to call, so the
//! crate stays without `unsafe`. Kernels are generic over the width: sixteen channels are one vector
//! of AVX-512, two of AVX2, four of NEON. No sum ever runs across channels, hence the width does not
//! change the order of any sum.
//!
//! What a kernel calls must be inlined into it, or it is compiled without wide instructions, with a call
//! for each of them. For functions `inline(always)` says so; a closure has no such word, and one in a pool
//! once halved the speed of a net. Arrays of vectors stay in registers only if all loops over them are plain:
//! over ranges of known length, with nothing else in them.

use pulp::{Arch, Simd, WithSimd};

/// How many channels lie together.
pub(super) const LANES: usize = 16;

/// Sixteen channels of one pixel; channels beyond the last are zero.
pub(super) type Pixel = [f32; LANES];

/// How many pixels one image needs per pixel of the picture.
pub(super) fn blocks(channels: usize) -> usize {
    channels.div_ceil(LANES)
}

/// Runs a kernel with the widest instructions at hand.
pub(super) fn run<R>(kernel: impl WithSimd<Output = R>) -> R {
    Arch::new().dispatch(kernel)
}

/// Vectors per pixel.
#[inline(always)]
pub(super) const fn per_pixel<S: Simd>() -> usize {
    LANES / S::F32_LANES
}

#[inline(always)]
pub(super) fn vectors<S: Simd>(pixels: &[Pixel]) -> &[S::f32s] {
    S::as_simd_f32s(pixels.as_flattened()).0
}

#[inline(always)]
pub(super) fn vectors_mut<S: Simd>(pixels: &mut [Pixel]) -> &mut [S::f32s] {
    S::as_mut_simd_f32s(pixels.as_flattened_mut()).0
}

/// `value`, but `floor` where it is not above; what is not a number stays so, unlike in `f32::max`,
/// which would hide divergence.
#[inline(always)]
pub(super) fn at_least<S: Simd>(simd: S, value: S::f32s, floor: S::f32s) -> S::f32s {
    simd.select_f32s(simd.less_than_or_equal_f32s(value, floor), floor, value)
}

/// Factor and offset per channel, then a lower bound: batch norm with ReLU, or nothing at all.
pub(super) struct Affine {
    pub(super) scale: Vec<Pixel>,
    pub(super) shift: Vec<Pixel>,
    /// 0 for ReLU, negative infinity without.
    pub(super) floor: f32,
}

impl Affine {
    /// What changes nothing.
    pub(super) fn identity(blocks: usize) -> Self {
        let floor = f32::NEG_INFINITY;
        Self { scale: vec![[1.0; LANES]; blocks], shift: vec![[0.0; LANES]; blocks], floor }
    }

    /// The part for vector `v` of a block, in registers.
    #[inline(always)]
    pub(super) fn vector<S: Simd>(&self, simd: S, block: usize, v: usize) -> AffineVector<S> {
        let (scale, shift) = (&self.scale[block..=block], &self.shift[block..=block]);
        AffineVector {
            scale: vectors::<S>(scale)[v],
            shift: vectors::<S>(shift)[v],
            floor: simd.splat_f32s(self.floor),
        }
    }
}

#[derive(Clone, Copy)]
pub(super) struct AffineVector<S: Simd> {
    scale: S::f32s,
    shift: S::f32s,
    floor: S::f32s,
}

impl<S: Simd> AffineVector<S> {
    #[inline(always)]
    pub(super) fn of(&self, simd: S, x: S::f32s) -> S::f32s {
        at_least(simd, simd.mul_add_e_f32s(x, self.scale, self.shift), self.floor)
    }
}

/// Stored activations `[image][block][pixel]` together with what their readers apply to them.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) pixels: &'a [Pixel],
    pub(super) affine: &'a Affine,
}

impl View<'_> {
    /// The part of one image of `len` pixels.
    pub(super) fn image(self, i: usize, len: usize) -> Self {
        Self { pixels: &self.pixels[i * len..][..len], ..self }
    }
}
