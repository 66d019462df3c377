//! The way from one directory to another, for addresses that hold wherever both are moved together.

use std::path::Path;

use crate::error::Result;
use crate::recipe::Address;

/// What leads from the directory `from` to the directory `to`: `../coreset/`, nothing if they are the same,
/// the whole address if they are in different stores.
///
/// # Errors
/// `InvalidRecipe` if one of them is no address.
pub(super) fn way(from: &str, to: &str) -> Result<String> {
    let relative = match (Address::parse(from)?, Address::parse(to)?) {
        (Address::Local(from), Address::Local(to)) => Some(between(&parts(&from), &parts(&to))),
        (
            Address::Object { scheme, bucket, key },
            Address::Object { scheme: to_scheme, bucket: to_bucket, key: to_key },
        ) if (scheme, &bucket) == (to_scheme, &to_bucket) => {
            Some(between(&parts(Path::new(&key)), &parts(Path::new(&to_key))))
        }
        _ => None,
    };
    Ok(relative.unwrap_or_else(|| format!("{}/", to.trim_end_matches('/'))))
}

fn parts(path: &Path) -> Vec<String> {
    path.iter().map(|part| part.to_string_lossy().into_owned()).collect()
}

fn between(from: &[String], to: &[String]) -> String {
    let shared = from.iter().zip(to).take_while(|(a, b)| a == b).count();
    let up = from[shared..].iter().map(|_| "../".to_owned());
    up.chain(to[shared..].iter().map(|part| format!("{part}/"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_goes_up_and_down_in_one_store() {
        for (from, to, wanted) in [
            ("/runs/a/coreset", "/runs/a/coreset", ""),
            ("/runs/a", "/runs/a/coreset/", "coreset/"),
            ("/runs/a/records", "/runs/a/coreset", "../coreset/"),
            ("/x", "/runs/a", "../runs/a/"),
            ("s3://b/a/records", "s3://b/a/coreset", "../coreset/"),
            ("s3://b", "s3://b/a/coreset", "a/coreset/"),
            ("s3://c/a", "s3://b/a/", "s3://b/a/"),
            ("/a", "s3://b/a", "s3://b/a/"),
        ] {
            assert_eq!(way(from, to).unwrap(), wanted, "from {from} to {to}");
        }
    }
}
