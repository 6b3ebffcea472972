//! Mutated files through every reader, in process: no panic, no end of the process, little memory, and what is accepted is
//! written as the same bytes and judged anew.
//!
//! A [`Target`] is a kind of file: valid ones to begin with, how to change one so that its frame stays whole (lengths and
//! checksums are those of the changed content), and what a reader of it does. Everything is seeded: a case is its target, a
//! seed and a number. Files that ever failed lie in `corpus/TARGET` and are replayed by `cargo test`.

pub mod binary;
pub mod container;
pub mod programs;
pub mod protobuf;
pub mod targets;
pub mod text;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use paf_ir::random::SplitMix64;
use peak_alloc::PeakAlloc;

pub use targets::{Target, all};

/// Counts what readers allocate.
#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// A reader may take so much, and so many times the length of the file, before it has judged the file.
const MEMORY_OF_ANY: usize = 64 << 20;
const MEMORY_OF_BYTE: usize = 20;

/// Reading takes no longer.
const TIME: Duration = Duration::from_secs(10);

/// A file under test.
pub type Bytes = Vec<u8>;

/// What became of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// It was refused.
    Refused,
    /// It was taken.
    Accepted,
}

/// Random choices.
#[derive(Debug)]
pub struct Choices(SplitMix64);

impl Choices {
    /// Those of a case: the same numbers give the same ones.
    pub fn of(seed: u64, case: u64) -> Self {
        let mut mixed = SplitMix64::new(seed);
        Choices(SplitMix64::new(mixed.bits() ^ case.wrapping_mul(0x9E37_79B9_7F4A_7C15)))
    }

    /// A number below a bound that is not 0.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.0.bits() % bound as u64) as usize
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0.bits()
    }

    /// One of some.
    pub fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    /// An integer that readers may not expect, near `old` or anywhere.
    pub fn integer(&mut self, old: u64) -> u64 {
        const EDGES: [u64; 21] = [
            0,
            1,
            2,
            3,
            7,
            255,
            256,
            65_535,
            65_536,
            1 << 20,
            1 << 24,
            1 << 27,
            (1 << 31) - 1,
            1 << 31,
            (1 << 32) - 1,
            1 << 32,
            1 << 53,
            1 << 62,
            (1 << 63) - 1,
            1 << 63,
            u64::MAX,
        ];
        match self.below(8) {
            0 => old.wrapping_add(1),
            1 => old.wrapping_sub(1),
            2 => old.wrapping_mul(2),
            3 => old / 2,
            4 => old ^ (1 << self.below(64)),
            5 => self.bits() >> self.below(64),
            _ => self.one_of(&EDGES),
        }
    }

    /// A number that readers may not expect.
    pub fn number(&mut self, old: f64) -> f64 {
        const EDGES: [f64; 12] =
            [0.0, -0.0, 1.0, -1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e308, -1e308, 5e-324, 1e18, 1e-18];
        match self.below(4) {
            0 => old * self.one_of(&[2.0, -1.0, 0.5, 1e10, 1e-10, 1.0001]),
            1 => f64::from_bits(self.bits()),
            _ => self.one_of(&EDGES),
        }
    }
}

/// A case that broke a rule.
#[derive(Debug)]
pub struct Failure {
    /// Which one.
    pub case: u64,
    /// Which rule.
    pub problem: String,
    /// The file.
    pub bytes: Bytes,
}

/// What became of the cases of a target.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Cases by verdict.
    pub counts: BTreeMap<Verdict, u64>,
    /// Those that broke a rule.
    pub failures: Vec<Failure>,
    /// Most bytes that a reader took beside what it may take for a file's length.
    pub most_memory: usize,
}

/// Runs the cases of a target from one number on.
pub fn run(target: &Target, seed: u64, cases: std::ops::Range<u64>) -> Outcome {
    let (seeds, mut outcome) = ((target.seeds)(), Outcome::default());
    for case in cases {
        let mut choices = Choices::of(seed, case);
        let mut bytes = seeds[choices.below(seeds.len())].clone();
        for _ in 0..1 + choices.below(3) {
            bytes = (target.mutate)(bytes, &mut choices);
        }
        match check(target, &bytes) {
            Ok((verdict, memory)) => {
                *outcome.counts.entry(verdict).or_default() += 1;
                outcome.most_memory = outcome.most_memory.max(memory);
            }
            Err(problem) => outcome.failures.push(Failure { case, problem, bytes }),
        }
    }
    outcome
}

/// Reads one file by the rules, while nothing else of the process takes memory. Gives the verdict and the memory taken beside that for the file's length.
///
/// # Errors
/// The rule that was broken.
pub fn check(target: &Target, bytes: &[u8]) -> Result<(Verdict, usize), String> {
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    let start = Instant::now();
    let result = catch_unwind(AssertUnwindSafe(|| (target.check)(bytes)));
    let (time, taken) = (start.elapsed(), MEMORY.peak_usage().saturating_sub(before));
    let verdict = match result {
        Ok(verdict) => verdict?,
        Err(panic) => return Err(format!("panic: {}", words(&*panic))),
    };
    let beside = taken.saturating_sub(MEMORY_OF_BYTE * bytes.len());
    if beside > MEMORY_OF_ANY && (verdict == Verdict::Refused || target.is_bounded_when_accepted) {
        return Err(format!("{taken} bytes of memory for a file of {}", bytes.len()));
    }
    if time > TIME {
        return Err(format!("{time:?} for a file of {} bytes", bytes.len()));
    }
    Ok((verdict, beside))
}

fn words(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|&text| text.to_owned())).unwrap_or_default()
}

/// Where the files lie that once failed.
pub fn corpus(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target)
}
