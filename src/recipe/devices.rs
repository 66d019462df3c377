//! Where models run: what `device` names.

use std::str::FromStr;

/// The devices of a recipe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Devices {
    /// `cpu`.
    Cpu,
    /// `cuda:0` or `cuda:0,1`: CUDA devices by their numbers, in the order given; `cuda`: all that the
    /// machine has, here without a number.
    Cuda(Vec<usize>),
}

impl Devices {
    /// What of it can change a result: not which of several devices of a kind.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Cuda(_) => "cuda",
        }
    }
}

impl FromStr for Devices {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let unknown = || {
            format!(
                "`{text}` is not a device; write `cpu`, `cuda:0`, `cuda:0,1` for several, or `cuda` for all"
            )
        };
        let numbers = match text {
            "cpu" => return Ok(Self::Cpu),
            "cuda" => return Ok(Self::Cuda(Vec::new())),
            _ => text.strip_prefix("cuda:").ok_or_else(unknown)?,
        };
        let mut found = Vec::new();
        for number in numbers.split(',') {
            let digits = number.len() < 5 && number.chars().all(|c| c.is_ascii_digit());
            let number = number.parse().ok().filter(|_| digits).ok_or_else(unknown)?;
            if found.contains(&number) {
                return Err(format!("`{text}` names device {number} twice"));
            }
            found.push(number);
        }
        Ok(Self::Cuda(found))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_several_or_all_devices_are_named() {
        let cuda = |numbers: &[usize]| Ok(Devices::Cuda(numbers.to_vec()));
        for (text, wanted) in [
            ("cpu", Ok(Devices::Cpu)),
            ("cuda", cuda(&[])),
            ("cuda:0", cuda(&[0])),
            ("cuda:3,0,12", cuda(&[3, 0, 12])),
        ] {
            assert_eq!(text.parse(), wanted, "{text}");
        }
        let unknown =
            ["", "gpu", "CPU", "cpu:0", "cuda:", "cuda:x", "cuda:0,", "cuda: 0", "cuda:+1"];
        for text in unknown.into_iter().chain(["cuda:0-1", "cuda:00000"]) {
            let error = text.parse::<Devices>().unwrap_err();
            assert!(error.starts_with(&format!("`{text}` is not a device; write ")), "{error}");
        }
        let twice = "cuda:1,0,1".parse::<Devices>().unwrap_err();
        assert_eq!(twice, "`cuda:1,0,1` names device 1 twice");
    }

    #[test]
    fn which_device_of_a_kind_decides_nothing() {
        let kind = |text: &str| text.parse::<Devices>().unwrap().kind();
        assert_eq!(
            ["cpu", "cuda", "cuda:1", "cuda:0,1"].map(kind),
            ["cpu", "cuda", "cuda", "cuda"]
        );
    }
}
