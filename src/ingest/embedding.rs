//! `data.embedding`: a vector of each sample beside its input.

use arrow::datatypes::Schema;
use arrow::record_batch::RecordBatch;

use super::examples::{Examples, counted};
use super::features::FeatureRows;
use super::input::{Input, is_list_of_numbers};
use super::load::{Fault, each, fill};
use super::peek::one_row;
use super::place::Room;
use super::schema::{find, wrong_type};
use super::survey::{Row, Survey};
use crate::error::{Error, Result};
use crate::samples::{Inputs, Shape};

/// Holds the column that `data.embedding` names against the schema.
pub(super) fn check(column: &str, schema: &Schema) -> Result<()> {
    let field = find(schema, "data.embedding", column)?;
    if is_list_of_numbers(field.data_type()) {
        return Ok(());
    }
    Err(wrong_type("data.embedding", field, "a list of numbers"))
}

/// How many numbers the embedding of the first sample has.
///
/// # Errors
/// `InvalidInput` if it has none.
pub fn embedding_width(survey: &Survey, column: &str) -> Result<usize> {
    let Some(first) = survey.rows.first() else { return Ok(0) };
    let batch = one_row(survey, &[column], first)?;
    match FeatureRows::new(&batch, &[column.to_owned()])?.width(0) {
        None | Some(0) => Err(Error::input(format!(
            "the embedding of sample `{}` in column `{column}` is empty; every sample needs one",
            first.id
        ))),
        Some(width) => Ok(width),
    }
}

/// The vectors in a list `column` of these rows, in their order: one for each, all of one width.
///
/// # Errors
/// `InvalidInput`, naming samples, if one lacks an embedding of finite numbers; `LimitExceeded` if they
/// do not fit in memory.
pub fn embeddings(survey: &Survey, column: &str, rows: &[Row], room: &Room) -> Result<Inputs> {
    let columns = vec![column.to_owned()];
    let input = Input::Features { columns: columns.clone() };
    let survey = Survey { rows: rows.to_vec(), input, ..survey.clone() };
    let shape = Shape::Features { width: embedding_width(&survey, column)? };
    let filled = fill(&survey, shape, room, |batch: &RecordBatch, out: &mut [u8]| {
        let rows = FeatureRows::new(batch, &columns)?;
        Ok(each(out, shape, |row, out| rows.decode(row, out)))
    })?;
    let mut lacking = Examples::default();
    for (sample, fault) in filled.faults() {
        let why = match fault {
            Fault::Unusable(why) | Fault::Shape(why) => why.as_str(),
            Fault::Colour => "no vector",
        };
        lacking.add(|| format!("`{}` ({why})", rows[*sample as usize].id));
    }
    if lacking.is_empty() {
        return Ok(filled.inputs());
    }
    Err(Error::input(format!(
        "{} without an embedding of {} numbers in column `{column}`: {lacking}; mend the column or leave \
         these rows out with data.filter",
        counted(lacking.count(), "sample"),
        shape.len()
    )))
}
