//! Single operations of OpenFHE, timed with a circuit's parameters, and what a circuit would take if it were nothing but
//! a sequence of them.

use std::collections::BTreeMap;
use std::time::Instant;

use openfhe_reference as fhe;
use paf_engine::Engine as _;
use paf_engine_openfhe::OpenFheEngine;
use paf_ir::ckks::{CkksProgram, Level, Op};
use paf_ir::diagonals::plaintext_count;
use serde_json::{Value, json};

use crate::Result;
use crate::measure::median;

/// Runs of each operation at each level; the median counts.
const RUNS: usize = 5;
/// Levels at which operations are timed; between them times are interpolated.
const LEVELS: u32 = 4;

/// A single operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Primitive {
    /// A rotation by itself.
    Rotation,
    /// The decomposition that hoisted rotations share.
    Digits,
    /// A rotation of a decomposed ciphertext.
    HoistedRotation,
    /// A product of two ciphertexts, three parts.
    Product,
    /// Three parts back to two.
    Relinearization,
    /// A product with an encoded plaintext.
    PlaintextProduct,
    /// A product with a constant.
    ConstantProduct,
    /// A division by the last prime.
    Rescale,
    /// A sum of two ciphertexts.
    Addition,
    /// The encoding of a plaintext; it is done before the evaluation.
    Encode,
}

const PRIMITIVES: [Primitive; 10] = [
    Primitive::Rotation,
    Primitive::Digits,
    Primitive::HoistedRotation,
    Primitive::Product,
    Primitive::Relinearization,
    Primitive::PlaintextProduct,
    Primitive::ConstantProduct,
    Primitive::Rescale,
    Primitive::Addition,
    Primitive::Encode,
];

impl Primitive {
    fn name(self) -> &'static str {
        match self {
            Primitive::Rotation => "rotation",
            Primitive::Digits => "digit decomposition",
            Primitive::HoistedRotation => "hoisted rotation",
            Primitive::Product => "product",
            Primitive::Relinearization => "relinearization",
            Primitive::PlaintextProduct => "plaintext product",
            Primitive::ConstantProduct => "constant product",
            Primitive::Rescale => "rescale",
            Primitive::Addition => "addition",
            Primitive::Encode => "encode",
        }
    }
}

/// How often a program does each operation, by level.
#[derive(Debug, Default)]
pub(crate) struct Work(BTreeMap<(Primitive, Level), usize>);

impl Work {
    /// The operations of a program, each linear map one by one: babies share a decomposition, giants and folds are
    /// rotations by themselves.
    pub(crate) fn of(program: &CkksProgram) -> Self {
        let mut work = Work::default();
        for (_, value) in program.values() {
            let (level, count) = (value.ty.level, value.ty.ciphertexts);
            match &value.op {
                Op::Input { .. } => {}
                Op::Linear { map, .. } => work.add_map(program, map.index(), level),
                Op::Rotate { .. } => work.add(Primitive::Rotation, level, count),
                Op::Mul(..) => work.add(Primitive::Product, level, count),
                Op::Relinearize(_) => work.add(Primitive::Relinearization, level, count),
                Op::MulConstant { .. } => work.add(Primitive::ConstantProduct, level, count),
                Op::Add(..) | Op::Sub(..) | Op::AddConstant { .. } => work.add(Primitive::Addition, level, count),
                Op::Rescale(_) => work.add(Primitive::Rescale, above(level), count),
                Op::Drop { .. } => {
                    work.add(Primitive::ConstantProduct, above(level), count);
                    work.add(Primitive::Rescale, above(level), count);
                }
                // Bootstraps are timed as a whole, in the evaluation itself.
                Op::Bootstrap { .. } => {}
            }
        }
        work
    }

    fn add(&mut self, primitive: Primitive, level: Level, count: usize) {
        *self.0.entry((primitive, level)).or_default() += count;
    }

    fn add_map(&mut self, program: &CkksProgram, map: usize, level: Level) {
        let map = &program.maps[map];
        let (inputs, outputs) = (map.input.ciphertexts, map.output.ciphertexts);
        let plaintexts = plaintext_count(&map.map.matrix(), &map.input, &map.output, map.plan.modulus);
        let babies = map.plan.babies().len();
        self.add(Primitive::Digits, above(level), if babies > 0 { inputs } else { 0 });
        self.add(Primitive::HoistedRotation, above(level), babies * inputs);
        self.add(Primitive::Rotation, above(level), map.plan.giant_count() * outputs);
        self.add(Primitive::Rotation, level, map.plan.folds.len() * outputs);
        self.add(Primitive::PlaintextProduct, above(level), plaintexts);
        self.add(Primitive::Addition, above(level), plaintexts);
        self.add(Primitive::Encode, above(level), plaintexts);
        self.add(Primitive::Rescale, above(level), outputs);
    }

    fn count(&self, primitive: Primitive) -> usize {
        self.0.iter().filter(|((other, _), _)| *other == primitive).map(|(_, count)| count).sum()
    }

    fn seconds(&self, primitive: Primitive, time: impl Fn(Level) -> f64) -> f64 {
        let of = self.0.iter().filter(|((other, _), _)| *other == primitive);
        of.map(|((_, level), count)| *count as f64 * time(*level)).sum()
    }
}

fn above(level: Level) -> Level {
    Level(level.0 + 1)
}

/// Seconds of each operation at some levels, ascending.
pub(crate) struct Primitives {
    levels: Vec<Level>,
    times: BTreeMap<Primitive, Vec<f64>>,
}

