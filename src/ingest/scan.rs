//! The thin columns of one row group: ids, labels and groups of the rows that are used.

use std::collections::BTreeMap;

use arrow::array::{ArrayRef, LargeStringArray, UInt32Array};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::Schema;
use arrow::record_batch::RecordBatch;

use super::column::{
    ClassValue, LABEL_TYPES, TEXT_TYPES, class_values, holds_labels, holds_texts, texts,
};
use super::embedding;
use super::examples::Examples;
use super::features::FeatureRows;
use super::filter::Filter;
use super::images::ImageRows;
use super::input::Input;
use super::schema::{find, wrong_type};
use super::survey::Row;
use crate::error::{Error, Result};
use crate::recipe::{Data, IdFrom};
use crate::storage::parquet::{Columns, ParquetFile};
use crate::storage::sha256_hex;

/// What to read, held against the schema.
pub(super) struct Plan<'a> {
    /// The id column; `None` if ids are hashes of the content.
    pub(super) id: Option<&'a str>,
    pub(super) label: &'a str,
    group: Option<&'a str>,
    filter: Option<Filter>,
    pub(super) input: Input,
    /// Labels are indices into declared names, where -1 means none.
    pub(super) declared: bool,
}

impl<'a> Plan<'a> {
    pub(super) fn new(data: &'a Data, group: Option<&'a str>, schema: &Schema) -> Result<Self> {
        let id = (data.id_from == IdFrom::Column).then_some(data.id.as_str());
        let text = |setting: &str, name: &str| {
            let field = find(schema, setting, name)?;
            let usable = holds_texts(field.data_type());
            usable.then_some(()).ok_or_else(|| wrong_type(setting, field, TEXT_TYPES))
        };
        id.map_or(Ok(()), |name| text("data.id", name))?;
        group.map_or(Ok(()), |name| text("folds.group", name))?;
        let label = find(schema, "data.label", &data.label)?;
        if !holds_labels(label.data_type()) {
            return Err(wrong_type("data.label", label, LABEL_TYPES));
        }
        let input = Input::new(data, schema)?;
        data.embedding.as_deref().map_or(Ok(()), |name| embedding::check(name, schema))?;
        let filter = data.filter.as_deref().map(Filter::parse).transpose()?;
        filter.as_ref().map_or(Ok(()), |filter| filter.check(schema))?;
        Ok(Self { id, label: &data.label, group, filter, input, declared: false })
    }

    /// Every thin column once.
    fn columns(&self) -> Vec<&str> {
        let filter = self.filter.iter().flat_map(|f| f.columns().iter().map(String::as_str));
        let mut columns: Vec<&str> = filter.chain([self.label]).collect();
        columns.extend(self.id);
        columns.extend(self.group);
        columns.sort_unstable();
        columns.dedup();
        columns
    }
}

/// What a row group holds. Labels are indices into `values` until the classes are known.
#[derive(Default)]
pub(super) struct Part {
    pub(super) rows: Vec<Row>,
    pub(super) values: Vec<ClassValue>,
    pub(super) source_rows: u64,
    pub(super) without_id: Examples,
    pub(super) without_label: Examples,
    pub(super) without_group: u64,
}

/// Reads the thin columns of row group `row_group` of `parquet`, the file number `file`.
pub(super) fn scan(
    plan: &Plan<'_>,
    parquet: &ParquetFile,
    file: usize,
    row_group: usize,
) -> Result<Part> {
    let batches = parquet.read(row_group, Columns::Named(&plan.columns()), None)?;
    let Some(first) = batches.first() else { return Ok(Part::default()) };
    let batch = concat_batches(&first.schema(), &batches)?;
    let source_rows = batch.num_rows() as u64;
    let rows = match &plan.filter {
        Some(filter) => filter.rows(&batch)?,
        None => (0..batch.num_rows() as u32).collect(),
    };
    let batch = take_record_batch(&batch, &UInt32Array::from(rows.clone()))?;
    let ids = match plan.id {
        Some(id) => strings(&texts(column(&batch, id)?)?),
        None => content_ids(&plan.input, parquet, row_group, &rows)?,
    };
    let thin = Thin {
        ids,
        labels: class_values(column(&batch, plan.label)?)?,
        groups: plan.group.map(|g| texts(column(&batch, g)?).map(|t| strings(&t))).transpose()?,
    };
    let place = Place { uri: &parquet.object().uri, file, row_group };
    Ok(thin.part(plan, &place, &rows, source_rows))
}

fn column<'b>(batch: &'b RecordBatch, name: &str) -> Result<&'b ArrayRef> {
    let missing = || Error::internal(format!("the column `{name}` was not read"));
    batch.column_by_name(name).ok_or_else(missing)
}

fn strings(texts: &LargeStringArray) -> Vec<Option<String>> {
    texts.iter().map(|text| text.map(str::to_owned)).collect()
}

/// SHA-256 of each row's content in hex, `None` where there is no content.
fn content_ids(
    input: &Input,
    parquet: &ParquetFile,
    row_group: usize,
    rows: &[u32],
) -> Result<Vec<Option<String>>> {
    let mut ids = Vec::with_capacity(rows.len());
    for batch in parquet.batches(row_group, Columns::Named(&input.columns()), Some(rows))? {
        let batch = batch?;
        match input {
            Input::Image { column } => {
                let images = ImageRows::new(&batch, column)?;
                ids.extend((0..batch.num_rows()).map(|row| images.get(row).map(sha256_hex)));
            }
            Input::Features { columns } => {
                let vectors = FeatureRows::new(&batch, columns)?;
                let id = |row| vectors.content(row).map(|bytes| sha256_hex(&bytes));
                ids.extend((0..batch.num_rows()).map(id));
            }
        }
    }
    Ok(ids)
}

struct Place<'a> {
    uri: &'a str,
    file: usize,
    row_group: usize,
}

impl Place<'_> {
    fn of(&self, row: u32) -> String {
        format!("{}, row group {}, row {row}", self.uri, self.row_group)
    }
}

/// The thin columns of the used rows, one after another.
struct Thin {
    ids: Vec<Option<String>>,
    labels: Vec<Option<ClassValue>>,
    groups: Option<Vec<Option<String>>>,
}

impl Thin {
    fn part(self, plan: &Plan<'_>, place: &Place<'_>, rows: &[u32], source_rows: u64) -> Part {
        let mut part = Part { source_rows, ..Part::default() };
        let mut codes = BTreeMap::new();
        let groups = self.groups.unwrap_or_else(|| vec![None; rows.len()]);
        let columns = self.ids.into_iter().zip(self.labels).zip(groups);
        for (&row, ((id, label), group)) in rows.iter().zip(columns) {
            let Some(id) = id else {
                part.without_id.add(|| place.of(row));
                continue;
            };
            let label = label.filter(|l| !(plan.declared && *l == ClassValue::Number(-1)));
            let Some(label) = label else {
                part.without_label.add(|| format!("`{id}` ({})", place.of(row)));
                continue;
            };
            part.without_group += u64::from(plan.group.is_some() && group.is_none());
            let next = codes.len() as u32;
            let label = *codes.entry(label).or_insert(next);
            let (file, row_group) = (place.file as u32, place.row_group as u32);
            part.rows.push(Row { id, label, file, row_group, row, group });
        }
        let mut values: Vec<(ClassValue, u32)> = codes.into_iter().collect();
        values.sort_by_key(|(_, code)| *code);
        part.values = values.into_iter().map(|(value, _)| value).collect();
        part
    }
}
