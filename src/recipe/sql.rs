//! The words of an SQL expression, without reading more into it.

use std::ops::Range;

/// Where the names and keywords of an SQL text stand, outside of `'texts'`. The name in `"quotes"`
/// is one word, without them.
pub(crate) fn words(sql: &str) -> Vec<Range<usize>> {
    let mut words = Vec::new();
    let mut chars = sql.char_indices().peekable();
    while let Some((start, first)) = chars.next() {
        if first == '\'' || first == '"' {
            let end = chars.find(|(_, c)| *c == first).map_or(sql.len(), |(at, _)| at);
            if first == '"' {
                words.push(start + 1..end);
            }
        } else if first.is_alphanumeric() || first == '_' {
            let mut end = start + first.len_utf8();
            while let Some((at, c)) = chars.next_if(|(_, c)| c.is_alphanumeric() || *c == '_') {
                end = at + c.len_utf8();
            }
            words.push(start..end);
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_names_and_numbers_but_no_texts() {
        let of = |sql: &'static str| words(sql).into_iter().map(|w| &sql[w]).collect::<Vec<_>>();
        assert_eq!(of("0.7*rank(el2n) - Ärger"), ["0", "7", "rank", "el2n", "Ärger"]);
        assert_eq!(of("a = 'b c' OR \"d e\" > x"), ["a", "OR", "d e", "x"]);
        assert_eq!(of("'open"), Vec::<&str>::new());
        assert_eq!(of("\"open"), ["open"]);
    }
}
