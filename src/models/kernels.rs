//! How kernels get at the numbers of tensors on the CPU, and how what they computed becomes an operation.

use std::cell::Cell;
use std::sync::{Mutex, PoisonError};

use candle_core::{CpuStorage, InplaceOp1, Layout, Result, Storage, Tensor, bail};

/// What an operation computed before it became one of Candle's autograd. It is given on once: an operation lies
/// in the graph until the step is over, and would keep a second copy of it.
pub(super) struct Computed<T>(Mutex<Option<T>>);

impl<T> Computed<T> {
    pub(super) fn new(result: T) -> Self {
        Self(Mutex::new(Some(result)))
    }

    /// # Errors
    /// If it was taken before.
    pub(super) fn take(&self) -> Result<T> {
        match self.0.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(result) => Ok(result),
            None => bail!("an operation was applied twice"),
        }
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_is_given_on_once() {
        let computed = Computed::new(vec![1.0, 2.0]);
        assert_eq!(computed.take().unwrap(), [1.0, 2.0]);
        assert!(computed.take().is_err());
    }
}
