//! `paf-fuzz`: many cases, in process (`targets`) or through the programs (`programs`).

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::{Parser, Subcommand};
use paf_fuzz::{all, corpus, programs, run};

/// Runs mutated files through every reader.
#[derive(Debug, Parser)]
#[command(name = "paf-fuzz")]
struct Arguments {
    #[command(subcommand)]
    what: What,
    /// Of all random choices.
    #[arg(long, global = true, default_value_t = 1)]
    seed: u64,
}

#[derive(Debug, Subcommand)]
enum What {
    /// In process, each reader under a limit of memory and time.
    Targets {
        /// Cases over all targets.
        #[arg(long, default_value_t = 1_000_000)]
        cases: u64,
        /// These targets alone, with all cases each.
        names: Vec<String>,
    },
    /// Through the programs: no signal, no exit code that is not documented, no hang.
    Programs {
        /// The folder with paf-compile and paf-run.
        folder: PathBuf,
        /// Commands.
        #[arg(long, default_value_t = 20_000)]
        cases: u64,
        /// Those of them that compile models.
        #[arg(long, default_value_t = 3_000)]
        models: u64,
    },
}

fn main() -> ExitCode {
    let Arguments { what, seed } = Arguments::parse();
    let failures = match what {
        What::Targets { cases, names } => targets(seed, cases, &names),
        What::Programs { folder, cases, models } => programs::run(&folder, seed, cases, models),
    };
    if failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn targets(seed: u64, cases: u64, names: &[String]) -> usize {
    std::panic::set_hook(Box::new(|_| {}));
    let shares: u64 = all().iter().map(|target| target.share).sum();
    let mut failures = 0;
    for target in all().iter().filter(|target| names.is_empty() || names.iter().any(|name| name == target.name)) {
        let cases = if names.is_empty() { cases * target.share / shares } else { cases };
        let start = Instant::now();
        let outcome = run(target, seed, 0..cases);
        let counts: Vec<String> =
            outcome.counts.iter().map(|(verdict, count)| format!("{count} {verdict:?}")).collect();
        println!(
            "{:12} {cases} cases, {}, {} failures, {:.1} MiB at most, {:.1} s",
            target.name,
            counts.join(", "),
            outcome.failures.len(),
            outcome.most_memory as f64 / f64::from(1 << 20),
            start.elapsed().as_secs_f64()
        );
        failures += outcome.failures.len();
        for failure in outcome.failures.iter().take(10) {
            let folder = corpus(target.name);
            let file = folder.join(format!("{seed}-{}", failure.case));
            let kept = fs::create_dir_all(&folder).and_then(|()| fs::write(&file, &failure.bytes));
            println!(
                "  case {}: {} ({}{})",
                failure.case,
                failure.problem,
                file.display(),
                if kept.is_ok() { "" } else { ", not kept" }
            );
        }
    }
    failures
}
