//! The command line of `unseen`.

use std::process::ExitCode;

fn main() -> ExitCode {
    unseen::cli::main()
}
