//! The survey: footers and thin columns, and every check that needs no decoding.

use std::collections::BTreeSet;

use arrow::datatypes::SchemaRef;
use rayon::iter::{IntoParallelIterator, IntoParallelRefIterator, ParallelIterator};
use serde::Serialize;

use super::classes::{Classes, declared};
use super::examples::{Examples, counted};
use super::input::Input;
use super::scan::{Part, Plan, scan};
use super::schema::unify;
use crate::error::{Error, ErrorKind, Result};
use crate::recipe::{Data, Storage};
use crate::storage::parquet::{Limits, ParquetFile, RowGroup};
use crate::storage::{Object, resolve};

/// One file of the dataset, as it was when it was surveyed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InputFile {
    /// Its address.
    pub uri: String,
    /// Its size.
    pub bytes: u64,
    /// The store's tag of its version.
    pub etag: Option<String>,
    /// Its row groups.
    pub row_groups: Vec<RowGroup>,
}

/// One sample and where it lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its unique id.
    pub id: String,
    /// Its class: an index into the class names.
    pub label: u32,
    /// Its file: an index into the survey's files.
    pub file: u32,
    /// Its row group within the file.
    pub row_group: u32,
    /// Its row within the row group.
    pub row: u32,
    /// What keeps it in one fold with others, if asked for and not null.
    pub group: Option<String>,
}

/// A dataset whose ids, labels and schema hold what the recipe promises.
#[derive(Clone, Debug)]
pub struct Survey {
    /// The files, ascending by address.
    pub files: Vec<InputFile>,
    /// The same files, open.
    pub parquet: Vec<ParquetFile>,
    /// The schema of all files, with the metadata.
    pub schema: SchemaRef,
    /// The class names; the index is the label.
    pub classes: Vec<String>,
    /// The names that the source gives to the integers of its label column, if it does.
    pub label_names: Option<Vec<String>>,
    /// The rows that the filter leaves, ascending by id.
    pub rows: Vec<Row>,
    /// Rows before the filter.
    pub source_rows: u64,
    /// What the model will see.
    pub input: Input,
    /// Whether models are to be trained on the dataset, for which it needs two classes.
    pub teaches: bool,
    /// What a person should know, though nothing is wrong.
    pub warnings: Vec<String>,
}

/// Surveys the dataset of a recipe; `group` names the column of fold groups, if there is one.
/// Only footers and thin columns are read (and the input, if ids are hashes of the content). Object
/// stores are reached as the environment says.
///
/// # Errors
/// `InvalidRecipe` for a wrong filter; `InvalidInput`, naming rows and files, for a dataset that
/// breaks the contract; `Unavailable` if it cannot be read.
pub fn survey(data: &Data, group: Option<&str>) -> Result<Survey> {
    survey_objects(resolve(data.uri.as_slice(), &Storage::default())?, data, group)
}

/// As [`survey`], of these objects instead of those that `data.uri` stands for now.
///
/// # Errors
/// As [`survey`].
pub fn survey_objects(objects: Vec<Object>, data: &Data, group: Option<&str>) -> Result<Survey> {
    surveyed(objects, data, group, true)
}

/// As [`survey_objects`], of rows that come after a training: they may all have one class.
///
/// # Errors
/// As [`survey`].
pub fn survey_appended(objects: Vec<Object>, data: &Data, group: Option<&str>) -> Result<Survey> {
    surveyed(objects, data, group, false)
}

