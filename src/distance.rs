//! Distances between many points, in blocks: exact, never a matrix of all pairs, the same bits on any
//! number of threads.
//!
//! A squared distance is summed from squared differences in the order of the coordinates, in `f32`
//! runs of [`RUN`]. Nothing cancels, so it is good to about 1e-6 relative; it is 0 between copies and
//! the same in both directions. Differences below 1e-19 count as none: their squares are too small.

use rayon::prelude::*;

/// Points are packed in panels of this many, coordinate by coordinate.
const LANES: usize = 16;
/// Coordinates that are summed before their sum joins the others: short runs round less.
const RUN: usize = 256;
/// The most rows that one task compares; a panel stays in the cache for all of them.
const BLOCK: usize = 64;
/// Few rows are spread over this many tasks, at least two rows to each.
const TASKS: usize = 32;
/// Panels of one task when a single row is compared.
const PANELS: usize = 32;
/// The largest coordinate: squares of differences have to stay finite.
const LARGEST: f32 = 1e15;

/// Points to measure distances to: `n x width` coordinates, packed (one copy of them).
pub(crate) struct Points {
    width: usize,
    count: usize,
    panels: Vec<f32>,
}

/// Sees the distances from one row to all points, some at a time and in their order.
pub(crate) trait Scan: Send {
    /// What is left when all were seen.
    type Output: Send;

    /// Takes the squared distances to the points `first..first + squared.len()`.
    fn see(&mut self, first: usize, squared: &[f32]);

    /// The result of the row.
    fn finish(self) -> Self::Output;
}

impl Points {
    /// Packs `n x width` row-major coordinates; `width` is at least 1.
    pub(crate) fn new(points: &[f32], width: usize) -> Self {
        let count = points.len() / width;
        let mut panels = vec![0.0; count.div_ceil(LANES) * LANES * width];
        let panel_of = panels.par_chunks_mut(LANES * width);
        panel_of.zip(points.par_chunks(LANES * width)).for_each(|(panel, rows)| {
            for (lane, row) in rows.chunks(width).enumerate() {
                for (k, x) in row.iter().enumerate() {
                    panel[k * LANES + lane] = *x;
                }
            }
        });
        Self { width, count, panels }
    }

    /// The squared distances from one row to all points, into `out`.
    pub(crate) fn measure(&self, row: &[f32], out: &mut [f32]) {
        let tasks = self.panels.par_chunks(PANELS * LANES * self.width);
        tasks.zip(out.par_chunks_mut(PANELS * LANES)).for_each(|(panels, out)| {
            let panels = panels.chunks(LANES * self.width);
            for (panel, out) in panels.zip(out.chunks_mut(LANES)) {
                let [squared] = tile([row], panel);
                out.copy_from_slice(&squared[..out.len()]);
            }
        });
    }

    /// Compares each of the `m x width` coordinates with all points; the results of the rows in their
    /// order. `start` gives the scan of a row.
    pub(crate) fn compare<S: Scan>(
        &self,
        rows: &[f32],
        start: impl Fn(usize) -> S + Sync,
    ) -> Vec<S::Output> {
        let block = (rows.len() / self.width / TASKS).clamp(2, BLOCK);
        let blocks = rows.par_chunks(block * self.width).enumerate();
        let scanned = blocks.map(|(task, rows)| {
            let first = task * block;
            let count = rows.len() / self.width;
            let mut scans: Vec<S> = (first..first + count).map(&start).collect();
            self.scan(rows, &mut scans);
            scans.into_iter().map(S::finish).collect::<Vec<_>>()
        });
        scanned.collect::<Vec<_>>().into_iter().flatten().collect()
    }

    fn scan<S: Scan>(&self, rows: &[f32], scans: &mut [S]) {
        for (panel, first) in self.panels.chunks(LANES * self.width).zip((0..).step_by(LANES)) {
            let filled = LANES.min(self.count - first);
            for (rows, scans) in rows.chunks(2 * self.width).zip(scans.chunks_mut(2)) {
                match (rows.split_at(self.width), scans) {
                    ((a, b), [see_a, see_b]) => {
                        let [to_a, to_b] = tile([a, b], panel);
                        see_a.see(first, &to_a[..filled]);
                        see_b.see(first, &to_b[..filled]);
                    }
                    ((a, _), scans) => {
                        let [to_a] = tile([a], panel);
                        for scan in scans {
                            scan.see(first, &to_a[..filled]);
                        }
                    }
                }
            }
        }
    }
}

/// The squared distances of some rows to the points of a panel.
fn tile<const ROWS: usize>(rows: [&[f32]; ROWS], panel: &[f32]) -> [[f32; LANES]; ROWS] {
    let mut totals = [[0.0; LANES]; ROWS];
    for (run, first) in panel.chunks(RUN * LANES).zip((0..).step_by(RUN)) {
        let columns = run.as_chunks::<LANES>().0;
        let rows = rows.map(|row| &row[first..first + columns.len()]);
        let mut sums = [[0.0; LANES]; ROWS];
        for (k, column) in columns.iter().enumerate() {
            for (sums, row) in sums.iter_mut().zip(rows) {
                let x = row[k];
                for (sum, y) in sums.iter_mut().zip(column) {
                    let difference = x - y;
                    *sum += difference * difference;
                }
            }
        }
        for (totals, sums) in totals.iter_mut().zip(sums) {
            for (total, sum) in totals.iter_mut().zip(sums) {
                *total += sum;
            }
        }
    }
    totals
}

