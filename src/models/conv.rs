//! Convolutions whose backward pass is made of convolutions.
//!
//! Candle 0.11 takes the gradient by the input from a transposed convolution, for which it has plain loops
//! and no matrix product, on the CPU as on CUDA; and what that has to add to the width it takes from the
//! height. Here it is the convolution of the output's gradient with the kernel turned around.

use candle_core::backend::BackendStorage;
use candle_core::{
    CpuStorage, CudaStorage, CustomOp2, Layout, Result, Shape, Storage, Tensor, bail,
};

use super::kernels::Computed;

/// `x [batch, in, h, w]` with `weight [out, in, kernel, kernel]`, an odd kernel and padding `kernel / 2`;
/// the result is `[batch, out, h / stride, w / stride]`, rounded up.
pub(super) fn convolution(x: &Tensor, weight: &Tensor, stride: usize) -> Result<Tensor> {
    let out = x.detach().conv2d(&weight.detach(), weight.dim(2)? / 2, stride, 1, 1)?;
    if x.track_op() || weight.track_op() {
        return x.apply_op2(weight, Convolved { out: Computed::new(out), stride });
    }
    Ok(out)
}

/// What came out of a convolution, as an operation that knows its gradients.
struct Convolved {
    out: Computed<Tensor>,
    stride: usize,
}

impl CustomOp2 for Convolved {
    fn name(&self) -> &'static str {
        "convolution"
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let out = self.out.take()?;
        match &*out.storage_and_layout().0 {
            Storage::Cpu(storage) => Ok((storage.clone(), out.shape().clone())),
            _ => bail!("the convolution is on another device"),
        }
    }

    fn cuda_fwd(
        &self,
        _: &CudaStorage,
        _: &Layout,
        _: &CudaStorage,
        _: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        let out = self.out.take()?;
        let (storage, layout) = out.storage_and_layout();
        match &*storage {
            Storage::Cuda(storage) => Ok((storage.try_clone(layout)?, layout.shape().clone())),
            _ => bail!("the convolution is on another device"),
        }
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let by_x = x.track_op().then(|| by_input(x, weight, grad, self.stride)).transpose()?;
        Ok((by_x, Some(by_weight(x, weight, grad, self.stride)?)))
    }
}

/// Each pixel of the input gets the outputs that it went into, by the weight it went in with.
fn by_input(x: &Tensor, weight: &Tensor, grad: &Tensor, stride: usize) -> Result<Tensor> {
    let (_, _, height, width) = x.dims4()?;
    let grad = spread(&spread(grad, 2, stride, height)?, 3, stride, width)?;
    let turned = weight.contiguous()?.flip(&[2, 3])?.transpose(0, 1)?.contiguous()?;
    grad.conv2d(&turned, weight.dim(2)? / 2, 1, 1, 1)
}

/// Each weight gets the products of what it connects: inputs and outputs in the place of images and kernel,
/// and the samples in that of channels.
fn by_weight(x: &Tensor, weight: &Tensor, grad: &Tensor, stride: usize) -> Result<Tensor> {
    let kernel = weight.dim(2)?;
    let (x, grad) = (x.transpose(0, 1)?, grad.transpose(0, 1)?);
    let all = x.conv2d(&grad, kernel / 2, 1, stride, 1)?;
    // Rows and columns that the stride left over make it longer.
    all.narrow(2, 0, kernel)?.narrow(3, 0, kernel)?.transpose(0, 1)?.contiguous()
}

/// Zeros between the pixels of an axis, so that they stand where a stride took them from, `len` in all.
fn spread(x: &Tensor, axis: usize, stride: usize, len: usize) -> Result<Tensor> {
    if stride == 1 {
        return Ok(x.clone());
    }
    let apart = x.unsqueeze(axis + 1)?.pad_with_zeros(axis + 1, 0, stride - 1)?;
    apart.flatten(axis, axis + 1)?.narrow(axis, 0, len)?.contiguous()
}
