//! Decodes every input straight into its place, in memory or in a scratch file.

use std::sync::atomic::{AtomicBool, Ordering};

use arrow::record_batch::RecordBatch;
use rayon::iter::{IndexedParallelIterator, ParallelIterator};
use rayon::slice::ParallelSliceMut;

use super::digest::Content;
use super::examples::Examples;
use super::features::FeatureRows;
use super::images::{ImageRows, Rules};
use super::input::Input;
use super::peek::peek;
use super::place::{Places, Room, Sink};
use super::survey::{Row, Survey, check_classes};
use crate::error::{Error, ErrorKind, Result};
use crate::recipe::Data;
use crate::samples::{Inputs, Samples, Shape};
use crate::storage::Sizes;
use crate::storage::parquet::{BATCH_ROWS, Batches, Columns, Request, read_groups};

/// A dataset, decoded.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The usable samples.
    pub samples: Samples,
    /// Where each usable sample lies.
    pub rows: Vec<Row>,
    /// The uncompressed bytes of each usable sample's row over all columns of the source.
    pub bytes: Vec<u64>,
    /// The digest of each usable sample's decoded input.
    pub contents: Vec<Content>,
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

/// Decodes all surveyed samples. Memory: the decoded inputs once, unless `room` sends them to a
/// scratch file, and the batches that are being decoded. The room changes nothing in the result.
///
/// # Errors
/// `InvalidInput` if inputs differ in shape; `LimitExceeded` if more samples are unusable than
/// `data.max_quarantined` allows or the inputs do not fit in memory.
pub fn load(survey: &Survey, data: &Data, room: &Room) -> Result<Loaded> {
    load_within(survey, data, &|_| Ok(*room))
}

/// As [`load`], with the room for inputs of a shape: colour images behind a grey one have another.
///
/// # Errors
/// As [`load`], and whatever `room` returns.
pub fn load_within(
    survey: &Survey,
    data: &Data,
    room: &dyn Fn(Shape) -> Result<Room>,
) -> Result<Loaded> {
    let shape = peek(survey, data)?;
    match &survey.input {
        Input::Image { column } => load_images(survey, data, column, shape, room),
        Input::Features { columns } => {
            let room = &room(shape)?;
            let decode = |batch: &RecordBatch, out: &mut [u8]| {
                let rows = FeatureRows::new(batch, columns)?;
                Ok(each(out, shape, |row, out| rows.decode(row, out)))
            };
            fill(survey, shape, room, decode)?.finish(survey, data)
        }
    }
}

fn load_images(
    survey: &Survey,
    data: &Data,
    column: &str,
    shape: Shape,
    room: &dyn Fn(Shape) -> Result<Room>,
) -> Result<Loaded> {
    let rules = Rules::new(data);
    let decode = |batch: &RecordBatch, out: &mut [u8]| {
        let images = ImageRows::new(batch, column)?;
        Ok(each(out, shape, |row, out| {
            let image = rules.decode(images.get(row)).map_err(Fault::Unusable)?;
            image.fits(shape)?;
            image.write(out);
            Ok(())
        }))
    };
    let filled = fill(survey, shape, &room(shape)?, decode)?;
    match shape {
        // The first image was grey and a later one is not: all of them become colour images.
        Shape::Image { channels: 1, height, width } if filled.has_colour() => {
            drop(filled);
            let shape = Shape::Image { channels: 3, height, width };
            load_images(survey, data, column, shape, room)
        }
        _ => filled.finish(survey, data),
    }
}

/// Decodes the rows of a batch in parallel, each to its place in `out`.
pub(super) fn each(
    out: &mut [u8],
    shape: Shape,
    decode: impl Fn(usize, &mut [u8]) -> Result<(), Fault> + Sync,
) -> Vec<Outcome> {
    let rows = out.par_chunks_exact_mut(shape.bytes()).enumerate();
    let one = |(row, out): (usize, &mut [u8])| {
        let fault = decode(row, out).err();
        Outcome { content: Content::of(shape, out), fault }
    };
    rows.map(one).collect()
}

/// What became of one row.
pub(super) struct Outcome {
    content: Content,
    fault: Option<Fault>,
}

