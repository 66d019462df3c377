//! Whether a store does what a run needs, tried out with small objects below the address.

use std::collections::BTreeSet;

use bytes::Bytes;
use futures::TryStreamExt;
use futures::future::join_all;
use object_store::path::Path;
use object_store::{CopyMode, CopyOptions, ObjectStoreExt, PutMode};
use serde::Serialize;

use super::commit::attempt_id;
use super::litter::remove_empty;
use super::location::Dir;
use super::wait;
use crate::error::Result;
use crate::recipe::Storage;
use crate::secret::scrub;

/// What was found at one address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnosis {
    /// The address.
    pub uri: String,
    /// Whether a run can be kept there.
    pub fit: bool,
    /// What was tried, in order.
    pub findings: Vec<Finding>,
}

/// One thing that was tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was tried.
    pub name: &'static str,
    /// Whether it works.
    pub works: bool,
    /// What a run uses it for.
    pub used_for: &'static str,
    /// Whether a run cannot do without it.
    pub needed: bool,
    /// What was seen.
    pub seen: String,
    /// What to do, if it does not work.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<&'static str>,
}

/// Writers that race for one object.
const WRITERS: usize = 8;

/// The smallest part that S3 takes, but for the last.
const PART: usize = 5 << 20;

/// A clock that is further off than this has requests refused by S3 (`RequestTimeTooSkewed` from
/// 15 minutes on) and makes `status` and `clean` misjudge ages.
const SKEW_SECONDS: i64 = 60;

type Seen = std::result::Result<String, String>;

/// Tries out the store at `uri`. `now` is this machine's clock, in seconds since 1970. Everything
/// that is written lies below one new folder and is removed again.
///
/// # Errors
/// `InvalidRecipe` if the address or a setting cannot be used at all.
pub fn doctor(uri: &str, storage: &Storage, now: i64) -> Result<Diagnosis> {
    let dir = Dir::open(uri, storage)?;
    let ward = Ward { folder: format!(".unseen-doctor/{}", attempt_id()?), dir: &dir, now };
    let made = dir.missing_folders(&ward.folder);
    let findings = ward.findings();
    remove_empty(&made);
    let findings = findings?;
    let fit = findings.iter().all(|finding| finding.works || !finding.needed);
    Ok(Diagnosis { uri: uri.to_owned(), fit, findings })
}

struct Ward<'a> {
    dir: &'a Dir,
    folder: String,
    now: i64,
}

