//! Products of matrices, blocked for caches and registers.
//!
//! The right side is brought into panels of 64 columns, so that the rows of a panel lie one behind
//! another; the left side is read where it is, row by row. Every number of a product is one chain of
//! multiply-adds in the order of the inner dimension, however it is blocked and whoever computes it.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::buffer::Buffer;
use super::simd::{self, LANES, Pixel, per_pixel, vectors, vectors_mut};

/// Pixels in a row of a panel.
const WIDE: usize = 4;

/// Columns of a panel.
pub(crate) const PANEL: usize = WIDE * LANES;

/// Rows of a panel that are used at a time: as many as stay in the second-level cache.
const DEPTH: usize = 768;

/// The side of a square that is transposed in registers.
const SQUARE: usize = 8;

/// Rows of the left side that a task multiplies.
const ROWS: usize = 24;

/// The right side of a product: a matrix `[rows, columns]` as `[panel][row][64 columns]`, with zeros
/// beyond the last column.
#[derive(Default)]
pub(super) struct Panels {
    rows: usize,
    columns: usize,
    pixels: Buffer,
}

impl Panels {
    /// Takes a matrix, row by row.
    pub(super) fn copy(&mut self, matrix: &[f32], columns: usize) {
        self.fit(matrix.len() / columns, columns);
        self.each(|start, len, out| {
            for (row, out) in matrix.chunks_exact(columns).zip(out.chunks_exact_mut(WIDE)) {
                out.as_flattened_mut()[..len].copy_from_slice(&row[start..start + len]);
            }
        });
    }

    /// Takes the transpose of a matrix that has `rows` columns, row by row.
    pub(super) fn transpose(&mut self, matrix: &[f32], rows: usize) {
        self.fit(rows, matrix.len() / rows);
        self.each(|start, len, out| {
            let matrix = &matrix[start * rows..][..len * rows];
            for (i, lines) in matrix.chunks(SQUARE * rows).enumerate() {
                turn(lines, rows, i * SQUARE, out);
            }
        });
    }

    fn fit(&mut self, rows: usize, columns: usize) {
        (self.rows, self.columns) = (rows, columns);
        self.pixels.fit(columns.div_ceil(PANEL) * rows * WIDE);
    }

    /// Fills each panel, given its first column and how many it has.
    fn each(&mut self, fill: impl Fn(usize, usize, &mut [Pixel]) + Sync) {
        let (columns, panel) = (self.columns, self.rows * WIDE);
        let count = columns.div_ceil(PANEL);
        let panels = self.pixels.get_mut()[..count * panel].par_chunks_exact_mut(panel);
        panels.enumerate().for_each(|(i, out)| {
            let start = i * PANEL;
            let len = (columns - start).min(PANEL);
            if len < PANEL {
                out.fill([0.0; LANES]);
            }
            fill(start, len, out);
        });
    }

    /// `left [m, rows] * self`, into `out [m, columns]`; `finish` gets each row with its number.
    pub(super) fn product(
        &self,
        left: &[f32],
        out: &mut [f32],
        finish: impl Fn(usize, &mut [f32]) + Sync,
    ) {
        let left = left.par_chunks(ROWS * self.rows);
        out.par_chunks_mut(ROWS * self.columns).zip(left).enumerate().for_each(
            |(i, (out, left))| {
                simd::run(Product { left, right: self, out });
                let rows = out.chunks_exact_mut(self.columns).enumerate();
                rows.for_each(|(row, out)| finish(i * ROWS + row, out));
            },
        );
    }
}

/// Brings up to eight lines of `rows` numbers into the columns of a panel from `column` on: in squares, so that
/// both sides are read and written in pieces, then what is left number by number.
fn turn(lines: &[f32], rows: usize, column: usize, panel: &mut [Pixel]) {
    let squares = if lines.len() == SQUARE * rows { rows - rows % SQUARE } else { 0 };
    for row in (0..squares).step_by(SQUARE) {
        let mut square = [[0.0; SQUARE]; SQUARE];
        for (c, line) in lines.chunks_exact(rows).enumerate() {
            for (numbers, number) in square.iter_mut().zip(&line[row..][..SQUARE]) {
                numbers[c] = *number;
            }
        }
        for (numbers, out) in square.iter().zip(panel[row * WIDE..].chunks_exact_mut(WIDE)) {
            out.as_flattened_mut()[column..][..SQUARE].copy_from_slice(numbers);
        }
    }
    for (c, line) in lines.chunks_exact(rows).enumerate() {
        for (number, out) in line.iter().zip(panel.chunks_exact_mut(WIDE)).skip(squares) {
            out.as_flattened_mut()[column + c] = *number;
        }
    }
}

/// The product of some rows.
struct Product<'a> {
    left: &'a [f32],
    right: &'a Panels,
    out: &'a mut [f32],
}

