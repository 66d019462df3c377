//! Log lines on stderr: the store's retries by default, more with `RUST_LOG`. No secret passes.

use std::io::{self, Write};

use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt as _;

use super::progress::beside_the_bar;
use crate::secret::scrub;
use crate::storage::RETRIES;

/// Starts logging for this process.
// What is logged is no part of a result.
#[allow(clippy::disallowed_methods)]
pub(super) fn start() {
    let wanted = std::env::var("RUST_LOG").ok().and_then(|text| text.parse::<Targets>().ok());
    let lines = fmt::layer().with_writer(|| Line(Vec::new())).with_ansi(false).without_time();
    let registry =
        tracing_subscriber::registry().with(lines.with_filter(wanted.unwrap_or_else(usual)));
    // A second start in one process, as in a test, changes nothing.
    let _ = tracing::subscriber::set_global_default(registry);
}

/// Warnings, and every retry of a request.
fn usual() -> Targets {
    Targets::new().with_default(LevelFilter::WARN).with_target(RETRIES, LevelFilter::INFO)
}

/// One log line: scrubbed when it is whole, so that no secret hides in two halves.
struct Line(Vec<u8>);

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        beside_the_bar(&scrub(&String::from_utf8_lossy(&self.0)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    #[test]
    fn retries_are_shown_and_chatter_is_not() {
        let usual = usual();
        assert!(usual.would_enable(&format!("{RETRIES}::retry"), &tracing::Level::INFO));
        assert!(!usual.would_enable("hyper_util::client", &tracing::Level::INFO));
        assert!(usual.would_enable("hyper_util::client", &tracing::Level::WARN));
    }

    #[test]
    fn a_secret_in_two_writes_is_masked_too() {
        let secret = Secret::new("log-canary");
        let mut line = Line(Vec::new());
        line.write_all(b"log-").unwrap();
        line.write_all(b"canary").unwrap();
        assert_eq!(scrub(&String::from_utf8_lossy(&line.0)), format!("{secret:?}"));
        line.0.clear();
    }
}
