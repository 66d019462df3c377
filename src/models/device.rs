//! The one place that knows which devices exist.

use candle_core::Device;

use crate::{Error, ErrorKind, Result};

/// Opens the device that a recipe names: `cpu` or `cuda:N`.
///
/// # Errors
/// `InvalidRecipe` for another name; `DeviceUnavailable` if this build or this machine has no such
/// device.
pub fn open(text: &str) -> Result<Device> {
    if text == "cpu" {
        return Ok(Device::Cpu);
    }
    let ordinal = text.strip_prefix("cuda:").and_then(|n| n.parse().ok()).ok_or_else(|| {
        Error::recipe(format!("device = \"{text}\" is unknown: write \"cpu\" or \"cuda:0\""))
    })?;
    Device::new_cuda(ordinal).map_err(|e| unavailable(text).because(e))
}

fn unavailable(text: &str) -> Error {
    let advice = if cfg!(feature = "cuda") {
        "check the driver and the device number, or set device = \"cpu\""
    } else {
        "rebuild with `--features cuda` or set device = \"cpu\""
    };
    Error::new(ErrorKind::DeviceUnavailable, format!("device \"{text}\" cannot be used: {advice}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_the_cpu_and_explains_the_rest() {
        assert!(open("cpu").unwrap().is_cpu());
        assert_eq!(open("gpu").unwrap_err().kind(), ErrorKind::InvalidRecipe);
        assert_eq!(open("cuda:x").unwrap_err().kind(), ErrorKind::InvalidRecipe);
        let error = open("cuda:99").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::DeviceUnavailable);
        assert!(error.to_string().contains("set device = \"cpu\""), "{error}");
    }
}
