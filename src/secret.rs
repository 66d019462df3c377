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
        let user = user(part);
        clean.push_str("://");
        clean.push_str(user.map_or("", |_| MASK));
        clean.push_str(&part[user.map_or(0, str::len)..]);
    }
    clean
}

/// The user part of what follows `://`: `name:password` of `name:password@host/...`.
fn user(after_scheme: &str) -> Option<&str> {
    let host = after_scheme.find(|c| c == '/' || is_end(c)).unwrap_or(after_scheme.len());
    after_scheme[..host].rfind('@').map(|at| &after_scheme[..at])
}

/// Whether an address carries credentials. If so they are secrets from here on, for they may come
/// up alone: libraries print an address in pieces.
pub(crate) fn holds_user(address: &str) -> bool {
    let users: Vec<&str> = address.split("://").skip(1).filter_map(user).collect();
    for user in &users {
        learn(user);
        if let Some((_, password)) = user.split_once(':') {
            learn(password);
        }
    }
    !users.is_empty()
}

/// Words in the names of settings that hold secrets.
const NAMES: [&str; 6] = ["secret", "token", "password", "key", "sas", "service_account"];

/// Names with such a word that hold none.
const OPEN_NAMES: [&str; 3] = ["sse_kms_key_id", "sse_bucket_key_enabled", "disable_tagging"];

/// Whether a setting `name=value` is one for a secret. If so its value is masked from here on.
pub(crate) fn holds_secret(setting: &str) -> bool {
    let named = |name: &str| {
        let name = name.to_ascii_lowercase();
        NAMES.iter().any(|word| name.contains(word))
            && !OPEN_NAMES.iter().any(|open| name.contains(open))
    };
    let mut ends = setting.match_indices('=').map(|(at, _)| at);
    let Some(end) = ends.find(|end| named(&setting[..*end])) else { return false };
    learn(setting[end + 1..].trim().trim_matches(['"', '\'', ']']));
    true
}

/// Masks a text from here on.
pub(crate) fn learn(secret: &str) {
    drop(Secret::new(secret));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_for_keys_are_known_by_their_names() {
        for name in ["account_key", "aws_sse_customer_key_base64", "master_key", "AWS_TOKEN"] {
            assert!(holds_secret(&format!("{name}=x")), "{name}");
        }
        for name in ["aws_sse_kms_key_id", "region", "aws_request_payer"] {
            assert!(!holds_secret(&format!("{name}=x")), "{name}");
        }
    }

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

    #[test]
    fn credentials_of_an_address_are_masked_without_it_too() {
        assert!(holds_user("http://me:word-of-the-tests@host:1/a"));
        assert_eq!(
            scrub("connect to (http, me:word-of-the-tests@host)"),
            "connect to (http, ***@host)"
        );
        assert_eq!(scrub("word-of-the-tests"), "***");
        assert!(!holds_user("http://host/a@b"));
        assert!(holds_secret("storage.options=[\"AWS_SECRET_ACCESS_KEY=key-of-the-tests=\"]"));
        assert_eq!(scrub("got key-of-the-tests="), "got ***");
        assert!(!holds_secret("select.keep=0.5"));
    }
}
