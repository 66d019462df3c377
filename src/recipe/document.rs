//! The recipe as written: TOML and overrides in one tree, in which every key knows its place.

use std::ops::Range;
use std::str::FromStr;

use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use crate::error::{Error, Result};
use crate::secret::holds_secret;

/// One `--set key=value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override {
    /// The dotted key.
    pub key: String,
    /// The value, as TOML. What is no TOML value counts as a string, unless it begins like an
    /// array, a table or a string in quotes.
    pub value: String,
}

impl FromStr for Override {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        // It may be misplaced; then the error about it must not show it.
        holds_secret(text);
        let wrong = || {
            Error::recipe(format!(
                "`{text}` is no override: write a dotted key, `=` and a value, such as select.keep=0.3"
            ))
        };
        let (key, value) = text.split_once('=').ok_or_else(wrong)?;
        let key = key.trim();
        let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if key.split('.').any(|part| part.is_empty() || !part.chars().all(bare)) {
            return Err(wrong());
        }
        Ok(Self { key: key.to_owned(), value: value.trim().to_owned() })
    }
}

impl Override {
    fn parsed(&self) -> Result<DeValue<'_>, String> {
        match DeValue::parse(&self.value) {
            Ok(value) => Ok(value.into_inner()),
            Err(_) if self.value.starts_with(['[', '{', '"', '\'']) => {
                let right = typed(&self.key, &corrected(&self.value));
                Err(format!("the value is no TOML; texts stand in quotes: {right}"))
            }
            Err(_) => Ok(DeValue::String(self.value.as_str().into())),
        }
    }
}

/// The override as typed into a shell.
fn typed(key: &str, value: &str) -> String {
    format!("--set '{key}={}'", value.replace('\'', r"'\''"))
}

/// What was probably meant by a value that is no TOML: a list of texts, or one text.
fn corrected(value: &str) -> String {
    let text = |text: &str| toml::Value::from(text).to_string();
    match value.strip_prefix('[').and_then(|list| list.strip_suffix(']')) {
        Some(list) => {
            let bare = list.split(',').map(|item| item.trim().trim_matches(['"', '\'']));
            let items: Vec<String> = bare.filter(|item| !item.is_empty()).map(text).collect();
            format!("[{}]", items.join(", "))
        }
        None => text(value),
    }
}

/// Where a key or a value was written: a byte of the text, or past its end by the number of the
/// override plus one. So one number orders all places, and TOML's own spans can carry it.
pub(super) type Place = usize;

/// A parsed recipe text with its overrides applied.
pub(super) struct Document<'a> {
    name: &'a str,
    text: &'a str,
    overrides: &'a [Override],
    root: Spanned<DeTable<'a>>,
}

impl<'a> Document<'a> {
    /// Parses `text` and applies the overrides in turn.
    ///
    /// # Errors
    /// `InvalidRecipe` where the text is not TOML, or where an override has no table to go to.
    pub(super) fn parse(text: &'a str, name: &'a str, overrides: &'a [Override]) -> Result<Self> {
        let root = Spanned::new(0..0, DeTable::new());
        let mut document = Self { name, text, overrides, root };
        document.root = DeTable::parse(text).map_err(|e| {
            let message = format!("this is not TOML: {}", e.message());
            document.error(start(e.span()), &message)
        })?;
        for (i, set) in overrides.iter().enumerate() {
            let place = text.len() + 1 + i;
            let path: Vec<&str> = set.key.split('.').collect();
            let value = set.parsed().map_err(|why| document.error(place, &why))?;
            if !put(document.root.get_mut(), &path, moved(value, place), place) {
                return Err(document.error(place, "a part of the key is a value, not a table"));
            }
        }
        Ok(document)
    }

