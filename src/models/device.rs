//! The one place that knows which devices exist, and what they say when they are full.

use candle_core::{Device, DeviceLocation};

use crate::recipe::Devices;
use crate::{Error, ErrorKind, Result};

/// Opens a device that a recipe names; of several the first.
///
/// # Errors
/// `InvalidRecipe` for another name; `DeviceUnavailable` if this build or this machine has no such
/// device.
pub fn open(text: &str) -> Result<Device> {
    match text.parse().map_err(Error::recipe)? {
        Devices::Cpu => Ok(Device::Cpu),
        Devices::Cuda(numbers) => {
            let number = numbers.first().copied().unwrap_or(0);
            Device::new_cuda(number).map_err(|e| unavailable(text).because(e))
        }
    }
}

/// The devices that a recipe names, each as [`open`] takes it.
///
/// # Errors
/// As [`open`], but for a device that is named and not there.
pub fn devices(text: &str) -> Result<Vec<String>> {
    let numbers = match text.parse().map_err(Error::recipe)? {
        Devices::Cpu => return Ok(vec![text.to_owned()]),
        Devices::Cuda(numbers) if numbers.is_empty() => match cuda_count()? {
            0 => return Err(unavailable(text)),
            count => (0..count).collect(),
        },
        Devices::Cuda(numbers) => numbers,
    };
    Ok(numbers.iter().map(|number| format!("cuda:{number}")).collect())
}

/// How many CUDA devices this machine has.
#[cfg(feature = "cuda")]
fn cuda_count() -> Result<usize> {
    let count = candle_core::cuda::cudarc::driver::CudaContext::device_count();
    Ok(count.map_err(|e| unavailable("cuda").because(e))?.max(0) as usize)
}

#[cfg(not(feature = "cuda"))]
fn cuda_count() -> Result<usize> {
    Err(unavailable("cuda"))
}

fn unavailable(text: &str) -> Error {
    let advice = if cfg!(feature = "cuda") {
        "check the driver, or name another device with --device"
    } else {
        "rebuild with `--features cuda` on a machine that has one"
    };
    let message = format!(
        "device \"{text}\" cannot be used: {advice}; or set device = \"cpu\", unless the run has begun: then it needs a device of its kind"
    );
    Error::new(ErrorKind::DeviceUnavailable, message)
}

/// What CUDA's driver and its libraries (cuBLAS, cuRAND, cuDNN) call their memory being full.
const FULL: [&str; 3] = ["CUDA_ERROR_OUT_OF_MEMORY", "_STATUS_ALLOC", "DEVICE_ALLOCATION_FAILED"];

/// Whether an error says that the memory of a device is full. Candle wraps the errors of CUDA in several
/// ways, all of which keep the name in their text.
pub(crate) fn is_full(error: &Error) -> bool {
    let text = error.to_string();
    error.kind() == ErrorKind::Internal && FULL.iter().any(|name| text.contains(name))
}

/// A full device as an error that says what did not fit, and what to do; any other error as it is.
pub(crate) fn full(error: Error, device: &Device, what: &str, advice: &str) -> Error {
    if !is_full(&error) {
        return error;
    }
    let name = match device.location() {
        DeviceLocation::Cuda { gpu_id } => format!("cuda:{gpu_id}"),
        _ => "the device".to_owned(),
    };
    let message = format!("the memory of {name} is full: {what} does not fit; {advice}");
    Error::new(ErrorKind::LimitExceeded, message).because(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_the_cpu_and_explains_the_rest() {
        assert!(open("cpu").unwrap().is_cpu());
        assert_eq!(open("gpu").unwrap_err().kind(), ErrorKind::InvalidRecipe);
        assert_eq!(open("cuda:x").unwrap_err().kind(), ErrorKind::InvalidRecipe);
        for text in ["cuda:99", "cuda:99,100"] {
            let error = open(text).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::DeviceUnavailable);
            assert!(error.to_string().contains("set device = \"cpu\""), "{error}");
        }
    }

    #[test]
    fn devices_are_named_one_by_one() {
        assert_eq!(devices("cpu").unwrap(), ["cpu"]);
        assert_eq!(devices("cuda:2").unwrap(), ["cuda:2"]);
        assert_eq!(devices("cuda:1,0").unwrap(), ["cuda:1", "cuda:0"]);
        assert_eq!(devices("cuda:1,1").unwrap_err().kind(), ErrorKind::InvalidRecipe);
    }

    #[test]
    #[cfg(not(feature = "cuda"))]
    fn without_cuda_there_is_no_device_to_count() {
        let error = devices("cuda").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::DeviceUnavailable);
        assert!(error.to_string().contains("rebuild with `--features cuda`"), "{error}");
    }

    /// The texts are those of cudarc 0.19, as Candle hands them on.
    #[test]
    fn a_full_device_is_known_by_the_names_of_cuda() {
        let driver = "DriverError(CUDA_ERROR_OUT_OF_MEMORY, \"out of memory\")";
        let cublas = "CublasError(CUBLAS_STATUS_ALLOC_FAILED)";
        let cudnn = "CudnnError(CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED)";
        let cuda = |text: &str| candle_core::Error::Cuda(text.into());
        let full = [
            cuda(driver),
            cuda(cublas),
            candle_core::Error::wrap(cudnn).context("conv2d"),
            candle_core::Error::Msg(driver.to_owned()).with_path("a"),
        ];
        for error in full {
            let error = Error::from(error).at("task train-s1-m0");
            assert!(is_full(&error), "{error}");
        }
        let other = "DriverError(CUDA_ERROR_ILLEGAL_ADDRESS, \"an illegal memory access\")";
        assert!(!is_full(&cuda(other).into()));
        // A text that a user wrote is not asked.
        assert!(!is_full(&Error::input(format!("no column `{driver}`"))));
    }

    #[test]
    fn a_full_device_is_told_with_what_to_do() {
        let driver = "DriverError(CUDA_ERROR_OUT_OF_MEMORY, \"out of memory\")";
        let error = candle_core::Error::Cuda(driver.into()).into();
        let error = full(error, &Device::Cpu, "a step", "rest");
        assert_eq!(error.kind(), ErrorKind::LimitExceeded);
        let told = error.to_string();
        let wanted = "the memory of the device is full: a step does not fit; rest: ";
        assert!(told.starts_with(wanted) && told.ends_with(driver), "{told}");
        let other = full(Error::input("no sample"), &Device::Cpu, "a step", "rest");
        assert_eq!(other.to_string(), "no sample");
    }
}
