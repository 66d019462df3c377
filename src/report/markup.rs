//! HTML as text: everything that comes from data or a recipe passes through [`escaped`].

use std::fmt::Write as _;

/// A text that cannot end the element or the attribute in which it stands. Characters that no document
/// may hold, and those that turn the direction of what follows, are shown as such.
pub(crate) fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            '\n' | '\t' => safe.push(c),
            '\r' => safe.push('\n'),
            c if c.is_control() || is_hidden(c) => safe.push('\u{FFFD}'),
            c => safe.push(c),
        }
    }
    safe
}

/// Directional overrides and isolates (Unicode TR 9), and what XML has no room for.
fn is_hidden(c: char) -> bool {
    matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{FFFE}' | '\u{FFFF}')
}

/// A part of the page with a heading that links can reach.
pub(super) fn section(id: &str, heading: &str, body: &str) -> String {
    format!(
        "<section id=\"{id}\" aria-labelledby=\"{id}-h\">\n<h2 id=\"{id}-h\">{}</h2>\n{body}</section>\n",
        escaped(heading)
    )
}

/// A paragraph of text.
pub(super) fn paragraph(text: &str) -> String {
    format!("<p>{}</p>\n", escaped(text))
}

/// Something to know before what stands below.
pub(super) fn note(text: &str) -> String {
    format!("<p class=\"note\">{}</p>\n", escaped(text))
}

/// A judgement: what it comes to, then the whole of it. `class` says how it looks.
pub(super) fn callout(class: &str, short: &str, text: &str) -> String {
    let (short, text) = (escaped(short), escaped(text));
    format!("<p class=\"verdict {class}\"><strong>{short}</strong> {text}</p>\n")
}

/// A picture that the keyboard can scroll where the window is narrow, with words below it.
pub(super) fn figure(svg: &str, caption: &str) -> String {
    let caption = escaped(caption);
    format!(
        "<figure>\n<div class=\"scroll\" tabindex=\"0\" role=\"group\" aria-label=\"{caption}\">\n{svg}</div>\n<figcaption>{caption}</figcaption>\n</figure>\n"
    )
}

/// What can be opened.
pub(super) fn details(summary: &str, body: &str) -> String {
    format!("<details>\n<summary>{}</summary>\n{body}</details>\n", escaped(summary))
}

/// A text as it was written.
pub(super) fn verbatim(text: &str) -> String {
    format!("<pre tabindex=\"0\"><code>{}</code></pre>\n", escaped(text))
}

/// A table. The first column names the row; a column whose name begins with `#` holds numbers. Columns
/// without any name have no head.
pub(super) struct Table {
    caption: String,
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn new(caption: impl Into<String>, columns: &[&str]) -> Self {
        let columns = columns.iter().map(|name| (*name).to_owned()).collect();
        Self { caption: caption.into(), columns, rows: Vec::new() }
    }

    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = impl Into<String>>) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }

    pub(super) fn html(&self) -> String {
        let caption = escaped(&self.caption);
        let mut html = format!(
            "<div class=\"scroll\" tabindex=\"0\" role=\"group\" aria-label=\"{caption}\">\n<table>\n<caption>{caption}</caption>\n"
        );
        if self.columns.iter().any(|name| !kind(name).1.is_empty()) {
            self.head(&mut html);
        }
        html.push_str("<tbody>\n");
        for row in &self.rows {
            html.push_str("<tr>");
            for (at, (cell, name)) in row.iter().zip(&self.columns).enumerate() {
                let (class, _) = kind(name);
                let cell = escaped(cell);
                let _ = match at {
                    0 => write!(html, "<th scope=\"row\"{class}>{cell}</th>"),
                    _ => write!(html, "<td{class}>{cell}</td>"),
                };
            }
            html.push_str("</tr>\n");
        }
        html.push_str("</tbody>\n</table>\n</div>\n");
        html
    }

    fn head(&self, html: &mut String) {
        html.push_str("<thead><tr>");
        for name in &self.columns {
            let (class, name) = kind(name);
            let _ = write!(html, "<th scope=\"col\"{class}>{}</th>", escaped(name));
        }
        html.push_str("</tr></thead>\n");
    }
}

fn kind(name: &str) -> (&'static str, &str) {
    name.strip_prefix('#').map_or(("", name), |name| (" class=\"number\"", name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_leaves_its_place() {
        let hostile = "\"><script>alert('1')</script>&\u{0}\u{202E}\r";
        let safe =
            "&quot;&gt;&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&amp;\u{FFFD}\u{FFFD}\n";
        assert_eq!(escaped(hostile), safe);
        let mut table = Table::new(hostile, &["name", "#n"]);
        table.row([hostile, "1"]);
        for html in [
            table.html(),
            section("a", hostile, ""),
            paragraph(hostile),
            note(hostile),
            callout("worse", hostile, hostile),
            figure("", hostile),
            details(hostile, ""),
            verbatim(hostile),
        ] {
            assert!(html.contains("&lt;script&gt;") && !html.contains("<script"), "{html}");
            assert!(!html.contains("'1'") && !html.contains('\u{202E}'), "{html}");
        }
    }

    #[test]
    fn a_table_has_a_caption_and_scopes() {
        let mut table = Table::new("Sizes", &["name", "#rows"]);
        table.row(["a", "12"]);
        let html = table.html();
        for part in [
            "<caption>Sizes</caption>",
            "<th scope=\"col\" class=\"number\">rows</th>",
            "<th scope=\"row\">a</th><td class=\"number\">12</td>",
        ] {
            assert!(html.contains(part), "{part} is missing from\n{html}");
        }
    }
}
