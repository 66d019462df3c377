//! AWS profiles: what `~/.aws/config` and `~/.aws/credentials` say about one name.
//!
//! Source of the format: the AWS SDKs and Tools Reference Guide, "Shared config and credentials
//! files". Static keys, region and endpoint are understood; ways to fetch keys (SSO, roles,
//! processes) are not, and say what to do instead.

use std::collections::BTreeMap;

use crate::error::{Error, Result};
use crate::secret::Secret;

/// What a profile says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Profile {
    pub(super) keys: Option<Keys>,
    pub(super) region: Option<String>,
    pub(super) endpoint: Option<String>,
}

/// Static keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Keys {
    pub(super) access_key_id: Secret,
    pub(super) secret_access_key: Secret,
    pub(super) session_token: Option<Secret>,
}

/// Ways to fetch keys that a profile may name and that are not understood here.
const INDIRECT: [&str; 5] =
    ["sso_session", "sso_start_url", "role_arn", "credential_process", "web_identity_token_file"];

impl Profile {
    /// The profile `name` in the texts of the two files. `asked` says that the user named it: then
    /// it must be there.
    ///
    /// # Errors
    /// `InvalidRecipe` if it is asked for and not there, or has half of a pair of keys.
    pub(super) fn read(config: &str, credentials: &str, name: &str, asked: bool) -> Result<Self> {
        let (config, credentials) = (sections(config), sections(credentials));
        let described = config
            .get(&format!("profile {name}"))
            .or_else(|| (name == "default").then(|| config.get(name)).flatten());
        let keyed = credentials.get(name);
        if asked && described.is_none() && keyed.is_none() {
            return Err(Error::recipe(format!(
                "the AWS profile `{name}` is in neither ~/.aws/config nor ~/.aws/credentials; correct storage.profile or AWS_PROFILE"
            )));
        }
        let find = |key: &str| [keyed, described].into_iter().flatten().find_map(|s| s.get(key));
        let service = find("services").and_then(|s| config.get(&format!("services {s}")));
        let endpoint = service
            .and_then(|s| s.get("s3.endpoint_url"))
            .or_else(|| find("s3.endpoint_url"))
            .or_else(|| find("endpoint_url"));
        let keys = keys(name, &find)?;
        if let (None, Some(way)) = (&keys, INDIRECT.iter().find(|way| find(way).is_some())) {
            return Err(indirect(name, way));
        }
        Ok(Self { keys, region: find("region").cloned(), endpoint: endpoint.cloned() })
    }
}

fn keys<'a>(name: &str, find: &impl Fn(&str) -> Option<&'a String>) -> Result<Option<Keys>> {
    let secret = |key: &str| find(key).map(Secret::new);
    match (secret("aws_access_key_id"), secret("aws_secret_access_key")) {
        (Some(access_key_id), Some(secret_access_key)) => {
            let session_token = secret("aws_session_token");
            Ok(Some(Keys { access_key_id, secret_access_key, session_token }))
        }
        (None, None) => Ok(None),
        _ => Err(Error::recipe(format!(
            "the AWS profile `{name}` has only one of aws_access_key_id and aws_secret_access_key"
        ))),
    }
}

fn indirect(name: &str, way: &str) -> Error {
    Error::recipe(format!(
        "the AWS profile `{name}` gets its keys by {way}, which unseen does not speak; run \
         `eval \"$(aws configure export-credentials --profile {name} --format env)\"` first and \
         leave the profile out"
    ))
}

type Sections = BTreeMap<String, BTreeMap<String, String>>;

/// Sections and keys; an indented line belongs to the key above it: `s3.endpoint_url`.
fn sections(text: &str) -> Sections {
    let mut sections = Sections::new();
    let (mut section, mut parent) = (String::new(), String::new());
    for line in text.lines() {
        let bare = line.split([' ', '\t']).take_while(|word| !word.starts_with(['#', ';']));
        let bare = bare.collect::<Vec<_>>().join(" ");
        if let Some(name) = bare.trim().strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
            section = name.split_whitespace().collect::<Vec<_>>().join(" ");
            sections.entry(section.clone()).or_default();
            parent.clear();
        } else if let Some((key, value)) = bare.split_once('=') {
            let nested = key.starts_with(' ') && !parent.is_empty();
            let key = key.trim().to_ascii_lowercase();
            let full = if nested { format!("{parent}.{key}") } else { key.clone() };
            if !nested {
                parent = key;
            }
            sections.entry(section.clone()).or_default().insert(full, value.trim().to_owned());
        }
    }
    sections
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = "
[default]
region = eu-west-1   # near
[profile minio]
services = local
region=us-east-1
[profile old]
s3 =
  addressing_style = path
  endpoint_url = http://old:9000
; a comment
[profile plain]
endpoint_url = http://plain:9000
[services local]
dynamodb =
    endpoint_url = http://wrong:1
s3 =
    endpoint_url = http://minio:9000
[profile sso]
sso_session = corp
[profile half]
aws_access_key_id = AK
";
    const CREDENTIALS: &str = "
[default]
aws_access_key_id = AKIDEFAULT
aws_secret_access_key = s3cret=with/equals+
[minio]
aws_access_key_id = AKMINIO
aws_secret_access_key = minio-secret
aws_session_token = minio-token
";

    fn read(name: &str) -> Result<Profile> {
        Profile::read(CONFIG, CREDENTIALS, name, true)
    }

    #[test]
    fn both_files_together_make_a_profile() {
        let default = read("default").unwrap();
        assert_eq!(default.region.as_deref(), Some("eu-west-1"));
        let keys = default.keys.unwrap();
        assert_eq!(keys.secret_access_key.reveal(), "s3cret=with/equals+");
        assert_eq!(keys.session_token, None);
        let minio = read("minio").unwrap();
        assert_eq!(minio.endpoint.as_deref(), Some("http://minio:9000"));
        assert_eq!(minio.keys.unwrap().session_token.unwrap().reveal(), "minio-token");
        assert_eq!(read("old").unwrap().endpoint.as_deref(), Some("http://old:9000"));
        assert_eq!(read("plain").unwrap().endpoint.as_deref(), Some("http://plain:9000"));
    }

    #[test]
    fn what_is_missing_or_not_understood_says_so() {
        assert_eq!(Profile::read("", "", "default", false).unwrap(), Profile::default());
        for (name, says) in
            [("none", "neither"), ("sso", "export-credentials --profile sso"), ("half", "only one")]
        {
            let error = read(name).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn secrets_do_not_print() {
        assert!(!format!("{:?}", read("minio").unwrap()).contains("minio-secret"));
    }
}
