//! From stored pixels and features to the numbers a model sees: scaling and augmentation.

use std::sync::mpsc::sync_channel;

use rayon::prelude::*;

use crate::models::Scaling;
use crate::recipe::{Model, Train};
use crate::samples::{Inputs, Shape, floats};
use crate::seed::Seed;
use crate::{Error, Result};

/// How many samples are summed together; a constant, so that sums don't depend on threads.
const CHUNK: usize = 1024;

/// How a model of the recipe scales inputs: by those that it is trained on, or not at all.
///
/// # Errors
/// As [`fit`].
pub(super) fn scaling(model: &Model, inputs: &Inputs, members: &[u32]) -> Result<Scaling> {
    if model.standardize { fit(inputs, members) } else { Ok(Scaling::identity(inputs.shape())) }
}

/// Mean and population deviation of `members`, summed in f64: per channel over all pixels / 255, or per
/// feature. A deviation of 0 becomes 1.
///
/// # Errors
/// `Unavailable` if an input cannot be read.
fn fit(inputs: &Inputs, members: &[u32]) -> Result<Scaling> {
    match inputs.shape() {
        Shape::Image { .. } => fit_pixels(inputs, members),
        Shape::Features { width } => fit_features(inputs, width, members),
    }
}

/// Counts of the 256 values are exact, so their order cannot matter.
fn fit_pixels(inputs: &Inputs, members: &[u32]) -> Result<Scaling> {
    let shape = inputs.shape();
    let channels = Scaling::len_for(shape);
    let plane = shape.len() / channels;
    let counts = over_chunks(inputs, members, &vec![[0_u64; 256]; channels], |counts, pixels| {
        for (counts, plane) in counts.iter_mut().zip(pixels.chunks_exact(plane)) {
            for pixel in plane {
                counts[usize::from(*pixel)] += 1;
            }
        }
    })?;
    let mut scaling = Scaling::identity(shape);
    let total = (members.len() * plane) as f64;
    for channel in 0..channels {
        let count = |p: usize| counts.iter().map(|chunk| chunk[channel][p]).sum::<u64>();
        let counts: [u64; 256] = std::array::from_fn(count);
        let mean_of = |f: &dyn Fn(f64) -> f64| {
            let terms = counts.iter().enumerate().map(|(p, n)| *n as f64 * f(p as f64 / 255.0));
            terms.sum::<f64>() / total
        };
        let mean = mean_of(&|x| x);
        scaling.mean[channel] = mean as f32;
        scaling.std[channel] = positive(mean_of(&|x| (x - mean).powi(2)).sqrt());
    }
    Ok(scaling)
}

fn fit_features(inputs: &Inputs, width: usize, members: &[u32]) -> Result<Scaling> {
    let mean = mean_over(inputs, width, members, |_, x| x)?;
    let var = mean_over(inputs, width, members, |j, x| (x - mean[j]).powi(2))?;
    let std = var.into_iter().map(|v| positive(v.sqrt())).collect();
    Ok(Scaling { mean: mean.into_iter().map(|m| m as f32).collect(), std })
}

/// Means of `f(feature, value)` over members: fixed chunks, added in order.
fn mean_over(
    inputs: &Inputs,
    width: usize,
    members: &[u32],
    f: impl Fn(usize, f64) -> f64 + Sync,
) -> Result<Vec<f64>> {
    let sums = over_chunks(inputs, members, &vec![0.0; width], |sums, row| {
        let row = sums.iter_mut().zip(floats(row)).enumerate();
        row.for_each(|(j, (sum, x))| *sum += f(j, f64::from(x)));
    })?;
    let mut total = vec![0.0; width];
    for sums in sums {
        total.iter_mut().zip(sums).for_each(|(t, s)| *t += s);
    }
    Ok(total.into_iter().map(|t| t / members.len() as f64).collect())
}

/// For each chunk of members, in order, what `add` makes of `start` and their inputs.
fn over_chunks<S: Clone + Send + Sync>(
    inputs: &Inputs,
    members: &[u32],
    start: &S,
    add: impl Fn(&mut S, &[u8]) + Sync,
) -> Result<Vec<S>> {
    let chunk = |chunk: &[u32]| {
        let (mut state, mut buffer) = (start.clone(), Vec::new());
        for &index in chunk {
            add(&mut state, inputs.get(index, &mut buffer)?);
        }
        Ok(state)
    };
    members.par_chunks(CHUNK).map(chunk).collect()
}

fn positive(deviation: f64) -> f32 {
    let deviation = deviation as f32;
    if deviation > 0.0 { deviation } else { 1.0 }
}

/// Random changes of training images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Augment {
    flip: bool,
    crop: usize,
}

