//! The command line: what is typed, and what is printed for it.
//!
//! `args` is the grammar, `text` what people read, `progress` what they watch. Machine output
//! (`--json`) and results go to stdout, progress and errors to stderr.

mod args;
mod config;
mod progress;
mod text;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use serde::Serialize;

pub use args::{Args, Command, ConfigCommand, OnRecipe, OnRun, Plan, Run, Verify};
pub use config::config;

use crate::error::{Error, ErrorKind, Result};
use crate::recipe::Bytes;
use crate::run;
use progress::Progress;

/// The whole program: parses the arguments, does what they say, and turns the result into an exit
/// code (0 done, 1 failed, 2 wrong usage or recipe).
pub fn main() -> ExitCode {
    let args = Args::parse();
    match execute(&args, &mut io::stdout().lock()) {
        Ok(code) => code,
        Err(e) => {
            let _ = writeln!(io::stderr(), "error: {e}");
            ExitCode::from(e.exit_code())
        }
    }
}

fn execute(args: &Args, out: &mut dyn Write) -> Result<ExitCode> {
    match &args.command {
        Command::Plan(plan) => {
            let run = run::Run::new(plan.on.load()?)?;
            let planned = run.within(memory(plan.memory)).plan()?;
            warn(&planned.warnings);
            print(out, plan.json, &planned, text::plan)?;
        }
        Command::Run(command) => run_command(command, out)?,
        Command::Status(on) => print(out, on.json, &run::status(&on.run)?, text::status)?,
        Command::Verify(verify) => {
            let result = run::verify_within(&verify.on.run, memory(verify.memory))?;
            print(out, verify.on.json, &result, text::verification)?;
            return Ok(if result.passed { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        Command::Config(command) => config(command, out)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The pool is sized here and nowhere else: results do not depend on it.
#[allow(clippy::disallowed_methods)]
fn run_command(command: &Run, out: &mut dyn Write) -> Result<()> {
    if let Some(threads) = command.threads {
        rayon::ThreadPoolBuilder::new()
            .num_threads(usize::from(threads))
            .build_global()
            .map_err(|e| Error::internal("the thread pool cannot be made").because(e))?;
    }
    let run = run::Run::new(command.on.load()?)?.within(memory(command.memory));
    let progress = Progress::new(command.quiet);
    let summary = run.execute(&progress);
    progress.finish();
    print(out, command.json, &summary?, text::summary)
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
