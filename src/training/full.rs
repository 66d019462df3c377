//! When the memory of a device is full: what to tell, and how to go on.

use candle_core::Device;

use crate::models::{full, is_full};
use crate::{Error, Result};

/// The error of a step of training on `batch` samples, with the batch size to try if the device was full.
pub(super) fn in_step(error: Error, device: &Device, batch: usize) -> Error {
    let advice = match batch {
        0 | 1 => "choose a smaller model or smaller inputs".to_owned(),
        2 | 3 => "try train.batch_size = 1".to_owned(),
        _ => format!("try train.batch_size = {}, then {}", batch / 2, batch / 4),
    };
    full(error, device, &format!("a step of training on {batch} samples"), &advice)
}

/// The error of a net that is put on a device.
pub(super) fn in_net(error: Error, device: &Device) -> Error {
    full(error, device, "the model", "choose a smaller one, or free the device")
}

/// The error of outputs of `batch` samples that cannot be had in smaller batches.
pub(super) fn in_outputs(error: Error, device: &Device, batch: usize) -> Error {
    let advice = match batch {
        0 | 1 => "choose a smaller model or smaller inputs",
        _ => {
            "outputs as training sees them cannot be had in smaller batches: set score.outputs = \"clean\""
        }
    };
    full(error, device, &format!("a forward pass of {batch} samples"), advice)
}

/// Hands `indices` to `work` in parts of `most` samples, in their order. When the device has no room for a
/// part, `most` is halved and the part is tried again.
///
/// # Errors
/// Whatever `work` returns, for a part of one sample also that the device is full.
pub(super) fn in_parts<'b>(
    mut indices: &'b [u32],
    most: &mut usize,
    mut work: impl FnMut(&'b [u32]) -> Result<()>,
) -> Result<()> {
    while !indices.is_empty() {
        let (part, rest) = indices.split_at(indices.len().min(*most));
        match work(part) {
            Ok(()) => indices = rest,
            Err(error) if part.len() > 1 && is_full(&error) => *most = part.len() / 2,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    fn no_room() -> Error {
        let text = "DriverError(CUDA_ERROR_OUT_OF_MEMORY, \"out of memory\")";
        candle_core::Error::Cuda(text.into()).into()
    }

    #[test]
    fn the_batch_size_to_try_follows_from_the_present_one() {
        let told = |batch| in_step(no_room(), &Device::Cpu, batch).to_string();
        for (batch, advice) in [
            (
                128,
                "a step of training on 128 samples does not fit; try train.batch_size = 64, then 32",
            ),
            (5, "on 5 samples does not fit; try train.batch_size = 2, then 1"),
            (3, "try train.batch_size = 1"),
            (1, "choose a smaller model or smaller inputs"),
        ] {
            assert!(told(batch).contains(advice), "{}", told(batch));
        }
        assert_eq!(in_step(no_room(), &Device::Cpu, 9).kind(), ErrorKind::LimitExceeded);
        let other = in_step(Error::input("no sample"), &Device::Cpu, 9);
        assert_eq!(
            (other.kind(), other.to_string()),
            (ErrorKind::InvalidInput, "no sample".into())
        );
    }

    /// The parts that a device with room for so many samples works off.
    fn parts(count: u32, most: &mut usize, room: usize) -> Result<Vec<Vec<u32>>> {
        let indices: Vec<u32> = (0..count).collect();
        let mut done = Vec::new();
        in_parts(&indices, most, |part| {
            if part.len() > room {
                return Err(no_room());
            }
            done.push(part.to_vec());
            Ok(())
        })?;
        Ok(done)
    }

    #[test]
    fn parts_are_halved_until_they_fit_and_stay_so() {
        let mut most = 256;
        let done = parts(10, &mut most, 3).unwrap();
        assert_eq!(done.iter().map(Vec::len).collect::<Vec<_>>(), [2; 5]);
        assert_eq!(done.concat(), (0..10).collect::<Vec<_>>());
        assert_eq!(most, 2);
        let next = parts(3, &mut most, 3).unwrap();
        assert_eq!(next.iter().map(Vec::len).collect::<Vec<_>>(), [2, 1]);
    }

    #[test]
    fn what_fits_is_not_cut() {
        let mut most = 256;
        assert_eq!(parts(256, &mut most, 256).unwrap().len(), 1);
        assert_eq!(most, 256);
        assert!(parts(0, &mut most, 1).unwrap().is_empty());
    }

    #[test]
    fn a_single_sample_without_room_is_an_error_and_so_is_any_other() {
        assert!(is_full(&parts(4, &mut 256, 0).unwrap_err()));
        let mut calls = 0;
        let other = in_parts(&[1, 2, 3], &mut 256, |_| {
            calls += 1;
            Err(Error::input("unreadable"))
        });
        assert_eq!((other.unwrap_err().to_string(), calls), ("unreadable".to_owned(), 1));
    }
}