impl Augment {
    /// What a recipe asks for, if anything.
    ///
    /// # Errors
    /// `InvalidRecipe` for inputs that are not images, or padding that could hide all of one.
    pub(super) fn new(train: &Train, shape: Shape) -> Result<Option<Self>> {
        if !train.flip && train.crop == 0 {
            return Ok(None);
        }
        let Shape::Image { height, width, .. } = shape else {
            return Err(Error::recipe(
                "train.flip and train.crop change images, but the dataset has features: \
                 remove them",
            ));
        };
        if train.crop >= height.min(width) {
            return Err(Error::recipe(format!(
                "train.crop = {} must be smaller than the images ({height}x{width})",
                train.crop
            )));
        }
        Ok(Some(Self { flip: train.flip, crop: train.crop }))
    }

    /// The view of one sample in one epoch: it depends on `seed` and the sample's index alone.
    fn view(self, seed: &Seed, index: u32) -> View {
        let mut random = seed.of(&format!("sample={index}")).rng();
        let flip = self.flip && random.coin();
        let mut shift = || random.below(2 * self.crop as u32 + 1) as isize - self.crop as isize;
        View { flip, dy: shift(), dx: shift() }
    }
}

/// One augmented view: output pixel `(y, x)` is input pixel `(y + dy, x + dx)`, where pixels
/// outside the image are 0 as in torchvision's `RandomCrop(padding)`, then mirrored if `flip`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct View {
    flip: bool,
    dy: isize,
    dx: isize,
}

impl View {
    fn plane(self, pixels: &[u8], out: &mut [f32], width: usize, table: &[f32; 256]) {
        let height = (pixels.len() / width) as isize;
        for (y, out) in out.chunks_mut(width).enumerate() {
            let y = y as isize + self.dy;
            let inside = (0..height).contains(&y);
            let row = if inside { &pixels[y as usize * width..][..width] } else { &[] };
            for (x, out) in out.iter_mut().enumerate() {
                let x = if self.flip { width - 1 - x } else { x };
                let pixel = x.checked_add_signed(self.dx).and_then(|x| row.get(x));
                *out = table[usize::from(pixel.copied().unwrap_or(0))];
            }
        }
    }
}

/// Gathers batches: scaled, and augmented if wanted.
pub(super) struct Gather<'a> {
    inputs: &'a Inputs,
    scaling: Scaling,
    /// For images: what each of the 256 pixel values becomes, per channel.
    tables: Vec<[f32; 256]>,
}

impl<'a> Gather<'a> {
    pub(super) fn new(inputs: &'a Inputs, scaling: &Scaling) -> Self {
        let parameters = scaling.mean.iter().zip(&scaling.std);
        let table =
            |(mean, std): (&f32, &f32)| std::array::from_fn(|p| (p as f32 / 255.0 - mean) / std);
        let tables = match inputs.shape() {
            Shape::Image { .. } => parameters.map(table).collect(),
            Shape::Features { .. } => Vec::new(),
        };
        Self { inputs, scaling: scaling.clone(), tables }
    }

    /// The inputs of `batch` as `[batch, shape.len()]`, augmented with the seed of an epoch.
    ///
    /// # Errors
    /// `Unavailable` if an input cannot be read.
    pub(super) fn batch(
        &self,
        batch: &[u32],
        augment: Option<(Augment, &Seed)>,
    ) -> Result<Vec<f32>> {
        let shape = self.inputs.shape();
        let mut out = vec![0.0; batch.len() * shape.len()];
        let rows = out.par_chunks_mut(shape.len()).zip(batch);
        rows.try_for_each_init(Vec::new, |buffer, (out, &index)| {
            let bytes = self.inputs.get(index, buffer)?;
            match shape {
                Shape::Image { .. } => {
                    self.image(bytes, shape, augment.map(|(a, seed)| a.view(seed, index)), out);
                }
                Shape::Features { .. } => self.features(bytes, out),
            }
            Ok::<(), Error>(())
        })?;
        Ok(out)
    }

    /// Hands the gathered `batches` to `work` in their order; while it works on one, the next is
    /// gathered.
    ///
    /// # Errors
    /// As [`Gather::batch`]; and whatever `work` returns.
    pub(super) fn ahead<'b>(
        &self,
        batches: impl Iterator<Item = &'b [u32]> + Send,
        augment: Option<(Augment, &Seed)>,
        mut work: impl FnMut(&'b [u32], Vec<f32>) -> Result<()>,
    ) -> Result<()> {
        std::thread::scope(|scope| {
            // No room in the channel: one batch is worked on, one waits to be taken.
            let (give, take) = sync_channel(0);
            scope.spawn(move || {
                for batch in batches {
                    // The worker has stopped if nobody takes.
                    if give.send((batch, self.batch(batch, augment))).is_err() {
                        break;
                    }
                }
            });
            take.into_iter().try_for_each(|(batch, values)| work(batch, values?))
        })
    }

