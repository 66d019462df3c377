//! "Did you mean": the nearest of the names that would have been right.

/// How alike two names must be, from 0 to 1: one letter wrong in a name of three is 0.67.
const ALIKE: f64 = 0.6;

/// The candidate most like `word`, if one is alike enough; the first of equals.
pub(crate) fn nearest<'c>(
    word: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Option<&'c str> {
    let mut best = (ALIKE, None);
    for candidate in candidates {
        let alike = strsim::normalized_damerau_levenshtein(&word.to_lowercase(), candidate);
        if alike > best.0 {
            best = (alike, Some(candidate));
        }
    }
    best.1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_slips_and_leaves_strangers_alone() {
        let names = ["keep", "keep_rows", "stages", "by"];
        assert_eq!(nearest("kep", names), Some("keep"));
        assert_eq!(nearest("Stage", names), Some("stages"));
        assert_eq!(nearest("keeprows", names), Some("keep_rows"));
        assert_eq!(nearest("temperature", names), None);
        assert_eq!(nearest("", names), None);
    }
}
