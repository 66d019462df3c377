//! Makes a large feature table of learnable classes, in pieces, for the memory benchmark:
//!
//!     cargo run --example make_features -- DIRECTORY ROWS WIDTH
//!
//! Ids, labels of ten classes and vectors of 32-bit floats: noise around a centre per class.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, FixedSizeListArray, Float32Array, Int64Array, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::record_batch::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use unseen::seed::Seed;
use unseen::{Error, Result};

const CLASSES: usize = 10;
const FILES: usize = 4;
/// Rows in memory at once, and in a row group.
const PIECE: usize = 1000;
const ROW_GROUP: usize = 20_000;

#[allow(clippy::disallowed_methods)] // an example touches files as it likes
fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [directory, rows, width] = &args[..] else {
        return Err(Error::recipe("give DIRECTORY ROWS WIDTH"));
    };
    let number = |text: &str| {
        text.parse::<usize>().map_err(|e| Error::recipe(format!("`{text}`")).because(e))
    };
    let (rows, width) = (number(rows)?, number(width)?);
    std::fs::create_dir_all(directory)?;
    let centres = noise(&mut Seed::new(0).rng(), CLASSES * width);
    let item = Arc::new(Field::new("item", DataType::Float32, false));
    let schema = Arc::new(Schema::new(vec![
        Field::new("id", DataType::Utf8, false),
        Field::new("label", DataType::Int64, false),
        Field::new("features", DataType::FixedSizeList(Arc::clone(&item), width as i32), false),
    ]));
    for file in 0..FILES {
        let properties = WriterProperties::builder()
            .set_dictionary_enabled(false)
            .set_max_row_group_row_count(Some(ROW_GROUP))
            .build();
        let path = Path::new(directory).join(format!("part-{file}.parquet"));
        let mut writer =
            ArrowWriter::try_new(File::create(path)?, schema.clone(), Some(properties))?;
        let mut random = Seed::new(1 + file as u64).rng();
        let (start, end) = (rows * file / FILES, rows * (file + 1) / FILES);
        for start in (start..end).step_by(PIECE) {
            let rows = start..end.min(start + PIECE);
            let mut values = noise(&mut random, rows.len() * width);
            for (row, values) in rows.clone().zip(values.chunks_mut(width)) {
                let centre = &centres[row % CLASSES * width..][..width];
                values.iter_mut().zip(centre).for_each(|(value, centre)| *value += 0.1 * centre);
            }
            let ids = StringArray::from_iter_values(rows.clone().map(|row| format!("s{row:09}")));
            let labels = Int64Array::from_iter_values(rows.map(|row| (row % CLASSES) as i64));
            let values = Arc::new(Float32Array::from(values));
            let features = FixedSizeListArray::try_new(item.clone(), width as i32, values, None)?;
            let columns: Vec<ArrayRef> = vec![Arc::new(ids), Arc::new(labels), Arc::new(features)];
            writer.write(&RecordBatch::try_new(schema.clone(), columns)?)?;
        }
        writer.close()?;
    }
    Ok(())
}

fn noise(random: &mut unseen::seed::Random, count: usize) -> Vec<f32> {
    (0..count).map(|_| 2.0 * random.unit() - 1.0).collect()
}
