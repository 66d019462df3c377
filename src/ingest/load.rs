//! Decodes every input straight into its place in one packed buffer.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::record_batch::RecordBatch;
use rayon::iter::{IntoParallelIterator, ParallelIterator};

use super::examples::Examples;
use super::features::FeatureRows;
use super::images::{ImageRows, Rules};
use super::input::Input;
use super::peek::peek;
use super::survey::{Row, Survey, check_classes};
use crate::error::{Error, ErrorKind, Result};
use crate::recipe::Data;
use crate::samples::{Inputs, Samples, Shape};
use crate::storage::parquet::Columns;
use crate::storage::row_bytes;

/// A dataset in memory.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The usable samples.
    pub samples: Samples,
    /// Where each usable sample lies.
    pub rows: Vec<Row>,
    /// The uncompressed bytes of each usable sample's row over all columns of the source.
    pub bytes: Vec<u64>,
    /// The samples that cannot be used, ascending by id.
    pub quarantine: Vec<Quarantined>,
}

/// A sample that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantined {
    /// Where it lies.
    pub row: Row,
    /// Why it cannot be used.
    pub reason: String,
}

/// Decodes all surveyed samples. Memory: the decoded inputs once, and per thread one row group.
///
/// # Errors
/// `InvalidInput` if inputs differ in shape; `LimitExceeded` if more samples are unusable than
/// `data.max_quarantined` allows or the inputs do not fit in memory.
pub fn load(survey: &Survey, data: &Data) -> Result<Loaded> {
    let shape = peek(survey, data)?;
    match &survey.input {
        Input::Image { column } => load_images(survey, data, column, shape),
        Input::Features { columns } => {
            let decode = |batch: &RecordBatch, slots: &mut [Slot<'_, f32>]| {
                let rows = FeatureRows::new(batch, columns)?;
                let one = |(row, slot): (usize, &mut Slot<'_, f32>)| rows.decode(row, slot.out);
                Ok(slots.iter_mut().enumerate().map(one).collect())
            };
            let filled = fill(survey, shape, decode)?;
            filled.finish(survey, data, |values| Inputs::Features { values, shape })
        }
    }
}

fn load_images(survey: &Survey, data: &Data, column: &str, shape: Shape) -> Result<Loaded> {
    let rules = Rules::new(data);
    let decode = |batch: &RecordBatch, slots: &mut [Slot<'_, u8>]| {
        let images = ImageRows::new(batch, column)?;
        let one = |(row, slot): (usize, &mut Slot<'_, u8>)| {
            let image = rules.decode(images.get(row)).map_err(Fault::Unusable)?;
            image.fits(shape)?;
            image.write(slot.out);
            Ok(())
        };
        Ok(slots.iter_mut().enumerate().map(one).collect())
    };
    let filled = fill(survey, shape, decode)?;
    match shape {
        // The first image was grey and a later one is not: all of them become colour images.
        Shape::Image { channels: 1, height, width } if filled.has_colour() => {
            drop(filled);
            load_images(survey, data, column, Shape::Image { channels: 3, height, width })
        }
        _ => filled.finish(survey, data, |pixels| Inputs::Images { pixels, shape }),
    }
}

/// Why an input has no place in the buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The sample cannot be used, for this reason.
    Unusable(String),
    /// The sample is whole but has another shape than the rest, namely this.
    Shape(String),
    /// A colour image where only grey was expected.
    Colour,
}

/// The place of one sample in the buffer.
struct Slot<'a, T> {
    /// Its index in canonical order.
    index: usize,
    row: u32,
    out: &'a mut [T],
}

/// What became of one sample.
struct Outcome {
    index: usize,
    bytes: u64,
    fault: Option<Fault>,
}

/// The buffer with all samples, also the unusable ones, and what became of each.
struct Filled<T> {
    buffer: Vec<T>,
    outcomes: Vec<Outcome>,
    shape: Shape,
}

