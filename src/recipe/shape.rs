//! The shape of a recipe: keys, types, choices and ranges.
//!
//! The rules are not written here. They are the JSON Schema, which comes from the fields in
//! `types`, so what an editor marks as wrong and what `unseen` refuses are the same.

use std::collections::BTreeSet;
use std::fmt::Display;

use serde_json::Value as Schema;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::document::Place;
use super::suggest::nearest;

/// What is wrong, and where.
pub(super) struct Fault {
    /// Where it was written.
    pub(super) place: Place,
    /// What is wrong, and what would be right.
    pub(super) message: String,
    /// Whether a text would be right, but another kind of value is there.
    pub(super) wants_text: bool,
}

/// The first fault of a document in the order of writing. Missing keys come last: a key that
/// seems missing is often one of those spelt wrongly.
pub(super) fn first_fault(schema: &Schema, root: &DeTable<'_>) -> Option<Fault> {
    let mut walk = Walk { schema, faults: Vec::new(), missing: Vec::new() };
    walk.table(schema, root, "", 0);
    let first = |faults: Vec<Fault>| faults.into_iter().min_by_key(|fault| fault.place);
    first(walk.faults).or_else(|| first(walk.missing))
}

struct Walk<'s> {
    schema: &'s Schema,
    faults: Vec<Fault>,
    missing: Vec<Fault>,
}

impl<'s> Walk<'s> {
    fn table(&mut self, schema: &'s Schema, table: &DeTable<'_>, path: &str, place: Place) {
        for (name, value) in table {
            let key = join(path, name.get_ref());
            let named = schema["properties"].get(name.get_ref().as_ref());
            // A table of names that the user chooses has one rule for all of them.
            let any = schema.get("additionalProperties").filter(|rule| rule.is_object());
            if let Some(rule) = named.or(any) {
                self.value(rule, value, &key);
            } else {
                let message = self.unknown(schema, path, name.get_ref(), value.get_ref());
                self.report(name.span().start, Some(message));
            }
        }
        for name in strings(&schema["required"]) {
            if !table.contains_key(name) {
                let message = absent(&schema["properties"][name], path, name);
                self.missing.push(Fault { place, message, wants_text: false });
            }
        }
    }

    fn value(&mut self, rule: &'s Schema, value: &Spanned<DeValue<'_>>, key: &str) {
        let place = value.span().start;
        let rules = self.alternatives(rule);
        let takes = |rule: &&&Schema| takes(rule, value.get_ref());
        // A name that is none of the choices may still be a text of the user's own.
        let names = |rule: &&&Schema| takes(rule) && is_choice(rule, value.get_ref());
        let Some(rule) = rules.iter().find(names).or_else(|| rules.iter().rfind(takes)) else {
            let expected: Vec<String> = rules.iter().map(|rule| expected(rule)).collect();
            let (is, takes) = (kind(value.get_ref()), expected.join(" or "));
            let message = format!("`{key}` is {is}, but takes {takes}");
            let wants_text = rules.iter().any(|rule| rule["type"] == "string");
            return self.faults.push(Fault { place, message, wants_text });
        };
        match value.get_ref() {
            DeValue::Table(table) => {
                let empty = table.is_empty() && rule["minProperties"].as_u64() > Some(0);
                self.report(place, empty.then(|| format!("`{key}` must not be empty")));
                self.table(rule, table, key, place);
            }
            DeValue::Array(items) => {
                self.report(place, wrong_length(rule, key, items.len()));
                for (i, item) in items.iter().enumerate() {
                    self.value(&rule["items"], item, &format!("{key}[{i}]"));
                }
            }
            DeValue::String(text) => self.report(place, wrong_text(rule, key, text)),
            DeValue::Integer(n) => {
                let number = i64::from_str_radix(n.as_str(), n.radix()).ok();
                self.report(place, wrong_number(rule, key, n, number.map(|n| n as f64)));
            }
            DeValue::Float(x) => {
                let number = x.as_str().parse().ok().filter(|x: &f64| x.is_finite());
                self.report(place, wrong_number(rule, key, x, number));
            }
            DeValue::Boolean(_) | DeValue::Datetime(_) => {}
        }
    }

