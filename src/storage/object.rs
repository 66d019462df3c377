//! The objects of the input: what addresses, directories and globs stand for.

use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use globset::GlobBuilder;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};

use super::fetch;
use super::store::{self, unavailable};
use super::wait;
use crate::error::{Error, ErrorKind, Result};
use crate::recipe::{Address, Storage};

/// A location without its first parts.
pub(super) fn tail(location: &Path, parts: usize) -> String {
    let parts: Vec<_> = location.parts().skip(parts).collect();
    parts.iter().map(AsRef::as_ref).collect::<Vec<&str>>().join("/")
}

/// One input object, identified by its size and the store's tag of its version.
#[derive(Clone, Debug)]
pub struct Object {
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) path: Path,
    bucket: String,
    /// The address, for messages and records.
    pub uri: String,
    /// Its size.
    pub bytes: u64,
    /// The store's tag of this version, if it has one.
    pub etag: Option<String>,
}

/// The objects that the addresses stand for, sorted by address and without repeats, so that the
/// order in which they are listed does not matter. A directory gives all `*.parquet` below it,
/// except names that start with `_` or `.`.
///
/// # Errors
/// `InvalidInput` if an address stands for nothing; `Unavailable` if the store cannot be read.
pub fn resolve(uris: &[String], storage: &Storage) -> Result<Vec<Object>> {
    let mut objects = Vec::new();
    for uri in uris {
        objects.extend(found_at(uri, storage)?);
    }
    // The same object may be named twice; two buckets may hold equal keys.
    let place = |object: &Object| (object.bucket.clone(), object.path.clone());
    objects.sort_by_cached_key(place);
    objects.dedup_by(|a, b| place(a) == place(b));
    Ok(objects)
}

/// The one object that an address stands for.
///
/// # Errors
/// As [`resolve`], and `InvalidInput` if it stands for several.
pub fn resolve_one(uri: &str, storage: &Storage) -> Result<Object> {
    let mut found = found_at(uri, storage)?;
    match (found.pop(), found.len()) {
        (Some(object), 0) => Ok(object),
        (_, others) => {
            let count = others + 1;
            Err(Error::input(format!("`{uri}` stands for {count} files, but must be one")))
        }
    }
}

fn found_at(uri: &str, storage: &Storage) -> Result<Vec<Object>> {
    let (base, pattern) = split_glob(uri);
    let place = store::open(base, storage)?;
    let (store, path) = (&place.store, place.path.clone());
    // The root of a bucket is no object.
    if pattern.is_none() && !path.as_ref().is_empty() {
        match wait(store.head(&path))? {
            Ok(meta) => return Ok(vec![Object::new(store, meta, uri.to_owned())]),
            // It may be a directory.
            Err(object_store::Error::NotFound { .. }) => {}
            Err(e) => return Err(unavailable("read", uri, e)),
        }
    }
    let found = found(store, &path, base, pattern)?;
    if found.is_empty() {
        let what = if pattern.is_some() {
            "matches no file"
        } else {
            "is no file, and no directory with *.parquet files"
        };
        return Err(Error::input(format!("`{uri}` {what} (looked below {})", place.shown(base))));
    }
    Ok(found)
}

/// The objects below `path` whose name there matches; without a pattern all Parquet files but hidden
/// ones.
pub(super) fn found(
    store: &Arc<dyn ObjectStore>,
    path: &Path,
    base: &str,
    pattern: Option<&str>,
) -> Result<Vec<Object>> {
    let matcher = matcher(pattern.unwrap_or("**/*.parquet"))?;
    let depth = path.parts().count();
    let mut found = Vec::new();
    for meta in list(store, path, base)? {
        let name = tail(&meta.location, depth);
        let hidden = name.split('/').any(|part| part.starts_with(['_', '.']));
        if matcher.is_match(&name) && !(hidden && pattern.is_none()) {
            let uri = format!("{}/{name}", base.trim_end_matches('/'));
            found.push(Object::new(store, meta, uri));
        }
    }
    Ok(found)
}

impl Object {
    /// All bytes of this version of the object.
    ///
    /// # Errors
    /// `InvalidInput` if it is empty; `Unavailable` if it cannot be read or is another version by now.
    pub fn read(&self) -> Result<Bytes> {
        if self.bytes == 0 {
            return Err(Error::input("the file is empty (0 bytes)").at(self.uri.clone()));
        }
        let bytes = wait(fetch::get(self, 0..self.bytes))?;
        let unread = || Error::new(ErrorKind::Unavailable, format!("cannot read {}", self.uri));
        bytes.map_err(|e| unread().because(e))
    }

    pub(super) fn new(store: &Arc<dyn ObjectStore>, meta: ObjectMeta, uri: String) -> Self {
        let (store, bucket) = (Arc::clone(store), bucket(&uri));
        Self { store, bucket, path: meta.location, uri, bytes: meta.size, etag: meta.e_tag }
    }
}

