//! The sums of rows, computed as vectors. Numbers sixteen apart are summed together, whatever the width
//! of vectors is, so that it does not change the order of any sum.
//!
//! A row is summed block by block, each scaled by its own largest number. While the sums of a block are
//! taken, which is arithmetic on what the first-level cache holds, the largest numbers of the next are sought,
//! which waits for memory: one after the other they would take as long as both.

#![allow(
    clippy::inline_always,
    reason = "a function that is not inlined into its kernel is compiled without wide instructions"
)]
#![allow(
    clippy::needless_range_loop,
    reason = "loops over ranges of known length unroll, where iterators may not be inlined"
)]

use std::f32::consts::LOG2_E;
use std::slice::from_ref;

use pulp::{Arch, Simd, WithSimd};

use super::Sums;

/// Sums that are taken side by side.
const LANES: usize = 16;

/// Numbers of a block. Its lanes are summed in `f32`, and blocks in `f64`: long rows lose no digits. Half a page,
/// as processors stop to fetch ahead of what is read if it is read again a page later.
const BLOCK: usize = 32 * LANES;

/// Powers of 2 are computed times 2 to this power, so that neither they nor their squares become less than
/// the smallest normal number before they stop to matter.
const SCALE: u32 = 50;

/// What undoes it.
const UNSCALE: f64 = 1.0 / (1_u64 << SCALE) as f64;

/// Here a power of 2, scaled, is 0: 2 to the power -127, which no normal number has, is all zero bits.
const LOWEST: f32 = -(127.0 + SCALE as f32);

/// The sums of rows of `classes` logits, one for each label; `None` for a row with a logit that is NaN
/// or infinite.
pub(super) fn of_rows(rows: &[f32], classes: usize, labels: &[u32], out: &mut [Option<Sums>]) {
    Arch::new().dispatch(Rows { logits: rows, classes, labels, out });
}

struct Rows<'a> {
    logits: &'a [f32],
    classes: usize,
    labels: &'a [u32],
    out: &'a mut [Option<Sums>],
}

impl WithSimd for Rows<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let rows = self.logits.chunks_exact(self.classes);
        let mut blocks = rows.clone().flat_map(|row| row.chunks(BLOCK)).map(Block::of);
        let Some(mut block) = blocks.next() else { return };
        let mut tops = Tops::of(simd, &block);
        for (out, (row, label)) in self.out.iter_mut().zip(rows.zip(self.labels)) {
            let (mut all, mut finite) = (None, true);
            for _ in 0..self.classes.div_ceil(BLOCK) {
                let next = blocks.next().unwrap_or(block);
                let (part, ahead) = Part::of(simd, &block, &tops, &next);
                all = match all {
                    Some(all) => Some(part.and(simd, all)),
                    None => Some(part),
                };
                finite &= tops.finite(simd);
                (block, tops) = (next, ahead);
            }
            *out = all.filter(|_| finite).map(|all| all.sums(row[*label as usize]));
        }
    }
}

/// Some numbers of a row in pieces of sixteen, the last of which is filled up with what adds nothing.
#[derive(Clone, Copy)]
struct Block<'a> {
    all: &'a [f32],
    whole: &'a [[f32; LANES]],
    last: [f32; LANES],
}

impl<'a> Block<'a> {
    #[inline(always)]
    fn of(all: &'a [f32]) -> Self {
        let (whole, rest) = all.as_chunks();
        let mut last = [f32::MIN; LANES];
        last[..rest.len()].copy_from_slice(rest);
        Self { all, whole, last }
    }
}

/// The two largest numbers in each lane of a vector.
#[derive(Clone, Copy)]
struct Tops<S: Simd> {
    first: S::f32s,
    second: S::f32s,
    /// NaN if a number was NaN or infinite.
    wrong: S::f32s,
}

impl<S: Simd> Tops<S> {
    #[inline(always)]
    fn new(simd: S) -> Self {
        let none = simd.splat_f32s(f32::MIN);
        Self { first: none, second: none, wrong: simd.splat_f32s(0.0) }
    }