    fn report(&mut self, place: Place, wrong: Option<String>) {
        self.faults.extend(wrong.map(|message| Fault { place, message, wants_text: false }));
    }

    /// The rules of which one must hold: without references, unions and `null`, which TOML lacks.
    fn alternatives(&self, rule: &'s Schema) -> Vec<&'s Schema> {
        let rule = self.resolve(rule);
        match rule["anyOf"].as_array() {
            Some(any) => any.iter().flat_map(|rule| self.alternatives(rule)).collect(),
            None if rule["type"] == "null" => Vec::new(),
            None => vec![rule],
        }
    }

    fn resolve(&self, rule: &'s Schema) -> &'s Schema {
        match rule["$ref"].as_str().and_then(|r| self.schema.pointer(r.trim_start_matches('#'))) {
            Some(named) => named,
            None => rule,
        }
    }

    fn unknown(&self, here: &Schema, path: &str, name: &str, value: &DeValue<'_>) -> String {
        let key = join(path, name);
        let is_table = value.is_table();
        let what = if is_table { format!("table [{key}]") } else { format!("key `{key}`") };
        let homes = self.homes(name);
        let near = nearest(name, keys(here));
        let hint = if !homes.is_empty() {
            format!("it belongs {}", homes.join(" or "))
        } else if let Some(near) = near {
            let near = if is_table { format!("[{}]", join(path, near)) } else { tick(near) };
            format!("did you mean {near}?")
        } else if let Some((near, home)) = self.near_elsewhere(name) {
            format!("did you mean `{near}` {home}?")
        } else {
            let place = if path.is_empty() { "the top".to_owned() } else { format!("[{path}]") };
            let keys: BTreeSet<&str> = keys(here).collect();
            format!("{place} takes {}", keys.into_iter().collect::<Vec<_>>().join(", "))
        };
        format!("unknown {what}; {hint}")
    }

    /// Where a key of this name is right.
    fn homes(&self, name: &str) -> Vec<String> {
        let tables = self.tables();
        tables.filter(|(_, t)| keys(t).any(|key| key == name)).map(|(home, _)| home).collect()
    }

    fn near_elsewhere(&self, name: &str) -> Option<(&'s str, String)> {
        let near = nearest(name, self.tables().flat_map(|(_, table)| keys(table)))?;
        self.homes(near).into_iter().next().map(|home| (near, home))
    }

    /// The top and every table, with the words for "in there".
    fn tables(&self) -> impl Iterator<Item = (String, &'s Schema)> {
        let top = ("at the top, above the first table".to_owned(), self.schema);
        let named = keys(self.schema).filter_map(|name| {
            let table = self.resolve(&self.schema["properties"][name]);
            table.get("properties").is_some().then(|| (format!("under [{name}]"), table))
        });
        std::iter::once(top).chain(named)
    }
}

fn absent(rule: &Schema, path: &str, name: &str) -> String {
    let about = rule["description"].as_str().unwrap_or_default();
    let about = about.split(". ").next().unwrap_or_default().trim_end_matches('.');
    let key = join(path, name);
    let what = if path.is_empty() { format!("table [{key}]") } else { format!("key `{key}`") };
    format!("missing {what} ({about})")
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

fn tick(name: &str) -> String {
    format!("`{name}`")
}

fn keys(table: &Schema) -> impl Iterator<Item = &str> {
    table["properties"].as_object().into_iter().flat_map(|p| p.keys().map(String::as_str))
}

fn strings(list: &Schema) -> impl Iterator<Item = &str> {
    list.as_array().into_iter().flatten().filter_map(Schema::as_str)
}

/// The values of a choice; none if the rule is no choice.
fn choices(rule: &Schema) -> Vec<&str> {
    let choices = rule["oneOf"].as_array().into_iter().flatten();
    choices.filter_map(|choice| choice["const"].as_str()).collect()
}

/// The JSON types that a rule takes.
fn types(rule: &Schema) -> Vec<&str> {
    if rule.get("oneOf").is_some() {
        return vec!["string"];
    }
    let one = rule["type"].as_str();
    one.into_iter().chain(strings(&rule["type"])).filter(|t| *t != "null").collect()
}

/// Whether a text is among the choices of a rule, if it has any.
fn is_choice(rule: &Schema, value: &DeValue<'_>) -> bool {
    let text = value.as_str().unwrap_or_default();
    rule.get("oneOf").is_none() || choices(rule).contains(&text)
}

fn takes(rule: &Schema, value: &DeValue<'_>) -> bool {
    types(rule).iter().any(|kind| match *kind {
        "string" => value.is_str(),
        "integer" => value.is_integer(),
        "number" => value.is_integer() || value.is_float(),
        "boolean" => value.is_bool(),
        "array" => value.is_array(),
        _ => value.is_table(),
    })
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}

fn expected(rule: &Schema) -> String {
    if rule.get("oneOf").is_some() {
        return format!("one of {}", choices(rule).join(", "));
    }
    match types(rule).first().copied() {
        Some("string") => "a string".to_owned(),
        Some("integer") => "an integer".to_owned(),
        Some("number") => "a number".to_owned(),
        Some("boolean") => "true or false".to_owned(),
        Some("array") => {
            let many =
                types(&rule["items"]).first().map_or("strings".to_owned(), |t| format!("{t}s"));
            let fixed = rule["maxItems"].as_u64().filter(|_| rule["minItems"] == rule["maxItems"]);
            let count = fixed.map_or(String::new(), |n| format!("{n} "));
            format!("an array of {count}{many}")
        }
        _ => "a table".to_owned(),
    }
}

fn wrong_length(rule: &Schema, key: &str, length: usize) -> Option<String> {
    let least = rule["minItems"].as_u64().unwrap_or(0);
    let most = rule["maxItems"].as_u64().unwrap_or(u64::MAX);
    match length as u64 {
        n if (least..=most).contains(&n) => None,
        n if least == most => Some(format!("`{key}` takes {most} items, but has {n}")),
        n if n > most => Some(format!("`{key}` takes at most {most} items, but has {n}")),
        _ => Some(format!("`{key}` must not be empty")),
    }
}

fn wrong_text(rule: &Schema, key: &str, text: &str) -> Option<String> {
    let choices = choices(rule);
    if choices.is_empty() {
        let empty = text.is_empty() && rule["minLength"].as_u64() > Some(0);
        return empty.then(|| format!("`{key}` must not be empty"));
    }
    if choices.contains(&text) {
        return None;
    }
    let what = match rule["title"].as_str() {
        Some(title) if title.starts_with(['a', 'e', 'i', 'o', 'u']) => format!("an {title}"),
        Some(title) => format!("a {title}"),
        None => format!("a value of `{key}`"),
    };
    let near = nearest(text, choices.iter().copied());
    let hint = near.map_or(".".to_owned(), |near| format!("; did you mean `{near}`?"));
    Some(format!("`{text}` is not {what}{hint} One of: {}", choices.join(", ")))
}

/// Whether a number keeps a limit.
type Keeps = fn(&f64, &f64) -> bool;

/// The limits of the schema, with their words.
const LIMITS: [(&str, &str, Keeps); 4] = [
    ("minimum", "at least", f64::ge),
    ("exclusiveMinimum", "more than", f64::gt),
    ("maximum", "at most", f64::le),
    ("exclusiveMaximum", "less than", f64::lt),
];

/// `number` is `None` where the text is beyond 64 bits or not finite.
fn wrong_number(
    rule: &Schema,
    key: &str,
    text: impl Display,
    number: Option<f64>,
) -> Option<String> {
    let Some(x) = number else {
        return Some(format!("`{key}` is {text}, but must be a finite number of 64 bits"));
    };
    LIMITS.into_iter().find_map(|(name, words, holds)| {
        let limit = rule[name].as_f64().filter(|limit| !holds(&x, limit))?;
        Some(format!("`{key}` is {text}, but must be {words} {limit}"))
    })
}
