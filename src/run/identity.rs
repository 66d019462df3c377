//! Which run a directory belongs to: `run.json`, written first, and the refusal of any other.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Place, Result};
use crate::recipe::{Devices, Evaluate, Recipe, Storage, Sweep};
use crate::storage::crash::Point;
use crate::storage::{Dir, FORMAT, Object, Written, seal, sha256_hex, unseal};

const RUN_FILE: &str = "run.json";

/// What a run directory says about itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "unseen run file", transform = crate::storage::checksum_schema)]
pub struct RunFile {
    /// Version of the run directory's format.
    pub format: u32,
    /// The version of `unseen` that began the run.
    pub version: String,
    /// Fingerprint of version, recipe and input.
    pub fingerprint: String,
    /// The recipe, with every default filled in.
    pub recipe: Recipe,
    /// The input objects, ascending by address.
    pub input: Vec<InputObject>,
    /// The tables of `[[join]]`, in the recipe's order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub join: Vec<InputObject>,
    /// The weights of `train.init`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub init: Option<InputObject>,
}

/// One input object as the run first saw it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InputObject {
    /// Its address.
    pub uri: String,
    /// Its size.
    pub bytes: u64,
    /// The store's tag of its version.
    pub etag: Option<String>,
}

impl RunFile {
    /// The run that `recipe` on `objects` with the joined tables `joins` and the first weights `init`
    /// makes.
    ///
    /// # Errors
    /// `Internal` if the recipe cannot be written as JSON.
    pub fn new(
        recipe: &Recipe,
        objects: &[Object],
        joins: &[Object],
        init: Option<&Object>,
    ) -> Result<Self> {
        let pinned =
            |o: &Object| InputObject { uri: o.uri.clone(), bytes: o.bytes, etag: o.etag.clone() };
        let mut file = Self {
            format: FORMAT,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            fingerprint: String::new(),
            recipe: recipe.clone(),
            input: objects.iter().map(pinned).collect(),
            join: joins.iter().map(pinned).collect(),
            init: init.map(pinned),
        };
        file.fingerprint = file.derived()?;
        Ok(file)
    }

    /// The fingerprint that follows from everything else in the file.
    fn derived(&self) -> Result<String> {
        let objects = (&self.input, &self.join, &self.init);
        let what = (self.format, &self.version, &self.decisive_recipe(), objects);
        Ok(sha256_hex(&serde_json::to_vec(&what)?))
    }

    /// The recipe without what cannot change a result: the place of the run, which may move, which of
    /// several devices of a kind, how stores are reached, how often trainings keep checkpoints, what a coreset is measured on, the grid
    /// it may be part of, and the limits that stopped it, which may be raised.
    fn decisive_recipe(&self) -> Recipe {
        let mut recipe = self.recipe.clone();
        recipe.output.uri.clear();
        recipe.storage = Storage::default();
        if let Ok(devices) = recipe.device.parse::<Devices>() {
            devices.kind().clone_into(&mut recipe.device);
        }
        (recipe.train.checkpoint_epochs, recipe.train.checkpoint_minutes) = (None, 0.0);
        (recipe.evaluate, recipe.sweep) = (Evaluate::default(), Sweep::default());
        recipe.data.max_quarantined = 0.0;
        (recipe.data.max_columns, recipe.data.max_expansion) = (0, 0);
        recipe.score.embedding.max_rows = 0;
        recipe
    }

    /// Reads the run file of `dir`, or `None` if no run began there.
    ///
    /// # Errors
    /// `CorruptData` if it cannot be read, `Conflict` if another version wrote it.
    pub fn find(dir: &Dir) -> Result<Option<Self>> {
        let Some(bytes) = dir.find(RUN_FILE)? else { return Ok(None) };
        let place = || dir.uri_of(RUN_FILE);
        let file: Self = unseal(&bytes).at(place)?;
        // Another version fills in other defaults; what it derived is told by its name.
        if file.version == env!("CARGO_PKG_VERSION") && file.derived()? != file.fingerprint {
            let message = "its fingerprint does not follow from its recipe and input";
            return Err(Error::corrupt(message).at(place()));
        }
        Ok(Some(file))
    }

