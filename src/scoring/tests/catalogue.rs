//! docs/methods.md against the code. `UNSEEN_UPDATE=1 cargo test --lib catalogue` writes its table again.

use crate::recipe::Method;
use crate::scoring::{catalogue, table};

const BEGIN: &str = "<!-- scores: written by the code -->\n";
const END: &str = "<!-- end of scores -->\n";

#[test]
fn the_table_of_scores_is_what_the_code_says() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/methods.md");
    let page = std::fs::read_to_string(path).unwrap();
    let (before, rest) = page.split_once(BEGIN).unwrap();
    let (theirs, after) = rest.split_once(END).unwrap();
    let ours = table();
    if std::env::var_os("UNSEEN_UPDATE").is_some() {
        std::fs::write(path, format!("{before}{BEGIN}{ours}{END}{after}")).unwrap();
    } else {
        assert!(ours == theirs, "the table is not what the code says; run with UNSEEN_UPDATE=1");
    }
}

#[test]
fn every_method_is_described_once() {
    let entries = catalogue();
    assert_eq!(entries.iter().map(|e| e.method).collect::<Vec<_>>(), Method::ALL);
    for entry in &entries {
        assert!(!entry.formula.contains('|') && !entry.source.contains('|'));
        let options = &entry.options;
        assert!(options.iter().all(|(_, value)| value != "null"), "{options:?} are no fields");
        let others = entries.iter().filter(|other| other.formula == entry.formula);
        assert_eq!(others.count(), 1, "{}", entry.formula);
    }
    let memory = |method| entries.iter().find(|e| e.method == method).unwrap().memory.clone();
    assert_eq!(memory(Method::Tdds), "8 J + 8 C");
    assert_eq!(memory(Method::Dual), "8 J + 8");
}
