//! One schema for all files, and the columns that the recipe names in it.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef};

use crate::error::{Error, Result};
use crate::storage::parquet::ParquetFile;

/// The schema of all files: names and types are equal, a field is nullable if it is so anywhere,
/// the order and the metadata are those of the first file that has them.
pub(super) fn unify(files: &[ParquetFile]) -> Result<SchemaRef> {
    let Some((first, others)) = files.split_first() else {
        return Err(Error::input("data.uri stands for no file"));
    };
    let mut merged = Schema::clone(first.schema());
    unique_names(&merged).map_err(|e| e.at(uri(first)))?;
    for other in others {
        let fields = merge_files(&merged, first, other)?;
        let mut keys = other.schema().metadata().clone();
        keys.extend(merged.metadata().clone());
        merged = Schema::new_with_metadata(fields, keys);
    }
    Ok(Arc::new(merged))
}

fn uri(file: &ParquetFile) -> String {
    file.object().uri.clone()
}

fn unique_names(schema: &Schema) -> Result<()> {
    let mut seen = BTreeSet::new();
    match schema.fields().iter().find(|f| !seen.insert(f.name())) {
        Some(twice) => {
            let message = format!("two columns are called `{}`; rename one", twice.name());
            Err(Error::input(message))
        }
        None => Ok(()),
    }
}

fn merge_files(merged: &Schema, first: &ParquetFile, other: &ParquetFile) -> Result<Fields> {
    let (here, there) = (uri(first), uri(other));
    unique_names(other.schema()).map_err(|e| e.at(there.clone()))?;
    let lacks = |name: &str, with: &str, without: &str| {
        Error::input(format!(
            "the files have different columns: `{name}` is in {with} but not in {without}; \
             write them with one schema or narrow data.uri"
        ))
    };
    let known = |f: &&FieldRef| merged.field_with_name(f.name()).is_err();
    if let Some(extra) = other.schema().fields().iter().find(known) {
        return Err(lacks(extra.name(), &there, &here));
    }
    let merge_one = |field: &FieldRef| {
        let found = other.schema().field_with_name(field.name());
        let found = found.map_err(|_| lacks(field.name(), &here, &there))?;
        merge(field, found).ok_or_else(|| {
            Error::input(format!(
                "the files have different types: `{}` is {} in {here} but {} in {there}; \
                 write them with one schema or narrow data.uri",
                field.name(),
                field.data_type(),
                found.data_type()
            ))
        })
    };
    merged.fields().iter().map(merge_one).collect()
}

/// The field that holds values of both, if they differ in nothing but nullability.
fn merge(a: &Field, b: &Field) -> Option<Field> {
    use DataType::{FixedSizeList, LargeList, List, Struct};
    if a.name() != b.name() {
        return None;
    }
    let kind = match (a.data_type(), b.data_type()) {
        (List(a), List(b)) => List(Arc::new(merge(a, b)?)),
        (LargeList(a), LargeList(b)) => LargeList(Arc::new(merge(a, b)?)),
        (FixedSizeList(a, n), FixedSizeList(b, m)) if n == m => {
            FixedSizeList(Arc::new(merge(a, b)?), *n)
        }
        (Struct(a), Struct(b)) if a.len() == b.len() => {
            Struct(a.iter().zip(b).map(|(a, b)| merge(a, b)).collect::<Option<Fields>>()?)
        }
        (a, b) if a == b => a.clone(),
        _ => return None,
    };
    let nullable = a.is_nullable() || b.is_nullable();
    Some(a.clone().with_data_type(kind).with_nullable(nullable))
}

/// For those who have no id, and perhaps never wrote `data.id`.
const NO_ID: &str = "; name a unique column in data.id, or set data.id_from = \"content\" to use a \
                     hash of the input";

/// The field of the column that `setting` names, or an error that lists the columns there are.
pub(super) fn find<'a>(schema: &'a Schema, setting: &str, name: &str) -> Result<&'a Field> {
    schema.field_with_name(name).map_err(|_| {
        let advice = if setting == "data.id" { NO_ID } else { "" };
        Error::input(format!(
            "{setting} names the column `{name}`, {}{advice}",
            unknown(schema, name)
        ))
    })
}

/// `which does not exist; the columns are ...`, with the nearest name.
pub(super) fn unknown(schema: &Schema, name: &str) -> String {
    let names: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
    let near =
        |other: &&&str| strsim::damerau_levenshtein(&name.to_lowercase(), &other.to_lowercase());
    let nearest = names.iter().min_by_key(near).filter(|other| near(other) <= 2);
    let hint = nearest.map_or(String::new(), |other| format!("; did you mean `{other}`?"));
    format!("which does not exist; the columns are {}{hint}", names.join(", "))
}

/// A column whose type cannot be used.
pub(super) fn wrong_type(setting: &str, field: &Field, works: &str) -> Error {
    Error::input(format!(
        "{setting} names the column `{}` of type {}, which cannot be used; {works} can",
        field.name(),
        field.data_type()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dataset_without_ids_is_told_of_content_ids() {
        let schema = Schema::new(vec![Field::new("image", DataType::Binary, true)]);
        let advice = "set data.id_from = \"content\" to use a hash of the input";
        let told = |setting| find(&schema, setting, "none").unwrap_err().to_string();
        assert!(told("data.id").ends_with(advice), "{}", told("data.id"));
        assert!(!told("data.label").contains(advice));
    }
}
