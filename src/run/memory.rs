//! How much memory a run may take, and how it is split over its parts: the one place that says so.
//!
//! The parts follow each other, so a run takes the most that any of them takes, on top of what stays:
//! the program, the thin tables of all rows, and the decoded inputs if they are held in memory.

use super::fit;
use super::scored::{
    Sizes, comparing_memory, embedding_column, near_memory, stored_lists, watching_memory,
};
use super::task::{models, needs_metadata, stages};
use super::worker::Run;
use crate::error::{Error, ErrorKind, Result};
use crate::recipe::{EmbeddingFrom, FitOn, Mode, Recipe, Start};
use crate::samples::Shape;
use crate::storage::{Upload, machine_memory};
use crate::{ingest, shards};

/// The most memory that a run should take. It changes no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Bytes of resident memory.
    pub bytes: u64,
}

impl Default for Memory {
    /// Half of what the machine has.
    fn default() -> Self {
        Self { bytes: machine_memory().unwrap_or(FALLBACK) / 2 }
    }
}

/// Assumed where the system does not tell its memory.
const FALLBACK: u64 = 8 << 30;

/// The program itself with its threads and their heaps.
const PROGRAM: u64 = 128 << 20;

/// Ids, labels, places and what selection makes of them, per row.
const ROW: u64 = 650;

/// What is known beside the scores, as read and as a table, per row.
const METADATA: u64 = 400;

/// A score of one model and what selection makes of it, per row.
const SCORE: u64 = 150;

/// The least memory for rows that wait for their shard.
const MIN_WAITING: u64 = 16 << 20;

/// What the parts of a run need, in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Needs {
    rows: u64,
    /// The thin tables of one row.
    row: u64,
    decoded: u64,
    /// Decoding one row group.
    decode: u64,
    /// The largest training, with what watches it.
    training: u64,
    /// The most trainings that could run side by side.
    trainings: u64,
    /// The largest comparison of vectors.
    comparing: u64,
    /// The weights that trainings start from, as they were read.
    weights: u64,
    /// Reading one row group with all columns.
    read: u64,
    /// Encoding and uploading one row group of a shard.
    encode: u64,
    kept: u64,
}

/// What samples beside those of a run need, in bytes: the test samples of an evaluation.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Beside {
    rows: u64,
    decoded: u64,
    decode: u64,
}

#[cfg(feature = "train")]
impl Beside {
    /// What the samples of `survey` need, all at once.
    pub(super) fn of(survey: &ingest::Survey, data: &crate::recipe::Data) -> Result<Self> {
        let (shape, decoded) = ingest::decoded_bytes(survey, data)?;
        let decode = ingest::lane_memory(survey, shape)?;
        Ok(Self { rows: survey.rows.len() as u64, decoded, decode })
    }
}

/// The split of the memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Split {
    /// The most that a run will take, as far as can be foreseen.
    pub(super) peak: u64,
    /// What goes to scratch files.
    pub(super) scratch: u64,
    /// How many trainings run side by side.
    pub(super) trainings: usize,
    /// For loading.
    pub(super) load: ingest::Room,
    /// For the shards.
    pub(super) spill: shards::Room,
}

impl Needs {
    /// What `run` needs if about `kept` bytes of rows are kept and a model scores `scored` samples at
    /// most.
    pub(super) fn of_run(
        run: &Run,
        shape: Shape,
        decoded: u64,
        kept: u64,
        scored: u64,
    ) -> Result<Self> {
        let (recipe, survey) = (&run.recipe, run.survey()?);
        let classes = survey.classes.len();
        let sizes = fit::sizes(recipe, shape, classes)?;
        let column = embedding_column(recipe);
        let column = column.map_or(Ok(0), |name| ingest::embedding_width(survey, name))?;
        let rows = survey.rows.len() as u64;
        let decoded = decoded + rows * Shape::Features { width: column }.bytes() as u64;
        let width = match recipe.score.embedding.from {
            EmbeddingFrom::Model => sizes.embedding,
            EmbeddingFrom::Column => column,
        };
        let watching = watching_memory(recipe, scored, classes);
        let comparing = comparing_memory(recipe, (rows, scored), width, classes);
        let near = near_memory(recipe, rows, if column > 0 { column } else { shape.len() });
        // The largest moment of a training has room for a checkpoint of its own state, not for what is watched.
        let copies = if sizes.checkpoint > 0 { 2 } else { 1 };
        let watching = watching.saturating_mul(copies);
        let training =
            sizes.training.saturating_add(watching).saturating_add(start_bytes(recipe, &sizes));
        let (comparing, trainings) = (comparing.max(near), most_trainings(recipe, sizes.places));
        let decode = ingest::lane_memory(survey, shape)?;
        let shards = Self::of_shards(run, kept)?;
        let weights = run.init.as_ref().map_or(0, |file| file.bytes);
        Ok(Self { decoded, decode, training, trainings, comparing, weights, ..shards })
    }

