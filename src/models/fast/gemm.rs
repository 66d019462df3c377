//! The two matrix products that convolutions come down to, blocked for registers.
//!
//! Both read tiles `[frequency][block][tile]` of sixteen channels each. Every number of a result is
//! one chain of multiply-adds in a fixed order, however it is blocked.

use pulp::{Simd, WithSimd};

use super::rows::Tiles;
use super::simd::{LANES, Pixel, per_pixel, vectors, vectors_mut};

/// `out[f][o][tile] = sum over c of x[f][c][tile] * weights[o][f][c]`, for output blocks `o` of
/// sixteen and single input channels `c`.
pub(super) struct Product<'a> {
    pub(super) frequencies: usize,
    /// Input channels that count; those beyond are padding.
    pub(super) depth: usize,
    pub(super) x: &'a [Pixel],
    pub(super) x_tiles: Tiles,
    pub(super) weights: &'a [Pixel],
    pub(super) out: &'a mut [Pixel],
    pub(super) out_tiles: Tiles,
}

impl WithSimd for Product<'_> {
    type Output = ();

    /// As many tiles at a time as leave registers for the weights: 16 of 32, or 12 of 16.
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match per_pixel::<S>() {
            1 => self.blocked::<S, 1, 16>(simd),
            2 => self.blocked::<S, 2, 6>(simd),
            4 => self.blocked::<S, 4, 6>(simd),
            _ => self.blocked::<S, 16, 1>(simd),
        }
    }
}

impl Product<'_> {
    #[inline(always)]
    fn blocked<S: Simd, const V: usize, const P: usize>(self, simd: S) {
        let Tiles { blocks, count } = self.out_tiles;
        for f in 0..self.frequencies {
            let x = &self.x[f * self.x_tiles.step()..][..self.x_tiles.blocks * count];
            for o in 0..blocks {
                let weights = &self.weights[(o * self.frequencies + f) * self.depth..];
                let weights = &weights[..self.depth];
                let out = &mut self.out[f * self.out_tiles.step() + o * count..][..count];
                let mut at = sweep::<S, V, P>(simd, x, weights, out, 0);
                if P > 8 {
                    at = sweep::<S, V, 8>(simd, x, weights, out, at);
                }
                if P > 4 {
                    at = sweep::<S, V, 4>(simd, x, weights, out, at);
                }
                at = sweep::<S, V, 2>(simd, x, weights, out, at);
                sweep::<S, V, 1>(simd, x, weights, out, at);
            }
        }
    }
}

/// Computes `P` tiles at a time from tile `at` on; returns the first one left over.
#[inline(always)]
fn sweep<S: Simd, const V: usize, const P: usize>(
    simd: S,
    x: &[Pixel],
    weights: &[Pixel],
    out: &mut [Pixel],
    mut at: usize,
) -> usize {
    let count = out.len();
    while at + P <= count {
        let mut sums = [[simd.splat_f32s(0.0); V]; P];
        for (x, weights) in x.chunks_exact(count).zip(weights.chunks(LANES)) {
            let x = &x[at..].as_chunks::<P>().0[0];
            for (c, weight) in (0..LANES).zip(weights) {
                let weight = vectors::<S>(std::slice::from_ref(weight));
                for p in 0..P {
                    let x = simd.splat_f32s(x[p][c]);
                    for v in 0..V {
                        sums[p][v] = simd.mul_add_e_f32s(x, weight[v], sums[p][v]);
                    }
                }
            }
        }
        let out = &mut out[at..].as_chunks_mut::<P>().0[0];
        for p in 0..P {
            store::<S, V>(&sums[p], &mut out[p]);
        }
        at += P;
    }
    at
}

/// Number by number: the address that `copy_from_slice` takes would keep sums in memory all along,
/// at less than half of the speed.
#[inline(always)]
#[allow(clippy::manual_memcpy, reason = "see above")]
fn store<S: Simd, const V: usize>(sums: &[S::f32s; V], out: &mut Pixel) {
    let out = vectors_mut::<S>(std::slice::from_mut(out));
    for v in 0..V {
        out[v] = sums[v];
    }
}

/// `out[c] = sum over tiles of x[tile][c] * gradient[tile]`: sixteen input by sixteen output
/// channels, of which the first `rows` inputs count.
#[inline(always)]
pub(super) fn outer<S: Simd>(
    simd: S,
    x: &[Pixel],
    gradient: &[Pixel],
    rows: usize,
    out: &mut [Pixel],
) {
    match per_pixel::<S>() {
        1 => outer_blocked::<S, 1, 16>(simd, x, gradient, rows, out),
        2 => outer_blocked::<S, 2, 4>(simd, x, gradient, rows, out),
        4 => outer_blocked::<S, 4, 4>(simd, x, gradient, rows, out),
        _ => outer_blocked::<S, 16, 1>(simd, x, gradient, rows, out),
    }
}

#[inline(always)]
fn outer_blocked<S: Simd, const V: usize, const R: usize>(
    simd: S,
    x: &[Pixel],
    gradient: &[Pixel],
    rows: usize,
    out: &mut [Pixel],
) {
    for (j, out) in out.as_chunks_mut::<R>().0.iter_mut().enumerate() {
        let mut sums = [[simd.splat_f32s(0.0); V]; R];
        if j * R < rows {
            for (x, gradient) in x.iter().zip(gradient) {
                let x = &x.as_chunks::<R>().0[j];
                let gradient = vectors::<S>(std::slice::from_ref(gradient));
                for r in 0..R {
                    let x = simd.splat_f32s(x[r]);
                    for v in 0..V {
                        sums[r][v] = simd.mul_add_e_f32s(x, gradient[v], sums[r][v]);
                    }
                }
            }
        }
        for r in 0..R {
            store::<S, V>(&sums[r], &mut out[r]);
        }
    }
}
