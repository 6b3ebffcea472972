//! How fast this machine is: the seconds of a few operations, whose sizes are the same everywhere.

use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;
use std::time::Instant;

use openfhe_sys as fhe;
use paf_engine::{Engine as _, EngineError, KeyNeeds, KeySet as _, Result};
use paf_ir::ckks::Level;
use paf_scheme::{
    Bootstrap, EngineProfile, MEASURED_BOOTSTRAP, MEASURED_LIMBS, MEASURED_RING, MachineCosts, Parameters, Secret,
    WorkKind,
};
use sha2::{Digest as _, Sha256};

use crate::keys::OpenFheKeys;
use crate::machine::Machine;
use crate::turns::beside;
use crate::{Ciphertext, OpenFheEngine, failed};

/// Told the steps that are done, their number, and what is measured next; a break ends it.
type Observer<'o> = dyn FnMut(usize, usize, &str) -> ControlFlow<()> + 'o;

/// Least runs of an operation.
const LEAST_RUNS: usize = 8;
/// Plaintext products in one sum, as in a giant step.
const TERMS: usize = 8;
/// Levels that the measured bootstrap gives back, its level budgets and its digits.
const USABLE: u32 = 9;
const BUDGET: [u32; 2] = [3, 3];
const DIGITS: u32 = 4;
/// The engine that is measured.
const PROFILE: &EngineProfile = OpenFheEngine::PROFILE;

/// Ring dimensions and slots of what is measured.
#[derive(Debug, Clone, Copy)]
struct Sizes {
    ring: usize,
    bootstrap: (usize, usize),
    /// Seconds after which an operation was run often enough.
    enough_seconds: f64,
}

/// Measures this machine with the kernels and threads in use; the observer gets the steps done, their number, and what
/// is measured.
///
/// # Errors
/// [`EngineError::Library`], [`EngineError::Cancelled`].
pub fn calibrate(machine: &Machine, observer: &mut Observer<'_>) -> Result<MachineCosts> {
    let seconds = measure(Sizes { ring: MEASURED_RING, bootstrap: MEASURED_BOOTSTRAP, enough_seconds: 0.5 }, observer)?;
    let kernels = machine.kernels.code.to_string();
    Ok(MachineCosts { machine: processor(), threads: machine.threads as u32, kernels, seconds })
}

/// Seconds by kind and size, as [`MachineCosts`] has them.
fn measure(sizes: Sizes, observer: &mut Observer<'_>) -> Result<Vec<Vec<f64>>> {
    let steps = MEASURED_LIMBS.len() + 3;
    let mut next = |done, what: &str| EngineError::unless_cancelled(observer(done, steps, what));
    next(0, "keys")?;
    let layers = Subject::for_layers(sizes)?;
    let mut seconds = vec![vec![]; WorkKind::ALL.len()];
    for (index, limbs) in MEASURED_LIMBS.into_iter().enumerate() {
        next(index + 1, &format!("operations on {limbs} limbs"))?;
        for (kind, time) in layers.operations(Level(limbs as u32 - 1))? {
            seconds[kind as usize].push(time);
        }
    }
    seconds[WorkKind::KeyLoading as usize].push(layers.key_loading()?);
    drop(layers);
    next(MEASURED_LIMBS.len() + 1, "keys of a bootstrap")?;
    let bootstraps = Subject::for_bootstraps(sizes)?;
    next(MEASURED_LIMBS.len() + 2, "a bootstrap")?;
    seconds[WorkKind::Bootstrap as usize].push(bootstraps.bootstrap(sizes.bootstrap.1)?);
    Ok(seconds)
}

