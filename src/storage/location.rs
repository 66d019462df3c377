//! Directories and input objects: what the rest of the program reads from and writes to.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt;
use globset::GlobBuilder;
use object_store::path::Path;
use object_store::{CopyMode, CopyOptions, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode};

use super::store::{self, unavailable};
use super::wait;
use crate::error::{Error, ErrorKind, Result};
use crate::recipe::{Address, Storage};

/// A directory of objects: the place of a run.
#[derive(Clone, Debug)]
pub struct Dir {
    store: Arc<dyn ObjectStore>,
    root: Path,
    uri: String,
    local: Option<PathBuf>,
}

/// What a create-only write found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// The object is new and holds our bytes.
    Created,
    /// An object was there before; it is untouched.
    AlreadyThere,
}

/// An object as a listing shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its name below the directory.
    pub path: String,
    /// Its size.
    pub bytes: u64,
    /// When it was last written, by the store's clock, in seconds since 1970.
    pub written: i64,
}

/// Waits between looks at an object of which the store says that it is there, and does not show it.
const LOOKS: [Duration; 6] = [
    Duration::from_millis(20),
    Duration::from_millis(100),
    Duration::from_millis(300),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
];

impl Dir {
    /// The directory at `uri`; it need not exist yet, and nothing is written.
    ///
    /// # Errors
    /// `InvalidRecipe` for an address or a setting that cannot be used.
    pub fn open(uri: &str, storage: &Storage) -> Result<Self> {
        let place = store::open(uri, storage)?;
        let uri = uri.trim_end_matches('/').to_owned();
        Ok(Self { store: place.store, root: place.path, uri, local: place.local })
    }

    /// A directory at the root of any store: in memory, with faults, on a recorder.
    pub fn on(store: Arc<dyn ObjectStore>, uri: &str) -> Self {
        Self::on_with(store, uri, &Storage::default())
    }

    /// As [`Dir::on`], with time-outs of the caller's choice.
    pub fn on_with(store: Arc<dyn ObjectStore>, uri: &str, storage: &Storage) -> Self {
        let store = store::patient(store, storage);
        Self { store, root: Path::default(), uri: uri.to_owned(), local: None }
    }

    /// The store, with all that guards it, and the place of this directory in it.
    #[doc(hidden)]
    pub fn store(&self) -> (&Arc<dyn ObjectStore>, &Path) {
        (&self.store, &self.root)
    }

    /// The directory on this machine, if it is on one.
    pub(super) fn local(&self) -> Option<&std::path::Path> {
        self.local.as_deref()
    }

    /// The address as the user wrote it.
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// The address of the object `path` below this directory.
    pub fn uri_of(&self, path: &str) -> String {
        format!("{}/{path}", self.uri)
    }

    fn at(&self, path: &str) -> Path {
        path.split('/').fold(self.root.clone(), Path::join)
    }

    /// The bytes of an object.
    ///
    /// # Errors
    /// `Unavailable` if it is not there or cannot be read.
    pub fn read(&self, path: &str) -> Result<Bytes> {
        self.find(path)?.ok_or_else(|| {
            let message = format!("{} is missing", self.uri_of(path));
            Error::new(ErrorKind::Unavailable, message)
        })
    }