    /// What the shards of `run` need, without a training.
    pub(super) fn of_shards(run: &Run, kept: u64) -> Result<Self> {
        let survey = run.survey()?;
        let read = shards::lane_memory(&survey.parquet)?;
        let (rows, row) = (survey.rows.len() as u64, row_bytes(run, survey.classes.len()));
        let encode = shards::encode_memory(&run.recipe.output, kept, rows) + Upload::MEMORY;
        Ok(Self { rows, row, read, encode, kept, ..Self::default() })
    }

    /// The same with other samples at hand all the time.
    pub(super) fn with(self, other: Beside) -> Self {
        Self {
            rows: self.rows + other.rows,
            decoded: self.decoded + other.decoded,
            decode: self.decode.max(other.decode),
            ..self
        }
    }

    /// What stays in memory all the time, beside decoded inputs.
    fn base(&self) -> u64 {
        PROGRAM + self.weights + self.row * self.rows
    }

    /// The least that each part can do with.
    fn least(&self) -> u64 {
        let shards = MIN_WAITING + self.read.max(self.encode);
        let models = self.training.max(self.comparing);
        self.base().saturating_add(resident(self.decode.max(shards)).max(models))
    }

    /// Splits the memory.
    ///
    /// # Errors
    /// `LimitExceeded` if it is too little, saying what would be enough.
    pub(super) fn split(&self, memory: Memory) -> Result<Split> {
        let least = self.least();
        let Some(spare) = memory.bytes.checked_sub(least) else {
            return Err(self.too_little(memory));
        };
        let inputs_in_memory = self.decoded <= spare;
        let held = if inputs_in_memory { self.decoded } else { 0 };
        let free = memory.bytes - self.base() - held;
        let threads = rayon::current_num_threads() as u64;
        let rows = in_use(free);
        let lanes = (rows / 2 / self.read.max(1)).clamp(1, threads);
        let shard = (lanes * self.read).max(self.encode);
        let waiting = rows.saturating_sub(shard).max(MIN_WAITING);
        let decode = rows.min(threads * self.decode);
        // A fifth is left to the allocator.
        let trainings = (free / 5 * 4 / self.training.max(1)).min(self.trainings).max(1);
        let models = self.training.saturating_mul(trainings).max(self.comparing);
        let parts = resident(decode.max(waiting.min(self.kept) + shard)).max(models);
        let spilled = if waiting < self.kept { self.kept } else { 0 };
        Ok(Split {
            peak: (self.base() + held).saturating_add(parts),
            scratch: self.decoded - held + spilled,
            trainings: trainings as usize,
            load: ingest::Room { inputs_in_memory, batches: rows },
            spill: shards::Room { rows: waiting, lanes: lanes as usize },
        })
    }

    fn too_little(&self, memory: Memory) -> Error {
        let mib = |bytes: u64| bytes.div_ceil(1 << 20);
        let message = format!(
            "the run needs at least {} MiB of memory ({} MiB for {} rows, {} MiB to decode, {} MiB to \
             train, {} MiB to write a shard), but {} MiB are allowed; give --memory {}MiB, or lower \
             train.batch_size or output.row_group_bytes",
            mib(self.least()),
            mib(self.base()),
            self.rows,
            mib(resident(self.decode)),
            mib(self.training.max(self.comparing)),
            mib(resident(self.read.max(self.encode))),
            memory.bytes >> 20,
            mib(self.least()),
        );
        Error::new(ErrorKind::LimitExceeded, message)
    }
}

/// What is resident when rows that are read, decoded or written take so many bytes: the allocator cannot give back
/// all that threads have freed, in small pieces.
fn resident(bytes: u64) -> u64 {
    bytes.saturating_mul(7) / 4
}

/// How many bytes rows may take for so many to be resident.
fn in_use(resident: u64) -> u64 {
    resident / 7 * 4
}

/// The most trainings that could run side by side: one for each place, as far as a stage has models. What
/// lies on devices of their own is not counted: nobody knows their memory.
fn most_trainings(recipe: &Recipe, places: usize) -> u64 {
    let models = (1..=stages(recipe)).map(|stage| models(recipe, stage)).max().unwrap_or(1);
    places.min(models) as u64
}