/// Why an input cannot be put into its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The sample cannot be used, for this reason.
    Unusable(String),
    /// The sample is whole but has another shape than the rest, namely this.
    Shape(String),
    /// A colour image where only grey was expected.
    Colour,
}

/// All samples, also the unusable ones, and what became of each.
pub(super) struct Filled {
    shape: Shape,
    sink: Sink,
    places: Places,
    /// The bytes of each sample's row; 0 for those that were not looked at.
    bytes: Vec<u64>,
    /// The digest of each sample's input; `None` for those that were not looked at.
    contents: Vec<Option<Content>>,
    /// Ascending by sample.
    faults: Vec<(u32, Fault)>,
}

/// What became of the rows of one row group, in their order.
#[derive(Default)]
struct Outcomes {
    bytes: Vec<u64>,
    contents: Vec<Content>,
    faults: Vec<(usize, Fault)>,
}

/// Decodes all row groups, several at once; `decode` puts the inputs of one batch into their places
/// and says for each row what is wrong.
pub(super) fn fill<D>(survey: &Survey, shape: Shape, room: &Room, decode: D) -> Result<Filled>
where
    D: Fn(&RecordBatch, &mut [u8]) -> Result<Vec<Outcome>> + Sync,
{
    let places = Places::new(&survey.rows);
    let sink = Sink::new(room, survey.rows.len(), shape)?;
    let sizes = Sizes::new(&survey.schema, &survey.input.columns());
    let requests: Vec<Request<'_>> = places
        .groups
        .iter()
        .map(|group| Request {
            file: &survey.parquet[group.file as usize],
            row_group: group.row_group as usize,
            columns: Columns::Named(&sizes.read),
            rows: Some(places.rows(group, &survey.rows)),
        })
        .collect();
    let stop = AtomicBool::new(false);
    let lanes = room.lanes(lane_memory(survey, shape)?);
    let outcomes = read_groups(&requests, lanes, |group, batches| {
        let request = &requests[group];
        let first = places.groups[group].first;
        fill_group(request, first, batches, &sink, &decode, &sizes, &stop)
    })?;
    let samples = survey.rows.len();
    let (bytes, contents) = (vec![0; samples], vec![None; samples]);
    let mut filled = Filled { shape, sink, places, bytes, contents, faults: vec![] };
    filled.collect(outcomes);
    Ok(filled)
}

/// About how many bytes it takes to decode one row group: two streams, one of which is only begun, and
/// a batch as Arrow, as doubles and decoded.
///
/// # Errors
/// `InvalidInput` if a column is missing.
pub fn lane_memory(survey: &Survey, shape: Shape) -> Result<u64> {
    let sizes = Sizes::new(&survey.schema, &survey.input.columns());
    let streams = survey.parquet.iter().map(|file| file.stream_memory(Columns::Named(&sizes.read)));
    let stream = streams.collect::<Result<Vec<_>>>()?.into_iter().max().unwrap_or(0);
    Ok(2 * stream + 3 * (BATCH_ROWS * shape.bytes()) as u64)
}

fn fill_group<D>(
    request: &Request<'_>,
    first: usize,
    batches: Batches,
    sink: &Sink,
    decode: &D,
    sizes: &Sizes<'_>,
    stop: &AtomicBool,
) -> Result<Outcomes>
where
    D: Fn(&RecordBatch, &mut [u8]) -> Result<Vec<Outcome>>,
{
    let mut outcomes = Outcomes::default();
    for batch in batches {
        // A fault of the whole dataset ends the work: what is decoded after it would be in vain.
        if stop.load(Ordering::Relaxed) {
            return Ok(outcomes);
        }
        let batch = batch?;
        let done = outcomes.bytes.len();
        let decoded = sink.put(first + done, batch.num_rows(), |out| decode(&batch, out))?;
        for (row, outcome) in decoded.into_iter().enumerate() {
            if matches!(outcome.fault, Some(Fault::Shape(_) | Fault::Colour)) {
                stop.store(true, Ordering::Relaxed);
            }
            outcomes.contents.push(outcome.content);
            outcomes.faults.extend(outcome.fault.map(|fault| (first + done + row, fault)));
        }
        outcomes.bytes.extend(sizes.of(&batch));
    }
    if outcomes.bytes.len() != request.rows.as_ref().map_or(0, Vec::len) {
        let message = "rows are missing; was the file written again meanwhile?";
        return Err(Error::corrupt(message).at(request.file.object().uri.clone()));
    }
    Ok(outcomes)
}