/// The first coordinate that cannot be compared, as (row, its value).
pub(crate) fn unusable(points: &[f32], width: usize) -> Option<(usize, f32)> {
    let bad = |x: &f32| x.is_nan() || x.abs() > LARGEST;
    points.iter().position(bad).map(|at| (at / width, points[at]))
}

/// Directions of points, for cosines: rows of length 1, or all zero where the row was.
pub(crate) struct Directions {
    width: usize,
    /// `n x width`.
    pub(crate) units: Vec<f32>,
    /// The squared length of each, 1 or 0.
    pub(crate) lengths: Vec<f32>,
}

impl Directions {
    /// The directions of `n x width` coordinates.
    pub(crate) fn new(points: &[f32], width: usize) -> Self {
        let mut units = points.to_vec();
        let lengths = units.par_chunks_mut(width).map(|row| {
            let squares: f64 = row.iter().map(|x| f64::from(*x).powi(2)).sum();
            if squares == 0.0 {
                return 0.0;
            }
            let norm = squares.sqrt();
            for x in row {
                *x = (f64::from(*x) / norm) as f32;
            }
            1.0
        });
        let lengths = lengths.collect();
        Self { width, units, lengths }
    }

    /// One of them.
    pub(crate) fn of(&self, i: usize) -> &[f32] {
        &self.units[i * self.width..(i + 1) * self.width]
    }
}

/// The cosine of two directions from their squared lengths (1 or 0) and their squared distance: 0 if
/// one has no direction.
pub(crate) fn cosine(a: f32, b: f32, squared: f32) -> f32 {
    if a * b == 0.0 { 0.0 } else { 1.0 - 0.5 * squared }
}

#[allow(clippy::float_cmp, reason = "copies and zeros are exact")]
#[cfg(test)]
mod tests {
    use super::*;

    struct Keep(Vec<f32>);

    impl Scan for Keep {
        type Output = Vec<f32>;

        fn see(&mut self, first: usize, squared: &[f32]) {
            assert_eq!(first, self.0.len());
            self.0.extend(squared);
        }

        fn finish(self) -> Vec<f32> {
            self.0
        }
    }

    fn cloud(n: usize, width: usize) -> Vec<f32> {
        let mut rng = crate::seed::Seed::new(n as u64).rng();
        (0..n * width).map(|_| rng.unit() - 0.5).collect()
    }

    #[test]
    fn distances_are_exact_symmetric_and_the_same_by_row_and_by_block() {
        for (n, width) in [(1, 1), (15, 3), (16, 2), (133, 7), (70, 1000)] {
            let mut points = cloud(n, width);
            points.copy_within(..width, (n - 1) * width);
            let packed = Points::new(&points, width);
            let all = packed.compare(&points, |_| Keep(Vec::new()));
            for (i, row) in points.chunks(width).enumerate() {
                let mut one = vec![f32::NAN; n];
                packed.measure(row, &mut one);
                assert_eq!(one, all[i]);
                for (j, other) in points.chunks(width).enumerate() {
                    let squares =
                        row.iter().zip(other).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2));
                    let want: f64 = squares.sum();
                    assert!((f64::from(one[j]) - want).abs() <= 3e-6 * want, "{i} to {j}");
                    assert_eq!(one[j].to_bits(), all[j][i].to_bits());
                }
            }
            assert_eq!(all[0][n - 1], 0.0, "a copy is at distance 0");
        }
    }

    #[test]
    fn coordinates_that_cannot_be_compared_are_found() {
        assert_eq!(unusable(&[0.0, -1e15, 1.0, 3.0], 2), None);
        assert_eq!(unusable(&[0.0, 1.0, 2.0, -2e15], 2), Some((1, -2e15)));
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            assert_eq!(unusable(&[0.0, 1.0, 2.0, 0.0, bad, 0.0], 2).unwrap().0, 2);
        }
        let far = [1e15, 1e15, -1e15, -1e15];
        let packed = Points::new(&far, 2);
        assert!(packed.compare(&far, |_| Keep(Vec::new()))[0][1].is_finite());
    }

    #[test]
    fn cosines_follow_directions_and_zero_has_none() {
        let points = [3.0, 4.0, 6.0, 8.0, -3.0, -4.0, 4.0, -3.0, 0.0, 0.0, 0.0, 0.0];
        let directions = Directions::new(&points, 2);
        let squared =
            Points::new(&directions.units, 2).compare(&directions.units, |_| Keep(Vec::new()));
        let of = |i: usize, j: usize| {
            cosine(directions.lengths[i], directions.lengths[j], squared[i][j])
        };
        assert_eq!([of(0, 1), of(0, 4), of(4, 4), of(4, 5)], [1.0, 0.0, 0.0, 0.0]);
        assert!((of(0, 2) + 1.0).abs() < 1e-6 && of(0, 3).abs() < 1e-6);
    }
}