    /// The whole tree.
    pub(super) fn root(&self) -> &DeTable<'a> {
        self.root.get_ref()
    }

    /// The tree as a `T`. Spans survive, so serde's errors have a place too.
    ///
    /// # Errors
    /// `InvalidRecipe` where the tree does not fit.
    pub(super) fn read<T: for<'de> Deserialize<'de>>(&self) -> Result<T> {
        T::deserialize(toml::de::Deserializer::from(self.root.clone()))
            .map_err(|e| self.error(start(e.span()), e.message()))
    }

    /// Whether the key was given.
    pub(super) fn has(&self, key: &str) -> bool {
        self.find(key).1
    }

    /// The place of a law that speaks of `keys`: the one that an override set, else the first
    /// that was given, else the table of the first.
    pub(super) fn place(&self, keys: &[&str]) -> Place {
        let found: Vec<_> = keys.iter().map(|key| self.find(key)).collect();
        let given = || found.iter().filter(|(_, given)| *given).map(|(place, _)| *place);
        let set = given().find(|place| *place > self.text.len());
        set.or_else(|| given().next()).or(found.first().map(|f| f.0)).unwrap_or(0)
    }

    /// The place of the longest part of `key` that was given, and whether that is all of it.
    fn find(&self, key: &str) -> (Place, bool) {
        let (mut place, mut table) = (0, Some(self.root.get_ref()));
        for part in key.split('.') {
            let Some((name, value)) = table.and_then(|t| t.get_key_value(part)) else {
                return (place, false);
            };
            place = name.span().start;
            table = value.get_ref().as_table();
        }
        (place, true)
    }

    fn set_at(&self, place: Place) -> Option<&Override> {
        place.checked_sub(self.text.len() + 1).and_then(|i| self.overrides.get(i))
    }

    /// How to write the override at `place` as a text, as the end of a message.
    pub(super) fn quoted(&self, place: Place) -> Option<String> {
        let set = self.set_at(place).filter(|set| !set.value.starts_with(['[', '{']))?;
        let text = toml::Value::from(set.value.as_str()).to_string();
        Some(format!("; for a text, write {}", typed(&set.key, &text)))
    }

    /// An error at `place`: `file:line:column: message`, or `--set key=value: message`.
    pub(super) fn error(&self, place: Place, message: &str) -> Error {
        let place = self.set_at(place).map_or_else(
            || {
                let (line, column) = line_and_column(self.text, place);
                format!("{}:{line}:{column}", self.name)
            },
            |set| format!("--set {}={}", set.key, set.value),
        );
        Error::recipe(format!("{place}: {message}"))
    }
}

fn start(span: Option<Range<usize>>) -> Place {
    span.map_or(0, |span| span.start)
}

/// Line and column, both from 1; a column is a character.
fn line_and_column(text: &str, place: Place) -> (usize, usize) {
    let before = &text[..text.floor_char_boundary(place)];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

/// Puts a value at the path, making tables on the way; says whether the way was free.
fn put<'a>(
    table: &mut DeTable<'a>,
    path: &[&'a str],
    value: Spanned<DeValue<'a>>,
    place: Place,
) -> bool {
    let Some((first, rest)) = path.split_first() else { return false };
    let key = || Spanned::new(place..place, DeString::Borrowed(*first));
    if rest.is_empty() {
        // Removed first, because a map keeps the key it has, and with it the old place.
        table.remove(*first);
        table.insert(key(), value);
        return true;
    }
    if !table.contains_key(*first) {
        table.insert(key(), Spanned::new(place..place, DeValue::Table(DeTable::new())));
    }
    match table.get_mut(*first).map(Spanned::get_mut) {
        Some(DeValue::Table(inner)) => put(inner, rest, value, place),
        _ => false,
    }
}

/// The value with every place in it set to `place`.
fn moved(value: DeValue<'_>, place: Place) -> Spanned<DeValue<'_>> {
    let value = match value {
        DeValue::Array(mut items) => {
            for item in items.iter_mut() {
                *item = moved(item.get_ref().clone(), place);
            }
            DeValue::Array(items)
        }
        DeValue::Table(table) => DeValue::Table(
            table
                .into_iter()
                .map(|(key, value)| {
                    let key = Spanned::new(place..place, key.into_inner());
                    (key, moved(value.into_inner(), place))
                })
                .collect(),
        ),
        scalar => scalar,
    };
    Spanned::new(place..place, value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_override_is_a_key_and_a_value() {
        let set: Override = "select.keep = 0.3".parse().unwrap();
        assert_eq!((set.key.as_str(), set.value.as_str()), ("select.keep", "0.3"));
        let set: Override = "data.filter=split = 'train'".parse().unwrap();
        assert_eq!(set.value, "split = 'train'");
        for wrong in ["keep", "=1", "select..keep=1", "select keep=1", ".a=1"] {
            assert!(wrong.parse::<Override>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn places_count_lines_and_characters() {
        assert_eq!(line_and_column("a\nbé = 1", 6), (2, 4));
        assert_eq!(line_and_column("", 0), (1, 1));
        assert_eq!(line_and_column("ab", 99), (1, 3));
        assert_eq!(line_and_column("é", 1), (1, 1));
    }
}
