//! Samples as people see them: a small picture, the beginning of a text, or numbers.

use std::collections::BTreeMap;
use std::io::Cursor;

use arrow::array::Array;
use arrow::record_batch::RecordBatch;
use image::{ExtendedColorType, ImageEncoder};
use serde::Serialize;

use super::column::{is_text, texts};
use super::features::FeatureRows;
use super::images::{ImageRows, Rules};
use super::input::Input;
use crate::error::{Error, Result};
use crate::recipe::Data;
use crate::samples::{Shape, floats};
use crate::storage::Object;
use crate::storage::parquet::{Columns, Limits, ParquetFile};

/// The longest side of a picture, in pixels; a larger one is made smaller.
const SIDE: u32 = 160;

/// The most bytes of a picture that is shown as it is.
const BYTES: usize = 32 << 10;

/// The most characters of a text.
const CHARACTERS: usize = 280;

/// The column of texts that is looked for if none is named.
const TEXT: &str = "text";

const PNG: &str = "image/png";
const JPEG: &str = "image/jpeg";

/// What one sample looks like.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Glimpse {
    /// An encoded image.
    Picture {
        /// `image/png` or `image/jpeg`.
        media: &'static str,
        /// Its bytes: those of the source, or of a smaller copy.
        #[serde(skip)]
        bytes: Vec<u8>,
        /// Its width in pixels.
        width: u32,
        /// Its height in pixels.
        height: u32,
    },
    /// The beginning of a text.
    Text(String),
    /// The features of a row.
    Features(Vec<f32>),
    /// Nothing, and why.
    Nothing(String),
}

/// Which samples to look at.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The objects of the input, in the order of the run's input list.
    pub objects: &'a [Object],
    /// What they hold.
    pub data: &'a Data,
    /// The column of texts that shows samples best; without it, `text` if there is one.
    pub text: Option<&'a str>,
    /// File, row group and row of each sample.
    pub places: &'a [(u32, u32, u32)],
}

/// Looks at some samples; one that cannot be read says why in its place.
///
/// # Errors
/// `InvalidInput` if the source cannot be read or a column is missing.
pub fn glimpses(wanted: &Wanted<'_>) -> Result<Vec<Glimpse>> {
    let mut groups: BTreeMap<(u32, u32), Vec<(u32, usize)>> = BTreeMap::new();
    for (at, (file, group, row)) in wanted.places.iter().enumerate() {
        groups.entry((*file, *group)).or_default().push((*row, at));
    }
    let mut seen =
        vec![Glimpse::Nothing("it is not in the source".to_owned()); wanted.places.len()];
    for ((file, group), rows) in groups {
        let object = wanted.objects.get(file as usize);
        let object = object.ok_or_else(|| Error::corrupt(format!("there is no file {file}")))?;
        let parquet = ParquetFile::open(object.clone(), Limits::new(wanted.data))?;
        for (row, glimpse) in look(&parquet, group as usize, &rows, wanted)? {
            rows.iter()
                .filter(|(of, _)| *of == row)
                .for_each(|(_, at)| seen[*at] = glimpse.clone());
        }
    }
    Ok(seen)
}

/// The rows of one row group.
fn look(
    parquet: &ParquetFile,
    group: usize,
    rows: &[(u32, usize)],
    wanted: &Wanted<'_>,
) -> Result<Vec<(u32, Glimpse)>> {
    let mut rows: Vec<u32> = rows.iter().map(|(row, _)| *row).collect();
    rows.sort_unstable();
    rows.dedup();
    let input = Input::new(wanted.data, parquet.schema())?;
    let text = text_column(parquet, wanted.text)?;
    let columns = text.map_or_else(|| input.columns(), |name| vec![name]);
    let mut seen = Vec::with_capacity(rows.len());
    for batch in parquet.batches(group, Columns::Named(&columns), Some(&rows))? {
        let batch = batch?;
        let look = |row| match (text, &input) {
            (Some(name), _) => text_of(&batch, name, row),
            (None, Input::Image { column }) => {
                Ok(picture(wanted.data, ImageRows::new(&batch, column)?.get(row)))
            }
            (None, Input::Features { columns }) => features(&batch, columns, row),
        };
        seen.extend((0..batch.num_rows()).map(look).collect::<Result<Vec<_>>>()?);
    }
    Ok(rows.into_iter().zip(seen).collect())
}

