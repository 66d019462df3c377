//! As much YAML as a dataset card needs, in the block style that people read.

/// A YAML node.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Yaml {
    /// A text.
    Text(String),
    /// A number, `true`, `false` or `null`, as written.
    Literal(String),
    /// A sequence.
    List(Vec<Yaml>),
    /// A mapping, in this order.
    Map(Vec<(String, Yaml)>),
}

impl Yaml {
    /// A text node.
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// A number.
    pub(super) fn number(number: u64) -> Self {
        Self::Literal(number.to_string())
    }

    /// A mapping.
    pub(super) fn map<const N: usize>(entries: [(&str, Self); N]) -> Self {
        Self::Map(entries.map(|(key, value)| (key.to_owned(), value)).into())
    }

    /// The document, one node a line.
    pub(super) fn document(&self) -> String {
        self.block(0)
    }

    fn block(&self, indent: usize) -> String {
        let pad = " ".repeat(indent);
        match self {
            Self::List(items) if !items.is_empty() => {
                let item = |item: &Self| [&pad, "- ", item.block(indent + 2).trim_start()].concat();
                items.iter().map(item).collect()
            }
            Self::Map(entries) if !entries.is_empty() => {
                entries.iter().map(|(key, value)| entry(&pad, key, value, indent)).collect()
            }
            Self::List(_) => format!("{pad}[]\n"),
            Self::Map(_) => format!("{pad}{{}}\n"),
            Self::Text(text) => format!("{pad}{}\n", scalar(text)),
            Self::Literal(text) => format!("{pad}{text}\n"),
        }
    }
}

fn entry(pad: &str, key: &str, value: &Yaml, indent: usize) -> String {
    let nested = match value {
        Yaml::List(items) => !items.is_empty(),
        Yaml::Map(entries) => !entries.is_empty(),
        Yaml::Text(_) | Yaml::Literal(_) => false,
    };
    let gap = if nested { "\n" } else { " " };
    let value = value.block(if nested { indent + 2 } else { 0 });
    format!("{pad}{}:{gap}{value}", scalar(key))
}

/// A text as it is when nothing can misread it, else quoted and escaped.
fn scalar(text: &str) -> String {
    // Words that some YAML reader takes for a truth value or for nothing.
    const WORDS: [&str; 9] = ["true", "false", "yes", "no", "on", "off", "null", "y", "n"];
    let word = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if word && !WORDS.contains(&text.to_ascii_lowercase().as_str()) {
        return text.to_owned();
    }
    let escaped: String = text.chars().map(escape).collect();
    format!("\"{escaped}\"")
}

fn escape(c: char) -> String {
    match c {
        '"' | '\\' => format!("\\{c}"),
        _ if c == ' ' || c.is_ascii_graphic() || c.is_alphanumeric() => c.to_string(),
        _ => format!("\\U{:08X}", c as u32),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_blocks_and_quotes_what_could_be_misread() {
        let names = [("0", "T-shirt/top"), ("1", "no"), ("2", "a \"b\"\n\u{85}é")];
        let names = names.map(|(k, v)| (k, Yaml::text(v)));
        let list = Yaml::List(vec![
            Yaml::map([("name", Yaml::text("label")), ("names", Yaml::map(names))]),
            Yaml::List(vec![Yaml::number(1), Yaml::List(Vec::new())]),
        ]);
        let text = Yaml::map([("items", list), ("empty", Yaml::Map(Vec::new()))]).document();
        let wanted = r#"items:
  - name: label
    names:
      "0": "T-shirt/top"
      "1": "no"
      "2": "a \"b\"\U0000000A\U00000085é"
  - - 1
    - []
empty: {}
"#;
        assert_eq!(text, wanted);
    }
}
