//! JSON documents that tell whether they are whole.
//!
//! The last field, `checksum`, is the SHA-256 of the document as it is without that field: of its
//! bytes, so that not even a space can change unseen.

use schemars::Schema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::commit::{FORMAT, sha256_hex};
use crate::error::{Error, ErrorKind, Result};

const END: &str = "\n}";
const FIELD: &str = ",\n  \"checksum\": \"";
const FIELD_END: &str = "\"\n}";

/// The part of a document that every version can read.
#[derive(Deserialize)]
struct Head {
    format: u32,
}

/// Writes a document of one or more fields, `format` among them.
///
/// # Errors
/// `Internal` if it is no JSON object.
pub(crate) fn seal<T: Serialize>(document: &T) -> Result<Vec<u8>> {
    let text = serde_json::to_string_pretty(document)?;
    let checksum = sha256_hex(text.as_bytes());
    let no_object = || Error::internal("only a JSON object with a field can be sealed");
    let fields = text.strip_suffix(END).ok_or_else(no_object)?;
    Ok(format!("{fields}{FIELD}{checksum}{FIELD_END}").into_bytes())
}

/// Reads a document that [`seal`] wrote.
///
/// # Errors
/// `CorruptData` if any byte is another one, `Conflict` if it has another format.
pub(crate) fn unseal<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    let head: Head = serde_json::from_slice(bytes)?;
    if head.format != FORMAT {
        let message =
            format!("it has format {}, this version of unseen reads {FORMAT}", head.format);
        return Err(Error::new(ErrorKind::Conflict, message));
    }
    let text =
        unsealed(bytes).ok_or_else(|| Error::corrupt("its checksum is not that of its content"))?;
    Ok(serde_json::from_str(&text)?)
}

/// The document without its checksum, if that is right.
fn unsealed(bytes: &[u8]) -> Option<String> {
    let text = str::from_utf8(bytes).ok()?.strip_suffix(FIELD_END)?;
    let (fields, checksum) = text.rsplit_once(FIELD)?;
    let text = format!("{fields}{END}");
    (sha256_hex(text.as_bytes()) == checksum).then_some(text)
}

/// Adds the checksum to the schema of a document.
pub(crate) fn checksum_schema(schema: &mut Schema) {
    let Some(object) = schema.as_object_mut() else { return };
    let field = serde_json::json!({
        "description": "SHA-256, in hex, of the document as it is without this field.",
        "type": "string",
    });
    if let Some(properties) = object.get_mut("properties").and_then(|p| p.as_object_mut()) {
        properties.insert("checksum".to_owned(), field);
    }
    if let Some(required) = object.get_mut("required").and_then(|r| r.as_array_mut()) {
        required.push("checksum".into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn no_bit_of_a_sealed_document_can_change() {
        let document = BTreeMap::from([("a", 1), ("format", FORMAT)]);
        let bytes = seal(&document).unwrap();
        let read: BTreeMap<String, u32> = unseal(&bytes).unwrap();
        assert_eq!(read["a"], 1);
        for bit in 0..8 * bytes.len() {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(unseal::<BTreeMap<String, u32>>(&bytes).is_err(), "bit {bit}");
        }
        for length in 0..bytes.len() {
            assert!(unseal::<BTreeMap<String, u32>>(&bytes[..length]).is_err(), "{length} bytes");
        }
    }

    #[test]
    fn another_format_is_no_damage() {
        let error = unseal::<BTreeMap<String, u32>>(b"{\"format\": 1, \"x\": 2}").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict);
    }
}