    /// The run file of a run that has begun, as it was begun: what `auto` chose is not in it.
    ///
    /// # Errors
    /// As [`RunFile::find`]; `InvalidInput` if no run began there.
    pub(super) fn begun(dir: &Dir) -> Result<Self> {
        let uri = dir.uri();
        let none = || {
            let message = "there is no run.json; give the recipe's output.uri";
            Error::input(format!("{uri} holds no run: {message}"))
        };
        Self::find(dir)?.ok_or_else(none)
    }

    /// Begins the run in `dir`, or goes on with it if it is the same one.
    ///
    /// # Errors
    /// `Conflict`, saying what changed, if the directory belongs to a run of another recipe or
    /// input; `Unavailable` if it cannot be written.
    pub fn begin_or_resume(&self, dir: &Dir) -> Result<()> {
        if Self::find(dir)?.is_none() && dir.create(RUN_FILE, seal(self)?)? == Written::Created {
            Point::RunBegun.pass();
            return Ok(());
        }
        let old = Self::find(dir)?.ok_or_else(|| Error::internal("run.json came and went"))?;
        self.same_as(&old).map_err(|e| e.at(dir.uri().to_owned()))
    }

    /// What differs between the input that `old` saw and this one, in words.
    pub(super) fn input_changes(&self, old: &Self) -> Vec<String> {
        let mut changes = input_changes(&old.input, &self.input);
        changes.extend(input_changes(&old.join, &self.join));
        changes.extend(input_changes(old.init.as_slice(), self.init.as_slice()));
        changes
    }

    /// Holds this run against the one that a directory holds.
    ///
    /// # Errors
    /// `Conflict`, naming each recipe field and each input object that changed.
    pub fn same_as(&self, old: &Self) -> Result<()> {
        if self.fingerprint == old.fingerprint {
            return Ok(());
        }
        let mut changes: Vec<String> = old
            .decisive_recipe()
            .diff(&self.decisive_recipe())
            .into_iter()
            .map(|(key, old, new)| format!("{key}: {old} -> {new}"))
            .collect();
        changes.extend(self.input_changes(old));
        if self.version != old.version {
            changes.push(format!("unseen: {} -> {}", old.version, self.version));
        }
        let more = changes.len().saturating_sub(CHANGES_NAMED);
        changes.truncate(CHANGES_NAMED);
        if more > 0 {
            changes.push(format!("and {more} more"));
        }
        let message = format!(
            "the directory holds a run of another recipe, input or version; choose another output.uri or remove it. Changed: {}",
            changes.join("; ")
        );
        Err(Error::new(ErrorKind::Conflict, message))
    }
}

/// The changes that a refusal names.
const CHANGES_NAMED: usize = 8;

fn input_changes(old: &[InputObject], new: &[InputObject]) -> Vec<String> {
    let find = |all: &[InputObject], uri: &str| all.iter().find(|o| o.uri == uri).cloned();
    let mut changes = Vec::new();
    for before in old {
        match find(new, &before.uri) {
            None => changes.push(format!("input {} is gone", before.uri)),
            Some(now) if now.bytes != before.bytes => {
                changes
                    .push(format!("input {}: {} -> {} bytes", before.uri, before.bytes, now.bytes));
            }
            Some(now) if now.etag != before.etag => {
                changes.push(format!(
                    "input {} was written again (same size, other version)",
                    before.uri
                ));
            }
            Some(_) => {}
        }
    }
    let added = new.iter().filter(|o| find(old, &o.uri).is_none());
    changes.extend(added.map(|o| format!("input {} is new", o.uri)));
    changes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::parse;

    #[test]
    fn which_device_of_a_kind_is_no_part_of_a_run() {
        let run = |device: &str| {
            let text = "data = {uri = 'a', image = 'i'}\nselect.keep = 0.5\noutput.uri = 'b'";
            let recipe = parse(&format!("device = '{device}'\n{text}"), "r.toml", &[]).unwrap();
            RunFile::new(&recipe, &[], &[], None).unwrap()
        };
        for device in ["cuda", "cuda:0", "cuda:2,1"] {
            run(device).same_as(&run("cuda:1")).unwrap();
            let error = run(device).same_as(&run("cpu")).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Conflict);
            assert!(error.to_string().contains("device: cpu -> cuda"), "{error}");
        }
    }
}
