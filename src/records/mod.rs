//! A finished run as other tools record it: one file for each, from the one manifest.
//!
//! - `openlineage`: a run event. `mlflow`: a dataset. `croissant`: the metadata of the coreset.
//! - `time`: a time as these files write it. `way`: the way from a file to those that it speaks of.
//!
//! The files hold nothing that the run does not say: the time is that of the manifest, ids are made of
//! digests. The same run directory gives the same bytes.

mod croissant;
mod mlflow;
mod openlineage;
mod time;
mod way;

use serde_json::Value;

use crate::error::Result;
use crate::run::Finished;

/// What a run cannot know of its dataset, and Croissant asks for.
#[derive(Clone, Debug, Default)]
pub struct Said {
    /// The licence of the dataset: an address, or a name of the SPDX list.
    pub license: Option<String>,
    /// Who made it.
    pub creator: Option<String>,
    /// The address of its page.
    pub url: Option<String>,
}

/// One file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its address.
    pub uri: String,
    /// Its text.
    pub text: String,
}

/// All files for a finished run: in the directory `out`, or else in `records/` and, for Croissant, in the run
/// directory itself, as its readers look for shards below their own file.
///
/// # Errors
/// `InvalidRecipe` if an address cannot be read; `Internal` if a record cannot be written as JSON.
pub fn records(run: &Finished, said: &Said, out: Option<&str>) -> Result<Vec<Record>> {
    let out = out.map(|dir| dir.trim_end_matches('/').to_owned());
    let records = out.clone().unwrap_or_else(|| format!("{}/records", run.uri));
    let above = out.unwrap_or_else(|| run.uri.clone());
    let record = |dir: &str, name, value: &Value| -> Result<Record> {
        let text = format!("{}\n", serde_json::to_string_pretty(value)?);
        Ok(Record { uri: format!("{dir}/{name}"), text })
    };
    let way = way::way(&above, &format!("{}/coreset", run.uri))?;
    Ok(vec![
        record(&records, "openlineage.json", &openlineage::event(run)?)?,
        record(&records, "mlflow_dataset.json", &mlflow::dataset(run)?)?,
        record(&above, "croissant.json", &croissant::metadata(run, said, &way))?,
    ])
}

/// The last part of the run's address: what people call it.
fn name(run: &Finished) -> &str {
    run.uri.rsplit('/').find(|part| !part.is_empty()).unwrap_or("coreset")
}

/// What the coreset is, in a sentence.
fn described(run: &Finished) -> String {
    format!(
        "{} of {} samples, selected by unseen {} with the score {}.",
        run.summary.kept, run.summary.usable, run.manifest.version, run.summary.by
    )
}

#[cfg(test)]
mod tests;
