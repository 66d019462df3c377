//! A directory of objects: the place of a run, whatever store it is in.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{
    CopyMode, CopyOptions, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutPayload,
};

use super::links::refuse_links;
use super::object::{Object, found, list, tail};
use super::store::{self, unavailable};
use super::wait;
use crate::error::{Error, ErrorKind, Result};
use crate::recipe::Storage;

/// A directory of objects: the place of a run.
#[derive(Clone, Debug)]
pub struct Dir {
    pub(super) store: Arc<dyn ObjectStore>,
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

    /// The directory `name` below this one.
    #[must_use]
    pub fn below(&self, name: &str) -> Self {
        Self {
            store: Arc::clone(&self.store),
            root: self.at(name),
            uri: self.uri_of(name),
            local: self.local.as_ref().map(|local| local.join(name)),
        }
    }

    /// The address of the object `path` below this directory.
    pub fn uri_of(&self, path: &str) -> String {
        format!("{}/{path}", self.uri)
    }

    pub(super) fn at(&self, path: &str) -> Path {
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
        let got = wait(async {
            let got = self.store.get(&at).await?;
            let size = got.meta.size;
            Ok((got.bytes().await?, size))
        })?;
        match got {
            Ok((bytes, size)) if bytes.len() as u64 == size => Ok(Some(bytes)),
            Ok((bytes, size)) => {
                let (found, uri) = (bytes.len(), self.uri_of(path));
                let message = format!("{uri} gave {found} of {size} bytes; run again");
                Err(Error::new(ErrorKind::Unavailable, message))
            }
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(e) => Err(unavailable("read", &self.uri_of(path), e)),
        }
    }

    /// An object as input: it is pinned to the version that is there now.
    ///
    /// # Errors
    /// `Unavailable` if it is not there or cannot be read.
    pub fn object(&self, path: &str) -> Result<Object> {
        let uri = self.uri_of(path);
        let meta = wait(self.store.head(&self.at(path)))?;
        let meta = meta.map_err(|e| unavailable("read", &uri, e))?;
        Ok(Object::new(&self.store, meta, uri))
    }

    /// Writes an object that must not be there yet. On local disk the bytes and the name are on
    /// the medium when this returns.
    ///
    /// A store's "already there" is believed only when the object can be seen: S3 answers so, too,
    /// to one of two writers of which neither may have succeeded yet (409). Where the connection broke nobody
    /// knows whether it was written; what is then there with these bytes is ours.
    ///
    /// # Errors
    /// `Unavailable` if it cannot be written, `Conflict` if a symbolic link is in the way.
    pub fn create(&self, path: &str, bytes: impl Into<Bytes>) -> Result<Written> {
        self.refuse_links(path)?;
        let (at, bytes) = (self.at(path), bytes.into());
        let mut unsure = false;
        for pause in LOOKS {
            let options = PutMode::Create.into();
            match wait(self.store.put_opts(&at, bytes.clone().into(), options))? {
                Ok(_) => return Ok(Written::Created),
                Err(object_store::Error::AlreadyExists { .. }) if self.exists(path)? => {
                    let ours = unsure && self.read(path)? == bytes;
                    return Ok(if ours { Written::Created } else { Written::AlreadyThere });
                }
                Err(object_store::Error::AlreadyExists { .. }) => {
                    wait(async move { tokio::time::sleep(pause).await })?;
                }
                Err(e) if connection_broke(&e) => {
                    unsure = true;
                    wait(async move { tokio::time::sleep(pause).await })?;
                }
                Err(e) => return Err(unavailable("write", &self.uri_of(path), e)),
            }
        }
        let message = format!(
            "the store says that {} is there and does not show it, or breaks off; run again",
            self.uri_of(path)
        );
        Err(Error::new(ErrorKind::Unavailable, message))
    }