fn text_column<'a>(parquet: &ParquetFile, named: Option<&'a str>) -> Result<Option<&'a str>> {
    let name = named.unwrap_or(TEXT);
    match parquet.schema().field_with_name(name) {
        Ok(field) if is_text(field.data_type()) => Ok(Some(name)),
        _ if named.is_none() => Ok(None),
        _ => Err(Error::recipe(format!("the dataset has no column `{name}` of texts"))),
    }
}

fn text_of(batch: &RecordBatch, name: &str, row: usize) -> Result<Glimpse> {
    let missing = || Error::internal(format!("the column `{name}` was not read"));
    let texts = texts(batch.column_by_name(name).ok_or_else(missing)?)?;
    if texts.is_null(row) {
        return Ok(Glimpse::Nothing("it has no text".to_owned()));
    }
    let text = texts.value(row);
    let mut shown: String = text.chars().take(CHARACTERS).collect();
    if shown.len() < text.len() {
        shown.push('\u{2026}');
    }
    Ok(Glimpse::Text(shown))
}

fn features(batch: &RecordBatch, columns: &[String], row: usize) -> Result<Glimpse> {
    let rows = FeatureRows::new(batch, columns)?;
    Ok(match rows.content(row) {
        Some(bytes) => Glimpse::Features(floats(&bytes).collect()),
        None => Glimpse::Nothing("it has no features".to_owned()),
    })
}

/// The image as it is if it is small, else a smaller copy.
fn picture(data: &Data, bytes: Option<&[u8]>) -> Glimpse {
    pictured(data, bytes).unwrap_or_else(Glimpse::Nothing)
}

fn pictured(data: &Data, encoded: Option<&[u8]>) -> Result<Glimpse, String> {
    let image = Rules::new(data).at_own_size().decode(encoded)?;
    let Shape::Image { height, width, .. } = image.shape() else {
        return Err("it is no image".to_owned());
    };
    let (height, width, bytes) = (height as u32, width as u32, encoded.unwrap_or_default());
    if bytes.len() <= BYTES && width.max(height) <= SIDE {
        let jpeg = image::guess_format(bytes).is_ok_and(|f| f == image::ImageFormat::Jpeg);
        let media = if jpeg { JPEG } else { PNG };
        return Ok(Glimpse::Picture { media, bytes: bytes.to_vec(), width, height });
    }
    let [height, width] = fitting(height, width);
    let small = image.resized([height, width])?;
    let bytes = as_jpeg(small.pixels(), width, height).map_err(|e| e.to_string())?;
    Ok(Glimpse::Picture { media: JPEG, bytes, width, height })
}

/// The largest size with the same proportions that is shown.
fn fitting(height: u32, width: u32) -> [u32; 2] {
    let longest = height.max(width).max(1);
    if longest <= SIDE {
        return [height, width];
    }
    let scaled = |side: u32| (u64::from(side) * u64::from(SIDE) / u64::from(longest)).max(1) as u32;
    [scaled(height), scaled(width)]
}

/// Grey or RGB pixels as a JPEG.
fn as_jpeg(pixels: &[u8], width: u32, height: u32) -> image::ImageResult<Vec<u8>> {
    let mut out = Cursor::new(Vec::new());
    let grey = pixels.len() == width as usize * height as usize;
    let colour = if grey { ExtendedColorType::L8 } else { ExtendedColorType::Rgb8 };
    let encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut out, 85);
    encoder.write_image(pixels, width, height, colour)?;
    Ok(out.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_fit_and_keep_their_proportions() {
        assert_eq!(fitting(28, 28), [28, 28]);
        assert_eq!(fitting(320, 640), [80, 160]);
        assert_eq!(fitting(1, 10_000), [1, 160]);
    }
}
