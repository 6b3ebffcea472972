//! Ring dimensions, chains of primes, scales and digits that are secure and precise enough.

use paf_ir::ckks::Level;
use paf_scheme::{Bootstrap, Parameters, SPECIAL_PRIME_BITS, Secret, Work, log_qp_limit_128};

/// Bits of the first prime above the scale: room for values at level 0 beyond their calibrated magnitude of 1.
const HEADROOM_BITS: u32 = 8;
/// The same for chains with bootstraps, where a larger first prime costs precision: a bootstrap computes on values divided
/// by 2 to these bits.
const HEADROOM_BITS_REFRESHED: u32 = 7;
/// Smallest scale with bootstraps: below, they leave next to nothing.
const LEAST_REFRESHED_SCALE_BITS: u32 = 40;
/// Largest scale: beyond, precision exceeds that of the PAFs by far.
const MOST_SCALE_BITS: u32 = 50;
/// Largest prime OpenFHE takes.
const MOST_PRIME_BITS: u32 = 60;

/// Ring dimensions in ascending order.
const RING_DIMENSIONS: [usize; 4] = [1 << 13, 1 << 14, 1 << 15, 1 << 16];

/// Bits of a result that noise takes: a fresh ciphertext's, and what each level adds.
///
/// Fitted to the networks of the benchmark: about 16 bits lost over 9 levels at N = 2^14, 21 over 17 levels at 2^15,
/// 25 over 37 levels at 2^16. The worst of ten images came out up to 1.4 bits below what this expects.
fn noise_bits(ring_dimension: usize, levels: Level) -> f64 {
    (ring_dimension as f64).log2() + 3.0 + 0.18 * f64::from(levels.0)
}

/// Precision of a bootstrap in bits less the bits of the scale: 13 at a scale of 2^50.
///
/// Measured with OpenFHE 1.4.2, N = 2^16, level budgets {3, 3}, an encapsulated secret; see `docs/bootstrapping.md`.
const REFRESH_BITS: f64 = 13.0 - 50.0;

/// Bits between the precision of a bootstrap and what a second iteration relies on.
const REFINEMENT_RESERVE_BITS: f64 = 1.0;

/// Level budgets of the two transforms of a bootstrap worth trying.
const LEVEL_BUDGETS: [[u32; 2]; 5] = [[2, 2], [3, 2], [3, 3], [4, 3], [4, 4]];

/// Where bootstraps may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Bootstraps {
    /// Where levels run out.
    #[default]
    WhereNeeded,
    /// Nowhere.
    Never,
    /// So that they give back this many levels and nothing but fresh ciphertexts is above: also where the circuit would
    /// do without.
    UpTo(u32),
}

/// Which parameters to consider.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScheduleRequest {
    /// Bits of precision that the result must have, relative to its largest value. Where none are asked for, circuits
    /// without bootstraps have [`DEFAULT_PRECISION`] and more, and others what one iteration at that scale leaves.
    pub precision: Option<f64>,
    /// Bytes that may be used at the peak, if limited.
    pub memory: Option<u64>,
    /// Test parameters: the smallest ring that holds the slots, no security.
    pub insecure: bool,
    /// Where bootstraps may be.
    pub bootstraps: Bootstraps,
    /// How often a bootstrap refreshes a value: 1, or 2 for nearly twice the bits in twice the time. Otherwise once, or
    /// twice where the precision that is asked for takes that.
    pub iterations: Option<u32>,
    /// The machine that seconds are predicted for: [`MachineCosts::slowness`](paf_scheme::MachineCosts::slowness).
    pub slowness: Work,
}

/// Bits of precision that are enough for most networks.
pub const DEFAULT_PRECISION: f64 = 13.0;
/// Fewer bits are no result.
pub(super) const LEAST_PRECISION: f64 = 1.0;
/// Most iterations of a bootstrap.
const MOST_ITERATIONS: u32 = 2;

impl ScheduleRequest {
    /// Bits that circuits without bootstraps have at least.
    pub(super) fn plain_precision(&self) -> f64 {
        self.precision.unwrap_or(DEFAULT_PRECISION)
    }

    /// How often bootstraps may refresh a value, in the order of preference.
    pub(super) fn iterations(&self) -> Vec<u32> {
        match (self.iterations, self.precision) {
            (Some(iterations), _) => vec![iterations],
            (None, None) => vec![1],
            (None, Some(_)) => (1..=MOST_ITERATIONS).collect(),
        }
    }
}

/// How values are refreshed: the size of the scale, and how often each bootstrap does it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Refinement {
    pub(super) scale_bits: u32,
    pub(super) iterations: u32,
}

impl Refinement {
    /// The smallest scale with which a result is precise enough after a number of bootstraps on the way, or the largest one.
    pub(super) fn for_precision(precision: f64, bootstraps: usize, iterations: u32) -> Self {
        let scales = LEAST_REFRESHED_SCALE_BITS..MOST_SCALE_BITS;
        let with = |scale_bits| Refinement { scale_bits, iterations };
        let mut precise = scales.map(with).filter(|refinement| refinement.precision(bootstraps) >= precision);
        precise.next().unwrap_or(with(MOST_SCALE_BITS))
    }