fn matcher(pattern: &str) -> Result<globset::GlobMatcher> {
    let glob = GlobBuilder::new(pattern).literal_separator(true).build();
    let glob =
        glob.map_err(|e| Error::recipe(format!("the glob `{pattern}` is wrong")).because(e))?;
    Ok(glob.compile_matcher())
}

/// Splits `dir/part-*.parquet` before the first component with a wildcard.
fn split_glob(uri: &str) -> (&str, Option<&str>) {
    let Some(wild) = uri.find(['*', '?', '[', '{']) else { return (uri, None) };
    match uri[..wild].rfind('/') {
        Some(slash) => (&uri[..=slash], Some(&uri[slash + 1..])),
        None => (".", Some(uri)),
    }
}

/// The bucket that an address names, with its scheme; empty for a local path.
fn bucket(uri: &str) -> String {
    match Address::parse(uri) {
        Ok(Address::Object { scheme, bucket, .. }) => format!("{}://{bucket}", scheme.name()),
        _ => String::new(),
    }
}

pub(super) fn list(
    store: &Arc<dyn ObjectStore>,
    below: &Path,
    uri: &str,
) -> Result<Vec<ObjectMeta>> {
    let prefix = (!below.as_ref().is_empty()).then_some(below);
    let listed = wait(store.list(prefix).try_collect::<Vec<_>>())?;
    let mut metas = match listed {
        Ok(metas) => metas,
        Err(object_store::Error::NotFound { .. }) => Vec::new(),
        Err(e) => return Err(unavailable("list", uri, e)),
    };
    metas.sort_by(|a, b| a.location.cmp(&b.location));
    Ok(metas)
}

/// The text of a local file, such as a recipe.
///
/// # Errors
/// `InvalidRecipe` if it cannot be read as text.
#[allow(clippy::disallowed_methods)]
pub fn read_text(path: &str) -> Result<String> {
    std::fs::read_to_string(path)
        .map_err(|e| Error::recipe(format!("cannot read {path}")).because(e))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::Dir;

    fn resolve(uris: &[String]) -> Result<Vec<Object>> {
        super::resolve(uris, &Storage::default())
    }

    fn open(uri: &str) -> Dir {
        Dir::open(uri, &Storage::default()).unwrap()
    }

    #[test]
    fn resolves_files_directories_and_globs_in_one_order() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().to_str().unwrap();
        std::fs::create_dir_all(dir.path().join("sub/_scratch")).unwrap();
        for name in ["b.parquet", "a.parquet", "sub/c.parquet", "sub/_scratch/x.parquet", "n.txt"] {
            std::fs::write(dir.path().join(name), "x").unwrap();
        }
        let names = |uris: &[String]| -> Vec<String> {
            let strip = |o: Object| o.uri[root.len() + 1..].to_owned();
            resolve(uris).unwrap().into_iter().map(strip).collect()
        };
        assert_eq!(names(&[root.to_owned()]), ["a.parquet", "b.parquet", "sub/c.parquet"]);
        assert_eq!(names(&[format!("{root}/*.parquet")]), ["a.parquet", "b.parquet"]);
        let both = [format!("{root}/b.parquet"), format!("{root}/a.parquet")];
        assert_eq!(names(&both), ["a.parquet", "b.parquet"]);
        let none = resolve(&[format!("{root}/*.csv")]).unwrap_err();
        assert!(none.to_string().contains("matches no file"), "{none}");
        assert!(resolve(&["ftp://x/y".to_owned()]).unwrap_err().exit_code() == 2);
    }

    #[test]
    fn dots_and_encoded_characters_lead_to_the_same_place() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().to_str().unwrap();
        std::fs::create_dir(dir.path().join("a b")).unwrap();
        std::fs::write(dir.path().join("a b/x y.parquet"), "x").unwrap();
        let path = |uri: &str| resolve(&[uri.to_owned()]).unwrap().remove(0).path;
        let plain = path(&format!("{root}/a b/x y.parquet"));
        for uri in [
            format!("{root}/none/../a b/./x y.parquet"),
            format!("{root}/none/../a b/*.parquet"),
            format!("{root}/a b/../a b"),
            format!("file://{root}/a%20b/x%20y.parquet"),
            format!("file://{root}/a%20b/*.parquet"),
            format!("file://{root}/a%20b"),
        ] {
            assert_eq!(path(&uri), plain, "{uri}");
        }
        let run = open(&format!("{root}/none/../run/"));
        run.create("a.json", "1").unwrap();
        assert_eq!(std::fs::read(dir.path().join("run/a.json")).unwrap(), b"1");
    }

    #[test]
    fn an_input_that_cannot_be_read_is_not_called_missing() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("file"), "x").unwrap();
        let uri = format!("{}/file/a.parquet", dir.path().to_str().unwrap());
        let error = resolve(std::slice::from_ref(&uri)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.to_string().starts_with(&format!("cannot read {uri}")), "{error}");
    }
}
