//! OpenFHE's own code against the kernels, in one process and with one allocator, operation by operation.
//!
//! `cargo bench -p openfhe-reference --bench stock_vs_kernels [-- --quick]`
//!
//! Each row times both in turn and takes the median of each. The last line is a JSON object {operation: ratio}, with the
//! ratios of one thread for limbs and of all threads for the rest.

#[path = "stock_vs_kernels/ciphertexts.rs"]
mod ciphertexts;
#[path = "stock_vs_kernels/limbs.rs"]
mod limbs;
#[path = "stock_vs_kernels/table.rs"]
mod table;

use std::error::Error;

use clap::Parser;
use openfhe_reference as fhe;
use openfhe_reference::kernels::{self, Code};

use table::Table;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Times OpenFHE's own code against the kernels
#[derive(Debug, Parser)]
struct Arguments {
    /// Leave out the bootstrap, which takes minutes and 14 GiB
    #[arg(long)]
    quick: bool,
    /// What cargo adds
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if !arguments.bench {
        println!("a benchmark: run it with cargo bench");
        return Ok(());
    }
    fhe::configure_allocator();
    let selection = kernels::select_from_environment()?;
    let Code::Kernels(variant) = selection.code else {
        return Err(format!("no kernels to compare with: {}", selection.reason).into());
    };
    println!("OpenFHE {} against its kernels `{variant}`: {}", fhe::openfhe_version().unwrap(), selection.reason);
    let mut table = Table::new(selection.code);
    limbs::measure(&mut table)?;
    ciphertexts::measure(&mut table)?;
    if !arguments.quick {
        ciphertexts::measure_bootstrap(&mut table)?;
    }
    println!("{}", table.ratios());
    Ok(())
}