    /// What values are refreshed with where no precision is asked for: a second iteration is asked for because the bits of
    /// one are not enough.
    pub(super) fn by_default(iterations: u32) -> Self {
        Refinement { iterations, ..Refinement::for_precision(DEFAULT_PRECISION, 1, 1) }
    }

    /// What a request starts with, if one bootstrap is on the way.
    pub(super) fn first(request: &ScheduleRequest) -> Self {
        let iterations = request.iterations();
        let Some(precision) = request.precision else { return Refinement::by_default(iterations[0]) };
        let mut all = iterations.into_iter().map(|iterations| Refinement::for_precision(precision, 1, iterations));
        let most = Refinement::most_precise(request);
        all.find(|refinement| refinement.precision(1) >= precision).unwrap_or(most)
    }

    /// What leaves most bits.
    pub(super) fn most_precise(request: &ScheduleRequest) -> Self {
        let iterations = request.iterations().into_iter().max().unwrap_or(1);
        Refinement { scale_bits: MOST_SCALE_BITS, iterations }
    }

    /// Whether no larger scale is left.
    pub(super) fn is_largest(&self) -> bool {
        self.scale_bits == MOST_SCALE_BITS
    }

    /// With the next larger scale.
    pub(super) fn larger(self) -> Self {
        Refinement { scale_bits: (self.scale_bits + 1).min(MOST_SCALE_BITS), ..self }
    }

    /// Precision expected of a result after a number of bootstraps on the way, whose errors add up like independent ones.
    /// A second iteration of each adds the bits of the first.
    pub(super) fn precision(&self, bootstraps: usize) -> f64 {
        let refinement = if self.iterations > 1 { f64::from(refinement_bits(self.scale_bits)) } else { 0.0 };
        f64::from(self.scale_bits) + REFRESH_BITS + refinement - 0.5 * (bootstraps.max(1) as f64).log2()
    }
}

impl Default for ScheduleRequest {
    /// The defaults of `paf-compile`.
    fn default() -> Self {
        ScheduleRequest {
            precision: None,
            memory: None,
            insecure: false,
            bootstraps: Bootstraps::default(),
            iterations: None,
            slowness: Work::ONES,
        }
    }
}

/// What a program asks of its parameters.
#[derive(Debug, Clone, Copy)]
pub(super) struct Demand {
    /// Slots of a ciphertext.
    pub(super) slots: usize,
    /// Levels without bootstraps.
    pub(super) levels: Level,
}

/// Precision expected of a result without bootstraps, in bits relative to its largest value.
pub(super) fn expected_precision(ring_dimension: usize, levels: Level, scale_bits: u32) -> f64 {
    f64::from(scale_bits) - noise_bits(ring_dimension, levels)
}

/// Bits that the first of two iterations surely reaches, so that its error stays small when multiplied by 2 to them.
fn refinement_bits(scale_bits: u32) -> u32 {
    (f64::from(scale_bits) + REFRESH_BITS - REFINEMENT_RESERVE_BITS).max(1.0) as u32
}

/// Every secure and precise set for a program without bootstraps.
pub(super) fn plain(demand: Demand, request: &ScheduleRequest) -> Vec<Parameters> {
    let Demand { slots, levels } = demand;
    if request.insecure {
        let chain = Chain::plain(insecure_ring(slots), slots, levels, MOST_SCALE_BITS);
        let precision = expected_precision(chain.ring_dimension, levels, MOST_SCALE_BITS);
        if request.precision.is_some_and(|wanted| precision < wanted) {
            return vec![];
        }
        return (1..=levels.0 + 1).filter_map(|digits| chain.with_digits(digits, Security::None)).collect();
    }
    let rings = RING_DIMENSIONS.into_iter().filter(|n| n / 2 >= slots);
    let pairs = rings.flat_map(|n| (1..=levels.0 + 1).map(move |digits| (n, digits)));
    pairs.filter_map(|(n, digits)| largest_scale(n, slots, levels, digits, request.plain_precision())).collect()
}

/// The set with the largest scale for a ring dimension and a number of digits.
fn largest_scale(n: usize, slots: usize, levels: Level, digits: u32, precision: f64) -> Option<Parameters> {
    let precise = |bits: &u32| expected_precision(n, levels, *bits) >= precision;
    let mut scales = (20..=MOST_SCALE_BITS).rev().take_while(precise);
    scales.find_map(|scale_bits| Chain::plain(n, slots, levels, scale_bits).with_digits(digits, Security::Full))
}

/// The most levels that any secure and precise set without bootstraps has for a number of slots.
pub(super) fn most_levels(slots: usize, precision: f64) -> u32 {
    let n = *RING_DIMENSIONS.last().expect("the list is not empty");
    let fits = |levels: &u32| {
        (1..=levels + 1).any(|digits| largest_scale(n, slots, Level(*levels), digits, precision).is_some())
    };
    (1..=100).take_while(fits).last().unwrap_or(0)
}

