//! What an address means: a path on this machine, plain or as a `file://` URI.

use std::path::{Component, Path, PathBuf};

use crate::error::{Error, Result};

/// The absolute path of an address, with `.` and `..` worked out by the text alone. It reads
/// nothing but the current directory, so links are not followed.
///
/// ```
/// let path = unseen::recipe::local_path("file:///data/new/../a%20b.parquet")?;
/// assert_eq!(path.to_str(), Some("/data/a b.parquet"));
/// # Ok::<(), unseen::Error>(())
/// ```
///
/// # Errors
/// `InvalidRecipe` for an empty address, a scheme other than `file`, and a leading `~`.
pub fn local_path(uri: &str) -> Result<PathBuf> {
    path(uri).map_err(|why| Error::recipe(format!("the address {why}")))
}

/// [`local_path`], whose error is the rest of a sentence that begins with the key.
pub(super) fn path(uri: &str) -> Result<PathBuf, String> {
    let bare = decoded(uri)?;
    if let Some((scheme, _)) = bare.split_once("://") {
        return Err(format!(
            "is {uri}, but this version reads and writes local paths and file:// addresses only, not {scheme}://"
        ));
    }
    if bare.is_empty() {
        return Err("must not be empty".to_owned());
    }
    if bare.starts_with('~') {
        return Err(format!("is {uri}, but only a shell knows `~`: write ${{HOME}}/... instead"));
    }
    let absolute = std::path::absolute(&bare).map_err(|e| format!("is {uri}, no path: {e}"))?;
    Ok(normal(&absolute))
}

fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => drop(normal.pop()),
            other => normal.push(other),
        }
    }
    normal
}

/// The address without `file://`; what follows that is percent-decoded (RFC 8089). A `%` without
/// two hex digits stands for itself.
fn decoded(uri: &str) -> Result<String, String> {
    let Some(encoded) = uri.strip_prefix("file://") else { return Ok(uri.to_owned()) };
    let mut bytes = Vec::new();
    let mut rest = encoded.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let byte = (*first == b'%').then(|| hex(after)).flatten();
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    String::from_utf8(bytes).map_err(|_| format!("is {uri}, whose %-encoding is no UTF-8"))
}

fn hex(digits: &[u8]) -> Option<u8> {
    let digit = |i: usize| digits.get(i).and_then(|d| char::from(*d).to_digit(16));
    Some((digit(0)? * 16 + digit(1)?) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_become_absolute_paths_without_dots() {
        let here = std::env::current_dir().unwrap();
        for (uri, expected) in [
            ("/a/./b//c/../d/", "/a/b/d"),
            ("/../../a", "/a"),
            ("/a/%20b", "/a/%20b"),
            ("file:///a%20b/%C3%A9%2f100%/%zz", "/a b/é/100%/%zz"),
        ] {
            assert_eq!(local_path(uri).unwrap(), Path::new(expected), "{uri}");
        }
        assert_eq!(local_path("x/../y").unwrap(), here.join("y"));
        assert_eq!(local_path("../y").unwrap(), here.parent().unwrap().join("y"));
        assert_eq!(local_path("./~").unwrap(), here.join("~"));
    }

    #[test]
    fn addresses_that_mean_nothing_say_so() {
        for (uri, says) in [
            ("", "must not be empty"),
            ("file://", "must not be empty"),
            ("s3://b/a", "not s3://"),
            ("~", "write ${HOME}/... instead"),
            ("~/runs/a", "write ${HOME}/... instead"),
            ("file://~/a", "write ${HOME}/... instead"),
            ("file:///%ff", "no UTF-8"),
        ] {
            let error = local_path(uri).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            assert!(error.to_string().contains(says), "{uri}: {error}");
        }
    }
}