/// Parameters that are as large as real ones; nothing that is worth protecting is encrypted with them.
fn parameters(ring_dimension: usize, slots: usize, levels: Level, bootstrap: Option<Bootstrap>) -> Parameters {
    let scale_bits = PROFILE.chain.scale_bits[1];
    let first_modulus_bits = PROFILE.chain.first_modulus_bits(scale_bits, PROFILE.bootstrap.headroom_bits);
    let special_primes = PROFILE.chain.special_primes(levels, scale_bits, first_modulus_bits, DIGITS);
    let secret = if bootstrap.is_some() { Secret::UniformTernaryEncapsulated } else { Secret::UniformTernary };
    Parameters {
        ring_dimension,
        slots,
        levels,
        scale_bits,
        first_modulus_bits,
        digits: DIGITS,
        special_primes,
        secret,
        bootstrap,
        log_qp: first_modulus_bits + levels.0 * scale_bits + PROFILE.chain.log_p(special_primes),
        security_bits: 0,
    }
}

/// Parameters with keys.
struct Subject {
    engine: OpenFheEngine,
    public: fhe::UniquePtr<fhe::PublicKey>,
    secret: fhe::UniquePtr<fhe::SecretKey>,
    keys: OpenFheKeys,
    enough_seconds: f64,
}

impl Subject {
    /// The chain of a circuit with bootstraps, and a key for one rotation and relinearization.
    fn for_layers(sizes: Sizes) -> Result<Self> {
        let levels = Level(MEASURED_LIMBS[MEASURED_LIMBS.len() - 1] as u32 - 1);
        let parameters = parameters(sizes.ring, sizes.ring / 4, levels, None);
        let rotations = BTreeMap::from([(1, levels)]);
        let needs = KeyNeeds { rotations: &rotations, relinearization: Some(levels), bootstrap_slots: &[] };
        Self::new(&parameters, &needs, sizes)
    }

    fn for_bootstraps(sizes: Sizes) -> Result<Self> {
        let ((ring_dimension, slots), bootstrap) = (sizes.bootstrap, PROFILE.bootstrap.with_budget(BUDGET));
        let parameters = parameters(ring_dimension, slots, Level(bootstrap.depth + USABLE), Some(bootstrap));
        let (rotations, relinearization) = (BTreeMap::new(), Some(parameters.levels));
        let needs = KeyNeeds { rotations: &rotations, relinearization, bootstrap_slots: &[slots] };
        Self::new(&parameters, &needs, sizes)
    }

    fn new(parameters: &Parameters, needs: &KeyNeeds<'_>, sizes: Sizes) -> Result<Self> {
        let engine = OpenFheEngine::create(parameters)?;
        for &slots in needs.bootstrap_slots {
            engine.set_up_bootstrap(slots)?;
        }
        let (secret, public) = engine.generate_pair()?;
        let keys = engine.key_set(&public)?;
        keys.insert(engine.generate_keys(&secret, &engine.key_list(needs)?).collect::<Result<_>>()?)?;
        Ok(Subject { engine, public, secret, keys, enough_seconds: sizes.enough_seconds })
    }

    fn values(&self) -> Vec<f64> {
        (0..self.engine.parameters().slots).map(|slot| (slot % 1000) as f64 / 1000.0 - 0.5).collect()
    }

    fn ciphertext(&self, level: Level) -> Result<Ciphertext> {
        self.keys.admit(self.engine.encrypt(&self.public, &self.values(), level)?)
    }

    /// Seconds of each operation of layers at a level.
    fn operations(&self, level: Level) -> Result<Vec<(WorkKind, f64)>> {
        let x = self.ciphertext(level)?;
        let _turn = beside(self.engine.context())?;
        self.times(&x, level).map_err(failed("calibration"))
    }

