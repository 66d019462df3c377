//! 3x3 convolutions by Winograd's F(4x4, 3x3) (Lavin & Gray 2016, section 4.3).
//!
//! Tiles of 6x6 inputs that overlap by two give tiles of 4x4 outputs. Per tile and pair of channels
//! that takes 36 products instead of 144: `y = A' [(G w G') * (B' x B)] A`. The backward pass is the
//! adjoint of the same formula, so it shares the transformed weights, and the transformed gradient
//! serves inputs and weights. Where a picture is no multiple of four, tiles hang over its edge and
//! find zeros there. A stride of 2 takes every other output of the dense result: as many products
//! as computing only those directly, without a second kind of kernel.
//!
//! Each two-dimensional transform runs along columns for a whole row of tiles, and along rows tile
//! by tile, with a strip in the first-level cache in between.

use pulp::Simd;

use super::rows::{Input, InputGradient, Output, OutputGradient, Row};
use super::simd::{LANES, Pixel, per_pixel, vectors, vectors_mut};

/// Numbers of a transformed tile.
pub(super) const FREQUENCIES: usize = 36;

impl Row {
    /// For each row of the tile's outputs its row of pixels, if a stride keeps it.
    fn kept(self) -> [Option<usize>; 4] {
        [0, 1, 2, 3].map(|r| {
            let y = 4 * self.index + r;
            (y.is_multiple_of(self.stride) && y / self.stride < self.size.height)
                .then_some(y / self.stride)
        })
    }

    /// For each row of the tile's inputs its row of pixels, if it is not padding.
    fn under(self) -> [Option<usize>; 6] {
        [0, 1, 2, 3, 4, 5].map(|r| {
            let y = 4 * self.index + r;
            (1..=self.size.height).contains(&y).then(|| y - 1)
        })
    }
}

/// A strip `[6][pixel]` between the two passes of a transform, and the tiles on its other side.
///
/// Loops over the numbers of a tile run over ranges of known length: only those are unrolled early
/// enough for arrays of vectors to become registers.
struct Strip<'a, S: Simd> {
    vectors: &'a mut [S::f32s],
    /// Pixels in a row.
    wide: usize,
    /// Pixels from one tile's numbers to the next frequency's.
    step: usize,
    across: usize,
}

impl<'a, S: Simd> Strip<'a, S> {
    #[inline(always)]
    fn new(pixels: &'a mut [Pixel], row: Row, overlap: usize) -> Self {
        let wide = 4 * row.across + overlap;
        let vectors = &mut vectors_mut::<S>(pixels)[..6 * wide * per_pixel::<S>()];
        Self { vectors, wide, step: row.tiles.step(), across: row.across }
    }

    /// Zeros the pixels that a padded row of `width` has beside it.
    #[inline(always)]
    fn clear_border(&mut self, zero: S::f32s, width: usize) {
        for row in self.vectors.chunks_exact_mut(self.wide * per_pixel::<S>()) {
            row[..per_pixel::<S>()].fill(zero);
            row[(1 + width) * per_pixel::<S>()..].fill(zero);
        }
    }

    /// One vector of a column.
    #[inline(always)]
    fn column(&self, simd: S, x: usize) -> [S::f32s; 6] {
        let mut column = [simd.splat_f32s(0.0); 6];
        for r in 0..6 {
            column[r] = self.vectors[r * self.wide * per_pixel::<S>() + x];
        }
        column
    }

    #[inline(always)]
    fn set_column(&mut self, x: usize, column: [S::f32s; 6]) {
        for r in 0..6 {
            self.vectors[r * self.wide * per_pixel::<S>() + x] = column[r];
        }
    }

    /// Transforms `N` numbers of every row of every tile; `out` starts at the first tile.
    #[inline(always)]
    fn to_tiles<const N: usize>(
        &self,
        simd: S,
        out: &mut [Pixel],
        transform: impl Fn(S, [S::f32s; N]) -> [S::f32s; 6],
    ) {
        let (per, out) = (per_pixel::<S>(), vectors_mut::<S>(out));
        for t in 0..self.across {
            for r in 0..6 {
                let row = &self.vectors[(r * self.wide + 4 * t) * per..][..N * per];
                for v in 0..per {
                    let mut numbers = [simd.splat_f32s(0.0); N];
                    for c in 0..N {
                        numbers[c] = row[c * per + v];
                    }
                    let numbers = transform(simd, numbers);
                    for c in 0..6 {
                        out[((6 * r + c) * self.step + t) * per + v] = numbers[c];
                    }
                }
            }
        }
    }

