//! What an address means: a path on this machine, or an object below a bucket. By the text alone.

use std::path::{Component, Path, PathBuf};

use crate::error::{Error, Result};
use crate::secret::scrub;

/// Where something lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// An absolute path, without `.` and `..`.
    Local(PathBuf),
    /// A key in a bucket; the key is empty for the bucket itself.
    Object {
        /// The kind of store.
        scheme: Scheme,
        /// The bucket, or Azure's container.
        bucket: String,
        /// The key, without slashes at its ends.
        key: String,
    },
}

/// A kind of object store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scheme {
    /// Amazon S3 and everything that speaks its protocol: `s3://bucket/key`.
    S3,
    /// Google Cloud Storage: `gs://bucket/key`.
    Gcs,
    /// Azure Blob Storage: `az://container/key`.
    Azure,
}

impl Scheme {
    fn named(name: &str) -> Option<Self> {
        match name {
            "s3" | "s3a" => Some(Self::S3),
            "gs" => Some(Self::Gcs),
            "az" => Some(Self::Azure),
            _ => None,
        }
    }

    /// As it is written in addresses.
    pub fn name(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::Gcs => "gs",
            Self::Azure => "az",
        }
    }
}

impl Address {
    /// Reads an address. It asks the machine for nothing but the current directory, so links are
    /// not followed.
    ///
    /// ```
    /// use unseen::recipe::Address;
    ///
    /// let local = Address::parse("file:///data/new/../a%20b.parquet")?;
    /// assert_eq!(local, Address::Local("/data/a b.parquet".into()));
    /// let Address::Object { bucket, key, .. } = Address::parse("s3://bucket/data/")? else { panic!() };
    /// assert_eq!((bucket.as_str(), key.as_str()), ("bucket", "data"));
    /// # Ok::<(), unseen::Error>(())
    /// ```
    ///
    /// # Errors
    /// `InvalidRecipe` for an empty address, an unknown scheme, a leading `~`, credentials in the
    /// address, and a key that no store could hold.
    pub fn parse(uri: &str) -> Result<Self> {
        parse(uri).map_err(|why| Error::recipe(format!("the address {why}")))
    }

    /// The address as a path: a bucket counts as a root directory of its own, so that what lies
    /// within what can be told for both kinds alike.
    pub(super) fn as_path(&self) -> PathBuf {
        match self {
            Self::Local(path) => path.clone(),
            Self::Object { scheme, bucket, key } => {
                Path::new("/").join(format!("{}:{bucket}", scheme.name())).join(key)
            }
        }
    }
}

/// [`Address::parse`], whose error is the rest of a sentence that begins with the key.
pub(super) fn parse(uri: &str) -> Result<Address, String> {
    let bare = decoded(uri)?;
    if let Some((scheme, rest)) = bare.split_once("://") {
        return object(scheme, rest, uri);
    }
    if bare.is_empty() {
        return Err("must not be empty".to_owned());
    }
    if bare.starts_with('~') {
        return Err(format!("is {uri}, but only a shell knows `~`: write ${{HOME}}/... instead"));
    }
    if bare.contains('\0') {
        return Err("holds a NUL character".to_owned());
    }
    let absolute = std::path::absolute(&bare).map_err(|e| format!("is {uri}, no path: {e}"))?;
    Ok(Address::Local(normal(&absolute)))
}

