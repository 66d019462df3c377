//! The columns in the words of Hugging Face `datasets` 5.x: which hold images, which classes, and
//! the plain types of all others.
//!
//! The card's features make `load_dataset` cast the columns, so a wrong word would break loading:
//! types come from Arrow, and the `huggingface` metadata only decides what Arrow cannot say. When
//! one column has a type that `datasets` does not know, there is no list at all.

use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use serde_json::{Map, Value};

use super::yaml::Yaml;

/// What the recipe knows about the columns.
#[derive(Clone, Copy)]
pub(super) struct Known<'a> {
    /// The image column.
    pub(super) image: Option<&'a str>,
    /// The label column and the names of its integers.
    pub(super) classes: Option<(&'a str, &'a [String])>,
}

/// The entries of one feature besides its name: `dtype: int64`, `list: float32`, `struct: ...`.
type Entries = Vec<(String, Yaml)>;

/// The card's list of features, or `None` if `datasets` has no word for one of the types.
pub(super) fn features(schema: &Schema, known: Known<'_>) -> Option<Yaml> {
    let hints = hints(schema);
    let one = |field: &Field| {
        let hint = hints.get(field.name());
        let entries = from_recipe(field, hint, known);
        Some(named(field.name(), entries.or_else(|| feature(field.data_type(), hint))?))
    };
    let all: Option<Vec<Yaml>> = schema.fields().iter().map(|f| one(f)).collect();
    all.map(Yaml::List)
}

/// The features in the `huggingface` metadata.
fn hints(schema: &Schema) -> Map<String, Value> {
    let text = schema.metadata().get("huggingface");
    let json: Option<Value> = text.and_then(|t| serde_json::from_str(t).ok());
    json.and_then(|j| j.pointer("/info/features")?.as_object().cloned()).unwrap_or_default()
}

/// Images and classes that only the recipe knows of; the source's own metadata comes first.
fn from_recipe(field: &Field, hint: Option<&Value>, known: Known<'_>) -> Option<Entries> {
    let kind = field.data_type();
    if hint.is_some_and(|hint| special(kind, hint).is_some()) {
        return None;
    }
    let name = field.name().as_str();
    match known.classes {
        Some((label, names)) if label == name && kind.is_integer() => Some(class_label(names)),
        _ if known.image == Some(name) && is_image(kind) => Some(dtype("image")),
        _ => None,
    }
}

fn feature(kind: &DataType, hint: Option<&Value>) -> Option<Entries> {
    if let Some(special) = hint.and_then(|hint| special(kind, hint)) {
        return Some(special);
    }
    let item = hint.and_then(|hint| hint.get("feature").or_else(|| hint.get(0)));
    match kind {
        DataType::Struct(fields) => {
            let child = |f: &Field| {
                let hint = hint.and_then(|hint| hint.get(f.name()));
                Some(named(f.name(), feature(f.data_type(), hint)?))
            };
            let children: Option<Vec<Yaml>> = fields.iter().map(|f| child(f)).collect();
            Some(vec![("struct".to_owned(), Yaml::List(children?))])
        }
        DataType::List(f) => Some(list("list", feature(f.data_type(), item)?, None)),
        DataType::LargeList(f) => Some(list("large_list", feature(f.data_type(), item)?, None)),
        DataType::FixedSizeList(f, n) => {
            Some(list("list", feature(f.data_type(), item)?, Some(*n)))
        }
        _ => plain(kind).map(|name| dtype(&name)),
    }
}

/// A list's item is written short, `list: float32`, unless it has entries of its own.
fn list(word: &str, item: Entries, length: Option<i32>) -> Entries {
    let item = match <[(String, Yaml); 1]>::try_from(item) {
        Ok([(key, only)]) if key == "dtype" || key == "struct" => only,
        Ok(other) => Yaml::Map(other.into()),
        Err(entries) => Yaml::Map(entries),
    };
    let length = length.map(|n| ("length".to_owned(), Yaml::Literal(n.to_string())));
    [(word.to_owned(), item)].into_iter().chain(length).collect()
}

