//! From an address to a store: the one place that knows kinds of stores, their settings and where
//! credentials come from.
//!
//! What wins: the recipe's `[storage]` (or `--storage`), then the environment, then the profile.

use std::sync::Arc;
use std::time::Duration;

use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
#[cfg(any(feature = "s3", feature = "gcs", feature = "azure"))]
use object_store::{
    BackoffConfig, ClientConfigKey, ClientOptions, Result as StoreResult, RetryConfig,
};

use super::patient::Patient;
use crate::error::{Error, ErrorKind, Result};
use crate::recipe::{Address, Scheme, Storage};
use crate::secret::holds_secret;

/// A place in a store.
pub(super) struct Place {
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) path: Path,
    /// The directory on this machine, if the place is local.
    pub(super) local: Option<std::path::PathBuf>,
}

impl Place {
    /// The place for messages: a path in full, else the address.
    pub(super) fn shown(&self, uri: &str) -> String {
        self.local.as_ref().map_or_else(|| uri.to_owned(), |path| path.display().to_string())
    }
}

/// The place behind an address. Nothing is asked of the store yet.
///
/// # Errors
/// `InvalidRecipe` for an address or a setting that cannot be used, or a kind of store that this
/// build lacks.
pub(super) fn open(uri: &str, storage: &Storage) -> Result<Place> {
    let wrong = |e: object_store::path::Error| {
        Error::recipe(format!("`{uri}` is not a usable address: {e}"))
    };
    match Address::parse(uri)? {
        Address::Local(path) => {
            // fsync: a record must not outlive the data it names when the machine dies.
            let store = Arc::new(LocalFileSystem::new().with_fsync(true));
            let at = Path::from_absolute_path(&path).map_err(wrong)?;
            Ok(Place { store: patient(store, storage), path: at, local: Some(path) })
        }
        Address::Object { scheme, bucket, key } => {
            learn_environment();
            let store = remote(scheme, &bucket, storage)?;
            let path = Path::parse(&key).map_err(wrong)?;
            Ok(Place { store: patient(store, storage), path, local: None })
        }
    }
}

/// The longest that an operation may take: the last retry may begin just before the retries end.
pub(super) fn patience(storage: &Storage) -> Duration {
    Duration::from_secs_f64(2.0 * storage.timeout_seconds + storage.retry_seconds)
}

pub(super) fn patient(store: Arc<dyn ObjectStore>, storage: &Storage) -> Arc<dyn ObjectStore> {
    Arc::new(Patient::new(store, patience(storage)))
}

/// Masks every credential of the environment from here on, whichever store it is for.
// What the environment says is known here and in the store's client.
#[allow(clippy::disallowed_methods)]
fn learn_environment() {
    let store = |name: &str| ["AWS_", "AZURE_", "GOOGLE_"].iter().any(|p| name.starts_with(p));
    for (name, value) in std::env::vars().filter(|(name, _)| store(name)) {
        holds_secret(&format!("{name}={value}"));
    }
}

// A build without any of them has no use for the settings.
#[cfg_attr(not(any(feature = "s3", feature = "gcs", feature = "azure")), allow(unused_variables))]
fn remote(scheme: Scheme, bucket: &str, storage: &Storage) -> Result<Arc<dyn ObjectStore>> {
    match scheme {
        #[cfg(feature = "s3")]
        Scheme::S3 => super::aws::open(bucket, storage),
        #[cfg(feature = "gcs")]
        Scheme::Gcs => gcs(bucket, storage),
        #[cfg(feature = "azure")]
        Scheme::Azure => azure(bucket, storage),
        #[cfg(not(all(feature = "s3", feature = "gcs", feature = "azure")))]
        _ => {
            let feature = match scheme {
                Scheme::S3 => "s3",
                Scheme::Gcs => "gcs",
                Scheme::Azure => "azure",
            };
            Err(Error::recipe(format!(
                "this build of unseen cannot reach {}://{bucket}; build it with `--features {feature}`",
                scheme.name()
            )))
        }
    }
}

#[cfg(feature = "gcs")]
fn gcs(bucket: &str, storage: &Storage) -> Result<Arc<dyn ObjectStore>> {
    use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
    let builder =
        GoogleCloudStorageBuilder::from_env().with_bucket_name(bucket).with_retry(retry(storage));
    let known = |key| builder.get_config_value(&GoogleConfigKey::Client(key));
    let settings = client(storage, known);
    let builder = settings
        .into_iter()
        .fold(builder, |b, (key, value)| b.with_config(GoogleConfigKey::Client(key), value));
    let builder =
        if storage.anonymous == Some(true) { builder.with_skip_signature(true) } else { builder };
    let builder = options(storage)?
        .try_fold(builder, |b, (key, value)| Ok(b.with_config(key.parse()?, value)));
    built(builder.and_then(|b| Ok(Arc::new(b.build()?))), bucket)
}

