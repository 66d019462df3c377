//! The published schemas are those of the code. `UNSEEN_UPDATE=1 cargo test --test it schemas`
//! writes them again.

use std::path::PathBuf;

use serde::Serialize;
use unseen::{recipe, tables};

fn published(name: &str, contract: &impl Serialize) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("schemas").join(name);
    let ours = format!("{}\n", serde_json::to_string_pretty(contract).unwrap());
    if std::env::var_os("UNSEEN_UPDATE").is_some() {
        std::fs::write(&path, &ours).unwrap();
    }
    let theirs = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(ours == theirs, "schemas/{name} is not what the code says; run with UNSEEN_UPDATE=1");
}

#[test]
fn recipe_schema_is_published() {
    published("recipe.schema.json", &recipe::json_schema());
}

#[test]
fn table_contracts_are_published() {
    for contract in tables::contracts() {
        published(&format!("{}.schema.json", contract.table), &contract);
    }
}

#[test]
fn record_schemas_are_published() {
    published("commit.schema.json", &schemars::schema_for!(unseen::storage::Record));
    published("run.schema.json", &schemars::schema_for!(unseen::run::RunFile));
    published("manifest.schema.json", &schemars::schema_for!(unseen::run::Manifest));
}
