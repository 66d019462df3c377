//! The run as an OpenLineage event: which datasets became which.
//!
//! Source: <https://openlineage.io/spec/2-0-2/OpenLineage.json>, and the naming of datasets in
//! <https://openlineage.io/docs/spec/naming>; versions of facets as in openlineage-python 1.54.

use serde_json::{Value, json};

use super::name;
use super::time::rfc3339;
use crate::error::Result;
use crate::recipe::Address;
use crate::run::{Finished, InputObject};
use crate::storage::sha256_hex;

/// The event that a run is complete.
pub(super) fn event(run: &Finished) -> Result<Value> {
    let inputs = run.file.input.iter().chain(&run.file.join);
    Ok(json!({
        "eventType": "COMPLETE",
        "eventTime": rfc3339(run.written),
        "run": {
            "runId": run_id(run),
            "facets": {
                "processing_engine": facet(run, "1-1-1", "ProcessingEngineRunFacet", json!({
                    "name": "unseen",
                    "version": run.manifest.version,
                })),
            },
        },
        "job": { "namespace": "unseen", "name": name(run) },
        "inputs": inputs.map(|object| input(run, object)).collect::<Result<Vec<_>>>()?,
        "outputs": [output(run)?],
        "producer": producer(run),
        "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent",
    }))
}

/// A package URL, which names a program in one version.
fn producer(run: &Finished) -> String {
    format!("pkg:cargo/unseen@{}", run.manifest.version)
}

/// An id made of the run's fingerprint and selection, as a UUID of version 8 (RFC 9562).
fn run_id(run: &Finished) -> String {
    let of = format!("{}\n{}", run.manifest.run, run.manifest.selection_sha256);
    let hex = sha256_hex(of.as_bytes());
    format!("{}-{}-8{}-8{}-{}", &hex[..8], &hex[8..12], &hex[12..15], &hex[15..18], &hex[18..30])
}

/// A facet: its fields, and who says so by which schema.
fn facet(run: &Finished, version: &str, kind: &str, fields: Value) -> Value {
    let schema = format!("https://openlineage.io/spec/facets/{version}/{kind}.json#/$defs/{kind}");
    let mut facet = json!({ "_producer": producer(run), "_schemaURL": schema });
    if let (Some(facet), Value::Object(fields)) = (facet.as_object_mut(), fields) {
        facet.extend(fields);
    }
    facet
}

/// Namespace and name of what lies at an address.
fn named(uri: &str) -> Result<(String, String)> {
    Ok(match Address::parse(uri)? {
        Address::Local(path) => ("file".to_owned(), path.to_string_lossy().into_owned()),
        Address::Object { scheme, bucket, key } => (format!("{}://{bucket}", scheme.name()), key),
    })
}

fn input(run: &Finished, object: &InputObject) -> Result<Value> {
    let (namespace, name) = named(&object.uri)?;
    let statistics = json!({ "size": object.bytes, "fileCount": 1 });
    let mut facets = json!({});
    if let Some(etag) = &object.etag {
        facets["version"] =
            facet(run, "1-0-1", "DatasetVersionDatasetFacet", json!({ "datasetVersion": etag }));
    }
    Ok(json!({
        "namespace": namespace,
        "name": name,
        "facets": facets,
        "inputFacets": {
            "inputStatistics": facet(run, "1-0-0", "InputStatisticsInputDatasetFacet", statistics),
        },
    }))
}

fn output(run: &Finished) -> Result<Value> {
    let (namespace, name) = named(&format!("{}/coreset", run.uri))?;
    let fields = run
        .columns
        .fields()
        .iter()
        .map(|field| json!({ "name": field.name(), "type": field.data_type().to_string() }));
    let version = json!({ "datasetVersion": run.manifest.selection_sha256 });
    let statistics = json!({
        "rowCount": run.manifest.kept,
        "size": run.data.iter().map(|file| file.bytes).sum::<u64>(),
        "fileCount": run.data.len(),
    });
    Ok(json!({
        "namespace": namespace,
        "name": name,
        "facets": {
            "schema": facet(run, "1-2-0", "SchemaDatasetFacet", json!({ "fields": fields.collect::<Vec<_>>() })),
            "version": facet(run, "1-0-1", "DatasetVersionDatasetFacet", version),
        },
        "outputFacets": {
            "outputStatistics": facet(run, "1-0-2", "OutputStatisticsOutputDatasetFacet", statistics),
        },
    }))
}