    /// Transforms every row of every tile into `N` numbers, and adds them where tiles overlap.
    #[inline(always)]
    fn sum_tiles<const N: usize>(
        &mut self,
        simd: S,
        products: &[Pixel],
        transform: impl Fn(S, [S::f32s; 6]) -> [S::f32s; N],
    ) {
        let (per, products) = (per_pixel::<S>(), vectors::<S>(products));
        for t in 0..self.across {
            for r in 0..6 {
                let row = &mut self.vectors[(r * self.wide + 4 * t) * per..][..N * per];
                for v in 0..per {
                    let mut numbers = [simd.splat_f32s(0.0); 6];
                    for c in 0..6 {
                        numbers[c] = products[((6 * r + c) * self.step + t) * per + v];
                    }
                    let numbers = transform(simd, numbers);
                    for c in 0..N {
                        let sum = &mut row[c * per + v];
                        let overlaps = c + 4 < N && t > 0;
                        *sum = if overlaps { simd.add_f32s(*sum, numbers[c]) } else { numbers[c] };
                    }
                }
            }
        }
    }
}

/// `B' x B` of a row of tiles.
#[inline(always)]
pub(super) fn input<S: Simd>(simd: S, task: &mut Input) {
    let (zero, per, row) = (simd.splat_f32s(0.0), per_pixel::<S>(), task.row);
    let width = row.size.width;
    let mut strip = Strip::<S>::new(task.strip, row, 2);
    strip.clear_border(zero, width);
    for block in 0..row.tiles.blocks {
        let plane = vectors::<S>(&task.view.pixels[block * row.size.plane()..]);
        let rows = row.under().map(|y| y.map(|y| &plane[y * width * per..][..width * per]));
        for v in 0..per {
            let affine = task.view.affine.vector(simd, block, v);
            for i in (v..width * per).step_by(per) {
                let mut x = [zero; 6];
                for r in 0..6 {
                    if let Some(row) = rows[r] {
                        x[r] = affine.of(simd, row[i]);
                    }
                }
                strip.set_column(per + i, to_input(simd, x));
            }
        }
        strip.to_tiles(simd, &mut task.out[block * row.tiles.count + row.at..], to_input::<S>);
    }
}

/// `A' m A` of a row of tiles, into the outputs that a stride keeps.
#[inline(always)]
pub(super) fn output<S: Simd>(simd: S, task: &mut Output) {
    let (per, row, kept) = (per_pixel::<S>(), task.row, task.row.kept());
    let width = row.size.width;
    let mut strip = Strip::<S>::new(task.strip, row, 0);
    for block in 0..row.tiles.blocks {
        let products = &task.products[block * row.tiles.count + row.at..];
        strip.sum_tiles(simd, products, to_output::<S>);
        let plane = &mut task.out[block * row.size.plane()..][..row.size.plane()];
        let plane = vectors_mut::<S>(plane);
        for i in 0..width * per {
            let column = strip.column(simd, i / per * row.stride * per + i % per);
            let column = to_output(simd, column);
            for r in 0..4 {
                if let Some(y) = kept[r] {
                    plane[y * width * per + i] = column[r];
                }
            }
        }
    }
}

/// `A g A'` of a row of tiles.
#[inline(always)]
pub(super) fn output_gradient<S: Simd>(simd: S, task: &mut OutputGradient) {
    let (zero, per, row) = (simd.splat_f32s(0.0), per_pixel::<S>(), task.row);
    let width = row.size.width;
    let mut strip = Strip::<S>::new(task.strip, row, 0);
    strip.vectors.fill(zero);
    for block in 0..row.tiles.blocks {
        let start = block * row.size.plane();
        let kept = row.kept();
        let rows = kept.map(|y| y.map(|y| task.gradient.row::<S>(start + y * width, width)));
        for v in 0..per {
            let norm = task.gradient.vector::<S>(block, v);
            for x in 0..width {
                let mut g = [zero; 4];
                for r in 0..4 {
                    if let Some((gradient, y)) = rows[r] {
                        g[r] = norm.of(simd, gradient[x * per + v], y[x * per + v]);
                    }
                }
                strip.set_column(x * row.stride * per + v, to_output_adjoint(simd, g));
            }
        }
        let out = &mut task.out[block * row.tiles.count + row.at..];
        strip.to_tiles(simd, out, to_output_adjoint::<S>);
    }
}