    /// Writes an object, whatever was there: for what follows from records and can be written again.
    ///
    /// # Errors
    /// `Unavailable` if it cannot be written, `Conflict` if a symbolic link is in the way.
    pub(crate) fn replace(&self, path: &str, bytes: impl Into<Bytes>) -> Result<()> {
        self.refuse_links(path)?;
        wait(self.overwrite(path, bytes.into()))?
    }

    /// Writes an object, whatever was there: a reader finds the old one or the new one, whole. Only for
    /// what no result depends on.
    ///
    /// # Errors
    /// `Unavailable` if it cannot be written.
    pub(super) async fn overwrite(&self, path: &str, bytes: impl Into<PutPayload>) -> Result<()> {
        let put = self.store.put(&self.at(path), bytes.into()).await;
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
    /// `Unavailable` if it cannot be written, `Conflict` if a symbolic link is in the way.
    pub fn publish(&self, from: &str, to: &str) -> Result<Written> {
        use object_store::Error::{AlreadyExists, NotImplemented, NotSupported};
        self.refuse_links(to)?;
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
    /// `Conflict` if one lies behind a symbolic link, and then nothing is removed; `Unavailable` if
    /// one cannot be removed.
    pub fn remove(&self, paths: &[String]) -> Result<()> {
        paths.iter().try_for_each(|path| self.refuse_links(path))?;
        for path in paths {
            match wait(self.store.delete(&self.at(path)))? {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                Err(e) => return Err(unavailable("remove", &self.uri_of(path), e)),
            }
        }
        Ok(())
    }

    /// The Parquet files below this directory as input, for those who bring their own store.
    ///
    /// # Errors
    /// `Unavailable` if the listing fails.
    pub fn objects(&self) -> Result<Vec<Object>> {
        found(&self.store, &self.root, &self.uri, None)
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

/// Whether an error is that a connection broke while the request was under way. Clients repeat what is
/// harmless to repeat by themselves; creating an object is not among it.
fn connection_broke(error: &object_store::Error) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset};
    let mut error: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(one) = error {
        let io = one.downcast_ref::<std::io::Error>();
        let kinds = [BrokenPipe, ConnectionAborted, ConnectionReset];
        if io.is_some_and(|io| kinds.contains(&io.kind())) {
            return true;
        }
        // The source of an I/O error is that of what it wraps.
        let wrapped = io.and_then(std::io::Error::get_ref);
        error = wrapped.map(|inner| inner as &(dyn std::error::Error + 'static)).or(one.source());
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_that_broke_is_told_from_a_refusal() {
        let of = |kind: std::io::ErrorKind| {
            let inner = std::io::Error::other(std::io::Error::from(kind));
            object_store::Error::Generic { store: "S3", source: inner.into() }
        };
        assert!(connection_broke(&of(std::io::ErrorKind::ConnectionReset)));
        assert!(!connection_broke(&of(std::io::ErrorKind::PermissionDenied)));
        let missing = object_store::Error::NotFound { path: "p".into(), source: "gone".into() };
        assert!(!connection_broke(&missing));
    }

    #[test]
    fn create_is_put_if_absent_and_publish_too() {
        let place = tempfile::tempdir().unwrap();
        let uri = place.path().join("run");
        let dir = Dir::open(uri.to_str().unwrap(), &Storage::default()).unwrap();
        assert_eq!(dir.create("a/b.json", "1").unwrap(), Written::Created);
        assert_eq!(dir.create("a/b.json", "2").unwrap(), Written::AlreadyThere);
        assert_eq!(dir.read("a/b.json").unwrap(), "1");
        assert_eq!(dir.publish("a/b.json", "c.json").unwrap(), Written::Created);
        assert_eq!(dir.publish("a/b.json", "c.json").unwrap(), Written::AlreadyThere);
        assert_eq!(dir.list("").unwrap(), ["a/b.json", "c.json"]);
        assert_eq!(dir.find("nothing").unwrap(), None);
    }
}
