//! Custom operations of Candle's autograd on the CPU, and how they get at numbers.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Storage, Tensor, bail};

/// `weight * constant`, a matrix product that keeps no gradient for its right side.
pub(super) struct TimesConstant(pub(super) Tensor);

impl CustomOp1 for TimesConstant {
    fn name(&self) -> &'static str {
        "times-constant"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let weight = Tensor::from_slice(floats(storage, layout)?, layout.shape(), self.0.device())?;
        let out = weight.matmul(&self.0)?;
        Ok((CpuStorage::F32(out.flatten_all()?.to_vec1()?), out.shape().clone()))
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        grad.matmul(&self.0.t()?).map(Some)
    }
}

/// Lends the numbers of contiguous CPU tensors.
pub(super) fn with_floats<const N: usize, R>(
    tensors: [&Tensor; N],
    f: impl FnOnce([&[f32]; N]) -> R,
) -> Result<R> {
    let guards = tensors.map(Tensor::storage_and_layout);
    let mut slices: [&[f32]; N] = [&[]; N];
    for (slice, (storage, layout)) in slices.iter_mut().zip(&guards) {
        let Storage::Cpu(storage) = &**storage else { bail!("the kernel needs CPU tensors") };
        *slice = floats(storage, layout)?;
    }
    Ok(f(slices))
}

fn floats<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    let Some((start, end)) = layout.contiguous_offsets() else {
        bail!("the kernel needs contiguous tensors");
    };
    Ok(&storage.as_slice::<f32>()?[start..end])
}