    #[inline(always)]
    fn of(simd: S, block: &Block<'_>) -> Self {
        let mut tops = Self::new(simd);
        for pieces in [block.whole, from_ref(&block.last)] {
            S::as_simd_f32s(pieces.as_flattened()).0.iter().for_each(|z| tops.see(simd, *z));
        }
        tops
    }

    #[inline(always)]
    fn see(&mut self, simd: S, z: S::f32s) {
        self.second = simd.max_f32s(simd.min_f32s(z, self.first), self.second);
        self.first = simd.max_f32s(z, self.first);
        // Adds 0 for a finite number, and NaN for any other.
        self.wrong = simd.add_f32s(self.wrong, simd.sub_f32s(z, z));
    }

    #[inline(always)]
    fn finite(&self, simd: S) -> bool {
        simd.reduce_sum_f32s(self.wrong) == 0.0
    }

    #[inline(always)]
    fn top(&self, simd: S) -> f32 {
        simd.reduce_max_f32s(self.first)
    }

    /// How far the second largest number lies below the largest.
    #[inline(always)]
    fn gap(&self, simd: S) -> f64 {
        let (top, one) = (self.top(simd), simd.splat_f32s(1.0));
        let lower = simd.less_than_f32s(self.first, simd.splat_f32s(top));
        let tops = simd.reduce_sum_f32s(simd.select_f32s(lower, simd.splat_f32s(0.0), one));
        let others = simd.select_f32s(lower, self.first, simd.splat_f32s(f32::MIN));
        let second = simd.reduce_max_f32s(simd.max_f32s(others, self.second));
        if tops > 1.0 { 0.0 } else { f64::from(top) - f64::from(second) }
    }
}

/// The sums over some numbers of a row, as in [`Sums`].
#[derive(Clone, Copy)]
struct Part {
    top: f64,
    others: f64,
    squares: f64,
    spread: f64,
    gap: f64,
}

impl Part {
    /// Those of a block; and on the way what is ahead, the largest numbers of the next.
    #[inline(always)]
    fn of<S: Simd>(
        simd: S,
        block: &Block<'_>,
        tops: &Tops<S>,
        next: &Block<'_>,
    ) -> (Self, Tops<S>) {
        let (top, mut ahead) = (tops.top(simd), Tops::new(simd));
        let mut lanes = [[0.0; LANES]; 3];
        let both = block.whole.len().min(next.whole.len());
        for v in 0..LANES / S::F32_LANES {
            let mut column = Column::new(simd, top);
            for (z, next) in block.whole.iter().zip(next.whole) {
                column.add(simd, vector::<S>(z, v));
                ahead.see(simd, vector::<S>(next, v));
            }
            for z in block.whole[both..].iter().chain([&block.last]) {
                column.add(simd, vector::<S>(z, v));
            }
            for next in next.whole[both..].iter().chain([&next.last]) {
                ahead.see(simd, vector::<S>(next, v));
            }
            for (lanes, sums) in lanes.iter_mut().zip([column.sum, column.squares, column.spread]) {
                S::as_mut_simd_f32s(lanes).0[v] = sums;
            }
        }
        let [sum, squares, spread] = lanes.map(total);
        let gap = if block.all.len() > 1 { tops.gap(simd) } else { f64::INFINITY };
        // Whatever equals the top was left out, and all but one of these are others.
        let equal = if gap > 0.0 { 1 } else { block.all.iter().filter(|z| **z >= top).count() };
        let equal = equal as f64 - 1.0;
        let part = Self {
            top: f64::from(top),
            others: sum * UNSCALE + equal,
            squares: squares * (UNSCALE * UNSCALE) + equal,
            spread: -spread * (UNSCALE * std::f64::consts::LN_2),
            gap,
        };
        (part, ahead)
    }

    /// Those over the numbers of both.
    #[inline(always)]
    fn and<S: Simd>(self, simd: S, other: Self) -> Self {
        let (high, low) = if self.top >= other.top { (self, other) } else { (other, self) };
        let below = high.top - low.top;
        let distance = (-below as f32 * LOG2_E).max(LOWEST);
        // By vectors, which the exponential of the library would push out of their registers.
        let mut e = [0.0; LANES];
        S::as_mut_simd_f32s(&mut e).0[0] = exp2(simd, simd.splat_f32s(distance));
        let (e, all) = (f64::from(e[0]) * UNSCALE, 1.0 + low.others);
        Self {
            top: high.top,
            others: high.others + e * all,
            squares: high.squares + e * e * (1.0 + low.squares),
            spread: high.spread + e * (low.spread + below * all),
            gap: high.gap.min(below),
        }
    }