    /// The bytes of an object, or `None` if it is not there.
    ///
    /// # Errors
    /// `Unavailable` if it cannot be read.
    pub fn find(&self, path: &str) -> Result<Option<Bytes>> {
        let at = self.at(path);
        let got = wait(async { self.store.get(&at).await?.bytes().await })?;
        match got {
            Ok(bytes) => Ok(Some(bytes)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(e) => Err(unavailable("read", &self.uri_of(path), e)),
        }
    }

    /// Writes an object that must not be there yet. On local disk the bytes and the name are on
    /// the medium when this returns.
    ///
    /// A store's "already there" is believed only when the object can be seen: S3 answers so, too,
    /// to one of two writers of which neither may have succeeded yet (409).
    ///
    /// # Errors
    /// `Unavailable` if it cannot be written.
    pub fn create(&self, path: &str, bytes: impl Into<Bytes>) -> Result<Written> {
        let (at, bytes) = (self.at(path), bytes.into());
        for pause in LOOKS {
            let options = PutMode::Create.into();
            match wait(self.store.put_opts(&at, bytes.clone().into(), options))? {
                Ok(_) => return Ok(Written::Created),
                Err(object_store::Error::AlreadyExists { .. }) if self.exists(path)? => {
                    return Ok(Written::AlreadyThere);
                }
                Err(object_store::Error::AlreadyExists { .. }) => {
                    wait(async move { tokio::time::sleep(pause).await })?;
                }
                Err(e) => return Err(unavailable("write", &self.uri_of(path), e)),
            }
        }
        let message = format!(
            "the store says that {} is there and does not show it; run again",
            self.uri_of(path)
        );
        Err(Error::new(ErrorKind::Unavailable, message))
    }

    /// Writes an object, whatever was there. Only for notes that nothing depends on.
    ///
    /// # Errors
    /// `Unavailable` if it cannot be written.
    pub(super) async fn overwrite(&self, path: &str, bytes: impl Into<Bytes>) -> Result<()> {
        let put = self.store.put(&self.at(path), bytes.into().into()).await;
        put.map(|_| ()).map_err(|e| unavailable("write", &self.uri_of(path), e))
    }

    /// Whether an object is there.
    ///
    /// # Errors
    /// `Unavailable` if the store cannot be asked.
    pub fn exists(&self, path: &str) -> Result<bool> {
        match wait(self.store.head(&self.at(path)))? {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(e) => Err(unavailable("read", &self.uri_of(path), e)),
        }
    }

    /// Gives the object `from` a second name, which must not be taken yet: on local disk a link, else
    /// a copy made by the store. A store without create-only copies is looked at first; that is
    /// enough here, because whoever copies to a name copies the same committed object.
    ///
    /// # Errors
    /// `Unavailable` if it cannot be written.
    pub fn publish(&self, from: &str, to: &str) -> Result<Written> {
        use object_store::Error::{AlreadyExists, NotImplemented, NotSupported};
        let failed = |e| unavailable("write", &self.uri_of(to), e);
        match self.copy(from, to, CopyMode::Create)? {
            Ok(()) => Ok(Written::Created),
            Err(AlreadyExists { .. }) => Ok(Written::AlreadyThere),
            Err(NotSupported { .. } | NotImplemented { .. }) if self.exists(to)? => {
                Ok(Written::AlreadyThere)
            }
            Err(NotSupported { .. } | NotImplemented { .. }) => {
                self.copy(from, to, CopyMode::Overwrite)?.map_err(failed)?;
                Ok(Written::Created)
            }
            Err(e) => Err(failed(e)),
        }
    }

    fn copy(&self, from: &str, to: &str, mode: CopyMode) -> Result<object_store::Result<()>> {
        let (from, to) = (self.at(from), self.at(to));
        wait(self.store.copy_opts(&from, &to, CopyOptions::new().with_mode(mode)))
    }

    /// Removes objects; those that are not there do not matter.
    ///
    /// # Errors
    /// `Unavailable` if one cannot be removed.
    pub fn remove(&self, paths: &[String]) -> Result<()> {
        for path in paths {
            match wait(self.store.delete(&self.at(path)))? {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                Err(e) => return Err(unavailable("remove", &self.uri_of(path), e)),
            }
        }
        Ok(())
    }

    /// The names of all objects below `prefix`, relative to this directory, sorted.
    ///
    /// # Errors
    /// `Unavailable` if the listing fails.
    pub fn list(&self, prefix: &str) -> Result<Vec<String>> {
        Ok(self.listed(prefix)?.into_iter().map(|object| object.path).collect())
    }

    /// As [`Dir::list`], with sizes and times.
    ///
    /// # Errors
    /// `Unavailable` if the listing fails.
    pub fn listed(&self, prefix: &str) -> Result<Vec<Listed>> {
        let below = if prefix.is_empty() { self.root.clone() } else { self.at(prefix) };
        let metas = list(&self.store, &below, &self.uri_of(prefix))?;
        let root_parts = self.root.parts().count();
        let relative = |m: ObjectMeta| Listed {
            path: tail(&m.location, root_parts),
            bytes: m.size,
            written: m.last_modified.timestamp(),
        };
        let mut all: Vec<Listed> = metas.into_iter().map(relative).collect();
        all.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(all)
    }
}

/// A location without its first parts.
fn tail(location: &Path, parts: usize) -> String {
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
        objects.extend(resolve_one(uri, storage)?);
    }
    // The same object may be named twice; two buckets may hold equal keys.
    let place = |object: &Object| (object.bucket.clone(), object.path.clone());
    objects.sort_by_cached_key(place);
    objects.dedup_by(|a, b| place(a) == place(b));
    Ok(objects)
}

fn resolve_one(uri: &str, storage: &Storage) -> Result<Vec<Object>> {
    let (base, pattern) = split_glob(uri);
    let place = store::open(base, storage)?;
    let (store, path) = (&place.store, place.path.clone());
    let object = |m: ObjectMeta, uri: String| Object {
        store: Arc::clone(store),
        bucket: bucket(base),
        path: m.location,
        uri,
        bytes: m.size,
        etag: m.e_tag,
    };
    // The root of a bucket is no object.
    if pattern.is_none() && !path.as_ref().is_empty() {
        match wait(store.head(&path))? {
            Ok(meta) => return Ok(vec![object(meta, uri.to_owned())]),
            // It may be a directory.
            Err(object_store::Error::NotFound { .. }) => {}
            Err(e) => return Err(unavailable("read", uri, e)),
        }
    }
    let matcher = matcher(pattern.unwrap_or("**/*.parquet"))?;
    let depth = path.parts().count();
    let mut found = Vec::new();
    for meta in list(store, &path, uri)? {
        let name = tail(&meta.location, depth);
        let hidden = name.split('/').any(|part| part.starts_with(['_', '.']));
        if matcher.is_match(&name) && !(hidden && pattern.is_none()) {
            found.push(object(meta, format!("{}/{name}", base.trim_end_matches('/'))));
        }
    }
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

fn list(store: &Arc<dyn ObjectStore>, below: &Path, uri: &str) -> Result<Vec<ObjectMeta>> {
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

    #[test]
    fn create_is_put_if_absent_and_publish_too() {
        let place = tempfile::tempdir().unwrap();
        let dir = open(place.path().join("run").to_str().unwrap());
        assert_eq!(dir.create("a/b.json", "1").unwrap(), Written::Created);
        assert_eq!(dir.create("a/b.json", "2").unwrap(), Written::AlreadyThere);
        assert_eq!(dir.read("a/b.json").unwrap(), "1");
        assert_eq!(dir.publish("a/b.json", "c.json").unwrap(), Written::Created);
        assert_eq!(dir.publish("a/b.json", "c.json").unwrap(), Written::AlreadyThere);
        assert_eq!(dir.list("").unwrap(), ["a/b.json", "c.json"]);
        assert_eq!(dir.find("nothing").unwrap(), None);
    }
}
