//! The 3x3 convolution on the CPU, forward and backward.
//!
//! A few images at a time are unfolded into their patches, which then are still in the cache when
//! a matrix product reads them. The backward pass unfolds again instead of keeping patches, which
//! are nine times as large as the input. Groups run in parallel, their size depends on shapes only,
//! and their weight gradients are added in order: the bits do not depend on threads.

use std::ops::Range;

use candle_core::{CpuStorage, CustomOp2, Device, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use super::kernels::{floats, with_floats};

/// How many patch numbers a group has at most, unless one image has more: half a megabyte.
const GROUP: usize = 1 << 17;

/// `x [in, batch, h, w]` with `weight [out, in, 3, 3]` and padding 1 to `[out, batch, h, w]`.
pub(super) struct Conv;

impl CustomOp2 for Conv {
    fn name(&self) -> &'static str {
        "conv-3x3"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let plan = Plan::new(x_layout.shape())?;
        let x = floats(x, x_layout)?;
        let outputs = weight_layout.dims()[0];
        let weight = matrix(floats(weight, weight_layout)?.to_vec(), outputs)?;
        let groups = plan.groups().into_par_iter().map(|group| {
            let patches = matrix(plan.unfold(x, &group), plan.channels * 9)?;
            weight.matmul(&patches)?.flatten_all()?.to_vec1::<f32>()
        });
        let out = plan.join(&groups.collect::<Result<Vec<_>>>()?, outputs);
        Ok((CpuStorage::F32(out), (outputs, plan.batch, plan.height, plan.width).into()))
    }

    /// With patches P and a group's output gradient G: `G P^T` by the weight, and `W^T G`, folded,
    /// by x, unless nobody wants that.
    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let plan = Plan::new(x.shape())?;
        let matrix_weight = weight.detach().flatten_from(1)?;
        let (grad, outputs) = (grad.contiguous()?, weight.dim(0)?);
        let groups = with_floats([x, &grad], |[values, grad]| {
            let groups = plan.groups().into_par_iter().map(|group| {
                let grad = matrix(plan.part(grad, &group), outputs)?;
                let patches = matrix(plan.unfold(values, &group), plan.channels * 9)?;
                let by_weight = grad.matmul(&patches.t()?)?;
                if !x.track_op() {
                    return Ok((by_weight, Vec::new()));
                }
                let by_patches = matrix_weight.t()?.matmul(&grad)?.flatten_all()?.to_vec1()?;
                Ok((by_weight, plan.fold(&by_patches, &group)))
            });
            groups.collect::<Result<Vec<(Tensor, Vec<f32>)>>>()
        })??;
        let (by_weight, by_x): (Vec<_>, Vec<_>) = groups.into_iter().unzip();
        let mut total = by_weight[0].clone();
        for part in &by_weight[1..] {
            total = (total + part)?;
        }
        let by_x = x
            .track_op()
            .then(|| Tensor::from_vec(plan.join(&by_x, plan.channels), x.shape(), x.device()));
        Ok((by_x.transpose()?, Some(total.reshape(weight.shape())?)))
    }
}

/// A matrix with `rows` rows.
fn matrix(values: Vec<f32>, rows: usize) -> Result<Tensor> {
    let columns = values.len() / rows;
    Tensor::from_vec(values, (rows, columns), &Device::Cpu)
}

/// The shape of the input, and how its images are grouped.
struct Plan {
    channels: usize,
    batch: usize,
    height: usize,
    width: usize,
}

impl Plan {
    fn new(shape: &Shape) -> Result<Self> {
        let (channels, batch, height, width) = shape.dims4()?;
        Ok(Self { channels, batch, height, width })
    }

    /// Pixels of one image in one channel.
    fn image(&self) -> usize {
        self.height * self.width
    }

    fn groups(&self) -> Vec<Range<usize>> {
        let size = (GROUP / (9 * self.channels * self.image())).max(1);
        let starts = (0..self.batch).step_by(size);
        starts.map(|start| start..(start + size).min(self.batch)).collect()
    }

    /// The images of a group out of `[channels, batch, pixels]`.
    fn part(&self, x: &[f32], group: &Range<usize>) -> Vec<f32> {
        let planes = x.chunks(self.batch * self.image());
        let part = group.start * self.image()..group.end * self.image();
        planes.flat_map(|plane| &plane[part.clone()]).copied().collect()
    }

    /// Groups `[channels, group, pixels]` side by side: `[channels, batch, pixels]`.
    fn join(&self, groups: &[Vec<f32>], channels: usize) -> Vec<f32> {
        let mut out = vec![0_f32; channels * self.batch * self.image()];
        out.par_chunks_mut(self.batch * self.image()).enumerate().for_each(|(c, mut out)| {
            for group in groups {
                let len = group.len() / channels;
                let (here, rest) = out.split_at_mut(len);
                here.copy_from_slice(&group[c * len..][..len]);
                out = rest;
            }
        });
        out
    }

    /// The 3x3 patches around each pixel of a group, zero outside the image:
    /// `[channels * 9, group * pixels]`.
    fn unfold(&self, x: &[f32], group: &Range<usize>) -> Vec<f32> {
        let (image, len) = (self.image(), group.len() * self.image());
        let mut out = vec![0_f32; self.channels * 9 * len];
        for (row, out) in out.chunks_mut(len).enumerate() {
            let x = &x[(row / 9 * self.batch + group.start) * image..][..len];
            for (out, x) in out.chunks_mut(image).zip(x.chunks(image)) {
                for (patch, pixel) in self.overlap(row % 9) {
                    out[patch].copy_from_slice(&x[pixel]);
                }
            }
        }
        out
    }

    /// The transpose of [`Plan::unfold`]: sums patches into `[channels, group, pixels]`.
    fn fold(&self, patches: &[f32], group: &Range<usize>) -> Vec<f32> {
        let (image, len) = (self.image(), group.len() * self.image());
        let mut out = vec![0_f32; self.channels * len];
        for (row, patches) in patches.chunks(len).enumerate() {
            let out = &mut out[row / 9 * len..][..len];
            for (out, patches) in out.chunks_mut(image).zip(patches.chunks(image)) {
                for (patch, pixel) in self.overlap(row % 9) {
                    out[pixel].iter_mut().zip(&patches[patch]).for_each(|(o, p)| *o += p);
                }
            }
        }
        out
    }

    /// For one of the nine taps, row by row: the pixels whose neighbour there lies inside the
    /// image, and those neighbours.
    fn overlap(&self, tap: usize) -> impl Iterator<Item = (Range<usize>, Range<usize>)> {
        let (dy, dx) = (tap as isize / 3 - 1, tap as isize % 3 - 1);
        let (left, right) = (usize::from(dx < 0), usize::from(dx > 0));
        let (width, offset) = (self.width, dy * self.width as isize + dx);
        let rows = usize::from(dy < 0)..self.height - usize::from(dy > 0);
        rows.filter(move |_| width > left + right).map(move |y| {
            let (start, end) = (y * width + left, (y + 1) * width - right);
            (start..end, start.wrapping_add_signed(offset)..end.wrapping_add_signed(offset))
        })
    }
}
