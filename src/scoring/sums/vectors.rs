//! The sums of rows, computed as vectors. Numbers sixteen apart are summed together, whatever the width
//! of vectors is, so that it does not change the order of any sum.

#![allow(
    clippy::inline_always,
    reason = "a function that is not inlined into its kernel is compiled without wide instructions"
)]
#![allow(
    clippy::needless_range_loop,
    reason = "loops over ranges of known length unroll, where iterators may not be inlined"
)]

use pulp::{Arch, Simd, WithSimd};

use super::Sums;

/// Sums that are taken side by side.
const LANES: usize = 16;

/// So many numbers of a lane are summed in `f32` before `f64` takes over: long rows lose no digits.
const PART: usize = 64;

/// Below it the exponential is less than the smallest normal number, and counts as 0.
const LOWEST: f32 = -87.0;

/// Squares of what is small would be less than the smallest number.
const SCALE: f32 = (1_u64 << 50) as f32;

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
        let rows = self.logits.chunks_exact(self.classes).zip(self.labels);
        for (out, (row, label)) in self.out.iter_mut().zip(rows) {
            *out = of(simd, row, row[*label as usize]);
        }
    }
}

/// The sums of one row, where the label has the logit `own`.
#[inline(always)]
fn of<S: Simd>(simd: S, row: &[f32], own: f32) -> Option<Sums> {
    let (whole, rest) = row.as_chunks::<LANES>();
    let filled = |with: f32| {
        let mut last = [with; LANES];
        last[..rest.len()].copy_from_slice(rest);
        [last]
    };
    let top = largest(simd, whole, &filled(f32::MIN))?;
    let last = filled(f32::NEG_INFINITY);
    let mut sums = [[0.0; LANES]; 4];
    let mut second = f32::NEG_INFINITY;
    for part in whole.chunks(PART).chain([&last[..]]) {
        let lanes = Lanes::of(simd, part, top);
        for s in 0..sums.len() {
            for i in 0..LANES {
                sums[s][i] += f64::from(lanes.sums[s][i]);
            }
        }
        for i in 0..LANES {
            second = if lanes.second[i] > second { lanes.second[i] } else { second };
        }
    }
    let [others, squares, spread, tops] = sums.map(|lanes| lanes.iter().sum::<f64>());
    let (squares, spread) = (squares / f64::from(SCALE * SCALE), -spread);
    // Whatever equals the top was left out, and all but one of these are others.
    let (others, squares) = (others + (tops - 1.0), squares + (tops - 1.0));
    let gap = if tops > 1.0 { 0.0 } else { -f64::from(second) };
    let own_gap = f64::from(top) - f64::from(own);
    let (wrong, wrong_squares) = if own_gap > 0.0 {
        let own = f64::from(own - top).exp();
        (1.0 + (others - own).max(0.0), 1.0 + (squares - own * own).max(0.0))
    } else {
        (others, squares)
    };
    Some(Sums { others, spread, gap, own_gap, wrong, wrong_squares })
}

#[inline(always)]
fn vectors<S: Simd>(numbers: &[[f32; LANES]]) -> &[S::f32s] {
    S::as_simd_f32s(numbers.as_flattened()).0
}

/// The largest number; `None` if one is NaN or infinite.
#[inline(always)]
fn largest<S: Simd>(simd: S, whole: &[[f32; LANES]], last: &[[f32; LANES]]) -> Option<f32> {
    let (mut top, mut wrong) = (simd.splat_f32s(f32::MIN), simd.splat_f32s(0.0));
    for part in [whole, last] {
        for z in vectors::<S>(part) {
            top = simd.max_f32s(*z, top);
            // Adds 0 for a finite number, and NaN for any other.
            wrong = simd.add_f32s(wrong, simd.sub_f32s(*z, *z));
        }
    }
    (simd.reduce_sum_f32s(wrong) == 0.0).then(|| simd.reduce_max_f32s(top))
}

