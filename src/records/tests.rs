//! The records of a made-up run, held against what their specifications ask for.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};

use super::*;
use crate::recipe::Recipe;
use crate::run::{InputObject, Manifest, Published, RunFile, Summary};
use crate::selection::Spread;

fn published(path: &str) -> Published {
    Published { path: path.to_owned(), bytes: 700, rows: Some(2), sha256: "ab".repeat(32) }
}

fn recipe() -> Recipe {
    let text = r#"{"data": {"uri": "a", "image": "image"}, "select": {"keep": 0.5, "by": "margin"},
        "output": {"uri": "runs/one"}}"#;
    serde_json::from_str(text).unwrap()
}

fn summary(uri: &str) -> Summary {
    let zero = 0.0;
    Summary {
        uri: uri.to_owned(),
        usable: 8,
        kept: 4,
        quarantined: 0,
        method: "margin".to_owned(),
        by: "margin (low is kept)".to_owned(),
        order: "most wanted first by margin (low is kept)".to_owned(),
        scored_by: String::new(),
        stages: Vec::new(),
        tied: 0,
        classes: Vec::new(),
        reasons: BTreeMap::new(),
        auto: None,
        judge: None,
        suspected_labels: None,
        spread: Spread {
            count: 8,
            min: zero,
            q05: zero,
            q25: zero,
            q50: zero,
            q75: zero,
            q95: zero,
            max: zero,
            distinct: zero,
            evenness: zero,
        },
        selection_sha256: "cd".repeat(32),
        shards: 1,
        coreset_bytes: 700,
        python: None,
    }
}

fn finished(uri: &str, shards: &[&str]) -> Finished {
    let bytes = Field::new("bytes", DataType::Binary, true);
    let path = Field::new("path", DataType::Utf8, true);
    let item = Arc::new(Field::new("item", DataType::Float32, true));
    let columns = vec![
        Field::new("id", DataType::Utf8, false),
        Field::new("image", DataType::Struct(vec![bytes, path].into()), true),
        Field::new("label", DataType::Int64, true),
        Field::new("vector", DataType::List(item), true),
    ];
    let object = InputObject {
        uri: "s3://bucket/data/a.parquet".to_owned(),
        bytes: 99,
        etag: Some("\"e1\"".to_owned()),
    };
    Finished {
        uri: uri.to_owned(),
        file: RunFile {
            format: crate::storage::FORMAT,
            version: "0.1.0".to_owned(),
            fingerprint: "f".repeat(64),
            recipe: recipe(),
            input: vec![object],
            join: Vec::new(),
            init: None,
        },
        manifest: Manifest {
            format: crate::storage::FORMAT,
            version: "0.1.0".to_owned(),
            run: "f".repeat(64),
            selection_sha256: "cd".repeat(32),
            usable: 8,
            kept: 4,
            quarantined: 0,
            files: Vec::new(),
        },
        summary: summary(uri),
        data: shards.iter().map(|path| published(path)).collect(),
        columns: Arc::new(Schema::new(columns)),
        written: 1_732_525_445,
    }
}

fn of(run: &Finished, name: &str) -> Value {
    let all = records(run, &Said::default(), None).unwrap();
    let record = all.into_iter().find(|record| record.uri.ends_with(&format!("/{name}"))).unwrap();
    assert!(record.text.ends_with("}\n"));
    serde_json::from_str(&record.text).unwrap()
}

#[test]
fn an_openlineage_event_has_what_its_schema_requires() {
    let run = finished("/data/runs/one", &["coreset/data/train-00000-of-00001.parquet"]);
    let event = of(&run, "openlineage.json");
    assert_eq!(event["eventType"], "COMPLETE");
    assert_eq!(event["eventTime"], "2024-11-25T09:04:05Z");
    let schema = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent";
    assert_eq!(
        (&event["schemaURL"], &event["producer"]),
        (&schema.into(), &"pkg:cargo/unseen@0.1.0".into())
    );
    // RFC 9562: 8-4-4-4-12 hex digits, version 8, variant 10.
    let id = event["run"]["runId"].as_str().unwrap();
    let lengths: Vec<usize> = id.split('-').map(str::len).collect();
    assert_eq!(lengths, [8, 4, 4, 4, 12], "{id}");
    assert!(id.chars().all(|c| c == '-' || c.is_ascii_hexdigit()));
    assert_eq!((&id[14..15], &id[19..20]), ("8", "8"));
    assert_eq!(
        (&event["job"]["namespace"], &event["job"]["name"]),
        (&"unseen".into(), &"one".into())
    );
    let (input, output) = (&event["inputs"][0], &event["outputs"][0]);
    assert_eq!(
        (&input["namespace"], &input["name"]),
        (&"s3://bucket".into(), &"data/a.parquet".into())
    );
    assert_eq!(
        (&output["namespace"], &output["name"]),
        (&"file".into(), &"/data/runs/one/coreset".into())
    );
    assert_eq!(
        output["facets"]["schema"]["fields"][2],
        serde_json::json!({"name": "label", "type": "Int64"})
    );
    assert_eq!(output["outputFacets"]["outputStatistics"]["rowCount"], 4);
    for facet in [
        &event["run"]["facets"]["processing_engine"],
        &input["facets"]["version"],
        &input["inputFacets"]["inputStatistics"],
        &output["facets"]["schema"],
        &output["facets"]["version"],
        &output["outputFacets"]["outputStatistics"],
    ] {
        let schema = facet["_schemaURL"].as_str().unwrap();
        assert!(schema.starts_with("https://openlineage.io/spec/facets/1-"), "{facet}");
        assert_eq!(facet["_producer"], "pkg:cargo/unseen@0.1.0");
    }
}