    /// Those of a row whose label has the logit `own`.
    #[inline(always)]
    fn sums(self, own: f32) -> Sums {
        let Self { others, squares, spread, gap, .. } = self;
        let own_gap = self.top - f64::from(own);
        let (wrong, wrong_squares) = if own_gap > 0.0 {
            let own = (-own_gap).exp();
            (1.0 + (others - own).max(0.0), 1.0 + (squares - own * own).max(0.0))
        } else {
            (others, squares)
        };
        Sums { others, spread, gap, own_gap, wrong, wrong_squares }
    }
}

#[inline(always)]
fn vector<S: Simd>(numbers: &[f32; LANES], v: usize) -> S::f32s {
    S::as_simd_f32s(numbers).0[v]
}

/// Adds the second half to the first until one number is left.
#[inline(always)]
fn total(lanes: [f32; LANES]) -> f64 {
    let mut lanes = lanes.map(f64::from);
    for half in [8, 4, 2, 1] {
        for i in 0..half {
            lanes[i] += lanes[i + half];
        }
    }
    lanes[0]
}

/// Sums of one vector of each sixteen numbers, scaled.
struct Column<S: Simd> {
    top: S::f32s,
    sum: S::f32s,
    squares: S::f32s,
    spread: S::f32s,
}

impl<S: Simd> Column<S> {
    #[inline(always)]
    fn new(simd: S, top: f32) -> Self {
        let zero = simd.splat_f32s(0.0);
        Self { top: simd.splat_f32s(top), sum: zero, squares: zero, spread: zero }
    }

    #[inline(always)]
    fn add(&mut self, simd: S, z: S::f32s) {
        let (zero, below) = (simd.splat_f32s(0.0), simd.sub_f32s(z, self.top));
        let distance = simd.mul_f32s(below, simd.splat_f32s(LOG2_E));
        // What is infinitely far below adds nothing, but infinity times 0 is no number.
        let distance = simd.max_f32s(distance, simd.splat_f32s(LOWEST));
        let lower = simd.less_than_f32s(below, zero);
        let e = simd.select_f32s(lower, exp2(simd, distance), zero);
        self.sum = simd.add_f32s(self.sum, e);
        self.squares = simd.mul_add_e_f32s(e, e, self.squares);
        self.spread = simd.mul_add_e_f32s(e, distance, self.spread);
    }
}

/// 2^x for `LOWEST` <= x <= 0, scaled, to 2e-7 of it: 1 + r q(r) with the polynomial q of degree 4 whose largest
/// error for |r| <= 1/2 is least, 9e-8.
///
/// A logit's exponential is this of its distance times log2 e, whose rounding adds 7e-8 for each unit of the
/// distance: as much as the rounding of the logits themselves does.
#[inline(always)]
fn exp2<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    /// Adding it rounds to the nearest whole number, which the lowest bits then hold with `SCALE` added.
    const ROUND: f32 = 12_582_912.0 + SCALE as f32;
    let number = |value: f32| simd.splat_f32s(value);
    let shifted = simd.add_f32s(x, number(ROUND));
    let r = simd.sub_f32s(x, simd.sub_f32s(shifted, number(ROUND)));
    let mut p = number(1.325_109e-3);
    for next in [9.671_826e-3, 5.550_785e-2, 2.402_223_6e-1, 6.931_469_4e-1, 1.0] {
        p = simd.mul_add_e_f32s(p, r, number(next));
    }
    // Multiplies by a power of 2: adds to the exponent.
    let power = simd.wrapping_dyn_shl_u32s(simd.transmute_u32s_f32s(shifted), simd.splat_u32s(23));
    simd.transmute_f32s_u32s(simd.add_u32s(simd.transmute_u32s_f32s(p), power))
}
