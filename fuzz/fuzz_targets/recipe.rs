//! Any text as a recipe: it is read, and then says itself again, or it is refused.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use unseen::ingest::check_filter;
use unseen::recipe::parse;

/// libFuzzer's hook ends the process at any panic. One that ends at a fence is an answer, not a
/// finding; one that gets out of the target still ends the process.
static HOOK: LazyLock<()> = LazyLock::new(|| std::panic::set_hook(Box::new(|_| ())));

fuzz_target!(|text: &str| {
    LazyLock::force(&HOOK);
    let Ok(recipe) = parse(text, "fuzz.toml", &[]) else { return };
    if let Some(filter) = &recipe.data.filter {
        let _ = check_filter(filter);
    }
    let again = recipe.to_toml().expect("a recipe has a text");
    assert_eq!(parse(&again, "again.toml", &[]).expect("it can be read"), recipe);
});
