//! The S3 server of the tests: `scripts/s3`, which `scripts/test` starts.

use std::process::Command;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use unseen::storage::attempt_id;

use crate::support::skipped;

/// Held for reading by whoever needs the server, for writing by whoever stops it.
static SERVER: RwLock<()> = RwLock::new(());

/// A place in the server's bucket for one test. The server stays up while it lives.
pub(crate) struct Bucket {
    root: String,
    _up: RwLockReadGuard<'static, ()>,
}

impl Bucket {
    /// The place of the test of this name; without a server `None`, said loudly.
    pub(crate) fn open(test: &str) -> Option<Self> {
        let root = root(test)?;
        Some(Self { root, _up: SERVER.read().unwrap_or_else(PoisonError::into_inner) })
    }

    pub(crate) fn uri(&self, name: &str) -> String {
        format!("{}/{name}", self.root)
    }
}

/// The server for one test alone, which may stop it.
pub(crate) struct Server {
    root: String,
    _alone: RwLockWriteGuard<'static, ()>,
}

impl Server {
    /// The server, if there is one and it is ours to stop; otherwise `None`, said loudly.
    pub(crate) fn alone(test: &str) -> Option<Self> {
        let root = root(test)?;
        if std::env::var("UNSEEN_S3_HOME").is_err() {
            skipped(&format!("{test}: this S3 server is not one of scripts/s3"));
            return None;
        }
        Some(Self { root, _alone: SERVER.write().unwrap_or_else(PoisonError::into_inner) })
    }

    pub(crate) fn uri(&self, name: &str) -> String {
        format!("{}/{name}", self.root)
    }

    /// Kills the gateway; its data stays.
    pub(crate) fn pause(&self) -> Paused<'_> {
        script("pause");
        Paused(self)
    }
}

/// A server that is down until this is dropped.
pub(crate) struct Paused<'a>(#[allow(dead_code)] &'a Server);

impl Drop for Paused<'_> {
    fn drop(&mut self) {
        script("resume");
    }
}

fn root(test: &str) -> Option<String> {
    if let Ok(bucket) = std::env::var("UNSEEN_S3_BUCKET") {
        return Some(format!("s3://{bucket}/tests/{test}-{}", attempt_id().unwrap()));
    }
    skipped(&format!("{test}: no S3 server; use scripts/test, or eval \"$(scripts/s3 start)\""));
    None
}

/// Runs `scripts/s3` and returns what it printed.
pub(crate) fn script(verb: &str) -> String {
    let mut command = Command::new("scripts/s3");
    let output = command.arg(verb).current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "scripts/s3 {verb}: {stderr}");
    String::from_utf8(output.stdout).unwrap()
}
