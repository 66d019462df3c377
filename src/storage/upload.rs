//! An object that is written piece by piece: memory holds a few parts of it, never the whole.
//!
//! Up to one part it is a single create-only put; beyond, a multipart upload that is aborted when
//! anything fails. Nobody can abort after a kill: a store's lifecycle rule has to remove what is left.

use std::io::Write;

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::{ObjectStoreExt, WriteMultipart};
use sha2::{Digest, Sha256};

use super::commit::hex;
use super::crash::Point;
use super::location::{Dir, Written};
use super::store::unavailable;
use super::wait;
use crate::error::{Error, Result};

/// The bytes of one part. S3 takes at most 10,000 parts of an object: 80 GiB.
const PART: usize = 8 << 20;

/// Parts on their way at once, beside the one that is being filled.
const IN_FLIGHT: usize = 2;

/// An object being written; it is there once [`Upload::finish`] has returned. Dropped before, it
/// leaves nothing.
pub struct Upload {
    dir: Dir,
    path: String,
    part: Vec<u8>,
    parts: Option<WriteMultipart>,
    hash: Sha256,
    bytes: u64,
    /// What went wrong, for whoever only sees the encoder's error.
    failure: Option<Error>,
}

/// The size and SHA-256 (in hex) of an object's bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sum {
    /// How many bytes.
    pub bytes: u64,
    /// Their SHA-256, in hex.
    pub sha256: String,
}

impl Upload {
    /// The bytes of memory that one upload takes at most.
    pub const MEMORY: u64 = (PART * (1 + IN_FLIGHT)) as u64;

    /// Begins to write the object `path`, a name that nobody else uses.
    pub fn new(dir: &Dir, path: impl Into<String>) -> Self {
        let (dir, path, hash) = (dir.clone(), path.into(), Sha256::new());
        Self { dir, path, part: Vec::new(), parts: None, hash, bytes: 0, failure: None }
    }

    /// Ends the object. On local disk the bytes and the name are on the medium when this returns.
    ///
    /// # Errors
    /// `Unavailable` if it cannot be written, `CorruptData` if the name is taken by other bytes.
    pub fn finish(mut self) -> Result<Sum> {
        let sum = Sum { bytes: self.bytes, sha256: hex(&self.hash.finalize_reset()) };
        let rest = Bytes::from(std::mem::take(&mut self.part));
        let Some(mut parts) = self.parts.take() else {
            return self.put(rest, sum);
        };
        let finish = async {
            if !rest.is_empty() {
                parts.put(rest);
            }
            // Aborts by itself if a part or the last step fails.
            parts.finish().await
        };
        wait(finish)?.map_err(|e| unavailable("write", &self.dir.uri_of(&self.path), e))?;
        Ok(sum)
    }

    /// The result of whoever wrote, or why the upload failed if it did.
    ///
    /// # Errors
    /// `Unavailable` if a part could not be written; else that of `result`.
    pub fn settle<T>(&mut self, result: Result<T>) -> Result<T> {
        match self.failure.take() {
            Some(failure) => Err(failure),
            None => result,
        }
    }

    fn put(&self, bytes: Bytes, sum: Sum) -> Result<Sum> {
        match self.dir.create(&self.path, bytes)? {
            Written::Created => Ok(sum),
            // A retry after a lost answer finds its own object; its bytes decide.
            Written::AlreadyThere if self.dir.sum(&self.path)? == sum => Ok(sum),
            Written::AlreadyThere => {
                let message = "the name of a new object is taken by other bytes; run again";
                Err(Error::corrupt(message).at(self.dir.uri_of(&self.path)))
            }
        }
    }

    /// Sends the part that is full.
    fn send(&mut self) -> object_store::Result<()> {
        let part = Bytes::from(std::mem::replace(&mut self.part, Vec::with_capacity(PART)));
        let sent = wait(async {
            let mut parts = match self.parts.take() {
                Some(parts) => parts,
                None => {
                    let upload = self.dir.store.put_multipart(&self.dir.at(&self.path)).await?;
                    WriteMultipart::new_with_chunk_size(upload, PART)
                }
            };
            if let Err(e) = parts.wait_for_capacity(IN_FLIGHT).await {
                // The first error is the one to tell.
                let _ = parts.abort().await;
                return Err(e);
            }
            parts.put(part);
            self.parts = Some(parts);
            Ok(())
        });
        Point::PartSent.pass();
        sent.unwrap_or_else(|e| {
            Err(object_store::Error::Generic { store: "runtime", source: Box::new(e) })
        })
    }
}

impl Write for Upload {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        // A full part is sent when more comes, so that the last one is never empty.
        if self.part.len() == PART {
            self.dir.refuse_links(&self.path).map_err(std::io::Error::other)?;
            self.send().map_err(|e| {
                let told = std::io::Error::other(e.to_string());
                self.failure = Some(unavailable("write", &self.dir.uri_of(&self.path), e));
                told
            })?;
        }
        let taken = &bytes[..bytes.len().min(PART - self.part.len())];
        self.part.extend_from_slice(taken);
        self.hash.update(taken);
        self.bytes += taken.len() as u64;
        Ok(taken.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if let Some(parts) = self.parts.take() {
            // Nobody is left to hear of a failure; what stays behind is invisible.
            let _ = wait(parts.abort());
        }
    }
}

impl Dir {
    /// Size and SHA-256 of an object, read as a stream.
    ///
    /// # Errors
    /// `Unavailable` if it is not there or cannot be read.
    pub fn sum(&self, path: &str) -> Result<Sum> {
        let summed = wait(async {
            let mut stream = self.store.get(&self.at(path)).await?.into_stream();
            let (mut hash, mut bytes) = (Sha256::new(), 0);
            while let Some(chunk) = stream.try_next().await? {
                hash.update(&chunk);
                bytes += chunk.len() as u64;
            }
            Ok(Sum { bytes, sha256: hex(&hash.finalize()) })
        })?;
        summed.map_err(|e| unavailable("read", &self.uri_of(path), e))
    }
}
