//! The tasks of a run, in the order in which they can be done.

use std::fmt;

use crate::recipe::{Mode, Recipe, Stages, Strategy};

/// One task: a pure function of committed outputs and the seed.
///
/// Its `Display` is its key, which names its record and its objects. Keys are built from ordinals
/// only, so nothing a user wrote ever becomes part of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Task {
    /// Decode every sample; write the samples and the quarantine.
    Ingest,
    /// Gather what is known of the samples beside their scores.
    Metadata,
    /// Assign every sample to a fold.
    Folds,
    /// Train one scoring model. Stages count from 1, models from 0.
    Train {
        /// The stage.
        stage: usize,
        /// The model within the stage.
        model: usize,
    },
    /// Score with one model.
    Score {
        /// The stage.
        stage: usize,
        /// The model within the stage.
        model: usize,
    },
    /// Choose how to select, after stage 1 has scored.
    Auto,
    /// Add the stage's best to the coreset.
    Select {
        /// The stage.
        stage: usize,
    },
    /// Fix the outcome: the selection table and which row goes into which shard.
    Coreset,
    /// Train proxy models on the coreset and on its random twin.
    Judge,
    /// Cut one shard.
    Shard {
        /// Its number, from 0.
        index: usize,
    },
}

impl Task {
    /// The number of the model that trains or scores within its stage.
    pub(super) fn model(self) -> Option<usize> {
        match self {
            Self::Train { model, .. } | Self::Score { model, .. } => Some(model),
            _ => None,
        }
    }

    /// The tasks whose outputs this one reads, or which must be done before it for their own sake.
    pub(super) fn needs(self, recipe: &Recipe) -> Vec<Self> {
        match self {
            Self::Ingest => Vec::new(),
            Self::Train { stage: 1, .. } if recipe.mode == Mode::Unseen => vec![Self::Folds],
            Self::Metadata | Self::Folds | Self::Train { stage: 1, .. } => vec![Self::Ingest],
            Self::Train { stage, .. } => vec![Self::Select { stage: stage - 1 }],
            Self::Score { stage, model } => vec![Self::Train { stage, model }],
            Self::Select { stage } => {
                let models = 0..models(recipe, stage);
                let scores = models.map(|model| Self::Score { stage, model });
                scores.chain(needs_metadata(recipe).then_some(Self::Metadata)).collect()
            }
            Self::Auto => stage_1(recipe),
            Self::Coreset => vec![Self::Select { stage: stages(recipe) }],
            Self::Judge | Self::Shard { .. } => vec![Self::Coreset],
        }
    }

    /// Whether it is made of parts that are claimed one by one, so that several processes do it together.
    pub(super) fn is_shared(self) -> bool {
        matches!(self, Self::Auto | Self::Judge)
    }
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ingest => f.write_str(INGEST),
            Self::Metadata => f.write_str(METADATA),
            Self::Folds => f.write_str(FOLDS),
            Self::Train { stage, model } => write!(f, "train-s{stage}-m{model}"),
            Self::Score { stage, model } => write!(f, "score-s{stage}-m{model}"),
            Self::Auto => f.write_str(AUTO),
            Self::Select { stage } => write!(f, "select-s{stage}"),
            Self::Coreset => f.write_str(CORESET),
            Self::Judge => f.write_str(JUDGE),
            Self::Shard { index } => write!(f, "shard-{index:05}"),
        }
    }
}

/// The last step of a run, which has no record: it is done when the manifest is there.
pub(super) const PUBLISH: &str = "publish";

/// The keys of the tasks that others read by name.
pub(super) const INGEST: &str = "ingest";
/// See [`INGEST`].
pub(super) const METADATA: &str = "metadata";
/// See [`INGEST`].
pub(super) const FOLDS: &str = "folds";
/// See [`INGEST`].
pub(super) const AUTO: &str = "auto";
/// See [`INGEST`].
pub(super) const CORESET: &str = "coreset";
/// See [`INGEST`].
pub(super) const JUDGE: &str = "judge";

/// The output of a training that was watched.
pub(super) const DYNAMICS: &str = "dynamics.parquet";

/// The number of stages.
pub(super) fn stages(recipe: &Recipe) -> usize {
    match &recipe.select.stages {
        Stages::Equal(n) => *n,
        Stages::Shares(shares) => shares.len(),
    }
}

/// Whether columns beside the scores are asked for.
pub(super) fn needs_metadata(recipe: &Recipe) -> bool {
    !recipe.join.is_empty() || recipe.select.needs_columns()
}

/// The number of models that score in `stage`.
pub(super) fn models(recipe: &Recipe, stage: usize) -> usize {
    match (stage, recipe.mode) {
        (1, Mode::Unseen) => recipe.folds.k,
        (1, Mode::Fitting) => 1,
        _ => recipe.select.models,
    }
}

fn trainings(recipe: &Recipe, stage: usize) -> impl Iterator<Item = Task> {
    let models = 0..models(recipe, stage);
    models.flat_map(move |model| [Task::Train { stage, model }, Task::Score { stage, model }])
}

/// All tasks up to the scores of stage 1, each after those it reads: they do not depend on what is selected.
pub(super) fn stage_1(recipe: &Recipe) -> Vec<Task> {
    let mut tasks = vec![Task::Ingest];
    if needs_metadata(recipe) {
        tasks.push(Task::Metadata);
    }
    if recipe.mode == Mode::Unseen {
        tasks.push(Task::Folds);
    }
    tasks.extend(trainings(recipe, 1));
    tasks
}

/// All tasks up to [`Task::Coreset`] and what judges it, each after those it reads; up to [`Task::Auto`]
/// while that has not chosen. The shards follow; how many there are is known once the coreset is.
pub(super) fn tasks(recipe: &Recipe) -> Vec<Task> {
    let mut tasks = stage_1(recipe);
    if recipe.select.strategy == Strategy::Auto {
        tasks.push(Task::Auto);
        return tasks;
    }
    for stage in 1..=stages(recipe) {
        if stage > 1 {
            tasks.extend(trainings(recipe, stage));
        }
        tasks.push(Task::Select { stage });
    }
    tasks.push(Task::Coreset);
    tasks.extend(recipe.judge.is_on().then_some(Task::Judge));
    tasks
}

/// A pass forward and backward costs about three passes forward.
pub(super) const TRAIN_WORK: u64 = 3;
