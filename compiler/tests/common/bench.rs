//! What the benchmarks' command lines share.

use paf_compiler::options::Margin;

pub(crate) type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// `cargo bench` passes `--bench`; anything else that runs all binaries, such as `cargo test`, is told how to.
pub(crate) fn started_by_cargo(bench: bool) -> bool {
    if !bench {
        println!("a benchmark: run it with cargo bench");
    }
    bench
}

/// `auto` or a number, as `paf-compile --margin` takes it.
pub(crate) fn parse_margin(text: &str) -> std::result::Result<Margin, String> {
    match text.parse() {
        _ if text == "auto" => Ok(Margin::Automatic),
        Ok(margin) => Ok(Margin::Fixed(margin)),
        Err(_) => Err("expected auto, or a number".into()),
    }
}

/// A result that is off by more than this, in parts of the largest score, is lost.
const LOST: f64 = 2.0;

/// The largest magnitude of a score.
pub(crate) fn largest(original: &[Vec<f64>]) -> f64 {
    original.iter().flatten().fold(0f64, |most, y| most.max(y.abs()))
}

/// Whether a result is beyond what an error of PAFs on their range explains.
pub(crate) fn is_lost(original: &[f64], result: &[f64], largest: f64) -> bool {
    !original.iter().zip(result).all(|(a, b)| (a - b).abs() <= LOST * largest)
}