    fn image(&self, pixels: &[u8], shape: Shape, view: Option<View>, out: &mut [f32]) {
        let Shape::Image { channels, width, .. } = shape else { return };
        let plane = pixels.len() / channels;
        let planes = pixels.chunks(plane).zip(out.chunks_mut(plane)).zip(&self.tables);
        for ((pixels, out), table) in planes {
            match view {
                Some(view) => view.plane(pixels, out, width, table),
                None => out.iter_mut().zip(pixels).for_each(|(o, p)| *o = table[usize::from(*p)]),
            }
        }
    }

    fn features(&self, values: &[u8], out: &mut [f32]) {
        let scaling = self.scaling.mean.iter().zip(&self.scaling.std);
        for ((out, x), (mean, std)) in out.iter_mut().zip(floats(values)).zip(scaling) {
            *out = (x - mean) / std;
        }
    }
}

#[cfg(test)]
#[allow(clippy::float_cmp)] // these numbers are exact
mod tests {
    use super::*;

    #[test]
    fn scaling_is_that_of_the_members_only() {
        let inputs = Inputs::features(&[1.0, 5.0, 3.0, 5.0, 100.0, -7.0], 2);
        let scaling = fit(&inputs, &[0, 1]).unwrap();
        assert_eq!(scaling, Scaling { mean: vec![2.0, 5.0], std: vec![1.0, 1.0] });
        let batch = Gather::new(&inputs, &scaling).batch(&[1, 2], None).unwrap();
        assert_eq!(batch, [1.0, 0.0, 98.0, -12.0]);
    }

    #[test]
    fn pixels_are_scaled_per_channel() {
        let shape = Shape::Image { channels: 2, height: 1, width: 2 };
        let inputs = Inputs::images(vec![0, 255, 51, 51, 9, 9, 9, 9], shape);
        let scaling = fit(&inputs, &[0]).unwrap();
        assert_eq!((scaling.mean[0], scaling.std[0]), (0.5, 0.5));
        assert!((scaling.mean[1] - 0.2).abs() < 1e-6 && scaling.std[1] == 1.0);
        let batch = |scaling| Gather::new(&inputs, scaling).batch(&[0], None).unwrap();
        assert_eq!(batch(&scaling), [-1.0, 1.0, 0.0, 0.0]);
        let plain = batch(&Scaling::identity(shape));
        assert_eq!(plain, [0.0, 1.0, 0.2, 0.2]);
    }

    #[test]
    fn sums_agree_with_a_plain_loop_over_several_chunks() {
        let n = 3000;
        let values: Vec<f32> = (0..n).map(|i| ((i * 37) % 101) as f32).collect();
        let mean = values.iter().map(|v| f64::from(*v)).sum::<f64>() / f64::from(n);
        let var = values.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum::<f64>() / f64::from(n);
        let inputs = Inputs::features(&values, 1);
        let scaling = fit(&inputs, &(0..n as u32).collect::<Vec<_>>()).unwrap();
        assert!((f64::from(scaling.mean[0]) - mean).abs() < 1e-5);
        assert!((f64::from(scaling.std[0]) - var.sqrt()).abs() < 1e-5);
    }

    #[test]
    fn views_shift_mirror_and_pad_with_black() {
        let table: [f32; 256] = std::array::from_fn(|p| p as f32);
        let plane = |flip, dy, dx| {
            let mut out = [9.0; 6];
            View { flip, dy, dx }.plane(&[1, 2, 3, 4, 5, 6], &mut out, 3, &table);
            out
        };
        assert_eq!(plane(false, 0, 0), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        assert_eq!(plane(true, 0, 0), [3.0, 2.0, 1.0, 6.0, 5.0, 4.0]);
        assert_eq!(plane(false, 1, 0), [4.0, 5.0, 6.0, 0.0, 0.0, 0.0]);
        assert_eq!(plane(false, 0, 1), [2.0, 3.0, 0.0, 5.0, 6.0, 0.0]);
        assert_eq!(plane(true, -1, -1), [0.0, 0.0, 0.0, 2.0, 1.0, 0.0]);
    }

    #[test]
    fn a_view_depends_on_seed_and_sample_and_uses_its_whole_range() {
        let augment = Augment { flip: true, crop: 1 };
        let seed = Seed::new(4);
        let views: Vec<_> = (0..200).map(|i| augment.view(&seed, i)).collect();
        assert_eq!(views[7], augment.view(&seed, 7));
        for wanted in -1..=1 {
            assert!(views.iter().any(|v| v.dy == wanted) && views.iter().any(|v| v.dx == wanted));
        }
        assert!(views.iter().any(|v| v.flip) && views.iter().any(|v| !v.flip));
        assert!(views.iter().all(|v| v.dy.abs() <= 1 && v.dx.abs() <= 1));
    }
}
