//! "Did you mean": the nearest of the names that would have been right.

/// How alike two names must be, from 0 to 1: one letter wrong in a name of three is 0.67.
const ALIKE: f64 = 0.6;

/// The candidate most like `word`, if one is alike enough; the first of equals.
pub(crate) fn nearest<'c>(
    word: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Option<&'c str> {
    near(word, candidates, 1).pop()
}

/// The up to `count` candidates most like `word`, the most alike first, if they are alike enough.
pub(crate) fn near<'c>(
    word: &str,
    candidates: impl IntoIterator<Item = &'c str>,
    count: usize,
) -> Vec<&'c str> {
    let word = word.to_lowercase();
    let alike = |candidate| (strsim::normalized_damerau_levenshtein(&word, candidate), candidate);
    let mut found: Vec<_> =
        candidates.into_iter().map(alike).filter(|(alike, _)| *alike > ALIKE).collect();
    found.sort_by(|a, b| b.0.total_cmp(&a.0));
    found.into_iter().take(count).map(|(_, candidate)| candidate).collect()
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
        assert_eq!(near("keeprow", names, 3), ["keep_rows"]);
        assert_eq!(near("s12", ["s11", "s12", "s13", "t99"], 2), ["s12", "s11"]);
    }
}
