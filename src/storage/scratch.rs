//! Scratch files: what does not fit in memory lies in a file that has no name and dies with the
//! process. Read by position, so it is the system's page cache that keeps what is used often.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{Error, ErrorKind, Place, Result};
use crate::samples::ReadAt;

/// A file without a name in the system's folder for temporary files (`TMPDIR`).
#[derive(Debug)]
pub struct Scratch {
    file: File,
    end: AtomicU64,
}

impl Scratch {
    /// An empty file.
    ///
    /// # Errors
    /// `Unavailable` if the folder cannot be written.
    pub fn new() -> Result<Self> {
        let file = tempfile::tempfile().at(place)?;
        Ok(Self { file, end: AtomicU64::new(0) })
    }

    /// Writes all of `bytes` at `position`.
    ///
    /// # Errors
    /// `Unavailable` if they cannot be written, as when the disk is full.
    pub fn write_at(&self, position: u64, bytes: &[u8]) -> Result<()> {
        self.file.write_all_at(bytes, position).map_err(|e| {
            let message = format!(
                "cannot write to the {}; point TMPDIR to a folder with more room, or raise --memory",
                place()
            );
            Error::new(ErrorKind::Unavailable, message).because(e)
        })
    }

    /// Writes `bytes` behind everything that was appended before, and says where.
    ///
    /// # Errors
    /// As [`Scratch::write_at`].
    pub fn append(&self, bytes: &[u8]) -> Result<u64> {
        let position = self.end.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        self.write_at(position, bytes)?;
        Ok(position)
    }
}

impl ReadAt for Scratch {
    fn read_at(&self, position: u64, out: &mut [u8]) -> Result<()> {
        self.file.read_exact_at(out, position).at(place)
    }
}

fn place() -> String {
    format!("scratch file in {}", std::env::temp_dir().display())
}

/// The memory that this process may use at most, in bytes: the machine's, or less if its control
/// group says so. `None` if the system does not tell.
#[allow(clippy::disallowed_methods)]
pub fn machine_memory() -> Option<u64> {
    let read = |path: &str| std::fs::read_to_string(path).ok();
    let machine = read("/proc/meminfo").and_then(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
        line.trim().trim_end_matches("kB").trim().parse::<u64>().ok().map(|kib| kib << 10)
    });
    let group = read("/sys/fs/cgroup/memory.max").and_then(|text| text.trim().parse().ok());
    machine.into_iter().chain(group).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_from_its_position() {
        let scratch = Scratch::new().unwrap();
        assert_eq!(scratch.append(b"abc").unwrap(), 0);
        assert_eq!(scratch.append(b"defg").unwrap(), 3);
        scratch.write_at(1, b"B").unwrap();
        let mut out = [0; 6];
        scratch.read_at(1, &mut out).unwrap();
        assert_eq!(&out, b"Bcdefg");
        let error = scratch.read_at(2, &mut out).unwrap_err();
        assert!(error.to_string().contains("scratch file in"), "{error}");
        assert!(machine_memory().unwrap() > 1 << 20);
    }
}
