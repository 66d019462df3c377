//! The shape of the inputs, from the first sample that can be used.

use arrow::record_batch::RecordBatch;

use super::features::FeatureRows;
use super::images::{ImageRows, Rules};
use super::input::Input;
use super::load::Fault;
use super::survey::{Row, Survey};
use crate::error::{Error, ErrorKind, Result};
use crate::recipe::Data;
use crate::samples::Shape;
use crate::storage::parquet::Columns;

/// The shape of one input and the bytes that all decoded inputs take. Only as many
/// samples are decoded as it takes to find a usable one; colour images behind a grey one would
/// make it three times as much.
///
/// # Errors
/// `LimitExceeded` if more samples are unusable than `data.max_quarantined` allows.
pub fn decoded_bytes(survey: &Survey, data: &Data) -> Result<(Shape, u64)> {
    let shape = peek(survey, data)?;
    Ok((shape, survey.rows.len() as u64 * shape.bytes() as u64))
}

/// The shape of the first usable sample in canonical order.
pub(super) fn peek(survey: &Survey, data: &Data) -> Result<Shape> {
    let limit = (data.max_quarantined * survey.rows.len() as f64).floor() as usize;
    let mut reason = String::new();
    for row in survey.rows.iter().take(limit.saturating_add(1)) {
        match peek_row(survey, data, row)? {
            Ok(shape) if shape.is_empty() => {
                return Err(Error::input(format!("the input of sample `{}` is empty", row.id)));
            }
            Ok(shape) => return Ok(shape),
            Err(why) => reason = format!("`{}`: {why}", row.id),
        }
    }
    let message = format!(
        "the first {} samples by id cannot be used, more than data.max_quarantined = {} allows \
         ({reason}); mend the data or raise the limit",
        limit.saturating_add(1).min(survey.rows.len()),
        data.max_quarantined
    );
    Err(Error::new(ErrorKind::LimitExceeded, message))
}

fn peek_row(survey: &Survey, data: &Data, row: &Row) -> Result<Result<Shape, String>> {
    let batch = one_row(survey, &survey.input.columns(), row)?;
    Ok(match &survey.input {
        Input::Image { column } => {
            let image = Rules::new(data).decode(ImageRows::new(&batch, column)?.get(0));
            image.map(|image| image.shape())
        }
        Input::Features { columns } => {
            let rows = FeatureRows::new(&batch, columns)?;
            let width = rows.width(0).unwrap_or(0);
            let shape = Shape::Features { width };
            match rows.decode(0, &mut vec![0; shape.bytes()]) {
                Ok(()) => Ok(shape),
                Err(Fault::Unusable(why)) => Err(why),
                Err(_) => return Err(Error::internal("a feature vector has two widths")),
            }
        }
    })
}

/// Some columns of one row.
pub(super) fn one_row(survey: &Survey, columns: &[&str], row: &Row) -> Result<RecordBatch> {
    let parquet = &survey.parquet[row.file as usize];
    let row_group = row.row_group as usize;
    let mut batches = parquet.batches(row_group, Columns::Named(columns), Some(&[row.row]))?;
    let missing = || {
        let message = "a row is missing; was the file written again meanwhile?";
        Error::corrupt(message).at(parquet.object().uri.clone())
    };
    batches.next().transpose()?.ok_or_else(missing)
}