impl Filled {
    /// Sorts what became of the rows by sample.
    fn collect(&mut self, outcomes: Vec<Outcomes>) {
        for (group, outcomes) in self.places.groups.iter().zip(outcomes) {
            let samples = &self.places.order[group.first..];
            for (sample, bytes) in samples.iter().zip(outcomes.bytes) {
                self.bytes[*sample as usize] = bytes;
            }
            for (sample, content) in samples.iter().zip(outcomes.contents) {
                self.contents[*sample as usize] = Some(content);
            }
            let faults = outcomes.faults.into_iter();
            self.faults.extend(faults.map(|(at, fault)| (self.places.order[at], fault)));
        }
        self.faults.sort_by_key(|(sample, _)| *sample);
    }

    /// What is wrong with samples, ascending by their index.
    pub(super) fn faults(&self) -> &[(u32, Fault)] {
        &self.faults
    }

    /// The inputs of all samples, if nothing is wrong with them.
    pub(super) fn inputs(self) -> Inputs {
        Inputs::new(self.shape, self.sink.packed(), self.places.of_samples())
    }

    fn has_colour(&self) -> bool {
        let any = |wanted: fn(&Fault) -> bool| self.faults.iter().any(|(_, fault)| wanted(fault));
        any(|f| *f == Fault::Colour) && !any(|f| matches!(f, Fault::Shape(_)))
    }

    /// Checks shapes and limits, then leaves out the unusable samples.
    fn finish(self, survey: &Survey, data: &Data) -> Result<Loaded> {
        self.check_shapes(survey)?;
        self.check_quarantined(survey, data)?;
        let mut places = self.places.of_samples();
        let (mut rows, mut bytes, mut quarantine) = (Vec::new(), Vec::new(), Vec::new());
        let mut contents = Vec::new();
        let mut faults = self.faults.into_iter().peekable();
        for (sample, row) in survey.rows.iter().enumerate() {
            if let Some((_, Fault::Unusable(reason))) =
                faults.next_if(|(at, _)| *at as usize == sample)
            {
                quarantine.push(Quarantined { row: row.clone(), reason });
                continue;
            }
            places[rows.len()] = places[sample];
            bytes.push(self.bytes[sample]);
            contents.extend(self.contents[sample]);
            rows.push(row.clone());
        }
        if survey.teaches {
            check_classes(&rows, &survey.classes)?;
        }
        places.truncate(rows.len());
        let samples = Samples {
            ids: rows.iter().map(|row| row.id.clone()).collect(),
            labels: rows.iter().map(|row| row.label).collect(),
            classes: survey.classes.clone(),
            inputs: Inputs::new(self.shape, self.sink.packed(), places),
        };
        Ok(Loaded { samples, rows, bytes, contents, quarantine })
    }

    fn check_shapes(&self, survey: &Survey) -> Result<()> {
        let id = |sample: usize| survey.rows[sample].id.as_str();
        let other = self.faults.iter().find_map(|(sample, fault)| match fault {
            Fault::Shape(found) => Some((id(*sample as usize), found)),
            _ => None,
        });
        let Some((other, found)) = other else { return Ok(()) };
        let faulty = |sample| self.faults.binary_search_by_key(&sample, |(s, _)| *s).is_ok();
        let usable = |&sample: &usize| self.bytes[sample] > 0 && !faulty(sample as u32);
        let like = (0..self.bytes.len()).find(usable);
        let like = like.map_or(String::new(), |sample| format!(" `{}`", id(sample)));
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
            "the inputs differ in shape: sample{like} has {usual}, sample `{other}` has {found}; {hint}"
        )))
    }

    fn check_quarantined(&self, survey: &Survey, data: &Data) -> Result<()> {
        let mut unusable = Examples::default();
        for (sample, fault) in &self.faults {
            if let Fault::Unusable(reason) = fault {
                unusable.add(|| format!("`{}`: {reason}", survey.rows[*sample as usize].id));
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
