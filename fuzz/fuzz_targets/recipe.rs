//! Any text as a recipe: it is read, and then says itself again, or it is refused.

#![no_main]

use libfuzzer_sys::fuzz_target;
use unseen::ingest::check_filter;
use unseen::recipe::parse;

fuzz_target!(|text: &str| {
    let Ok(recipe) = parse(text, "fuzz.toml", &[]) else { return };
    if let Some(filter) = &recipe.data.filter {
        let _ = check_filter(filter);
    }
    let again = recipe.to_toml().expect("a recipe has a text");
    assert_eq!(parse(&again, "again.toml", &[]).expect("it can be read"), recipe);
});
