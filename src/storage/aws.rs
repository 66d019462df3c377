//! S3 as AWS users know it: every `AWS_*` variable that the client understands, profiles, endpoints.

use std::path::PathBuf;
use std::sync::Arc;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::{ClientConfigKey, ObjectStore};

use super::profile::Profile;
use super::store::{built, client, options, retry};
use crate::error::{Error, Result};
use crate::recipe::Storage;
use crate::secret::{holds_user, learn};

/// Opens a bucket.
///
/// # Errors
/// `InvalidRecipe` for settings that contradict each other or name what is not there.
pub(super) fn open(bucket: &str, storage: &Storage) -> Result<Arc<dyn ObjectStore>> {
    let env = Environment::read();
    let mut builder =
        AmazonS3Builder::from_env().with_bucket_name(bucket).with_retry(retry(storage));
    for (key, value) in
        client(storage, |key| builder.get_config_value(&AmazonS3ConfigKey::Client(key)))
    {
        builder = builder.with_config(AmazonS3ConfigKey::Client(key), value);
    }
    let profile = env.profile(storage.profile.as_deref())?;
    if !env.has_endpoint
        && let Some(endpoint) = &profile.endpoint
    {
        builder = builder.with_endpoint(endpoint.clone());
    }
    if !env.has_region
        && let Some(region) = &profile.region
    {
        builder = builder.with_region(region.clone());
    }
    if let (false, Some(keys)) = (env.has_keys, &profile.keys) {
        builder = builder
            .with_access_key_id(keys.access_key_id.reveal())
            .with_secret_access_key(keys.secret_access_key.reveal());
        if let Some(token) = &keys.session_token {
            builder = builder.with_token(token.reveal());
        }
    }
    for (key, value) in options(storage)? {
        let key = key.parse::<AmazonS3ConfigKey>().map_err(|_| {
            Error::recipe(format!("storage.options names `{key}`, which S3 does not know"))
        })?;
        builder = builder.with_config(key, value);
    }
    let builder = overridden(builder, storage);
    allowed(&builder)?;
    built(builder.build().map(Arc::new), bucket)
}

/// What the recipe says beats the environment.
fn overridden(mut builder: AmazonS3Builder, storage: &Storage) -> AmazonS3Builder {
    if let Some(endpoint) = &storage.endpoint {
        // This key wins over every other way to name the endpoint.
        builder = builder.with_config(AmazonS3ConfigKey::S3Endpoint, endpoint);
    }
    if let Some(region) = &storage.region {
        builder = builder.with_region(region);
    }
    if let Some(hosted) = storage.virtual_hosted {
        builder = builder.with_virtual_hosted_style_request(hosted);
    }
    if let Some(anonymous) = storage.anonymous {
        builder = builder.with_skip_signature(anonymous);
    }
    builder
}

/// An endpoint without TLS must be allowed: the client's own refusal does not say how.
fn allowed(builder: &AmazonS3Builder) -> Result<()> {
    let http = AmazonS3ConfigKey::Client(ClientConfigKey::AllowHttp);
    let http = builder.get_config_value(&http).is_some_and(|text| is_true(&text));
    let endpoint = builder
        .get_config_value(&AmazonS3ConfigKey::S3Endpoint)
        .or_else(|| builder.get_config_value(&AmazonS3ConfigKey::Endpoint));
    match endpoint {
        Some(endpoint) if holds_user(&endpoint) => Err(Error::recipe(format!(
            "the endpoint {endpoint} holds a user; S3 takes its key from the environment or a profile"
        ))),
        Some(endpoint) if endpoint.starts_with("http://") && !http => Err(Error::recipe(format!(
            "the endpoint {endpoint} has no TLS; allow that with AWS_ALLOW_HTTP=true or storage.allow_http = true"
        ))),
        Some(endpoint) if !endpoint.starts_with("http") => Err(Error::recipe(format!(
            "the endpoint `{endpoint}` is no address; write it as http://host:port or https://host"
        ))),
        _ => Ok(()),
    }
}

/// As the store's client reads it.
fn is_true(text: &str) -> bool {
    matches!(text.to_ascii_lowercase().as_str(), "1" | "true" | "on" | "yes" | "y")
}

/// What the environment says.
struct Environment {
    has_endpoint: bool,
    has_region: bool,
    has_keys: bool,
    profile: Option<String>,
    home: Option<String>,
    config_file: Option<String>,
    credentials_file: Option<String>,
}

/// Variables that give keys or a way to them; beside one of these a profile's keys are not looked at.
const KEYS: [&str; 5] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_SKIP_SIGNATURE",
];

/// Variables that are secrets.
const SECRETS: [&str; 4] =
    ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_TOKEN"];

/// Variables that may hold the address of a proxy, with a password.
const PROXIES: [&str; 7] = [
    "HTTP_PROXY",
    "http_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "ALL_PROXY",
    "all_proxy",
    "AWS_PROXY_URL",
];

impl Environment {
    // The store's client reads the environment too; only here is it known what AWS users expect.
    #[allow(clippy::disallowed_methods)]
    fn read() -> Self {
        let get = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let any = |names: &[&str]| names.iter().any(|name| get(name).is_some());
        // From here on they are masked in every text, those of a proxy's address too.
        SECRETS.iter().filter_map(|name| get(name)).for_each(|value| learn(&value));
        PROXIES.iter().filter_map(|name| get(name)).for_each(|value| _ = holds_user(&value));
        Self {
            has_endpoint: any(&["AWS_ENDPOINT", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"]),
            has_region: any(&["AWS_REGION", "AWS_DEFAULT_REGION"]),
            has_keys: any(&KEYS),
            profile: get("AWS_PROFILE"),
            home: get("HOME"),
            config_file: get("AWS_CONFIG_FILE"),
            credentials_file: get("AWS_SHARED_CREDENTIALS_FILE"),
        }
    }

    /// The profile that is named, or the default one if there is any.
    fn profile(&self, named: Option<&str>) -> Result<Profile> {
        let name = named.or(self.profile.as_deref());
        // Keys in the environment win, and then a default profile that needs a login is no matter.
        if name.is_none() && self.has_keys && self.has_endpoint && self.has_region {
            return Ok(Profile::default());
        }
        let text = |file: &Option<String>, usual: &str| {
            let usual = self.home.as_ref().map(|home| format!("{home}/.aws/{usual}"));
            file.clone().or(usual).map_or_else(String::new, |path| text_of(&PathBuf::from(path)))
        };
        let config = text(&self.config_file, "config");
        let credentials = text(&self.credentials_file, "credentials");
        Profile::read(&config, &credentials, name.unwrap_or("default"), name.is_some())
            .or_else(|e| if self.has_keys { Ok(Profile::default()) } else { Err(e) })
    }
}

#[allow(clippy::disallowed_methods)]
fn text_of(path: &std::path::Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}
