//! How object stores are reached: everything but secrets.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::document::{Document, Override};
use super::shape::first_fault;
use crate::error::Result;

/// How object stores are reached. Nothing here changes a result. Secrets are not among it: they come
/// from the environment (`AWS_SECRET_ACCESS_KEY` and all that belongs to it) or from a profile.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Storage {
    /// The server, such as `http://localhost:9000`; AWS itself if not given (`AWS_ENDPOINT_URL`).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub endpoint: Option<String>,
    /// The region (`AWS_REGION`).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub region: Option<String>,
    /// The profile of `~/.aws/config` and `~/.aws/credentials` (`AWS_PROFILE`).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub profile: Option<String>,
    /// Allow addresses without TLS (`AWS_ALLOW_HTTP`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_http: Option<bool>,
    /// Put the bucket's name into the host name instead of the path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub virtual_hosted: Option<bool>,
    /// Do not sign requests: for public buckets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub anonymous: Option<bool>,
    /// Seconds that one request may take, its body included.
    #[schemars(range(max = 100_000), extend("exclusiveMinimum" = 0))]
    pub timeout_seconds: f64,
    /// Seconds to find a connection.
    #[schemars(range(max = 100_000), extend("exclusiveMinimum" = 0))]
    pub connect_seconds: f64,
    /// How often one request is tried again after an answer that may pass: 5xx, a lost connection. By
    /// default `retry_seconds` ends it first.
    #[schemars(range(max = 1000))]
    pub retries: usize,
    /// Seconds after which a request is not tried again. Waits grow from 0.1 s to 15 s, at random.
    #[schemars(range(min = 0, max = 100_000))]
    pub retry_seconds: f64,
    /// Seconds without a sign of life after which another machine's task counts as abandoned.
    #[schemars(range(max = 100_000), extend("exclusiveMinimum" = 0))]
    pub lease_seconds: f64,
    /// Other settings of the store's client, each `key=value`, such as `aws_request_payer=true`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
}

impl Default for Storage {
    fn default() -> Self {
        Self {
            endpoint: None,
            region: None,
            profile: None,
            allow_http: None,
            virtual_hosted: None,
            anonymous: None,
            timeout_seconds: 60.0,
            connect_seconds: 10.0,
            retries: 100,
            retry_seconds: 180.0,
            lease_seconds: 60.0,
            options: Vec::new(),
        }
    }
}

impl Storage {
    /// These settings, and where they are the default those of `base`.
    pub fn over(&self, base: &Self) -> Self {
        let fields = |storage: &Self| match serde_json::to_value(storage) {
            Ok(serde_json::Value::Object(fields)) => fields,
            _ => serde_json::Map::new(),
        };
        let (usual, mut all) = (fields(&Self::default()), fields(base));
        let given = fields(self).into_iter().filter(|(key, value)| usual.get(key) != Some(value));
        all.extend(given);
        serde_json::from_value(all.into()).unwrap_or_else(|_| self.clone())
    }

    /// The settings that `--storage key=value` gives, for commands that read no recipe.
    ///
    /// # Errors
    /// `InvalidRecipe` for an unknown key or a wrong value.
    pub fn from_overrides(overrides: &[Override]) -> Result<Self> {
        let document = Document::parse("", "--storage", overrides)?;
        let schema: serde_json::Value = schemars::schema_for!(Self).into();
        match first_fault(&schema, document.root()) {
            Some(fault) => Err(document.error(fault.place, &fault.message)),
            None => document.read(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_wins_and_the_rest_stays() {
        let endpoint = Some("http://h:9000".to_owned());
        let base = Storage { endpoint, retries: 3, ..Storage::default() };
        let given = Storage { timeout_seconds: 5.0, retries: 4, ..Storage::default() };
        let both = given.over(&base);
        assert_eq!((both.endpoint.as_deref(), both.retries), (Some("http://h:9000"), 4));
        assert!((both.timeout_seconds - 5.0).abs() < 1e-9);
        assert_eq!(Storage::default().over(&base), base);
    }

    #[test]
    fn overrides_give_settings_and_wrong_ones_say_so() {
        let set = |texts: &[&str]| {
            let parsed: Vec<Override> = texts.iter().map(|t| t.parse().unwrap()).collect();
            Storage::from_overrides(&parsed)
        };
        assert_eq!(set(&[]).unwrap(), Storage::default());
        let storage = set(&["endpoint=http://h:9000", "allow_http=true", "retries=2"]).unwrap();
        assert_eq!(storage.endpoint.as_deref(), Some("http://h:9000"));
        assert_eq!((storage.allow_http, storage.retries), (Some(true), 2));
        for (text, says) in [
            ("endpont=x", "did you mean `endpoint`?"),
            ("retries=-1", "retries"),
            ("secret_access_key=x", "unknown key"),
        ] {
            let error = set(&[text]).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }
}