#[test]
fn an_mlflow_dataset_is_texts() {
    let dataset =
        of(&finished("s3://bucket/one", &["coreset/data/a.parquet"]), "mlflow_dataset.json");
    let fields = dataset.as_object().unwrap();
    let names: Vec<&str> = fields.keys().map(String::as_str).collect();
    assert_eq!(names, ["name", "digest", "source_type", "source", "schema", "profile"]);
    assert!(fields.values().all(Value::is_string));
    assert_eq!((&dataset["digest"], &dataset["source_type"]), (&"cdcdcdcdcd".into(), &"s3".into()));
    let inner =
        |name: &str| -> Value { serde_json::from_str(dataset[name].as_str().unwrap()).unwrap() };
    assert_eq!(inner("source")["uri"], "s3://bucket/one/coreset");
    assert_eq!(inner("profile")["num_rows"], 4);
    let schema = inner("schema");
    let columns = schema["mlflow_colspec"].as_array().unwrap();
    let kinds: Vec<_> = columns.iter().map(|c| c["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["string", "object", "long", "array"]);
    assert_eq!(columns[1]["properties"]["bytes"]["type"], "binary");
    assert_eq!(
        (&columns[3]["items"]["type"], &columns[0]["required"]),
        (&"float".into(), &true.into())
    );
    let local = of(&finished("/one", &["coreset/data/a.parquet"]), "mlflow_dataset.json");
    assert_eq!(local["source_type"], "local");
}

#[test]
fn croissant_has_what_its_specification_requires() {
    let run = finished("/one", &["coreset/data/train-00000-of-00001.parquet"]);
    let dataset = of(&run, "croissant.json");
    assert_eq!((&dataset["@type"], &dataset["name"]), (&"sc:Dataset".into(), &"one".into()));
    assert_eq!(dataset["conformsTo"], "http://mlcommons.org/croissant/1.0");
    assert_eq!(dataset["datePublished"], "2024-11-25");
    assert_eq!(dataset["@context"]["cr"], "http://mlcommons.org/croissant/");
    let file = &dataset["distribution"][0];
    assert_eq!(file["contentUrl"], "coreset/data/train-00000-of-00001.parquet");
    assert_eq!((&file["sha256"], &file["contentSize"]), (&"ab".repeat(32).into(), &"700 B".into()));
    let set = &dataset["recordSet"][0];
    let fields = set["field"].as_array().unwrap();
    let kinds: Vec<_> = fields.iter().map(|f| f["dataType"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["sc:Text", "sc:ImageObject", "sc:Integer", "sc:Float"]);
    assert_eq!(fields[1]["source"]["transform"]["jsonPath"], "bytes");
    assert_eq!(fields[3]["repeated"], true);
    for field in fields {
        assert_eq!(field["source"]["fileObject"]["@id"], file["@id"], "{field}");
        assert!(field["@id"].as_str().unwrap().starts_with("records/"));
    }
    // What nobody said is not made up.
    assert!(dataset["license"].is_null() && dataset["creator"].is_null());
}

#[test]
fn many_shards_are_a_set_and_what_was_said_is_told() {
    let run = finished(
        "/one",
        &["coreset/data/train-00000-of-00002.parquet", "coreset/data/train-00001-of-00002.parquet"],
    );
    let said = Said {
        license: Some("MIT".to_owned()),
        creator: Some("Me \"and\" you".to_owned()),
        url: Some("https://example.org".to_owned()),
    };
    let all = records(&run, &said, None).unwrap();
    assert_eq!(all, records(&run, &said, None).unwrap());
    let places: Vec<&str> = all.iter().map(|record| record.uri.as_str()).collect();
    let wanted = [
        "/one/records/openlineage.json",
        "/one/records/mlflow_dataset.json",
        "/one/croissant.json",
    ];
    assert_eq!(places, wanted);
    let dataset: Value = serde_json::from_str(&all[2].text).unwrap();
    assert_eq!(
        (&dataset["license"], &dataset["creator"]["name"]),
        (&"MIT".into(), &"Me \"and\" you".into())
    );
    assert_eq!(dataset["distribution"].as_array().unwrap().len(), 3);
    assert_eq!(dataset["distribution"][2]["includes"], "coreset/data/train-*.parquet");
    assert_eq!(dataset["recordSet"][0]["field"][0]["source"]["fileSet"]["@id"], "shards");
    let elsewhere = records(&run, &said, Some("/two/")).unwrap();
    assert_eq!(elsewhere[2].uri, "/two/croissant.json");
    let dataset: Value = serde_json::from_str(&elsewhere[2].text).unwrap();
    let first = &dataset["distribution"][0]["contentUrl"];
    assert_eq!(first, "../one/coreset/data/train-00000-of-00002.parquet");
}