impl Ward<'_> {
    fn findings(&self) -> Result<Vec<Finding>> {
        const REACH: &str =
            "check the address, AWS_ENDPOINT_URL, the region and that the bucket exists";
        const POLICY: &str = "allow it in the bucket's policy: s3:ListBucket, s3:GetObject, s3:PutObject, s3:DeleteObject, s3:AbortMultipartUpload";
        const CREATE: &str = "use a store with conditional writes (If-None-Match: *): AWS S3, GCS, Azure, MinIO, Ceph; two machines on one run could overwrite each other here";
        const CLOCK: &str = "set this machine's clock (ntp)";
        let all = [
            finding("list", "finding the input", true, REACH, wait(self.list())?),
            finding("write", "every result", true, POLICY, wait(self.write())?),
            finding("read", "every table", true, POLICY, wait(self.read())?),
            finding(
                "read a range",
                "columns and row groups of the input",
                true,
                POLICY,
                wait(self.range())?,
            ),
            finding(
                "create only",
                "records: a task is done once",
                true,
                CREATE,
                wait(self.create())?,
            ),
            finding(
                "create in a race",
                "several machines on one run",
                true,
                CREATE,
                wait(self.race())?,
            ),
            finding("copy", "public names", true, POLICY, wait(self.copy())?),
            finding("multipart", "shards", true, POLICY, wait(self.multipart())?),
            finding(
                "abort multipart",
                "failed uploads cost nothing",
                false,
                POLICY,
                wait(self.abort())?,
            ),
            finding("clock", "ages in `status` and `clean`", false, CLOCK, wait(self.clock())?),
            finding("delete", "`unseen clean`", false, POLICY, wait(self.delete())?),
        ];
        Ok(all.into())
    }

    fn at(&self, name: &str) -> Path {
        // Without the empty parts: to an object store "folder/" with a slash more is another folder.
        let parts = self.folder.split('/').chain(name.split('/')).filter(|part| !part.is_empty());
        parts.fold(self.dir.store().1.clone(), Path::join)
    }

    fn store(&self) -> &dyn object_store::ObjectStore {
        self.dir.store().0.as_ref()
    }

    async fn list(&self) -> Seen {
        let root = self.dir.store().1;
        let prefix = (!root.as_ref().is_empty()).then_some(root);
        // One page will do: a bucket may hold millions.
        let listed = self.store().list(prefix).try_next().await;
        match listed.map_err(told)? {
            Some(object) => Ok(format!("found {}", object.location)),
            None => Ok("nothing there yet".to_owned()),
        }
    }

    async fn write(&self) -> Seen {
        self.store().put(&self.at("a"), TEXT.into()).await.map_err(told)?;
        Ok(format!("{} bytes", TEXT.len()))
    }

    async fn read(&self) -> Seen {
        let bytes = self.store().get(&self.at("a")).await.map_err(told)?.bytes().await;
        same(&bytes.map_err(told)?, TEXT)
    }

    async fn range(&self) -> Seen {
        let bytes = self.store().get_range(&self.at("a"), 2..6).await.map_err(told)?;
        same(&bytes, &TEXT[2..6])
    }

    async fn create(&self) -> Seen {
        let put = |text: &'static [u8]| {
            let at = self.at("b");
            async move { self.store().put_opts(&at, text.into(), PutMode::Create.into()).await }
        };
        put(b"first").await.map_err(told)?;
        match put(b"second").await {
            Err(object_store::Error::AlreadyExists { .. }) => {}
            Err(e) => return Err(told(e)),
            Ok(_) => return Err("a second create overwrote the first".to_owned()),
        }
        let bytes = self.store().get(&self.at("b")).await.map_err(told)?.bytes().await;
        same(&bytes.map_err(told)?, b"first")
    }

    async fn race(&self) -> Seen {
        let write = |writer: usize| async move {
            let at = self.at("c");
            let text = writer.to_string();
            self.store().put_opts(&at, text.into(), PutMode::Create.into()).await.is_ok()
        };
        let winners: Vec<usize> = join_all((0..WRITERS).map(write))
            .await
            .into_iter()
            .enumerate()
            .filter_map(|(writer, won)| won.then_some(writer))
            .collect();
        match winners.as_slice() {
            [_] => Ok(format!("1 winner of {WRITERS} writers")),
            _ => Err(format!("{} winners of {WRITERS} writers", winners.len())),
        }
    }

    async fn copy(&self) -> Seen {
        let (from, to) = (self.at("a"), self.at("d"));
        let options = CopyOptions::new().with_mode(CopyMode::Overwrite);
        self.store().copy_opts(&from, &to, options).await.map_err(told)?;
        let bytes = self.store().get(&to).await.map_err(told)?.bytes().await;
        same(&bytes.map_err(told)?, TEXT)
    }

    async fn multipart(&self) -> Seen {
        let at = self.at("e");
        let mut upload = self.store().put_multipart(&at).await.map_err(told)?;
        let sent = async {
            upload.put_part(vec![7; PART].into()).await?;
            upload.put_part(vec![8; 10].into()).await?;
            upload.complete().await
        };
        if let Err(e) = sent.await {
            let _ = upload.abort().await;
            return Err(told(e));
        }
        let size = self.store().head(&at).await.map_err(told)?.size;
        if size == PART as u64 + 10 {
            Ok("2 parts".to_owned())
        } else {
            Err(format!("it has {size} bytes"))
        }
    }

    async fn abort(&self) -> Seen {
        let at = self.at("f");
        let mut upload = self.store().put_multipart(&at).await.map_err(told)?;
        let part = upload.put_part(vec![7; PART].into()).await;
        upload.abort().await.map_err(told)?;
        part.map_err(told)?;
        match self.store().head(&at).await {
            Err(object_store::Error::NotFound { .. }) => Ok("nothing is left to see".to_owned()),
            Err(e) => Err(told(e)),
            Ok(_) => Err("the object is there all the same".to_owned()),
        }
    }

    async fn clock(&self) -> Seen {
        let written = self.store().head(&self.at("a")).await.map_err(told)?.last_modified;
        let ahead = written.timestamp() - self.now;
        let seen = format!("the store is {ahead} s ahead of this machine");
        if ahead.abs() <= SKEW_SECONDS { Ok(seen) } else { Err(seen) }
    }

    async fn delete(&self) -> Seen {
        let all: Vec<_> =
            self.store().list(Some(&self.at(""))).try_collect().await.map_err(told)?;
        let names: BTreeSet<Path> = all.into_iter().map(|meta| meta.location).collect();
        for name in &names {
            self.store().delete(name).await.map_err(told)?;
        }
        let left = self.store().head(&self.at("a")).await;
        match left {
            Err(object_store::Error::NotFound { .. }) => Ok(format!("{} objects", names.len())),
            _ => Err("an object is there after it was deleted".to_owned()),
        }
    }
}

