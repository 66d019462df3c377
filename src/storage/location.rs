//! From addresses to stores: the one place that knows what a URI means.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use globset::GlobBuilder;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{CopyMode, CopyOptions, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode};

use super::links::refuse_links;
use super::wait;
use crate::error::{Error, ErrorKind, Result};
use crate::recipe::local_path;

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

impl Dir {
    /// The directory at `uri`; it need not exist yet, and nothing is written.
    ///
    /// # Errors
    /// `InvalidRecipe` for an address that this build cannot serve.
    pub fn open(uri: &str) -> Result<Self> {
        let path = store_path(uri)?;
        // fsync: a record must not outlive the data it names when the machine dies.
        let store = LocalFileSystem::new().with_fsync(true);
        let local = Some(local_path(uri)?);
        let uri = uri.trim_end_matches('/').to_owned();
        Ok(Self { store: Arc::new(store), root: path, uri, local })
    }

    /// A directory at the root of any store: in memory, with faults, on a recorder.
    pub fn on(store: Arc<dyn ObjectStore>, uri: &str) -> Self {
        Self { store, root: Path::default(), uri: uri.to_owned(), local: None }
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

    /// Refuses a name below this directory that a symbolic link leads elsewhere.
    ///
    /// # Errors
    /// `Conflict` naming the link.
    pub(crate) fn refuse_links(&self, path: &str) -> Result<()> {
        self.local.as_deref().map_or(Ok(()), |root| refuse_links(root, path))
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
    /// # Errors
    /// `Unavailable` if it cannot be written, `Conflict` if a symbolic link is in the way.
    pub fn create(&self, path: &str, bytes: impl Into<Bytes>) -> Result<Written> {
        self.refuse_links(path)?;
        let (at, bytes) = (self.at(path), bytes.into());
        let put = wait(self.store.put_opts(&at, bytes.into(), PutMode::Create.into()))?;
        self.written(path, put.map(|_| ()))
    }

    /// Gives the object `from` a second name, which must not be taken yet.
    ///
    /// # Errors
    /// `Unavailable` if it cannot be written, `Conflict` if a symbolic link is in the way.
    pub fn publish(&self, from: &str, to: &str) -> Result<Written> {
        self.refuse_links(to)?;
        let (from, at) = (self.at(from), self.at(to));
        let options = CopyOptions::new().with_mode(CopyMode::Create);
        let copied = wait(self.store.copy_opts(&from, &at, options))?;
        self.written(to, copied)
    }

    fn written(&self, path: &str, result: object_store::Result<()>) -> Result<Written> {
        match result {
            Ok(()) => Ok(Written::Created),
            Err(object_store::Error::AlreadyExists { .. }) => Ok(Written::AlreadyThere),
            Err(e) => Err(unavailable("write", &self.uri_of(path), e)),
        }
    }

    /// The names of all objects below `prefix`, relative to this directory, sorted.
    ///
    /// # Errors
    /// `Unavailable` if the listing fails.
    pub fn list(&self, prefix: &str) -> Result<Vec<String>> {
        let below = if prefix.is_empty() { self.root.clone() } else { self.at(prefix) };
        let metas = list(&self.store, &below).map_err(|e| e.at(self.uri_of(prefix)))?;
        let root_parts = self.root.parts().count();
        let relative = |m: ObjectMeta| {
            let parts: Vec<_> = m.location.parts().skip(root_parts).collect();
            parts.iter().map(AsRef::as_ref).collect::<Vec<&str>>().join("/")
        };
        let mut names: Vec<String> = metas.into_iter().map(relative).collect();
        names.sort();
        Ok(names)
    }
}

/// One input object, identified by its size and the store's tag of its version.
#[derive(Clone, Debug)]
pub struct Object {
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) path: Path,
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
pub fn resolve(uris: &[String]) -> Result<Vec<Object>> {
    let store: Arc<dyn ObjectStore> = Arc::new(LocalFileSystem::new());
    let mut objects = Vec::new();
    for uri in uris {
        objects.extend(resolve_one(&store, uri)?);
    }
    objects.sort_by(|a, b| a.path.cmp(&b.path));
    objects.dedup_by(|a, b| a.path == b.path);
    Ok(objects)
}

fn resolve_one(store: &Arc<dyn ObjectStore>, uri: &str) -> Result<Vec<Object>> {
    let object = |m: ObjectMeta, uri: String| Object {
        store: Arc::clone(store),
        path: m.location,
        uri,
        bytes: m.size,
        etag: m.e_tag,
    };
    let (base, pattern) = split_glob(uri);
    let path = store_path(base)?;
    if pattern.is_none() {
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
    for meta in list(store, &path).map_err(|e| e.at(uri.to_owned()))? {
        let parts: Vec<_> = meta.location.parts().skip(depth).collect();
        let name = parts.iter().map(AsRef::as_ref).collect::<Vec<&str>>().join("/");
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
        return Err(Error::input(format!("`{uri}` {what} (looked at /{path})")));
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

fn list(store: &Arc<dyn ObjectStore>, below: &Path) -> Result<Vec<ObjectMeta>> {
    let listed = wait(store.list(Some(below)).try_collect::<Vec<_>>())?;
    let mut metas = match listed {
        Ok(metas) => metas,
        Err(object_store::Error::NotFound { .. }) => Vec::new(),
        Err(e) => return Err(unavailable("list", below.as_ref(), e)),
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

fn store_path(uri: &str) -> Result<Path> {
    Path::from_absolute_path(local_path(uri)?)
        .map_err(|e| Error::recipe(format!("`{uri}` is not a usable path: {e}")))
}

pub(super) fn unavailable(verb: &str, what: &str, error: object_store::Error) -> Error {
    let hint = if verb == "write" {
        "; check that the place exists, is writable and has room"
    } else {
        ""
    };
    Error::new(ErrorKind::Unavailable, format!("cannot {verb} {what}{hint}")).because(error)
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let run = Dir::open(&format!("{root}/none/../run/")).unwrap();
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
        let dir = Dir::open(place.path().join("run").to_str().unwrap()).unwrap();
        assert_eq!(dir.create("a/b.json", "1").unwrap(), Written::Created);
        assert_eq!(dir.create("a/b.json", "2").unwrap(), Written::AlreadyThere);
        assert_eq!(dir.read("a/b.json").unwrap(), "1");
        assert_eq!(dir.publish("a/b.json", "c.json").unwrap(), Written::Created);
        assert_eq!(dir.publish("a/b.json", "c.json").unwrap(), Written::AlreadyThere);
        assert_eq!(dir.list("").unwrap(), ["a/b.json", "c.json"]);
        assert_eq!(dir.find("nothing").unwrap(), None);
    }
}
