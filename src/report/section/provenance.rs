//! Where the result comes from, and how to get it again.

use super::Section;
use crate::report::markup::{Table, details, paragraph, verbatim};
use crate::report::words::{grouped, size};
use crate::run::{Evidence, Provenance};

pub(super) fn provenance(run: &Evidence) -> Section {
    let from = &run.provenance;
    let mut body = facts(run).html();
    body.push_str(&paragraph(
        "The same input, recipe and version give the same bytes. Save the recipe below as recipe.toml and \
         run it into another place; the digest of the kept ids must be the one above:",
    ));
    body.push_str(&verbatim(&format!(
        "unseen run recipe.toml --set output.uri=again\nunseen diff {} again\nunseen verify {}",
        run.summary.uri, run.summary.uri
    )));
    body.push_str(&details("The recipe, with every default", &verbatim(&from.recipe)));
    body.push_str(&details("The input, as the run saw it", &input(from).html()));
    body.push_str(&details("All published files with their checksums", &files(from).html()));
    Section::new("provenance", "Provenance", "Where does this come from?", body)
}

fn facts(run: &Evidence) -> Table {
    let from = &run.provenance;
    let mut table = Table::new("The run", &["", ""]);
    table.row(["made by", &format!("unseen {}", from.version)]);
    table.row(["seed", &from.seed.to_string()]);
    table.row(["fingerprint of version, recipe and input", &from.fingerprint]);
    table.row(["SHA-256 of the kept ids", &run.summary.selection_sha256]);
    if let Some(python) = &run.summary.python {
        table.row(["load it", python]);
    }
    table
}

fn input(from: &Provenance) -> Table {
    let mut table = Table::new("Input objects", &["address", "#size", "version tag"]);
    for object in &from.input {
        table.row([
            object.uri.clone(),
            size(object.bytes),
            object.etag.clone().unwrap_or_default(),
        ]);
    }
    table
}

fn files(from: &Provenance) -> Table {
    let mut table = Table::new("Published files", &["file", "#rows", "#size", "SHA-256"]);
    for file in &from.files {
        let rows = file.rows.map_or_else(String::new, grouped);
        table.row([file.path.clone(), rows, size(file.bytes), file.sha256.clone()]);
    }
    table
}
