//! What a killed writer leaves on local disk where no listing shows it: the store writes to
//! `<name>#<n>` and links that to `<name>` when it is whole.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use super::location::{Dir, Listed};
use crate::error::{Error, ErrorKind, Result};

impl Dir {
    /// Half-written files below this directory, if it is on local disk; links are not followed.
    ///
    /// # Errors
    /// `Unavailable` if a directory cannot be read.
    pub fn half_written(&self) -> Result<Vec<Listed>> {
        let mut found = Vec::new();
        if let Some(root) = self.local()
            && root.is_dir()
        {
            walk(root, root, &mut found).map_err(|e| self.failed("read", e))?;
        }
        found.sort_by(|a: &Listed, b| a.path.cmp(&b.path));
        Ok(found)
    }

    /// Removes half-written files.
    ///
    /// # Errors
    /// `Unavailable` if one cannot be removed.
    #[allow(clippy::disallowed_methods)]
    pub fn remove_half_written(&self, paths: &[String]) -> Result<()> {
        let Some(root) = self.local() else { return Ok(()) };
        for path in paths.iter().filter(|path| is_staging(path)) {
            match fs::remove_file(root.join(path)) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                    return Err(self.failed("clean", e));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The directories on local disk that are not there yet and would be made for an object in
    /// `folder`, outermost first.
    pub(super) fn missing_folders(&self, folder: &str) -> Vec<PathBuf> {
        let Some(root) = self.local() else { return Vec::new() };
        let inner = root.join(folder);
        let mut missing: Vec<PathBuf> =
            inner.ancestors().take_while(|dir| !dir.exists()).map(Path::to_owned).collect();
        missing.reverse();
        missing
    }

    fn failed(&self, verb: &str, e: std::io::Error) -> Error {
        Error::new(ErrorKind::Unavailable, format!("cannot {verb} {}", self.uri())).because(e)
    }
}

/// Removes those of the directories, given outermost first, that are empty.
pub(super) fn remove_empty(dirs: &[PathBuf]) {
    for dir in dirs.iter().rev() {
        // One that is not empty stays, and whatever lies around it.
        let _ = fs::remove_dir(dir);
    }
}

fn walk(root: &Path, dir: &Path, found: &mut Vec<Listed>) -> std::io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let (path, kind) = (entry.path(), entry.file_type()?);
        if kind.is_dir() {
            walk(root, &path, found)?;
        } else if kind.is_file()
            && let Some(name) = path.strip_prefix(root).ok().and_then(Path::to_str)
            && is_staging(name)
        {
            let meta = entry.metadata()?;
            let written = meta.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
            found.push(Listed {
                path: name.to_owned(),
                bytes: meta.len(),
                written: written.as_secs() as i64,
            });
        }
    }
    Ok(())
}

fn is_staging(path: &str) -> bool {
    let number = path.rsplit_once('#').map(|(_, number)| number);
    number.is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::Storage;

    #[test]
    fn only_half_written_files_are_found_and_removed() {
        let place = tempfile::tempdir().unwrap();
        let dir = Dir::open(place.path().to_str().unwrap(), &Storage::default()).unwrap();
        dir.create("a/whole", "1").unwrap();
        for name in ["a/half#1", "a/whole#", "a/x#1y"] {
            fs::write(place.path().join(name), "2").unwrap();
        }
        let found: Vec<String> = dir.half_written().unwrap().into_iter().map(|l| l.path).collect();
        assert_eq!(found, ["a/half#1"]);
        dir.remove_half_written(&["a/half#1".to_owned(), "a/whole".to_owned()]).unwrap();
        assert!(dir.half_written().unwrap().is_empty());
        assert!(dir.exists("a/whole").unwrap());
    }
}