fn surveyed(
    objects: Vec<Object>,
    data: &Data,
    group: Option<&str>,
    teaches: bool,
) -> Result<Survey> {
    let limits = Limits::new(data);
    let open = |object| ParquetFile::open(object, limits);
    let opened: Vec<_> = objects.into_par_iter().map(open).collect();
    // Collected twice so that of several errors the first in order is told.
    let parquet = opened.into_iter().collect::<Result<Vec<_>>>()?;
    let files: Vec<InputFile> = parquet.iter().map(input_file).collect();
    check_size(&files)?;
    let schema = unify(&parquet)?;
    let mut plan = Plan::new(data, group, &schema)?;
    let mut warnings = BTreeSet::new();
    let names = declared(&parquet, plan.label, &mut warnings)?;
    plan.declared = names.is_some();
    let label_names = names.clone();
    let parts = scan_all(&plan, &parquet)?;
    let found = Found::new(parts, names)?.check(data, &plan)?;
    if teaches {
        check_classes(&found.rows, &found.classes)?;
    }
    warnings.extend(found.warnings(group));
    let Found { rows, classes, source_rows, .. } = found;
    let mut survey = Survey {
        files,
        parquet,
        schema,
        classes,
        label_names,
        rows,
        source_rows,
        input: plan.input.clone(),
        teaches,
        warnings: warnings.into_iter().collect(),
    };
    survey.rows.sort_by(|a, b| a.id.cmp(&b.id).then_with(|| place(a).cmp(&place(b))));
    check_unique(&survey, plan.id.is_some())?;
    Ok(survey)
}

fn input_file(parquet: &ParquetFile) -> InputFile {
    let object = parquet.object();
    InputFile {
        uri: object.uri.clone(),
        bytes: object.bytes,
        etag: object.etag.clone(),
        row_groups: parquet.row_groups(),
    }
}

/// Row numbers and counts must fit the 32-bit columns of the tables.
fn check_size(files: &[InputFile]) -> Result<()> {
    let of = |f: &InputFile| f.row_groups.iter().fold(0, |sum: u64, g| sum.saturating_add(g.rows));
    let rows = files.iter().fold(0, |sum: u64, file| sum.saturating_add(of(file)));
    if rows > i32::MAX as u64 {
        let largest = files.iter().max_by_key(|file| of(file)).map_or("", |file| &file.uri);
        let message = format!(
            "the dataset has {rows} rows, most of them in {largest}; at most {} can be used",
            i32::MAX
        );
        return Err(Error::new(ErrorKind::LimitExceeded, message));
    }
    if rows == 0 {
        return Err(Error::input("the dataset has no row"));
    }
    Ok(())
}

fn scan_all(plan: &Plan<'_>, parquet: &[ParquetFile]) -> Result<Vec<Part>> {
    let groups = |(file, p): (usize, &ParquetFile)| {
        (0..p.row_groups().len()).map(move |group| (file, group))
    };
    let all: Vec<(usize, usize)> = parquet.iter().enumerate().flat_map(groups).collect();
    let one = |&(file, group): &(usize, usize)| scan(plan, &parquet[file], file, group);
    let parts: Vec<Result<Part>> = all.par_iter().map(one).collect();
    parts.into_iter().collect()
}

/// The parts of all row groups together.
#[derive(Default)]
struct Found {
    rows: Vec<Row>,
    classes: Vec<String>,
    source_rows: u64,
    without_id: Examples,
    without_label: Examples,
    outside: Examples,
    without_group: u64,
}

impl Found {
    fn new(parts: Vec<Part>, names: Option<Vec<String>>) -> Result<Self> {
        let values = parts.iter().flat_map(|part| part.values.iter().cloned()).collect();
        let classes = Classes::new(names, values);
        let mut found = Self { classes: classes.names(), ..Self::default() };
        for part in parts {
            found.add(part, &classes);
        }
        if found.classes.len() > i32::MAX as usize {
            return Err(Error::new(ErrorKind::LimitExceeded, "there are too many classes"));
        }
        Ok(found)
    }

    fn add(&mut self, part: Part, classes: &Classes) {
        self.source_rows += part.source_rows;
        self.without_id.extend(part.without_id);
        self.without_label.extend(part.without_label);
        self.without_group += part.without_group;
        for mut row in part.rows {
            let value = &part.values[row.label as usize];
            match classes.index(value) {
                Some(label) => row.label = label,
                None => self.outside.add(|| format!("`{}` (label {value})", row.id)),
            }
            self.rows.push(row);
        }
    }