/// A type beyond Arrow's, such as `{"_type": "Image"}`, where the column can hold it.
fn special(kind: &DataType, hint: &Value) -> Option<Entries> {
    let hint = hint.as_object()?;
    let word = hint.get("_type")?.as_str()?;
    match word {
        "Value" | "List" | "LargeList" | "Sequence" => None,
        "Image" if !is_image(kind) => None,
        "ClassLabel" if !kind.is_integer() => None,
        "ClassLabel" => {
            let names =
                hint.get("names")?.as_array()?.iter().map(|n| n.as_str().map(str::to_owned));
            Some(class_label(&names.collect::<Option<Vec<_>>>()?))
        }
        _ => {
            let options = hint.iter().filter(|(key, _)| *key != "_type");
            let options: Entries = options.map(|(k, v)| (k.clone(), from_json(v))).collect();
            let word = snake_case(word);
            let plain = options.is_empty();
            Some(if plain { dtype(&word) } else { nested_dtype(&word, Yaml::Map(options)) })
        }
    }
}

fn dtype(word: &str) -> Entries {
    vec![("dtype".to_owned(), Yaml::text(word))]
}

fn nested_dtype(word: &str, options: Yaml) -> Entries {
    vec![("dtype".to_owned(), Yaml::map([(word, options)]))]
}

fn class_label(names: &[String]) -> Entries {
    let names = names.iter().enumerate().map(|(i, name)| (i.to_string(), Yaml::text(name)));
    nested_dtype("class_label", Yaml::map([("names", Yaml::Map(names.collect()))]))
}

fn named(name: &str, entries: Entries) -> Yaml {
    Yaml::Map([("name".to_owned(), Yaml::text(name))].into_iter().chain(entries).collect())
}

fn from_json(value: &Value) -> Yaml {
    match value {
        Value::String(text) => Yaml::text(text),
        Value::Array(items) => Yaml::List(items.iter().map(from_json).collect()),
        Value::Object(map) => {
            Yaml::Map(map.iter().map(|(k, v)| (k.clone(), from_json(v))).collect())
        }
        other => Yaml::Literal(other.to_string()),
    }
}

/// `ClassLabel` to `class_label`, `Array2D` to `array2_d`: the inverse of what `datasets` does.
fn snake_case(word: &str) -> String {
    let mut snake = String::new();
    for c in word.chars() {
        let after_word = snake.ends_with(|p: char| p.is_ascii_lowercase() || p.is_ascii_digit());
        if c.is_ascii_uppercase() && after_word {
            snake.push('_');
        }
        snake.push(c.to_ascii_lowercase());
    }
    snake
}

/// Whether `datasets` can cast the type to an image: encoded bytes, or a struct with `bytes`.
/// (It cannot cast a plain binary view.)
fn is_image(kind: &DataType) -> bool {
    match kind {
        DataType::Binary | DataType::LargeBinary => true,
        DataType::Struct(fields) => fields.find("bytes").is_some_and(|(_, f)| {
            matches!(f.data_type(), DataType::Binary | DataType::LargeBinary | DataType::BinaryView)
        }),
        _ => false,
    }
}

/// The word of `datasets` for a plain type.
fn plain(kind: &DataType) -> Option<String> {
    use DataType as D;
    Some(match kind {
        D::Null => "null".to_owned(),
        D::Boolean => "bool".to_owned(),
        D::Utf8 => "string".to_owned(),
        D::LargeUtf8 => "large_string".to_owned(),
        D::Utf8View => "string_view".to_owned(),
        D::Binary => "binary".to_owned(),
        D::LargeBinary => "large_binary".to_owned(),
        D::BinaryView => "binary_view".to_owned(),
        D::FixedSizeBinary(width) => format!("fixed_size_binary[{width}]"),
        D::Date32 => "date32".to_owned(),
        D::Date64 => "date64".to_owned(),
        D::Time32(unit) => format!("time32[{}]", short(*unit)),
        D::Time64(unit) => format!("time64[{}]", short(*unit)),
        D::Duration(unit) => format!("duration[{}]", short(*unit)),
        D::Timestamp(unit, None) => format!("timestamp[{}]", short(*unit)),
        D::Timestamp(unit, Some(zone)) => format!("timestamp[{}, tz={zone}]", short(*unit)),
        D::Decimal128(precision, scale) => format!("decimal128({precision}, {scale})"),
        D::Decimal256(precision, scale) => format!("decimal256({precision}, {scale})"),
        D::Dictionary(_, values) => return plain(values),
        _ if kind.is_integer() || kind.is_floating() => kind.to_string().to_ascii_lowercase(),
        _ => return None,
    })
}