/// `B m B'` of a row of tiles, summed where tiles overlap.
#[inline(always)]
pub(super) fn input_gradient<S: Simd>(simd: S, task: &mut InputGradient) {
    let (per, row, under) = (per_pixel::<S>(), task.row, task.row.under());
    let width = row.size.width;
    let mut strip = Strip::<S>::new(task.strip, row, 2);
    for block in 0..row.tiles.blocks {
        let products = &task.products[block * row.tiles.count + row.at..];
        strip.sum_tiles(simd, products, to_input_adjoint::<S>);
        let plane = &mut task.out[block * row.size.plane()..][..row.size.plane()];
        let plane = vectors_mut::<S>(plane);
        for i in 0..width * per {
            let column = to_input_adjoint(simd, strip.column(simd, per + i));
            for r in 0..6 {
                if let Some(y) = under[r] {
                    let out = &mut plane[y * width * per + i];
                    // The first two rows overlap with the row of tiles above.
                    let add = task.add || (r < 2 && row.index > 0);
                    *out = if add { simd.add_f32s(*out, column[r]) } else { column[r] };
                }
            }
        }
    }
}

/// `G w G'` of the nine taps of sixteen pairs of channels.
#[inline(always)]
pub(super) fn weights<S: Simd>(simd: S, taps: &[Pixel; 9], out: &mut [Pixel; FREQUENCIES]) {
    let (zero, per) = (simd.splat_f32s(0.0), per_pixel::<S>());
    let (taps, out) = (vectors::<S>(taps), vectors_mut::<S>(out));
    for v in 0..per {
        let mut half = [[zero; 6]; 3];
        for x in 0..3 {
            half[x] =
                kernel(simd, [taps[x * per + v], taps[(3 + x) * per + v], taps[(6 + x) * per + v]]);
        }
        for f in 0..6 {
            let row = kernel(simd, [half[0][f], half[1][f], half[2][f]]);
            for c in 0..6 {
                out[(6 * f + c) * per + v] = row[c];
            }
        }
    }
}

/// Adds `G' m G` to the gradient by sixteen by sixteen kernels, `[tap][input]`, where `m[f]` is the
/// product of transformed inputs and gradients.
#[inline(always)]
pub(super) fn weight_gradient<S: Simd>(simd: S, products: &[Pixel], out: &mut [Pixel]) {
    let zero = simd.splat_f32s(0.0);
    let (products, out) = (vectors::<S>(products), vectors_mut::<S>(out));
    let step = LANES * per_pixel::<S>();
    for i in 0..step {
        let mut half = [[zero; 3]; 6];
        for f in 0..6 {
            let mut m = [zero; 6];
            for c in 0..6 {
                m[c] = products[(6 * f + c) * step + i];
            }
            half[f] = kernel_adjoint(simd, m);
        }
        for x in 0..3 {
            let mut m = [zero; 6];
            for f in 0..6 {
                m[f] = half[f][x];
            }
            let column = kernel_adjoint(simd, m);
            for y in 0..3 {
                let out = &mut out[(3 * y + x) * step + i];
                *out = simd.add_f32s(*out, column[y]);
            }
        }
    }
}

/// `a + k * b`.
#[inline(always)]
fn plus<S: Simd>(simd: S, a: S::f32s, k: f32, b: S::f32s) -> S::f32s {
    simd.mul_add_e_f32s(simd.splat_f32s(k), b, a)
}