/// Decodes all row groups in parallel; `decode` fills the slots of one batch in order.
fn fill<T, D>(survey: &Survey, shape: Shape, decode: D) -> Result<Filled<T>>
where
    T: Copy + Default + Send,
    D: Fn(&RecordBatch, &mut [Slot<'_, T>]) -> Result<Vec<Result<(), Fault>>> + Sync,
{
    let mut buffer = zeros(survey.rows.len(), shape)?;
    let mut groups: BTreeMap<(u32, u32), Vec<Slot<'_, T>>> = BTreeMap::new();
    let rows = survey.rows.iter().enumerate();
    for ((index, row), out) in rows.zip(buffer.chunks_exact_mut(shape.len())) {
        groups.entry((row.file, row.row_group)).or_default().push(Slot {
            index,
            row: row.row,
            out,
        });
    }
    let stop = AtomicBool::new(false);
    let tasks: Vec<_> = groups.into_iter().collect();
    let filled: Vec<Result<Vec<Outcome>>> = tasks
        .into_par_iter()
        .map(|(place, slots)| fill_group(survey, place, slots, &decode, &stop))
        .collect();
    let filled = filled.into_iter().collect::<Result<Vec<_>>>()?;
    let mut outcomes: Vec<Outcome> = filled.into_iter().flatten().collect();
    outcomes.sort_by_key(|outcome| outcome.index);
    Ok(Filled { buffer, outcomes, shape })
}

fn zeros<T: Copy + Default>(samples: usize, shape: Shape) -> Result<Vec<T>> {
    let too_large = || {
        let message = format!(
            "{samples} inputs of {} numbers do not fit in memory; use a smaller data.resize or fewer rows",
            shape.len()
        );
        Error::new(ErrorKind::LimitExceeded, message)
    };
    let length = samples.checked_mul(shape.len()).ok_or_else(too_large)?;
    let mut buffer = Vec::new();
    buffer.try_reserve_exact(length).map_err(|e| too_large().because(e))?;
    buffer.resize(length, T::default());
    Ok(buffer)
}

fn fill_group<T, D>(
    survey: &Survey,
    (file, row_group): (u32, u32),
    mut slots: Vec<Slot<'_, T>>,
    decode: &D,
    stop: &AtomicBool,
) -> Result<Vec<Outcome>>
where
    D: Fn(&RecordBatch, &mut [Slot<'_, T>]) -> Result<Vec<Result<(), Fault>>>,
{
    let mut outcomes = Vec::with_capacity(slots.len());
    // A fault of the whole dataset ends the work: what is decoded after it would be in vain.
    if stop.load(Ordering::Relaxed) {
        return Ok(outcomes);
    }
    slots.sort_by_key(|slot| slot.row);
    let rows: Vec<u32> = slots.iter().map(|slot| slot.row).collect();
    let parquet = &survey.parquet[file as usize];
    let missing = || {
        let message = "rows are missing; was the file written again meanwhile?";
        Error::corrupt(message).at(parquet.object().uri.clone())
    };
    let mut rest = slots.as_mut_slice();
    for batch in parquet.batches(row_group as usize, Columns::All, Some(&rows))? {
        let batch = batch?;
        let (now, later) = rest.split_at_mut_checked(batch.num_rows()).ok_or_else(missing)?;
        let decoded = decode(&batch, now)?;
        for ((slot, result), bytes) in now.iter().zip(decoded).zip(row_bytes(&batch)) {
            let fault = result.err();
            if matches!(fault, Some(Fault::Shape(_) | Fault::Colour)) {
                stop.store(true, Ordering::Relaxed);
            }
            outcomes.push(Outcome { index: slot.index, bytes, fault });
        }
        rest = later;
    }
    if !rest.is_empty() {
        return Err(missing());
    }
    Ok(outcomes)
}

impl<T: Copy> Filled<T> {
    fn has_colour(&self) -> bool {
        let shapes = |o: &Outcome| matches!(o.fault, Some(Fault::Shape(_)));
        let colour = |o: &Outcome| o.fault == Some(Fault::Colour);
        self.outcomes.iter().any(colour) && !self.outcomes.iter().any(shapes)
    }

    /// Checks shapes and limits, then closes the gaps that unusable samples leave.
    fn finish(
        mut self,
        survey: &Survey,
        data: &Data,
        inputs: impl FnOnce(Vec<T>) -> Inputs,
    ) -> Result<Loaded> {
        self.check_shapes(survey)?;
        self.check_quarantined(survey, data)?;
        let width = self.shape.len();
        let (mut rows, mut bytes, mut quarantine) = (Vec::new(), Vec::new(), Vec::new());
        for outcome in self.outcomes {
            let row = survey.rows[outcome.index].clone();
            if let Some(Fault::Unusable(reason)) = outcome.fault {
                quarantine.push(Quarantined { row, reason });
                continue;
            }
            let from = outcome.index * width;
            self.buffer.copy_within(from..from + width, rows.len() * width);
            bytes.push(outcome.bytes);
            rows.push(row);
        }
        check_classes(&rows, &survey.classes)?;
        self.buffer.truncate(rows.len() * width);
        let samples = Samples {
            ids: rows.iter().map(|row| row.id.clone()).collect(),
            labels: rows.iter().map(|row| row.label).collect(),
            classes: survey.classes.clone(),
            inputs: inputs(self.buffer),
        };
        Ok(Loaded { samples, rows, bytes, quarantine })
    }

    fn check_shapes(&self, survey: &Survey) -> Result<()> {
        let other = self.outcomes.iter().find_map(|o| match &o.fault {
            Some(Fault::Shape(found)) => Some((&survey.rows[o.index].id, found)),
            _ => None,
        });
        let Some((id, found)) = other else { return Ok(()) };
        let usable = |o: &&Outcome| o.fault.is_none();
        let like = self.outcomes.iter().find(usable);
        let like = like.map_or(String::new(), |o| format!(" `{}`", survey.rows[o.index].id));
        let (usual, hint) = match self.shape {
            Shape::Image { height, width, .. } => (
                format!("{width}x{height} pixels"),
                "set data.resize = [height, width] to bring all images to one size",
            ),
            Shape::Features { width } => {
                (format!("{width} features"), "all feature vectors need one length")
            }
        };
        Err(Error::input(format!(
            "the inputs differ in shape: sample{like} has {usual}, sample `{id}` has {found}; {hint}"
        )))
    }

    fn check_quarantined(&self, survey: &Survey, data: &Data) -> Result<()> {
        let mut unusable = Examples::default();
        for outcome in &self.outcomes {
            if let Some(Fault::Unusable(reason)) = &outcome.fault {
                unusable.add(|| format!("`{}`: {reason}", survey.rows[outcome.index].id));
            }
        }
        let (count, all) = (unusable.count(), survey.rows.len());
        if count as f64 <= data.max_quarantined * all as f64 {
            return Ok(());
        }
        let message = format!(
            "{count} of {all} samples cannot be used, more than data.max_quarantined = {} allows: \
             {unusable}; mend the data or raise the limit",
            data.max_quarantined
        );
        Err(Error::new(ErrorKind::LimitExceeded, message))
    }
}