/// What lies below the top, lane by lane.
struct Lanes {
    /// Sums of the exponentials, of their squares, and of them times the distance; and how many numbers do
    /// not lie below the top.
    sums: [[f32; LANES]; 4],
    /// The largest distance, which is not above 0.
    second: [f32; LANES],
}

impl Lanes {
    #[inline(always)]
    fn of<S: Simd>(simd: S, part: &[[f32; LANES]], top: f32) -> Self {
        let mut lanes = Self { sums: [[0.0; LANES]; 4], second: [0.0; LANES] };
        for v in 0..LANES / S::F32_LANES {
            let (sums, second) = column(simd, part, v, top);
            for (lanes, sums) in lanes.sums.iter_mut().zip(sums) {
                put(simd, sums, v, lanes);
            }
            put(simd, second, v, &mut lanes.second);
        }
        lanes
    }
}

#[inline(always)]
fn put<S: Simd>(_: S, vector: S::f32s, v: usize, lanes: &mut [f32; LANES]) {
    S::as_mut_simd_f32s(lanes).0[v] = vector;
}

/// The sums of vector `v` of each sixteen numbers, and the largest distance.
#[inline(always)]
fn column<S: Simd>(simd: S, part: &[[f32; LANES]], v: usize, top: f32) -> ([S::f32s; 4], S::f32s) {
    let (zero, one) = (simd.splat_f32s(0.0), simd.splat_f32s(1.0));
    let (scale, lowest) = (simd.splat_f32s(SCALE), simd.splat_f32s(LOWEST));
    let (top, none) = (simd.splat_f32s(top), simd.splat_f32s(f32::NEG_INFINITY));
    let [mut sum, mut squares, mut spread, mut second, mut tops] = [zero, zero, zero, none, zero];
    for z in vectors::<S>(part)[v..].iter().step_by(LANES / S::F32_LANES) {
        let below = simd.sub_f32s(*z, top);
        let is_top = simd.less_than_or_equal_f32s(zero, below);
        // What is far below adds nothing, but infinity times 0 is no number.
        let distance = simd.max_f32s(below, lowest);
        let e = simd.select_f32s(is_top, zero, exp(simd, distance));
        let e = simd.select_f32s(simd.less_than_f32s(below, lowest), zero, e);
        sum = simd.add_f32s(sum, e);
        let scaled = simd.mul_f32s(e, scale);
        squares = simd.mul_add_e_f32s(scaled, scaled, squares);
        spread = simd.mul_add_e_f32s(e, distance, spread);
        second = simd.max_f32s(second, simd.select_f32s(is_top, none, below));
        tops = simd.add_f32s(tops, simd.select_f32s(is_top, one, zero));
    }
    ([sum, squares, spread, tops], second)
}

/// e^x for -87 <= x <= 0, to 2e-7 of it: the polynomial and the two parts of ln 2 of `expf` in Moshier's
/// Cephes.
#[inline(always)]
fn exp<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    /// Adding it rounds to the nearest whole number, which the lowest bits then hold.
    const ROUND: f32 = 12_582_912.0;
    let number = |value: f32| simd.splat_f32s(value);
    let shifted = simd.mul_add_e_f32s(x, number(std::f32::consts::LOG2_E), number(ROUND));
    let whole = simd.sub_f32s(shifted, number(ROUND));
    let r = simd.mul_add_e_f32s(whole, number(-0.693_359_4), x);
    let r = simd.mul_add_e_f32s(whole, number(2.121_944_4e-4), r);
    let mut p = number(1.987_569_1e-4);
    for next in [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
        p = simd.mul_add_e_f32s(p, r, number(next));
    }
    let p = simd.mul_add_e_f32s(simd.mul_f32s(p, r), r, simd.add_f32s(r, number(1.0)));
    let bits = simd.add_u32s(simd.transmute_u32s_f32s(shifted), simd.splat_u32s(127));
    let power = simd.wrapping_dyn_shl_u32s(bits, simd.splat_u32s(23));
    simd.mul_f32s(p, simd.transmute_f32s_u32s(power))
}