    fn check(self, data: &Data, plan: &Plan<'_>) -> Result<Self> {
        if !self.without_id.is_empty() {
            return Err(no_id(&self.without_id, plan.id));
        }
        if !self.without_label.is_empty() {
            return Err(no_label(&self.without_label, plan));
        }
        if !self.outside.is_empty() {
            return Err(Error::input(format!(
                "{} outside the {} class names in column `{}`: {}; correct the labels or the names",
                counted(self.outside.count(), "label"),
                self.classes.len(),
                plan.label,
                self.outside
            )));
        }
        if self.rows.is_empty() {
            let filter = data.filter.as_deref().unwrap_or_default();
            let message =
                format!("data.filter `{filter}` leaves none of {} rows", self.source_rows);
            return Err(Error::input(message));
        }
        Ok(self)
    }

    fn warnings(&self, group: Option<&str>) -> Vec<String> {
        let mut warnings = Vec::new();
        let used: BTreeSet<u32> = self.rows.iter().map(|row| row.label).collect();
        let mut empty = Examples::default();
        let unused = (0..self.classes.len()).filter(|&c| !used.contains(&(c as u32)));
        unused.for_each(|c| empty.add(|| self.classes[c].clone()));
        if !empty.is_empty() {
            let count = empty.count();
            warnings
                .push(format!("{count} of {} classes have no sample: {empty}", self.classes.len()));
        }
        if let (Some(group), 1..) = (group, self.without_group) {
            let rows = counted(self.without_group as usize, "sample");
            warnings.push(format!("{rows} without a value in the group column `{group}`"));
        }
        warnings
    }
}

fn no_id(rows: &Examples, id: Option<&str>) -> Error {
    let what = counted(rows.count(), "row");
    Error::input(match id {
        Some(id) => format!(
            "{what} without an id in column `{id}`: {rows}; give them ids, leave them out with \
             data.filter, or set data.id_from = \"content\""
        ),
        None => format!(
            "{what} without content, from which no id can be made: {rows}; leave them out with \
             data.filter, or name an id column in data.id"
        ),
    })
}

fn no_label(rows: &Examples, plan: &Plan<'_>) -> Error {
    let minus_one = if plan.declared { " (null or -1)" } else { "" };
    Error::input(format!(
        "{} without a label{minus_one} in column `{}`: {rows}; label them or leave them out with \
         data.filter",
        counted(rows.count(), "row"),
        plan.label,
    ))
}

fn place(row: &Row) -> (u32, u32, u32) {
    (row.file, row.row_group, row.row)
}

/// A dataset of one class teaches nothing.
pub(super) fn check_classes(rows: &[Row], classes: &[String]) -> Result<()> {
    let Some(first) = rows.first() else { return Err(Error::input("no usable sample is left")) };
    if rows.iter().any(|row| row.label != first.label) {
        return Ok(());
    }
    Err(Error::input(format!(
        "all {} usable samples have the class `{}`; at least two classes are needed",
        rows.len(),
        classes[first.label as usize]
    )))
}

fn check_unique(survey: &Survey, by_column: bool) -> Result<()> {
    let place = |row: &Row| {
        let uri = &survey.files[row.file as usize].uri;
        format!("{uri}, row group {}, row {}", row.row_group, row.row)
    };
    let mut twice = Examples::default();
    for pair in survey.rows.windows(2).filter(|pair| pair[0].id == pair[1].id) {
        twice.add(|| format!("`{}` ({} and {})", pair[0].id, place(&pair[0]), place(&pair[1])));
    }
    if twice.is_empty() {
        return Ok(());
    }
    let count = counted(twice.count(), "sample");
    Err(Error::input(if by_column {
        format!("{count} with the id of another: {twice}; ids must be unique over all files")
    } else {
        format!(
            "{count} with the content of another: {twice}; remove duplicates, or name an id column \
             in data.id"
        )
    }))
}
