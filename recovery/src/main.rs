//! The `paf-recover` binary: one line on failure, exit code by whose problem it is.

fn main() {}
