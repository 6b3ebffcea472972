//! Timing in turns, a line a row.

use std::time::{Duration, Instant};

use openfhe_reference as fhe;
use openfhe_reference::kernels::{self, Code};
use serde_json::{Map, Value, json};

use crate::Result;

/// The work of one call, to print beside its time.
#[derive(Clone, Copy)]
pub(crate) enum Work {
    /// Butterflies of transforms, and bytes read and written.
    Butterflies(f64, f64),
    /// Limb elements of the result, and bytes read and written.
    Elements(f64, f64),
    /// Nothing that can be counted in one number.
    Opaque,
}

pub(crate) struct Table {
    code: Code,
    ratios: Map<String, Value>,
}

impl Table {
    pub(crate) fn new(code: Code) -> Self {
        println!("{:<44} {:>7} {:>11} {:>11} {:>7}  of ours", "operation", "threads", "OpenFHE/ms", "ours/ms", "ratio");
        Table { code, ratios: Map::new() }
    }

    /// The code that is compared with OpenFHE's.
    pub(crate) fn code(&self) -> Code {
        self.code
    }

    /// Times an operation under both codes, `runs` times in turns, on one thread and on all. The ratio of
    /// `threads_that_count` goes into the result.
    pub(crate) fn row(
        &mut self,
        name: &str,
        runs: usize,
        threads_that_count: u32,
        work: Work,
        operation: impl FnMut() -> Result<()>,
    ) -> Result<()> {
        let code = self.code;
        self.row_of(code, name, runs, threads_that_count, work, operation)
    }

    /// The same with a code of one's own.
    pub(crate) fn row_of(
        &mut self,
        code: Code,
        name: &str,
        runs: usize,
        threads_that_count: u32,
        work: Work,
        mut operation: impl FnMut() -> Result<()>,
    ) -> Result<()> {
        for threads in [1, all_threads()] {
            fhe::set_threads(threads).unwrap();
            let (stock, ours) = in_turns(code, runs, &mut operation)?;
            println!(
                "{name:<44} {threads:>7} {:>11.3} {:>11.3} {:>6.2}x  {}",
                stock * 1e3,
                ours * 1e3,
                stock / ours,
                described(work, ours)
            );
            if threads == threads_that_count {
                self.ratios.insert(name.to_owned(), json!((stock / ours * 100.0).round() / 100.0));
            }
        }
        kernels::select(self.code)?;
        Ok(())
    }

    pub(crate) fn ratios(self) -> Value {
        Value::Object(self.ratios)
    }
}

pub(crate) fn all_threads() -> u32 {
    std::thread::available_parallelism().map_or(1, |count| count.get() as u32)
}

/// Median seconds of OpenFHE's code and of another, after one run of each that does not count.
fn in_turns(code: Code, runs: usize, operation: &mut impl FnMut() -> Result<()>) -> Result<(f64, f64)> {
    let mut times = [Vec::new(), Vec::new()];
    let warm_up = usize::from(runs > 1);
    for run in 0..runs + warm_up {
        for (code, times) in [Code::OpenFhe, code].into_iter().zip(&mut times) {
            kernels::select(code)?;
            // OpenMP's threads spin for a while after OpenFHE's loops: not in the time of the other side. Asleep, this
            // thread would come back to cold caches.
            let spin = Instant::now();
            while spin.elapsed() < Duration::from_millis(10) {
                std::hint::spin_loop();
            }
            let start = Instant::now();
            operation()?;
            if run >= warm_up {
                times.push(start.elapsed().as_secs_f64());
            }
        }
    }
    let [stock, ours] = times.map(|mut times| {
        times.sort_by(f64::total_cmp);
        times[(times.len() - 1) / 2]
    });
    Ok((stock, ours))
}

fn described(work: Work, seconds: f64) -> String {
    let of = |count: f64, bytes: f64, unit: &str| {
        format!(
            "{:.3} ns a {unit}, {:.2} MiB, {:.1} GB/s",
            seconds * 1e9 / count,
            bytes / 1048576.0,
            bytes / seconds / 1e9
        )
    };
    match work {
        Work::Butterflies(count, bytes) => of(count, bytes, "butterfly"),
        Work::Elements(count, bytes) => of(count, bytes, "element"),
        Work::Opaque => String::new(),
    }
}
