//! Secrets: one type that never prints itself, and one function that keeps them out of all texts.
//!
//! Every secret that this process learns is registered; [`scrub`] takes the registered ones, and what
//! stands where addresses carry credentials, out of a text. Errors and log lines pass through it.

use std::borrow::Cow;
use std::fmt;
use std::sync::{PoisonError, RwLock};

/// What stands in place of a secret.
const MASK: &str = "***";

/// Secrets that are shorter than this are common words; masking them would garble texts.
const SHORTEST: usize = 6;

static KNOWN: RwLock<Vec<String>> = RwLock::new(Vec::new());

/// A key, a password or a token. It can be handed to a store and to nobody else: it has neither
/// `Display` nor `Serialize`, and `Debug` prints `***`.
///
/// ```compile_fail
/// println!("{}", unseen::secret::Secret::new("hidden"));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret, which from here on is masked in every text that is scrubbed.
    pub fn new(text: impl Into<String>) -> Self {
        let text = text.into();
        if text.len() >= SHORTEST {
            let mut known = KNOWN.write().unwrap_or_else(PoisonError::into_inner);
            if !known.contains(&text) {
                known.push(text.clone());
                // A secret that is part of another must not leave the rest of it in sight.
                known.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
            }
        }
        Self(text)
    }

    /// The secret itself, for the store's client.
    #[cfg(any(feature = "s3", feature = "gcs", feature = "azure", test))]
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

/// Parameters of addresses whose value is a credential: signed S3 addresses, Azure's SAS.
const PARAMETERS: [&str; 5] =
    ["X-Amz-Signature=", "X-Amz-Credential=", "X-Amz-Security-Token=", "sig=", "Signature="];

/// The text without registered secrets, without the values of signing parameters, and without the
/// user part of addresses (`scheme://user:password@host`).
pub fn scrub(text: &str) -> Cow<'_, str> {
    let mut clean = Cow::Borrowed(text);
    for secret in KNOWN.read().unwrap_or_else(PoisonError::into_inner).iter() {
        if clean.contains(secret.as_str()) {
            clean = Cow::Owned(clean.replace(secret.as_str(), MASK));
        }
    }
    for name in PARAMETERS {
        if clean.contains(name) {
            clean = Cow::Owned(masked_after(&clean, name, |c| c == '&' || is_end(c)));
        }
    }
    if clean.contains("://") && clean.contains('@') {
        clean = Cow::Owned(without_users(&clean));
    }
    clean
}

fn is_end(c: char) -> bool {
    c.is_whitespace() || matches!(c, '"' | '\'' | '`' | ')' | '>' | ',' | ';')
}

/// Masks what follows each `name` up to the first character that ends it.
fn masked_after(text: &str, name: &str, ends: impl Fn(char) -> bool) -> String {
    let mut parts = text.split(name);
    let mut clean = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(&ends).unwrap_or(part.len());
        clean.push_str(name);
        clean.push_str(MASK);
        clean.push_str(&part[end..]);
    }
    clean
}

fn without_users(text: &str) -> String {
    let mut parts = text.split("://");
    let mut clean = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let host = part.find(|c| c == '/' || is_end(c)).unwrap_or(part.len());
        let user = part[..host].rfind('@');
        clean.push_str("://");
        clean.push_str(if user.is_some() { MASK } else { "" });
        clean.push_str(&part[user.unwrap_or(0)..]);
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registered_secrets_are_masked_everywhere() {
        let secret = Secret::new("canary-of-the-tests");
        let longer = Secret::new("canary-of-the-tests-and-more");
        assert_eq!(secret.reveal().len(), 19);
        assert_eq!(format!("{secret:?} {longer:?}"), "*** ***");
        assert_eq!(scrub("a canary-of-the-tests-and-more b canary-of-the-tests"), "a *** b ***");
        assert_eq!(scrub("nothing here"), "nothing here");
    }

    #[test]
    fn addresses_lose_their_credentials() {
        for (text, clean) in [
            ("get http://me:pass@host/a?b", "get http://***@host/a?b"),
            (
                "https://h/k?X-Amz-Signature=abc&x=1 failed",
                "https://h/k?X-Amz-Signature=***&x=1 failed",
            ),
            ("(https://h/k?sv=1&sig=a%2Fb)", "(https://h/k?sv=1&sig=***)"),
            ("s3://bucket/a@b/c and x@y", "s3://bucket/a@b/c and x@y"),
        ] {
            assert_eq!(scrub(text), clean);
        }
    }
}