impl Primitives {
    /// Times every operation with keys of its own.
    pub(crate) fn measure(scheme: &OpenFheEngine) -> Result<Self> {
        let top = scheme.parameters().levels.0;
        let mut levels: Vec<Level> = (1..=LEVELS).map(|step| Level((top * step / LEVELS).max(1))).collect();
        levels.insert(0, Level(1));
        levels.dedup();
        let bench = Bench::new(scheme)?;
        let mut times: BTreeMap<Primitive, Vec<f64>> = BTreeMap::new();
        for level in &levels {
            for (primitive, seconds) in bench.times(*level)? {
                times.entry(primitive).or_default().push(seconds);
            }
        }
        Ok(Primitives { levels, times })
    }

    fn at_top(&self, primitive: Primitive) -> f64 {
        *self.times[&primitive].last().expect("there is a level")
    }

    /// Between the levels measured the time is linear; below the lowest it is that of the lowest.
    fn at(&self, primitive: Primitive, level: Level) -> f64 {
        let times = &self.times[&primitive];
        let upper = self.levels.partition_point(|measured| *measured < level).min(times.len() - 1);
        if upper == 0 {
            return times[0];
        }
        let (low, high) = (f64::from(self.levels[upper - 1].0), f64::from(self.levels[upper].0));
        let share = (f64::from(level.0) - low) / (high - low);
        times[upper - 1] + share * (times[upper] - times[upper - 1])
    }

    /// Times, counts and what their products say about an evaluation that took `eval` seconds.
    pub(crate) fn compare(&self, work: &Work, eval: f64) -> Value {
        let each = PRIMITIVES.map(|primitive| {
            json!({
                "name": primitive.name(),
                "milliseconds_at_top": 1e3 * self.at_top(primitive),
                "milliseconds_at_level_1": 1e3 * self.at(primitive, Level(1)),
                "count": work.count(primitive),
                "seconds_at_top": work.seconds(primitive, |_| self.at_top(primitive)),
                "seconds_at_own_level": work.seconds(primitive, |level| self.at(primitive, level)),
            })
        });
        let total = |time: &dyn Fn(Primitive, Level) -> f64| -> f64 {
            let evaluated = PRIMITIVES.into_iter().filter(|primitive| *primitive != Primitive::Encode);
            evaluated.map(|primitive| work.seconds(primitive, |level| time(primitive, level))).sum()
        };
        let (at_top, at_own_level) =
            (total(&|primitive, _| self.at_top(primitive)), total(&|primitive, level| self.at(primitive, level)));
        let product = self.at_top(Primitive::Product) + self.at_top(Primitive::Relinearization);
        json!({
            "each": each,
            "milliseconds_of_relinearized_product": 1e3 * product,
            "sum_at_top_seconds": at_top,
            "sum_at_own_level_seconds": at_own_level,
            "eval_in_sums_at_top": eval / at_top,
            "eval_in_sums_at_own_level": eval / at_own_level,
            "eval_in_rotations": eval / self.at_top(Primitive::Rotation),
        })
    }
}

/// A ciphertext at the top level with the keys that the operations need.
struct Bench<'s> {
    scheme: &'s OpenFheEngine,
    values: Vec<f64>,
    fresh: fhe::UniquePtr<fhe::Ciphertext>,
}

impl<'s> Bench<'s> {
    fn new(scheme: &'s OpenFheEngine) -> Result<Self> {
        let pair = fhe::generate_key_pair(scheme.context())?;
        fhe::generate_multiplication_key(&pair.secret_key)?;
        fhe::generate_rotation_keys(&pair.secret_key, &[1])?;
        let slots = scheme.parameters().slots;
        let values: Vec<f64> = (0..slots).map(|slot| (slot % 1000) as f64 / 1000.0 - 0.5).collect();
        let scale = scheme.scale(scheme.parameters().levels);
        let plaintext = fhe::encode(scheme.context(), &values, slots as u32, 0, scale)?;
        let fresh = fhe::encrypt(&pair.public_key, &plaintext)?;
        Ok(Bench { scheme, values, fresh })
    }

    fn times(&self, level: Level) -> Result<Vec<(Primitive, f64)>> {
        let (slots, dropped, scale) =
            (self.scheme.parameters().slots as u32, self.scheme.dropped(level), self.scheme.scale(level));
        let encode = || fhe::encode(self.scheme.context(), &self.values, slots, dropped, scale);
        let x = fhe::drop_levels(&self.fresh, dropped)?;
        let plaintext = encode()?;
        let (digits, product) = (fhe::precompute_digits(&x)?, fhe::multiply_no_relinearize(&x, &x)?);
        Ok(vec![
            (Primitive::Rotation, seconds(|| fhe::rotate(&x, 1))?),
            (Primitive::Digits, seconds(|| fhe::precompute_digits(&x))?),
            (Primitive::HoistedRotation, seconds(|| fhe::rotate_hoisted(&x, 1, &digits))?),
            (Primitive::Product, seconds(|| fhe::multiply_no_relinearize(&x, &x))?),
            (Primitive::Relinearization, seconds(|| fhe::relinearize(&product))?),
            (Primitive::PlaintextProduct, seconds(|| fhe::multiply_plain(&x, &plaintext))?),
            (Primitive::ConstantProduct, seconds(|| fhe::multiply_constant(&x, 0.3, scale))?),
            (Primitive::Rescale, seconds(|| fhe::rescale(&x))?),
            (Primitive::Addition, seconds(|| fhe::add(&x, &x))?),
            (Primitive::Encode, seconds(encode)?),
        ])
    }
}

/// The median of some runs, the result's release not counted.
fn seconds<T>(operation: impl Fn() -> std::result::Result<T, fhe::Exception>) -> Result<f64> {
    let mut times = Vec::with_capacity(RUNS);
    for _ in 0..RUNS {
        let start = Instant::now();
        let result = operation()?;
        times.push(start.elapsed().as_secs_f64());
        drop(result);
    }
    Ok(median(times.into_iter()))
}
