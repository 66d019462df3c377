//! How a model scales its inputs: mean and deviation of the samples that it is trained on.

use rayon::prelude::*;

use crate::Result;
use crate::models::Scaling;
use crate::recipe::Model;
use crate::samples::{Inputs, Shape, floats};

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

#[cfg(test)]
#[allow(clippy::float_cmp)] // these numbers are exact
mod tests {
    use super::*;
    use crate::training::inputs::Gather;

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
}