impl WithSimd for Product<'_> {
    type Output = ();

    /// As many sums at a time as leave registers for the numbers: 24 of 32, or 12 of 16.
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match per_pixel::<S>() {
            1 => self.blocked::<S, 1, 4, 6>(simd),
            2 => self.blocked::<S, 2, 1, 6>(simd),
            4 => self.blocked::<S, 4, 1, 6>(simd),
            _ => self.blocked::<S, 16, 1, 1>(simd),
        }
    }
}

impl Product<'_> {
    #[inline(always)]
    fn blocked<S: Simd, const V: usize, const W: usize, const R: usize>(mut self, simd: S) {
        let (rows, columns) = (self.right.rows, self.right.columns);
        for start in (0..rows).step_by(DEPTH) {
            let depth = start..rows.min(start + DEPTH);
            for (i, column) in (0..columns).step_by(PANEL).enumerate() {
                let panel = &self.right.pixels.get()[i * rows * WIDE..][..rows * WIDE];
                let panel = &panel.as_chunks::<WIDE>().0[depth.clone()];
                let pixels = (columns - column).div_ceil(LANES).min(WIDE);
                let mut at = 0;
                while at + W <= pixels {
                    self.sweep::<S, V, W, R>(simd, start, panel, (column, at));
                    at += W;
                }
                while at < pixels {
                    self.sweep::<S, V, 1, R>(simd, start, panel, (column, at));
                    at += 1;
                }
            }
        }
    }

    /// Adds what some rows of a panel contribute to `W` pixels of every row.
    #[inline(always)]
    fn sweep<S: Simd, const V: usize, const W: usize, const R: usize>(
        &mut self,
        simd: S,
        start: usize,
        panel: &[[Pixel; WIDE]],
        place: (usize, usize),
    ) {
        let rows = self.out.len() / self.right.columns;
        let mut row = 0;
        while row + R <= rows {
            self.tile::<S, V, W, R>(simd, (row, start), panel, place);
            row += R;
        }
        while row < rows {
            self.tile::<S, V, W, 1>(simd, (row, start), panel, place);
            row += 1;
        }
    }

    /// As `sweep`, of `R` rows.
    #[inline(always)]
    fn tile<S: Simd, const V: usize, const W: usize, const R: usize>(
        &mut self,
        simd: S,
        (row, start): (usize, usize),
        panel: &[[Pixel; WIDE]],
        (column, at): (usize, usize),
    ) {
        let Panels { rows: inner, columns, .. } = *self.right;
        let mut left = [&self.left[..0]; R];
        for r in 0..R {
            left[r] = &self.left[(row + r) * inner + start..][..panel.len()];
        }
        let begin = column + at * LANES;
        let width = (columns - begin).min(W * LANES);
        let mut numbers = [[[0.0; LANES]; W]; R];
        if start > 0 {
            for (r, numbers) in numbers.iter_mut().enumerate() {
                let out = &self.out[(row + r) * columns + begin..][..width];
                copy(out, numbers.as_flattened_mut());
            }
        }
        let mut sums = [[[simd.splat_f32s(0.0); V]; W]; R];
        for r in 0..R {
            for w in 0..W {
                for v in 0..V {
                    sums[r][w][v] = vectors::<S>(&numbers[r])[w * V + v];
                }
            }
        }
        for (p, right) in panel.iter().enumerate() {
            let right = vectors::<S>(&right[at..][..W]);
            for r in 0..R {
                let left = simd.splat_f32s(left[r][p]);
                for w in 0..W {
                    for v in 0..V {
                        sums[r][w][v] = simd.mul_add_e_f32s(left, right[w * V + v], sums[r][w][v]);
                    }
                }
            }
        }
        // Number by number: only loops as plain as this one leave sums in registers all along.
        for r in 0..R {
            for w in 0..W {
                for v in 0..V {
                    vectors_mut::<S>(&mut numbers[r])[w * V + v] = sums[r][w][v];
                }
            }
        }
        for (r, numbers) in numbers.iter().enumerate() {
            let out = &mut self.out[(row + r) * columns + begin..][..width];
            copy(numbers.as_flattened(), out);
        }
    }
}

/// Copies as many numbers as both have: pixel by pixel, which takes no call of the library.
#[inline(always)]
fn copy(from: &[f32], to: &mut [f32]) {
    let (from, to) = (from.as_chunks::<LANES>(), to.as_chunks_mut::<LANES>());
    to.0.iter_mut().zip(from.0).for_each(|(to, from)| *to = *from);
    let len = from.0.len().min(to.0.len());
    let from = from.0.get(len).map_or(from.1, |pixel| pixel);
    let to = to.0.get_mut(len).map_or(to.1, |pixel| pixel);
    to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
}
