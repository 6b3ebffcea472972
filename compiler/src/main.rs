//! The `paf-compile` binary: one line on failure, exit code by whose problem it is.

use std::process::ExitCode;

use clap::Parser;
use paf_compiler::cli::{Arguments, run};

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("paf-compile: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}
