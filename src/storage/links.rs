//! Symbolic links, which lead a name below a directory to a place outside of it.

use std::io::ErrorKind::NotFound;
use std::path::Path;

use crate::error::{Error, ErrorKind, Result};

/// Refuses to go through a link from `root` to `below`; `root` itself may be one, because whoever
/// named it meant where it leads.
///
/// # Errors
/// `Conflict` naming the link, `Unavailable` if a name cannot be looked at.
pub(super) fn refuse_links(root: &Path, below: &str) -> Result<()> {
    let mut path = root.to_owned();
    for part in below.split('/') {
        path.push(part);
        match path.symlink_metadata() {
            Ok(found) if found.is_symlink() => {
                let message = format!(
                    "{} is a symbolic link, and a run writes into its own directory only; remove \
                     it, or give the place where it leads as output.uri",
                    path.display()
                );
                return Err(Error::new(ErrorKind::Conflict, message));
            }
            Ok(_) => {}
            Err(e) if e.kind() == NotFound => return Ok(()),
            Err(e) => return Err(Error::from(e).at(path.display().to_string())),
        }
    }
    Ok(())
}