#[cfg(feature = "azure")]
fn azure(container: &str, storage: &Storage) -> Result<Arc<dyn ObjectStore>> {
    use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
    let builder =
        MicrosoftAzureBuilder::from_env().with_container_name(container).with_retry(retry(storage));
    let known = |key| builder.get_config_value(&AzureConfigKey::Client(key));
    let settings = client(storage, known);
    let mut builder = settings
        .into_iter()
        .fold(builder, |b, (key, value)| b.with_config(AzureConfigKey::Client(key), value));
    if let Some(endpoint) = &storage.endpoint {
        builder = builder.with_endpoint(endpoint.clone());
    }
    if storage.anonymous == Some(true) {
        builder = builder.with_skip_signature(true);
    }
    let builder = options(storage)?
        .try_fold(builder, |b, (key, value)| Ok(b.with_config(key.parse()?, value)));
    built(builder.and_then(|b| Ok(Arc::new(b.build()?))), container)
}

/// How requests are made. What the environment says stays, unless the recipe says it otherwise.
#[cfg(any(feature = "s3", feature = "gcs", feature = "azure"))]
pub(super) fn client(
    storage: &Storage,
    known: impl Fn(ClientConfigKey) -> Option<String>,
) -> Vec<(ClientConfigKey, String)> {
    let usual = Storage::default();
    let seconds = |key, value: f64, usual: f64| {
        let given = value.to_bits() != usual.to_bits();
        (given || !from_environment(&known, key)).then(|| (key, format!("{}ms", 1e3 * value)))
    };
    let allow = storage.allow_http.map(|allow| (ClientConfigKey::AllowHttp, allow.to_string()));
    [
        seconds(ClientConfigKey::Timeout, storage.timeout_seconds, usual.timeout_seconds),
        seconds(ClientConfigKey::ConnectTimeout, storage.connect_seconds, usual.connect_seconds),
        allow,
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Whether a setting differs from what the client takes when nobody says anything.
#[cfg(any(feature = "s3", feature = "gcs", feature = "azure"))]
fn from_environment(
    known: impl Fn(ClientConfigKey) -> Option<String>,
    key: ClientConfigKey,
) -> bool {
    known(key) != ClientOptions::new().get_config_value(&key)
}

/// How failed requests are repeated.
#[cfg(any(feature = "s3", feature = "gcs", feature = "azure"))]
pub(super) fn retry(storage: &Storage) -> RetryConfig {
    RetryConfig {
        // With the client's own factor of 2 the random waits hardly grow: ten can be over in 2 s.
        backoff: BackoffConfig { base: 3.0, ..BackoffConfig::default() },
        max_retries: storage.retries,
        retry_timeout: Duration::from_secs_f64(storage.retry_seconds),
    }
}

/// The recipe's other settings, as lower-case names and values.
#[cfg(any(feature = "s3", feature = "gcs", feature = "azure"))]
pub(super) fn options(storage: &Storage) -> Result<std::vec::IntoIter<(String, String)>> {
    let mut pairs = Vec::new();
    for option in &storage.options {
        let (name, value) = option.split_once('=').ok_or_else(|| {
            Error::recipe(format!("storage.options has `{option}`; write it as key=value"))
        })?;
        let name = name.trim().to_ascii_lowercase();
        if holds_secret(option) {
            return Err(Error::recipe(format!(
                "storage.options names `{name}`, which holds a secret; set it in the environment instead"
            )));
        }
        pairs.push((name, value.trim().to_owned()));
    }
    Ok(pairs.into_iter())
}

#[cfg(any(feature = "s3", feature = "gcs", feature = "azure"))]
pub(super) fn built<S: ObjectStore>(
    store: StoreResult<Arc<S>>,
    bucket: &str,
) -> Result<Arc<dyn ObjectStore>> {
    match store {
        Ok(store) => Ok(store),
        Err(e) => {
            Err(Error::recipe(format!("the settings for bucket {bucket} cannot be used"))
                .because(e))
        }
    }
}

/// What a failed operation means, and what to do.
pub(super) fn unavailable(verb: &str, what: &str, error: object_store::Error) -> Error {
    use object_store::Error::{PermissionDenied, Unauthenticated};
    let hint = match (&error, verb) {
        (PermissionDenied { .. }, _) => {
            "; the credentials do not allow it: check the key and the bucket's policy"
        }
        (Unauthenticated { .. }, _) => "; the credentials are not accepted: check key and token",
        (_, "write") => "; check that the place exists, is writable and has room",
        _ => "",
    };
    Error::new(ErrorKind::Unavailable, format!("cannot {verb} {what}{hint}")).because(error)
}