/// Whether a ring below the largest one has this many levels.
pub(super) fn fits_smaller_ring(levels: Level, precision: f64) -> bool {
    let (_, smaller) = RING_DIMENSIONS.split_last().expect("the list is not empty");
    let fits = |n: usize| (1..=levels.0 + 1).any(|digits| largest_scale(n, 1, levels, digits, precision).is_some());
    smaller.iter().any(|&n| fits(n))
}

/// Chains with bootstraps of this many slots, each with every number of digits that is secure.
pub(super) fn refreshing(
    demand: Demand,
    bootstrap_slots: usize,
    request: &ScheduleRequest,
    refinement: Refinement,
) -> Vec<Vec<Parameters>> {
    let (ring_dimension, security) = match request.insecure {
        true => (insecure_ring(demand.slots), Security::None),
        false => (RING_DIMENSIONS[RING_DIMENSIONS.len() - 1], Security::Full),
    };
    if demand.slots > ring_dimension / 2 {
        return vec![];
    }
    let Refinement { scale_bits, iterations } = refinement;
    let relied_on = if iterations > 1 { refinement_bits(scale_bits) } else { 0 };
    let bootstrap = |budget| Bootstrap::with_budget(budget).refined(relied_on);
    let budgets = LEVEL_BUDGETS.map(bootstrap).into_iter().filter(|b| b.fits(bootstrap_slots));
    let chains = budgets.flat_map(|bootstrap| {
        let usable = match request.bootstraps {
            Bootstraps::UpTo(levels) => levels..=levels,
            _ => 2..=demand.levels.0.min(MOST_USABLE_LEVELS),
        };
        usable.map(move |usable| Chain {
            ring_dimension,
            slots: demand.slots,
            levels: Level(bootstrap.depth + usable),
            scale_bits,
            bootstrap: Some(bootstrap),
        })
    });
    let with_digits =
        |chain: Chain| (1..=chain.levels.0 + 1).filter_map(|digits| chain.with_digits(digits, security)).collect();
    chains.map(with_digits).filter(|sets: &Vec<Parameters>| !sets.is_empty()).collect()
}

/// Levels between bootstraps beyond which no ring dimension has a secure chain.
const MOST_USABLE_LEVELS: u32 = 24;

fn insecure_ring(slots: usize) -> usize {
    (2 * slots).max(1 << 11)
}

/// Whether the 128-bit limit holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Security {
    Full,
    None,
}

/// Sizes of the primes of Q.
#[derive(Debug, Clone, Copy)]
struct Chain {
    ring_dimension: usize,
    slots: usize,
    levels: Level,
    scale_bits: u32,
    bootstrap: Option<Bootstrap>,
}

impl Chain {
    fn plain(ring_dimension: usize, slots: usize, levels: Level, scale_bits: u32) -> Self {
        Chain { ring_dimension, slots, levels, scale_bits, bootstrap: None }
    }

    /// The parameters with a number of digits, if they are well formed and secure as wanted.
    fn with_digits(self, digits: u32, security: Security) -> Option<Parameters> {
        let Chain { ring_dimension, slots, levels, scale_bits, bootstrap } = self;
        let limbs = levels.0 + 1;
        // OpenFHE fills digits in order; a number that leaves the last one empty is refused.
        if limbs.div_ceil(limbs.div_ceil(digits)) != digits {
            return None;
        }
        let headroom = if bootstrap.is_some() { HEADROOM_BITS_REFRESHED } else { HEADROOM_BITS };
        let first_modulus_bits = (scale_bits + headroom).min(MOST_PRIME_BITS);
        let special_primes = Parameters::special_primes_for(levels, scale_bits, first_modulus_bits, digits);
        // Primes lie on both sides of their power of two, so OpenFHE counts one bit more; where that bit alone would ask
        // for another special prime, the count depends on the primes found, and the size is passed over.
        let digit_bits = Parameters::largest_digit_bits(levels, scale_bits, first_modulus_bits, digits);
        if digit_bits != SPECIAL_PRIME_BITS && digit_bits.is_multiple_of(SPECIAL_PRIME_BITS) {
            return None;
        }
        let log_qp = first_modulus_bits + levels.0 * scale_bits + special_primes * SPECIAL_PRIME_BITS;
        let secure = log_qp < log_qp_limit_128(ring_dimension);
        let secret = match bootstrap {
            Some(_) => Secret::UniformTernaryEncapsulated,
            None => Secret::UniformTernary,
        };
        (secure || security == Security::None).then_some(Parameters {
            ring_dimension,
            slots,
            levels,
            scale_bits,
            first_modulus_bits,
            digits,
            special_primes,
            secret,
            bootstrap,
            log_qp,
            security_bits: if security == Security::Full { 128 } else { 0 },
        })
    }
}