/// The bytes of the weights that a training starts from, which lie there until it ends.
fn start_bytes(recipe: &Recipe, sizes: &Sizes) -> u64 {
    let given = recipe.train.init.is_some() || recipe.select.start == Start::Continue;
    if given { (sizes.parameters * size_of::<f32>()) as u64 } else { 0 }
}

/// The bytes of a row's thin tables: all scores of stage 1 are in memory when it ends.
fn row_bytes(run: &Run, classes: usize) -> u64 {
    let (recipe, score) = (&run.recipe, &run.recipe.score);
    let scores = match (recipe.mode, recipe.folds.fit_on) {
        (Mode::Unseen, FitOn::Fold) => recipe.folds.k as u64 - 1,
        _ => 1,
    };
    let list = (classes * size_of::<f32>()) as u64;
    // As read and as a table.
    let lists = 2 * stored_lists(recipe, 1).len() as u64 * list;
    let means = if score.label_errors { list } else { 0 };
    let metadata = if needs_metadata(recipe) { METADATA } else { 0 };
    ROW + means + metadata + scores * (SCORE + lists)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn needs() -> Needs {
        let (decoded, decode, training) = (1000 * MIB, 20 * MIB, 50 * MIB);
        let (read, encode, kept) = (30 * MIB, 40 * MIB, 500 * MIB);
        let (trainings, comparing, weights) = (4, 0, 0);
        Needs {
            rows: 0,
            row: 0,
            decoded,
            decode,
            training,
            trainings,
            comparing,
            weights,
            read,
            encode,
            kept,
        }
    }

    #[test]
    fn trainings_run_side_by_side_as_far_as_the_memory_goes() {
        let base = PROGRAM >> 20;
        // With 1000 MiB of inputs in memory, then without; a fifth is left.
        for (spare, wanted) in [(100, 1), (130, 2), (250, 4), (900, 4), (1100, 1), (1130, 2)] {
            let split = needs().split(Memory { bytes: (base + spare) * MIB }).unwrap();
            assert_eq!(split.trainings, wanted, "{spare} MiB");
            assert!(split.peak <= (base + spare) * MIB);
        }
        let one = Needs { trainings: 1, ..needs() };
        assert_eq!(one.split(Memory { bytes: 4000 * MIB }).unwrap().trainings, 1);
    }

    #[test]
    fn inputs_stay_in_memory_only_if_everything_else_fits_beside_them() {
        let split = |mib: u64| needs().split(Memory { bytes: mib * MIB }).unwrap();
        let (little, much) = (split(300), split(4000));
        assert!(!little.load.inputs_in_memory && much.load.inputs_in_memory);
        assert_eq!((little.scratch, much.scratch), (1500 * MIB, 0));
        for (split, mib) in [(little, 300), (split(1200), 1200), (much, 4000)] {
            assert!(split.peak <= mib * MIB, "{split:?}");
        }
    }

    #[test]
    fn test_samples_need_their_part() {
        let row = Needs { row: 1000, ..needs() };
        let test = Beside { rows: 100 * 1049, decoded: 200 * MIB, decode: 60 * MIB };
        let least = |needs: Needs| needs.least() / MIB;
        // 100 MiB of thin tables, and row groups that take more to decode than all else.
        assert_eq!(least(row.with(test)), least(row) + 100 + 7);
        // All inputs are in memory, or none are.
        let fits = |mib: u64| row.with(test).split(Memory { bytes: mib * MIB }).unwrap();
        let least = least(row.with(test));
        assert!(!fits(least + 1199).load.inputs_in_memory);
        assert!(fits(least + 1201).load.inputs_in_memory);
    }

    #[test]
    fn weights_to_start_from_are_counted_all_the_time() {
        let given = Needs { weights: 100 * MIB, ..needs() };
        assert_eq!(given.least(), needs().least() + 100 * MIB);
        let peak = |needs: Needs| needs.split(Memory { bytes: 4000 * MIB }).unwrap().peak;
        assert_eq!(peak(given), peak(needs()) + 100 * MIB);
    }

    #[test]
    fn too_little_memory_is_refused_with_what_is_enough() {
        let error = needs().split(Memory { bytes: 150 * MIB }).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::LimitExceeded);
        let least = format!("give --memory {}MiB", needs().least() / MIB);
        assert!(error.to_string().contains(&least), "{error}");
        assert!(needs().split(Memory { bytes: needs().least() }).is_ok());
        let huge = Needs { training: u64::MAX, ..needs() };
        assert!(huge.split(Memory { bytes: u64::MAX / 2 }).is_err());
    }
}