    fn times(&self, x: &Ciphertext, level: Level) -> Result<Vec<(WorkKind, f64)>, fhe::Exception> {
        let values = self.values();
        let (slots, dropped, scale) = (values.len() as u32, self.engine.dropped(level), self.engine.scale(level));
        let encode = || fhe::encode_extended(self.engine.context(), &values, slots, dropped, scale);
        let factors: Vec<_> =
            (0..TERMS).map(|_| Ok((fhe::extend(x, true)?, encode()?))).collect::<Result<_, fhe::Exception>>()?;
        let terms: Vec<_> =
            factors.iter().map(|(ciphertext, plaintext)| fhe::ExtendedTerm { ciphertext, plaintext }).collect();
        Ok(vec![
            (WorkKind::KeySwitch, self.seconds(|| fhe::rotate(x, 1))?),
            (WorkKind::PlaintextProduct, self.seconds(|| fhe::inner_product_extended(&terms))? / TERMS as f64),
            (WorkKind::Encoding, self.seconds(encode)?),
            (WorkKind::Product, self.seconds(|| fhe::multiply_no_relinearize(x, x))?),
            (WorkKind::Rescale, self.seconds(|| fhe::rescale(x))?),
            (WorkKind::Addition, self.seconds(|| fhe::add(x, x))?),
        ])
    }

    /// Seconds of taking a key for all limbs from the bytes of its file, checksum included.
    fn key_loading(&self) -> Result<f64> {
        let top = self.engine.parameters().levels;
        let turn = beside(self.engine.context())?;
        let key = fhe::generate_evaluation_key(&self.secret, fhe::MULTIPLICATION_KEY, top.0 + 1);
        let mut bytes = Vec::new();
        let written = key.and_then(|key| fhe::evaluation_key_into(&key, &mut bytes));
        written.map_err(failed("calibration"))?;
        let read = || {
            std::hint::black_box(Sha256::digest(&bytes));
            fhe::evaluation_key_from_bytes(self.engine.context(), &bytes)
        };
        let seconds = self.seconds(read).map_err(failed("calibration"));
        drop(turn);
        seconds
    }

    /// Seconds of a bootstrap of an exhausted ciphertext.
    fn bootstrap(&self, slots: usize) -> Result<f64> {
        let mut x = self.ciphertext(Level(1))?;
        let _turn = beside(self.engine.context())?;
        let mut run = || {
            fhe::set_slots(x.pin_mut(), slots as u32)?;
            self.seconds(|| fhe::bootstrap(&x, 1, 0))
        };
        run().map_err(failed("calibration"))
    }

    /// The lower quartile of some runs after one that does not count, the result's release left out: what else a machine
    /// does makes runs slower, never faster. Rounded to four digits.
    fn seconds<T>(&self, mut operation: impl FnMut() -> Result<T, fhe::Exception>) -> Result<f64, fhe::Exception> {
        drop(operation()?);
        let (begin, mut times) = (Instant::now(), Vec::new());
        while times.len() < LEAST_RUNS || begin.elapsed().as_secs_f64() < self.enough_seconds {
            let start = Instant::now();
            let result = operation()?;
            times.push(start.elapsed().as_secs_f64());
            drop(result);
        }
        times.sort_by(f64::total_cmp);
        let time = times[times.len() / 4];
        let digit = 10f64.powf(time.log10().floor() - 3.0);
        Ok((time / digit).round() * digit)
    }
}

/// The processor's name, as Linux gives it.
fn processor() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ").map(|(_, name)| name));
    name.map_or_else(|| "unknown processor".to_owned(), |name| name.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_and_size_takes_time_and_key_switches_more_with_more_limbs() {
        let mut steps = vec![];
        let sizes = Sizes { ring: 1 << 12, bootstrap: (1 << 11, 1 << 6), enough_seconds: 0.0 };
        let mut observer = |done: usize, all: usize, _: &str| {
            steps.push((done, all));
            ControlFlow::Continue(())
        };
        let seconds = measure(sizes, &mut observer).unwrap();
        for kind in WorkKind::ALL {
            assert_eq!(seconds[kind as usize].len(), kind.sizes(), "{}", kind.name());
            assert!(seconds[kind as usize].iter().all(|&seconds| seconds > 0.0 && seconds < 10.0), "{seconds:?}");
        }
        let [low, _, top] = seconds[WorkKind::KeySwitch as usize][..] else { panic!("three sizes") };
        assert!(top > 4.0 * low, "{seconds:?}");
        assert!(steps.windows(2).all(|pair| pair[0].0 < pair[1].0) && steps.iter().all(|step| step.0 < step.1));
    }
}