fn object(scheme: &str, rest: &str, uri: &str) -> Result<Address, String> {
    let shown = scrub(uri);
    let Some(scheme) = Scheme::named(scheme) else {
        return Err(match scheme {
            "http" | "https" => format!(
                "is {shown}: a web address is not an object store; write s3://bucket/key, and name the server in AWS_ENDPOINT_URL or storage.endpoint"
            ),
            _ => format!(
                "is {shown}, but {scheme}:// is not known; paths, file://, s3://, gs:// and az:// are"
            ),
        });
    };
    let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
    if bucket.contains('@') {
        return Err(format!(
            "is {shown}: credentials do not belong into an address, where logs and files would show them; use the environment or a profile"
        ));
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    if bucket.is_empty() || !bucket.chars().all(allowed) {
        return Err(format!(
            "is {shown}, which names no bucket; write {}://bucket/key",
            scheme.name()
        ));
    }
    let key = key.trim_matches('/');
    let wrong = |part: &str| matches!(part, "" | "." | "..") || part.chars().any(char::is_control);
    if !key.is_empty() && key.split('/').any(wrong) {
        return Err(format!(
            "is {shown}: a key has no empty part, no `.`, no `..` and no control character"
        ));
    }
    Ok(Address::Object { scheme, bucket: bucket.to_owned(), key: key.to_owned() })
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

    fn local(uri: &str) -> PathBuf {
        match Address::parse(uri).unwrap() {
            Address::Local(path) => path,
            Address::Object { .. } => panic!("{uri} is an object"),
        }
    }

    #[test]
    fn paths_become_absolute_and_lose_their_dots() {
        let here = std::env::current_dir().unwrap();
        for (uri, expected) in [
            ("/a/./b//c/../d/", "/a/b/d"),
            ("/../../a", "/a"),
            ("/a/%20b", "/a/%20b"),
            ("file:///a%20b/%C3%A9%2f100%/%zz", "/a b/é/100%/%zz"),
        ] {
            assert_eq!(local(uri), Path::new(expected), "{uri}");
        }
        assert_eq!(local("x/../y"), here.join("y"));
        assert_eq!(local("../y"), here.parent().unwrap().join("y"));
        assert_eq!(local("./~"), here.join("~"));
    }

    #[test]
    fn objects_have_a_bucket_and_a_key() {
        for (uri, scheme, bucket, key) in [
            ("s3://b/a/c", Scheme::S3, "b", "a/c"),
            ("s3a://b/a/", Scheme::S3, "b", "a"),
            ("s3://b", Scheme::S3, "b", ""),
            ("s3://b/", Scheme::S3, "b", ""),
            ("gs://my-bucket.x_1/a b/é*.parquet", Scheme::Gcs, "my-bucket.x_1", "a b/é*.parquet"),
            ("az://c/x", Scheme::Azure, "c", "x"),
        ] {
            let expected =
                Address::Object { scheme, bucket: bucket.to_owned(), key: key.to_owned() };
            assert_eq!(Address::parse(uri).unwrap(), expected, "{uri}");
        }
    }

    #[test]
    fn addresses_that_mean_nothing_say_so() {
        for (uri, says) in [
            ("", "must not be empty"),
            ("file://", "must not be empty"),
            ("ftp://b/a", "ftp:// is not known"),
            ("https://b.s3.amazonaws.com/a", "write s3://bucket/key"),
            ("s3://", "names no bucket"),
            ("s3:///a", "names no bucket"),
            ("s3://b c/a", "names no bucket"),
            ("s3://b/a//c", "no empty part"),
            ("s3://b/../c", "no `..`"),
            ("s3://b/a\u{0}c", "no control character"),
            ("/a\u{0}b", "NUL"),
            ("~", "write ${HOME}/... instead"),
            ("~/runs/a", "write ${HOME}/... instead"),
            ("file://~/a", "write ${HOME}/... instead"),
            ("file:///%ff", "no UTF-8"),
        ] {
            let error = Address::parse(uri).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            assert!(error.to_string().contains(says), "{uri}: {error}");
        }
    }

    #[test]
    fn credentials_in_an_address_are_refused_and_not_repeated() {
        for uri in ["s3://key:hunter22@bucket/a", "ftp://key:hunter22@bucket/a"] {
            let error = Address::parse(uri).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("hunter22"), "{error}");
        }
        assert!(Address::parse("s3://k:p@b/a").unwrap_err().to_string().contains("environment"));
    }
}
