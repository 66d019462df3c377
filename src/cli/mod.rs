//! The command line: what is typed, and what is printed for it.
//!
//! `args` is the grammar, `answers` the commands beside runs, `text` what people read,
//! `progress` what they watch, `log` what libraries say on the way. Machine output
//! (`--json`) and results go to stdout, progress and errors to stderr.

mod answers;
mod args;
mod config;
mod log;
mod progress;
mod text;

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::SystemTime;

use clap::Parser;
use serde::Serialize;

pub use args::{
    Args, Budget, Clean, Command, ConfigCommand, Curve, Diff, Effort, Evaluate, Explain, Extend,
    FoldsOf, OnDevice, OnRecipe, OnRun, Plan, Plot, Records, Report, Run, Score, Select, Stability,
    Sweep, TaskCommand, To, Verify,
};
pub use config::config;

use crate::error::{Error, ErrorKind, Result};
use crate::fence;
use crate::recipe::{Bytes, Storage};
use crate::run::{self, TaskEnd};
use crate::storage::{crash, doctor};
use progress::Progress;

/// The whole program: parses the arguments, does what they say, and turns the result into an exit
/// code (0 done, 1 failed, 2 wrong usage or recipe).
pub fn main() -> ExitCode {
    fence::hush();
    let args = Args::parse();
    log::start();
    match execute(&args, &mut io::stdout().lock()) {
        Ok(code) => code,
        Err(e) => {
            let _ = writeln!(io::stderr(), "error: {e}");
            ExitCode::from(e.exit_code())
        }
    }
}

// Tests let the process die where they want; nobody else sets this.
#[allow(clippy::disallowed_methods)]
fn arm() -> Result<()> {
    std::env::var("UNSEEN_CRASH_AT").map_or(Ok(()), |point| crash::arm(&point))
}

fn execute(args: &Args, out: &mut dyn Write) -> Result<ExitCode> {
    arm()?;
    match &args.command {
        Command::Plan(plan) => {
            let run = run::Run::new(plan.on.load()?)?;
            let planned = run.within(memory(plan.memory)).plan()?;
            warn(&planned.warnings);
            print(out, plan.json, &planned, text::plan)?;
        }
        Command::Run(command) => run_command(command, out)?,
        Command::Status(on) => {
            let status = run::status(&on.run, &on.storage()?, now())?;
            print(out, on.json, &status, text::status)?;
        }
        Command::Verify(verify) => {
            let on = &verify.on;
            let result = run::verify_within(&on.run, &on.storage()?, memory(verify.memory))?;
            print(out, on.json, &result, text::verification)?;
            return Ok(code(result.passed));
        }
        Command::Task(command) => return Ok(task(command)),
        Command::Doctor(on) => {
            let found = doctor::doctor(&on.run, &on.storage()?, now())?;
            print(out, on.json, &found, text::diagnosis)?;
            return Ok(code(found.fit));
        }
        Command::Clean(clean) => {
            let rules = run::CleanRules {
                now: now(),
                older_than_seconds: clean.older_than,
                remove: clean.delete,
            };
            let cleaned = run::clean(&clean.on.run, &clean.on.storage()?, rules)?;
            print(out, clean.on.json, &cleaned, text::cleaned)?;
        }
        Command::Config(command) => config(command, out)?,
        Command::Explain(args) => answers::explain(args, out)?,
        Command::Curve(args) => answers::curve(args, out)?,
        Command::Diff(args) => answers::diff(args, out)?,
        Command::Evaluate(args) => return Ok(code(answers::evaluate(args, out)?)),
        Command::Stability(args) => return Ok(code(answers::stability(args, out)?)),
        Command::Sweep(args) => answers::sweep(args, out)?,
        Command::Report(args) => answers::report(args, out)?,
        Command::Plot(args) => answers::plot(args, out)?,
        Command::Records(args) => answers::records(args, out)?,
        Command::Folds(args) => answers::folds(args, out)?,
        Command::Score(args) => answers::score(args, out)?,
        Command::Select(args) => answers::select(args, out)?,
        Command::Extend(args) => answers::extend(args, out)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn code(good: bool) -> ExitCode {
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The time, in seconds since 1970: for the ages of objects, which no result depends on.
#[allow(clippy::disallowed_methods)]
fn now() -> i64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.unwrap_or_default().as_secs() as i64
}

/// The exit codes that a scheduler reads: do not try again, and try again later (`EX_TEMPFAIL` of
/// sysexits.h).
const PERMANENT: u8 = 42;
const LATER: u8 = 75;

fn task(command: &TaskCommand) -> ExitCode {
    let TaskCommand::Run { run, id, storage, threads, memory: given, on_device } = command;
    let end = pool(*threads)
        .and_then(|()| run::Run::resume(run, &Storage::from_overrides(storage)?))
        .and_then(|run| run.within(memory(*given)).on_devices(on_device.device.as_deref()))
        .and_then(|run| run.execute_task(id, &Progress::new(false)));
    let (code, told) = match end {
        Ok(TaskEnd::Done) => return ExitCode::SUCCESS,
        Ok(TaskEnd::NotReady(need)) => (LATER, format!("{id} needs {need}, which is not done yet")),
        Ok(TaskEnd::Busy(worker)) => (LATER, format!("{worker} works on {id}")),
        Err(e) => {
            let passes = [ErrorKind::Unavailable, ErrorKind::DeviceUnavailable].contains(&e.kind());
            (if passes { LATER } else { PERMANENT }, format!("error: {e}"))
        }
    };
    let _ = writeln!(io::stderr(), "{told}");
    ExitCode::from(code)
}

fn run_command(command: &Run, out: &mut dyn Write) -> Result<()> {
    pool(command.effort.threads)?;
    let run = run::Run::new(command.on.load()?)?.within(memory(command.effort.memory));
    let progress = Progress::new(command.effort.quiet);
    if command.begin {
        run.begin(&progress)?;
        let recipe = command.on.load()?;
        let status = run::status(&recipe.output.uri, &recipe.storage, now())?;
        return print(out, command.json, &status, text::status);
    }
    let summary = run.execute(&progress);
    progress.finish();
    print(out, command.json, &summary?, text::summary)
}

/// The pool is sized here and nowhere else: results do not depend on it.
#[allow(clippy::disallowed_methods)]
fn pool(threads: Option<u16>) -> Result<()> {
    if let Some(threads) = threads {
        rayon::ThreadPoolBuilder::new()
            .num_threads(usize::from(threads))
            .build_global()
            .map_err(|e| Error::internal("the thread pool cannot be made").because(e))?;
    }
    Ok(())
}

fn memory(given: Option<Bytes>) -> run::Memory {
    given.map_or_else(run::Memory::default, |bytes| run::Memory { bytes: bytes.0 })
}

fn warn(warnings: &[String]) {
    for warning in warnings {
        let _ = writeln!(io::stderr(), "warning: {warning}");
    }
}

fn print<T: Serialize>(
    out: &mut dyn Write,
    json: bool,
    value: &T,
    text: impl Fn(&T) -> String,
) -> Result<()> {
    let printed =
        if json { format!("{}\n", serde_json::to_string_pretty(value)?) } else { text(value) };
    write_out(out, &printed)
}

fn write_out(out: &mut dyn Write, printed: &str) -> Result<()> {
    match out.write_all(printed.as_bytes()) {
        // A reader that has seen enough, such as `head`, is no failure.
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other.map_err(|e| Error::new(ErrorKind::Unavailable, "cannot print").because(e)),
    }
}
