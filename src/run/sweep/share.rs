//! Stage 1 of one run becomes that of another with the same seed and mode.

use super::super::task::{Task, models, needs_metadata};
use super::super::worker::Run;
use crate::error::Result;
use crate::recipe::Mode;
use crate::storage::{Dir, Ledger, Record};

/// Gives `run`, which lies at `to`, the tasks of stage 1 of the run at `from`: its outputs under the same
/// names (on local disk links, not copies), and records that say the same of this run. Both lie below
/// `dir`, and their recipes differ in what is selected alone.
///
/// # Errors
/// `Unavailable` if the store fails; `CorruptData` if a record cannot be read.
pub(super) fn share_stage_1(dir: &Dir, from: &str, to: &str, run: &Run) -> Result<()> {
    let Some(file) = super::super::RunFile::find(&dir.below(from))? else { return Ok(()) };
    let source = Ledger::new(dir.below(from), file.fingerprint);
    for task in stage_1(run) {
        let key = task.to_string();
        if run.ledger.find(&key)?.is_some() {
            continue;
        }
        let record = source.get(&key)?;
        for output in &record.outputs {
            dir.publish(&format!("{from}/{}", output.path), &format!("{to}/{}", output.path))?;
        }
        run.ledger.commit(&Record { run: run.ledger.run().to_owned(), ..record })?;
    }
    Ok(())
}

/// The tasks up to the scores of stage 1 that do not depend on what is selected.
fn stage_1(run: &Run) -> Vec<Task> {
    let mut tasks = vec![Task::Ingest];
    if run.recipe.mode == Mode::Unseen {
        tasks.push(Task::Folds);
    }
    if needs_metadata(&run.recipe) {
        tasks.push(Task::Metadata);
    }
    for model in 0..models(&run.recipe, 1) {
        tasks.extend([Task::Train { stage: 1, model }, Task::Score { stage: 1, model }]);
    }
    tasks
}