fn short(unit: TimeUnit) -> &'static str {
    match unit {
        TimeUnit::Second => "s",
        TimeUnit::Millisecond => "ms",
        TimeUnit::Microsecond => "us",
        TimeUnit::Nanosecond => "ns",
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    const HINTS: &str = r#"{"info": {"features": {
        "image": {"mode": "RGB", "_type": "Image"},
        "label": {"names": ["cat", "dog"], "_type": "ClassLabel"},
        "tags": {"feature": {"names": ["x"], "_type": "ClassLabel"}, "_type": "List"},
        "box": {"b": {"_type": "Value", "dtype": "int32"}, "a": [{"_type": "Image"}]},
        "wrong": {"_type": "Image"},
        "grid": {"shape": [2, 2], "dtype": "float32", "_type": "Array2D"}
    }}}"#;

    fn list(kind: DataType) -> DataType {
        DataType::List(Arc::new(Field::new("item", kind, true)))
    }

    fn yaml(fields: Vec<(&str, DataType)>, hints: &str, known: Known<'_>) -> Option<String> {
        let fields: Vec<Field> = fields.into_iter().map(|(n, k)| Field::new(n, k, true)).collect();
        let schema = Schema::new_with_metadata(fields, [("huggingface", hints)]);
        features(&schema, known).map(|yaml| yaml.document())
    }

    fn image() -> DataType {
        let fields = [("bytes", DataType::Binary), ("path", DataType::Utf8)];
        DataType::Struct(fields.map(|(n, k)| Field::new(n, k, true)).to_vec().into())
    }

    const NOTHING: Known<'static> = Known { image: None, classes: None };

    #[test]
    fn metadata_decides_what_arrow_cannot_say() {
        let fields = [("b", DataType::Int32), ("a", list(DataType::Binary))];
        let nested = fields.map(|(n, k)| Field::new(n, k, true)).to_vec();
        let columns = vec![
            ("image", image()),
            ("label", DataType::Int64),
            ("tags", list(DataType::Int64)),
            ("box", DataType::Struct(nested.into())),
            ("wrong", DataType::Utf8),
            ("grid", list(list(DataType::Float32))),
        ];
        let wanted = r#"- name: image
  dtype:
    image:
      mode: RGB
- name: label
  dtype:
    class_label:
      names:
        "0": cat
        "1": dog
- name: tags
  list:
    class_label:
      names:
        "0": x
- name: box
  struct:
    - name: b
      dtype: int32
    - name: a
      list: image
- name: wrong
  dtype: string
- name: grid
  dtype:
    array2_d:
      shape:
        - 2
        - 2
      dtype: float32
"#;
        assert_eq!(yaml(columns, HINTS, NOTHING).unwrap(), wanted);
    }

    #[test]
    fn the_recipe_names_image_and_classes_where_metadata_does_not() {
        let names = ["a".to_owned(), "b".to_owned()];
        let known = Known { image: Some("picture"), classes: Some(("kind", &names)) };
        let text = yaml(vec![("picture", image()), ("kind", DataType::Int32)], "", known).unwrap();
        assert!(text.starts_with(
            "- name: picture\n  dtype: image\n- name: kind\n  dtype:\n    class_label"
        ));
        let text =
            yaml(vec![("picture", DataType::BinaryView), ("kind", DataType::Utf8)], "", known);
        assert_eq!(
            text.unwrap(),
            "- name: picture\n  dtype: binary_view\n- name: kind\n  dtype: string\n"
        );
    }

    #[test]
    fn plain_types_have_the_words_of_datasets() {
        let fixed =
            DataType::FixedSizeList(Arc::new(Field::new("item", DataType::Float32, true)), 3);
        let zoned = DataType::Timestamp(TimeUnit::Nanosecond, Some("Europe/Zurich".into()));
        let columns = vec![
            ("half", DataType::Float16),
            ("u", DataType::UInt8),
            ("fixed", fixed),
            ("zoned", zoned),
            ("price", DataType::Decimal128(10, 2)),
            ("word", DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::Utf8))),
            ("nothing", DataType::Null),
        ];
        let wanted = "- name: half\n  dtype: float16\n- name: u\n  dtype: uint8\n- name: fixed\n  \
                      list: float32\n  length: 3\n- name: zoned\n  dtype: \"timestamp[ns, \
                      tz=Europe/Zurich]\"\n- name: price\n  dtype: \"decimal128(10, 2)\"\n- name: \
                      word\n  dtype: string\n- name: nothing\n  dtype: \"null\"\n";
        assert_eq!(yaml(columns, "", NOTHING).unwrap(), wanted);
    }

    #[test]
    fn one_unknown_type_leaves_the_list_out() {
        let interval = DataType::Interval(arrow::datatypes::IntervalUnit::DayTime);
        assert_eq!(yaml(vec![("a", DataType::Int8), ("b", interval)], "", NOTHING), None);
    }
}
