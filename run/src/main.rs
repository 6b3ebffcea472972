//! `paf-run`: runs circuits made by `paf-compile`, clear or encrypted.

mod cli;

use std::process::ExitCode;

use clap::Parser as _;
use paf_ir::printable::printable_lines;

#[global_allocator]
static ALLOCATOR: paf_files::OrExit = paf_files::OrExit;

/// Exit code for a bug of this program; the panic message has been printed.
const EXIT_BUG: u8 = 4;

fn main() -> ExitCode {
    let arguments = cli::Arguments::parse();
    if let Err(error) = paf_files::remove_when_interrupted() {
        paf_files::say!("warning: Ctrl-C may leave temporary files behind: {error}");
    }
    match std::panic::catch_unwind(|| cli::run(&arguments)) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => {
            paf_files::say!("error: {}", printable_lines(&error.to_string()));
            ExitCode::from(error.exit_code())
        }
        Err(_) => ExitCode::from(EXIT_BUG),
    }
}
