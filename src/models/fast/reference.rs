//! The same nets in f64 by the definition, for the tests: plain loops, nothing shared.

use super::{Layer, Size};

const EPSILON: f64 = 1e-5;

/// Activations `[image, channel, height, width]`.
#[derive(Clone)]
struct Batch {
    images: usize,
    size: Size,
    values: Vec<f64>,
}

/// Theta and, for evaluation, running statistics, read from the front.
struct Numbers<'a> {
    theta: &'a [f64],
    running: Option<&'a [f64]>,
    statistics: Vec<f64>,
}

fn take<'a>(from: &mut &'a [f64], count: usize) -> &'a [f64] {
    let (taken, rest) = from.split_at(count);
    *from = rest;
    taken
}

/// Features and the batch's means and unbiased variances; `running` for evaluation.
pub(super) fn features(
    size: Size,
    layers: &[Layer],
    x: &[f64],
    theta: &[f64],
    running: Option<&[f64]>,
) -> (Vec<f64>, Vec<f64>) {
    let images = x.len() / (size.channels * size.plane());
    let mut numbers = Numbers { theta, running, statistics: Vec::new() };
    let batch = Batch { images, size, values: x.to_vec() };
    let last = chain(batch, layers, &mut numbers);
    let plane = last.size.plane();
    let mean = |plane_values: &[f64]| plane_values.iter().sum::<f64>() / plane as f64;
    (last.values.chunks(plane).map(mean).collect(), numbers.statistics)
}

fn chain(mut x: Batch, layers: &[Layer], numbers: &mut Numbers) -> Batch {
    for layer in layers {
        x = match layer {
            Layer::Conv { outputs, kernel, stride, relu: with_relu } => {
                let y = conv(&x, numbers, *outputs, *kernel, *stride);
                let z = norm(y, numbers);
                if *with_relu { relu(z) } else { z }
            }
            Layer::Pool { kernel } => pool(&x, *kernel),
            Layer::Residual { body, shortcut } => {
                let mut sum = chain(x.clone(), body, numbers);
                let other = chain(x, shortcut, numbers);
                sum.values.iter_mut().zip(other.values).for_each(|(a, b)| *a += b);
                relu(sum)
            }
        };
    }
    x
}

fn conv(x: &Batch, numbers: &mut Numbers, outputs: usize, kernel: usize, stride: usize) -> Batch {
    let Size { channels, height, width } = x.size;
    let weight = take(&mut numbers.theta, outputs * channels * kernel * kernel);
    let size = Size {
        channels: outputs,
        height: (height - 1) / stride + 1,
        width: (width - 1) / stride + 1,
    };
    let mut values = Vec::new();
    for image in x.values.chunks(channels * height * width) {
        for weight in weight.chunks(channels * kernel * kernel) {
            for i in 0..size.plane() {
                let (y, x) = (i / size.width * stride, i % size.width * stride);
                let mut sum = 0.0;
                for (q, weight) in weight.iter().enumerate() {
                    let (c, tap) = (q / (kernel * kernel), q % (kernel * kernel));
                    let (y, x) = (y + tap / kernel, x + tap % kernel);
                    let (y, x) = (y.wrapping_sub(kernel / 2), x.wrapping_sub(kernel / 2));
                    if y < height && x < width {
                        sum += weight * image[(c * height + y) * width + x];
                    }
                }
                values.push(sum);
            }
        }
    }
    Batch { images: x.images, size, values }
}

fn norm(mut x: Batch, numbers: &mut Numbers) -> Batch {
    let (channels, plane) = (x.size.channels, x.size.plane());
    let (scale, offset) = (take(&mut numbers.theta, channels), take(&mut numbers.theta, channels));
    let count = (x.images * plane) as f64;
    let mut moments = vec![0.0; 2 * channels];
    for c in 0..channels {
        let planes = || x.values.chunks(plane).skip(c).step_by(channels).flatten();
        let mean = planes().sum::<f64>() / count;
        let square = planes().map(|v| (v - mean) * (v - mean)).sum::<f64>();
        (moments[c], moments[channels + c]) = (mean, square / count);
    }
    let unbiased = |v: &f64| v * count / (count - 1.0).max(1.0);
    numbers.statistics.extend(&moments[..channels]);
    numbers.statistics.extend(moments[channels..].iter().map(unbiased));
    if let Some(running) = &mut numbers.running {
        moments = take(running, 2 * channels).to_vec();
    }
    for (i, values) in x.values.chunks_mut(plane).enumerate() {
        let c = i % channels;
        let deviation = (moments[channels + c] + EPSILON).sqrt();
        for v in values {
            *v = (*v - moments[c]) / deviation * scale[c] + offset[c];
        }
    }
    x
}

fn relu(mut x: Batch) -> Batch {
    x.values.iter_mut().for_each(|v| *v = v.max(0.0));
    x
}

fn pool(x: &Batch, kernel: usize) -> Batch {
    let Size { channels, height, width } = x.size;
    let border = (kernel - 1) / 2;
    let along = |len: usize| (len + 2 * border - kernel) / 2 + 1;
    let size = Size { channels, height: along(height), width: along(width) };
    let mut values = Vec::new();
    for plane in x.values.chunks(height * width) {
        for i in 0..size.plane() {
            let (y, x) = (2 * (i / size.width), 2 * (i % size.width));
            let inside = |start: usize, len: usize| {
                start.saturating_sub(border)..(start + kernel - border).min(len)
            };
            let rows = inside(y, height).flat_map(|y| inside(x, width).map(move |x| (y, x)));
            values.push(rows.map(|(y, x)| plane[y * width + x]).fold(f64::NEG_INFINITY, f64::max));
        }
    }
    Batch { images: x.images, size, values }
}