const TEXT: &[u8] = b"unseen";

#[allow(clippy::needless_pass_by_value)] // for `map_err`
fn told(e: object_store::Error) -> String {
    scrub(&e.to_string()).into_owned()
}

fn same(found: &Bytes, wanted: &[u8]) -> Seen {
    if found == wanted {
        Ok(format!("{} bytes", wanted.len()))
    } else {
        Err("other bytes came back".to_owned())
    }
}

fn finding(
    name: &'static str,
    used_for: &'static str,
    needed: bool,
    fix: &'static str,
    seen: Seen,
) -> Finding {
    let works = seen.is_ok();
    let seen = seen.unwrap_or_else(|why| why);
    Finding { name, works, used_for, needed, seen, fix: (!works).then_some(fix) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_local_directory_is_fit_and_left_as_it_was() {
        let place = tempfile::tempdir().unwrap();
        let uri = place.path().join("runs").to_str().unwrap().to_owned();
        let now = Dir::open(&uri, &Storage::default()).unwrap();
        now.create("x", "1").unwrap();
        let now = now.listed("").unwrap()[0].written;
        let found = doctor(&uri, &Storage::default(), now).unwrap();
        assert!(found.fit, "{found:#?}");
        assert!(found.findings.iter().all(|f| f.works && f.fix.is_none()), "{found:#?}");
        let left = Dir::open(&uri, &Storage::default()).unwrap().list("").unwrap();
        assert_eq!(left, ["x"]);
        let entries = std::fs::read_dir(&uri).unwrap();
        assert_eq!(entries.count(), 1, "a directory is left");
        let new = format!("{uri}/new/dir");
        assert!(doctor(&new, &Storage::default(), now).unwrap().fit);
        assert!(!std::path::Path::new(&uri).join("new").exists());
        let late = doctor(&uri, &Storage::default(), now + 3600).unwrap();
        let clock = late.findings.iter().find(|f| f.name == "clock").unwrap();
        assert!(late.fit && !clock.works && clock.fix.is_some(), "{clock:?}");
    }

    #[test]
    fn a_place_that_cannot_be_written_is_not_fit() {
        let place = tempfile::tempdir().unwrap();
        std::fs::write(place.path().join("file"), "x").unwrap();
        let uri = format!("{}/file/runs", place.path().to_str().unwrap());
        let found = doctor(&uri, &Storage::default(), 0).unwrap();
        assert!(!found.fit);
        assert!(found.findings.iter().any(|f| f.name == "write" && !f.works));
    }
}
