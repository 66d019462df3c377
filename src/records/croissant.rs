//! The coreset as Croissant metadata, which dataset search and `mlcroissant` read. Its addresses are relative
//! to the place of the file, which is best above the shards: readers look for a set of them below its directory.
//!
//! Source: <https://docs.mlcommons.org/croissant/docs/croissant-spec-1.0.html>.

use arrow::datatypes::{DataType, Field};
use serde_json::{Map, Value, json};

use super::time::rfc3339;
use super::{Said, described, name};
use crate::run::{Finished, Published};

/// The id of the set of all shards.
const SHARDS: &str = "shards";

/// `way` leads from the file to the coreset's directory.
pub(super) fn metadata(run: &Finished, said: &Said, way: &str) -> Value {
    let mut dataset = json!({
        "@context": context(),
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": name(run),
        "description": described(run),
        "version": "1.0.0",
        "datePublished": rfc3339(run.written).split('T').next(),
    });
    let known = [("license", &said.license), ("url", &said.url)];
    for (key, value) in known {
        if let Some(value) = value {
            dataset[key] = json!(value);
        }
    }
    if let Some(creator) = &said.creator {
        dataset["creator"] = json!({ "@type": "sc:Organization", "name": creator });
    }
    dataset["distribution"] = Value::Array(distribution(run, way));
    let fields = run.columns.fields().iter().map(|column| field(run, column));
    dataset["recordSet"] = json!([{
        "@type": "cr:RecordSet",
        "@id": "records",
        "name": "records",
        "description": "The kept samples.",
        "field": fields.collect::<Vec<_>>(),
    }]);
    dataset
}

/// The name of a file below the coreset's directory.
fn relative(file: &Published) -> &str {
    file.path.strip_prefix("coreset/").unwrap_or(&file.path)
}

fn distribution(run: &Finished, way: &str) -> Vec<Value> {
    let file = |file: &Published| {
        json!({
            "@type": "cr:FileObject",
            "@id": relative(file),
            "name": relative(file),
            "contentUrl": format!("{way}{}", relative(file)),
            "contentSize": format!("{} B", file.bytes),
            "encodingFormat": "application/x-parquet",
            "sha256": file.sha256,
        })
    };
    let mut all: Vec<Value> = run.data.iter().map(file).collect();
    if run.data.len() > 1 {
        all.push(json!({
            "@type": "cr:FileSet",
            "@id": SHARDS,
            "name": SHARDS,
            "encodingFormat": "application/x-parquet",
            "includes": format!("{way}data/{}-*.parquet", run.file.recipe.output.split),
        }));
    }
    all
}

fn field(run: &Finished, column: &Field) -> Value {
    let mut source = match &run.data[..] {
        [one] => json!({ "fileObject": { "@id": relative(one) } }),
        _ => json!({ "fileSet": { "@id": SHARDS } }),
    };
    source["extract"] = json!({ "column": column.name() });
    let (kind, repeated) = kind(column.data_type());
    // As the Hub writes its images: a struct whose bytes are the encoded image.
    let image = run.file.recipe.data.image.as_ref() == Some(column.name());
    if image && matches!(column.data_type(), DataType::Struct(_)) {
        source["transform"] = json!({ "jsonPath": "bytes" });
    }
    let mut field = json!({
        "@type": "cr:Field",
        "@id": format!("records/{}", column.name()),
        "name": format!("records/{}", column.name()),
        "dataType": if image { "sc:ImageObject" } else { kind },
        "source": source,
    });
    if repeated {
        field["repeated"] = json!(true);
    }
    field
}

/// The type of a column, or of the items of a list, and whether it is one.
fn kind(kind: &DataType) -> (&'static str, bool) {
    use DataType as D;
    match kind {
        D::Boolean => ("sc:Boolean", false),
        D::Float16 | D::Float32 | D::Float64 => ("sc:Float", false),
        D::Date32 | D::Date64 | D::Timestamp(..) => ("sc:Date", false),
        D::Dictionary(_, values) => self::kind(values),
        D::List(item) | D::LargeList(item) | D::FixedSizeList(item, _) => {
            (self::kind(item.data_type()).0, true)
        }
        whole if whole.is_integer() => ("sc:Integer", false),
        _ => ("sc:Text", false),
    }
}

/// The context that the specification asks for, in its appendix 1.
fn context() -> Value {
    let mut context = Map::new();
    context.insert("@language".to_owned(), json!("en"));
    context.insert("@vocab".to_owned(), json!("https://schema.org/"));
    let terms = [
        "citeAs",
        "column",
        "data",
        "dataBiases",
        "dataCollection",
        "dataType",
        "equivalentProperty",
        "examples",
        "extract",
        "field",
        "fileProperty",
        "fileObject",
        "fileSet",
        "format",
        "includes",
        "isLiveDataset",
        "jsonPath",
        "key",
        "md5",
        "parentField",
        "path",
        "personalSensitiveInformation",
        "recordSet",
        "references",
        "regex",
        "repeated",
        "replace",
        "samplingRate",
        "separator",
        "source",
        "subField",
        "transform",
    ];
    for term in terms {
        let value = match term {
            "data" | "examples" => json!({ "@id": format!("cr:{term}"), "@type": "@json" }),
            "dataType" => json!({ "@id": "cr:dataType", "@type": "@vocab" }),
            _ => json!(format!("cr:{term}")),
        };
        context.insert(term.to_owned(), value);
    }
    for (prefix, address) in [
        ("conformsTo", "dct:conformsTo"),
        ("cr", "http://mlcommons.org/croissant/"),
        ("dct", "http://purl.org/dc/terms/"),
        ("rai", "http://mlcommons.org/croissant/RAI/"),
        ("sc", "https://schema.org/"),
    ] {
        context.insert(prefix.to_owned(), json!(address));
    }
    Value::Object(context)
}