/// `B' d`.
#[inline(always)]
fn to_input<S: Simd>(simd: S, [a, b, c, d, e, f]: [S::f32s; 6]) -> [S::f32s; 6] {
    let (even, odd) = (plus(simd, e, -4.0, c), plus(simd, d, -4.0, b));
    let (near, far) = (simd.sub_f32s(e, c), simd.sub_f32s(d, b));
    [
        plus(simd, plus(simd, e, -5.0, c), 4.0, a),
        simd.add_f32s(even, odd),
        simd.sub_f32s(even, odd),
        plus(simd, near, 2.0, far),
        plus(simd, near, -2.0, far),
        plus(simd, plus(simd, f, -5.0, d), 4.0, b),
    ]
}

/// `B m`.
#[inline(always)]
fn to_input_adjoint<S: Simd>(simd: S, [a, b, c, d, e, f]: [S::f32s; 6]) -> [S::f32s; 6] {
    let (p, q) = (simd.add_f32s(b, c), simd.sub_f32s(b, c));
    let (r, s) = (simd.add_f32s(d, e), simd.sub_f32s(d, e));
    let four = simd.splat_f32s(4.0);
    let pr = plus(simd, r, 4.0, p);
    let qs = plus(simd, q, 2.0, s);
    [
        simd.mul_f32s(four, a),
        simd.mul_f32s(four, plus(simd, simd.sub_f32s(f, q), -0.5, s)),
        simd.neg_f32s(plus(simd, pr, 5.0, a)),
        plus(simd, qs, -5.0, f),
        simd.add_f32s(a, simd.add_f32s(p, r)),
        f,
    ]
}

/// `A' m`.
#[inline(always)]
fn to_output<S: Simd>(simd: S, [a, b, c, d, e, f]: [S::f32s; 6]) -> [S::f32s; 4] {
    let (p, q) = (simd.add_f32s(b, c), simd.sub_f32s(b, c));
    let (r, s) = (simd.add_f32s(d, e), simd.sub_f32s(d, e));
    [
        simd.add_f32s(a, simd.add_f32s(p, r)),
        plus(simd, q, 2.0, s),
        plus(simd, p, 4.0, r),
        simd.add_f32s(plus(simd, q, 8.0, s), f),
    ]
}

/// `A g`.
#[inline(always)]
fn to_output_adjoint<S: Simd>(simd: S, [a, b, c, d]: [S::f32s; 4]) -> [S::f32s; 6] {
    let (even, odd) = (simd.add_f32s(a, c), simd.add_f32s(b, d));
    let far = plus(simd, a, 4.0, c);
    let odd_far = plus(simd, simd.add_f32s(b, b), 8.0, d);
    [
        a,
        simd.add_f32s(even, odd),
        simd.sub_f32s(even, odd),
        simd.add_f32s(far, odd_far),
        simd.sub_f32s(far, odd_far),
        d,
    ]
}

/// `G w`.
#[inline(always)]
fn kernel<S: Simd>(simd: S, [a, b, c]: [S::f32s; 3]) -> [S::f32s; 6] {
    let times = |k: f32, x| simd.mul_f32s(simd.splat_f32s(k), x);
    let near = times(-1.0 / 6.0, simd.add_f32s(a, c));
    let far = plus(simd, times(1.0 / 24.0, a), 1.0 / 6.0, c);
    [
        times(0.25, a),
        plus(simd, near, -1.0 / 6.0, b),
        plus(simd, near, 1.0 / 6.0, b),
        plus(simd, far, 1.0 / 12.0, b),
        plus(simd, far, -1.0 / 12.0, b),
        c,
    ]
}

/// `G' m`.
#[inline(always)]
fn kernel_adjoint<S: Simd>(simd: S, [a, b, c, d, e, f]: [S::f32s; 6]) -> [S::f32s; 3] {
    let times = |k: f32, x| simd.mul_f32s(simd.splat_f32s(k), x);
    let (p, q) = (simd.add_f32s(b, c), simd.sub_f32s(c, b));
    let (r, s) = (simd.add_f32s(d, e), simd.sub_f32s(d, e));
    [
        plus(simd, plus(simd, times(0.25, a), -1.0 / 6.0, p), 1.0 / 24.0, r),
        plus(simd, times(1.0 / 6.0, q), 1.0 / 12.0, s),
        plus(simd, plus(simd, f, -1.0 / 6.0, p), 1.0 / 6.0, r),
    ]
}
