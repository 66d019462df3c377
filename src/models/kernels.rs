//! How kernels get at the numbers of tensors on the CPU.

use std::cell::Cell;

use candle_core::{CpuStorage, InplaceOp1, Layout, Result, Storage, Tensor, bail};

/// Lends the numbers of contiguous CPU tensors.
pub(crate) fn with_floats<const N: usize, R>(
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

/// Lends the numbers of a contiguous CPU tensor to change them.
pub(crate) fn with_floats_mut(
    tensor: &Tensor,
    change: impl FnOnce(&mut [f32]) -> Result<()>,
) -> Result<()> {
    tensor.inplace_op1(&Change(Cell::new(Some(change))))
}

struct Change<F>(Cell<Option<F>>);

impl<F: FnOnce(&mut [f32]) -> Result<()>> InplaceOp1 for Change<F> {
    fn name(&self) -> &'static str {
        "change"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
        let (Some((start, end)), CpuStorage::F32(numbers)) = (layout.contiguous_offsets(), storage)
        else {
            bail!("the kernel needs contiguous f32 tensors");
        };
        self.0.take().map_or(Ok(()), |change| change(&mut numbers[start..end]))
    }
}

fn floats<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    let Some((start, end)) = layout.contiguous_offsets() else {
        bail!("the kernel needs contiguous tensors");
    };
    Ok(&storage.as_slice::<f32>()?[start..end])
}
