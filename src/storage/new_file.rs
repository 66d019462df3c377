//! One new file at an address of its own, for commands that write outside of a run directory.

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use bytes::Bytes;

use super::location::{Dir, Written};
use super::parquet::{encode, encode_table, own_properties};
use super::upload::Upload;
use crate::error::{Error, ErrorKind, Result};
use crate::recipe::{Address, Storage};

/// The place of a file that is not there yet, or that may be replaced.
#[derive(Debug)]
pub struct NewFile {
    dir: Dir,
    name: String,
    uri: String,
    replaces: bool,
}

impl NewFile {
    /// The place at `uri`, which must be free. Nothing is written yet.
    ///
    /// # Errors
    /// `InvalidRecipe` if the address names no file; `Conflict` if something is there.
    pub fn at(uri: &str, storage: &Storage) -> Result<Self> {
        let new = Self { replaces: false, ..Self::over(uri, storage)? };
        if new.dir.exists(&new.name)? {
            return Err(new.taken());
        }
        Ok(new)
    }

    /// The place at `uri`, whatever is there: for files that can be made again. A reader finds the old one
    /// or the new one, whole.
    ///
    /// # Errors
    /// `InvalidRecipe` if the address names no file.
    pub fn over(uri: &str, storage: &Storage) -> Result<Self> {
        let (parent, name) = split(uri)?;
        Ok(Self { dir: Dir::open(&parent, storage)?, name, uri: uri.to_owned(), replaces: true })
    }

    /// Holds the address to the format of what will be written.
    ///
    /// # Errors
    /// `InvalidRecipe` if the name does not end in `.` and `format`.
    pub fn ending(self, format: &str) -> Result<Self> {
        if self.name.rsplit_once('.').is_some_and(|(_, end)| end == format) {
            return Ok(self);
        }
        let message =
            format!("`{}` will be a {format} file; let its name end in .{format}", self.uri);
        Err(Error::recipe(message))
    }

    /// The address as the user wrote it.
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// Writes the file.
    ///
    /// # Errors
    /// `Conflict` if something is there by now that may not be replaced, or a symbolic link; `Unavailable`
    /// if it cannot be written.
    pub fn write(&self, bytes: impl Into<Bytes>) -> Result<()> {
        if self.replaces {
            return self.dir.replace(&self.name, bytes);
        }
        match self.dir.create(&self.name, bytes)? {
            Written::Created => Ok(()),
            Written::AlreadyThere => Err(self.taken()),
        }
    }

    /// Writes one table.
    ///
    /// # Errors
    /// As [`NewFile::write`].
    pub fn write_table(&self, batch: &RecordBatch) -> Result<()> {
        self.write(encode_table(batch)?)
    }

    /// Writes a table batch by batch, each as a row group; no more than one is in memory.
    ///
    /// # Errors
    /// The error of a batch, after which there is no file; `Unavailable` if it cannot be written.
    pub fn write_batches(
        &self,
        schema: &SchemaRef,
        batches: impl Iterator<Item = Result<RecordBatch>>,
    ) -> Result<()> {
        let mut upload = Upload::new(&self.dir, self.name.clone());
        let groups = batches.map(|batch| batch.map(|batch| [Ok(batch)]));
        let encoded = encode(&mut upload, schema, groups, own_properties()).map(|_| ());
        upload.settle(encoded)?;
        upload.finish().map(|_| ())
    }

    fn taken(&self) -> Error {
        let message = format!("{} is there already; choose another place or remove it", self.uri);
        Error::new(ErrorKind::Conflict, message)
    }
}

/// The directory and the name of a file.
fn split(uri: &str) -> Result<(String, String)> {
    let no_file = || Error::recipe(format!("`{uri}` names no file; give one, such as out.parquet"));
    if uri.ends_with('/') {
        return Err(no_file());
    }
    match Address::parse(uri)? {
        Address::Local(path) => {
            let name = path.file_name().and_then(|name| name.to_str()).ok_or_else(no_file)?;
            let parent = path.parent().and_then(|parent| parent.to_str()).ok_or_else(no_file)?;
            Ok((parent.to_owned(), name.to_owned()))
        }
        Address::Object { scheme, bucket, key } => {
            let (parent, name) = key.rsplit_once('/').unwrap_or(("", &key));
            if name.is_empty() {
                return Err(no_file());
            }
            Ok((format!("{}://{bucket}/{parent}", scheme.name()), name.to_owned()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_directory_and_a_name() {
        assert_eq!(split("/a/b/c.parquet").unwrap(), ("/a/b".into(), "c.parquet".into()));
        assert_eq!(split("file:///a%20b/c.svg").unwrap(), ("/a b".into(), "c.svg".into()));
        assert_eq!(split("s3://b/x/y.parquet").unwrap(), ("s3://b/x".into(), "y.parquet".into()));
        assert_eq!(split("s3://b/y.parquet").unwrap(), ("s3://b/".into(), "y.parquet".into()));
        for none in ["s3://b", "s3://b/", "/", "/a/", "a/"] {
            assert_eq!(split(none).unwrap_err().exit_code(), 2, "{none}");
        }
    }

    #[test]
    fn a_place_that_is_taken_is_refused_before_the_work() {
        let dir = tempfile::tempdir().unwrap();
        let uri = dir.path().join("sub/a.txt").to_str().unwrap().to_owned();
        let new = NewFile::at(&uri, &Storage::default()).unwrap();
        new.write("1").unwrap();
        assert_eq!(std::fs::read(&uri).unwrap(), b"1");
        assert_eq!(new.write("2").unwrap_err().kind(), ErrorKind::Conflict);
        let error = NewFile::at(&uri, &Storage::default()).unwrap_err();
        assert!(error.to_string().contains("is there already"), "{error}");
        NewFile::over(&uri, &Storage::default()).unwrap().write("3").unwrap();
        assert_eq!(std::fs::read(&uri).unwrap(), b"3");
    }
}
