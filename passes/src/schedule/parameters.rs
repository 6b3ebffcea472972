//! Ring dimensions, chains of primes, scales and digits that are secure and precise enough.

use paf_ir::ckks::Level;
use paf_scheme::{Bootstrap, EngineProfile, Parameters, Secret, Work, is_secure_choice};

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
    /// Bits that the network loses beside what an operation does: see
    /// [`Approximated::lost_bits`](crate::approximate::Approximated::lost_bits).
    pub lost_bits: f64,
    /// Bits that values on the way must have at least, whatever is asked of the result:
    /// [`Composite::least_bits`](crate::paf::Composite::least_bits).
    pub least_bits: f64,
    /// The engine that the circuit is for.
    pub profile: &'static EngineProfile,
    /// The machine that seconds are predicted for:
    /// [`ReferenceMachine::slowness_of`](paf_scheme::ReferenceMachine::slowness_of).
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
        (self.precision.unwrap_or(DEFAULT_PRECISION) + self.lost_bits).max(self.least_bits)
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
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Refinement {
    profile: &'static EngineProfile,
    pub(super) scale_bits: u32,
    pub(super) iterations: u32,
}

impl Refinement {
    /// The smallest scale with which a result is precise enough after a number of bootstraps on the way, or the largest one.
    pub(super) fn for_precision(
        profile: &'static EngineProfile,
        precision: f64,
        bootstraps: usize,
        iterations: u32,
    ) -> Self {
        let most = profile.chain.scale_bits[1];
        let with = |scale_bits| Refinement { profile, scale_bits, iterations };
        let mut scales = (profile.bootstrap.least_scale_bits..most).map(with);
        scales.find(|refinement| refinement.precision(bootstraps) >= precision).unwrap_or(with(most))
    }

    /// What values are refreshed with where no precision is asked for: a second iteration is asked for because the bits of
    /// one are not enough.
    pub(super) fn by_default(profile: &'static EngineProfile, iterations: u32) -> Self {
        Refinement { iterations, ..Refinement::for_precision(profile, DEFAULT_PRECISION, 1, 1) }
    }

    /// What a request starts with, if one bootstrap is on the way.
    pub(super) fn first(request: &ScheduleRequest) -> Self {
        let (profile, iterations) = (request.profile, request.iterations());
        let Some(precision) = request.precision else { return Refinement::by_default(profile, iterations[0]) };
        let mut all = iterations.into_iter().map(|n| Refinement::for_precision(profile, precision, 1, n));
        let most = Refinement::most_precise(request);
        all.find(|refinement| refinement.precision(1) >= precision).unwrap_or(most)
    }

    /// What leaves most bits.
    pub(super) fn most_precise(request: &ScheduleRequest) -> Self {
        let iterations = request.iterations().into_iter().max().unwrap_or(1);
        Refinement { profile: request.profile, scale_bits: request.profile.chain.scale_bits[1], iterations }
    }

    /// Whether no larger scale is left.
    pub(super) fn is_largest(&self) -> bool {
        self.scale_bits == self.profile.chain.scale_bits[1]
    }

    /// With the next larger scale.
    pub(super) fn larger(self) -> Self {
        Refinement { scale_bits: (self.scale_bits + 1).min(self.profile.chain.scale_bits[1]), ..self }
    }

    /// Precision expected of a result after a number of bootstraps on the way, whose errors add up like independent ones.
    /// A second iteration of each adds the bits of the first.
    pub(super) fn precision(&self, bootstraps: usize) -> f64 {
        let once = self.profile.noise.bootstrap_precision(self.scale_bits);
        once + f64::from(self.relied_on()) - 0.5 * (bootstraps.max(1) as f64).log2()
    }

    /// Bits that the first of two iterations surely reaches, so that its error stays small when multiplied by 2 to them; 0
    /// of one iteration.
    fn relied_on(&self) -> u32 {
        let once = self.profile.noise.bootstrap_precision(self.scale_bits);
        let sure = (once - self.profile.bootstrap.refinement_reserve_bits).max(1.0) as u32;
        if self.iterations > 1 { sure } else { 0 }
    }
}

impl ScheduleRequest {
    /// The defaults of a compilation for an engine.
    pub const fn new(profile: &'static EngineProfile) -> Self {
        ScheduleRequest {
            precision: None,
            memory: None,
            insecure: false,
            bootstraps: Bootstraps::WhereNeeded,
            iterations: None,
            lost_bits: 0.0,
            least_bits: 0.0,
            profile,
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

/// Every secure and precise set for a program without bootstraps.
pub(super) fn plain(demand: Demand, request: &ScheduleRequest) -> Vec<Parameters> {
    let Demand { slots, levels } = demand;
    if request.insecure {
        let [_, scale_bits] = request.profile.chain.scale_bits;
        let chain = Chain::plain(request, insecure_ring(request, slots), slots, levels, scale_bits);
        let precision = request.profile.noise.expected_precision(chain.ring_dimension, slots, levels, scale_bits);
        if request.precision.is_some() && precision < request.plain_precision() {
            return vec![];
        }
        return (1..=levels.0 + 1).filter_map(|digits| chain.with_digits(digits, Security::None)).collect();
    }
    let rings = request.profile.chain.ring_dimensions.iter().copied().filter(|n| n / 2 >= slots);
    let pairs = rings.flat_map(|n| (1..=levels.0 + 1).map(move |digits| (n, digits)));
    pairs.filter_map(|(n, digits)| largest_scale(n, slots, levels, digits, request)).collect()
}

/// The set with the largest scale for a ring dimension and a number of digits.
fn largest_scale(n: usize, slots: usize, levels: Level, digits: u32, request: &ScheduleRequest) -> Option<Parameters> {
    let (profile, precision) = (request.profile, request.plain_precision());
    let precise = |bits: &u32| profile.noise.expected_precision(n, slots, levels, *bits) >= precision;
    let [least, most] = profile.chain.scale_bits;
    let mut scales = (least..=most).rev().take_while(precise);
    scales
        .find_map(|scale_bits| Chain::plain(request, n, slots, levels, scale_bits).with_digits(digits, Security::Full))
}

/// The most levels that any secure and precise set without bootstraps has for a number of slots.
pub(super) fn most_levels(slots: usize, request: &ScheduleRequest) -> u32 {
    let n = request.profile.chain.largest_ring();
    let fits = |levels: &u32| {
        (1..=levels + 1).any(|digits| largest_scale(n, slots, Level(*levels), digits, request).is_some())
    };
    (1..=100).take_while(fits).last().unwrap_or(0)
}

/// Whether a ring below the largest one has this many levels.
pub(super) fn fits_smaller_ring(levels: Level, request: &ScheduleRequest) -> bool {
    let chain = &request.profile.chain;
    let mut smaller = chain.ring_dimensions.iter().copied().filter(|&n| n < chain.largest_ring());
    let fits = |n: usize| (1..=levels.0 + 1).any(|digits| largest_scale(n, n / 2, levels, digits, request).is_some());
    smaller.any(fits)
}

/// Chains with bootstraps of this many slots, each with every number of digits that is secure.
pub(super) fn refreshing(
    demand: Demand,
    bootstrap_slots: usize,
    request: &ScheduleRequest,
    refinement: Refinement,
) -> Vec<Vec<Parameters>> {
    let (ring_dimension, security) = match request.insecure {
        true => (insecure_ring(request, demand.slots), Security::None),
        false => (request.profile.chain.largest_ring(), Security::Full),
    };
    if demand.slots > ring_dimension / 2 {
        return vec![];
    }
    let (rules, scale_bits) = (&request.profile.bootstrap, refinement.scale_bits);
    let bootstrap = |&budget| rules.with_budget(budget).refined(refinement.relied_on());
    let budgets = rules.level_budgets.iter().map(bootstrap).filter(|b| b.fits(bootstrap_slots));
    let chains = budgets.flat_map(|bootstrap| {
        let usable = match request.bootstraps {
            Bootstraps::UpTo(levels) => levels..=levels,
            _ => 2..=demand.levels.0.min(rules.most_usable_levels),
        };
        usable.map(move |usable| Chain {
            profile: request.profile,
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

fn insecure_ring(request: &ScheduleRequest, slots: usize) -> usize {
    (2 * slots).max(request.profile.chain.least_test_ring)
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
    profile: &'static EngineProfile,
    ring_dimension: usize,
    slots: usize,
    levels: Level,
    scale_bits: u32,
    bootstrap: Option<Bootstrap>,
}

impl Chain {
    fn plain(request: &ScheduleRequest, ring_dimension: usize, slots: usize, levels: Level, scale_bits: u32) -> Self {
        Chain { profile: request.profile, ring_dimension, slots, levels, scale_bits, bootstrap: None }
    }

    /// The parameters with a number of digits, if they are well formed and secure as wanted.
    fn with_digits(self, digits: u32, security: Security) -> Option<Parameters> {
        let Chain { profile, ring_dimension, slots, levels, scale_bits, bootstrap } = self;
        let limbs = levels.0 + 1;
        // Digits are filled in order; a number that leaves the last one empty is refused.
        if limbs.div_ceil(limbs.div_ceil(digits)) != digits {
            return None;
        }
        let rules = &profile.chain;
        let headroom = if bootstrap.is_some() { profile.bootstrap.headroom_bits } else { rules.headroom_bits };
        let first_modulus_bits = rules.first_modulus_bits(scale_bits, headroom);
        let special_primes = rules.special_primes(levels, scale_bits, first_modulus_bits, digits);
        // Primes lie on both sides of their power of two, so an engine counts one bit more; where that bit alone would ask
        // for another special prime, the count depends on the primes found, and the size is passed over.
        let digit_bits = Parameters::largest_digit_bits(levels, scale_bits, first_modulus_bits, digits);
        if digit_bits != rules.special_prime_bits && digit_bits.is_multiple_of(rules.special_prime_bits) {
            return None;
        }
        let log_qp = first_modulus_bits + levels.0 * scale_bits + rules.log_p(special_primes);
        let secure = is_secure_choice(ring_dimension, log_qp);
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

#[cfg(test)]
mod tests {
    use paf_scheme::{LOG_QP_LIMITS_128, LOG_QP_MARGIN, log_qp_limit_128};

    use super::*;

    const REQUEST: ScheduleRequest = ScheduleRequest::new(EngineProfile::openfhe());

    /// Checks that secure parameters keep the limit with its margin, counted anew from their primes, and that P is larger
    /// than every digit of Q.
    fn check(parameters: &Parameters) {
        let Parameters { ring_dimension, levels, scale_bits, first_modulus_bits, digits, .. } = *parameters;
        let log_p = parameters.special_primes * 60;
        let log_qp = first_modulus_bits + levels.0 * scale_bits + log_p;
        assert_eq!((parameters.log_qp, parameters.security_bits), (log_qp, 128), "{parameters:?}");
        assert!(log_qp + LOG_QP_MARGIN <= log_qp_limit_128(ring_dimension), "{parameters:?}");
        let per_digit = (levels.0 + 1).div_ceil(digits);
        assert!(log_p >= first_modulus_bits + (per_digit - 1) * scale_bits && log_p >= per_digit * scale_bits);
        assert!(first_modulus_bits > scale_bits || scale_bits == 60, "{parameters:?}");
    }

    /// Every ring of the table, every scale, and levels from one to beyond what any of them holds, with every number of digits
    /// and every bootstrap.
    #[test]
    fn no_chain_exceeds_the_limit() {
        let profile = EngineProfile::openfhe();
        let bootstraps =
            profile.bootstrap.level_budgets.iter().map(|&budget| Some(profile.bootstrap.with_budget(budget)));
        let kinds: Vec<Option<Bootstrap>> = std::iter::once(None).chain(bootstraps).collect();
        let mut deepest = [0; LOG_QP_LIMITS_128.len()];
        for (deepest, (ring_dimension, limit)) in deepest.iter_mut().zip(LOG_QP_LIMITS_128) {
            for (&bootstrap, scale_bits) in kinds.iter().flat_map(|kind| (20..60).map(move |bits| (kind, bits))) {
                for levels in 1..=limit / scale_bits + 1 {
                    let slots = ring_dimension / 2;
                    let chain = Chain { profile, ring_dimension, slots, levels: Level(levels), scale_bits, bootstrap };
                    let sets = (1..=levels + 1).filter_map(|digits| chain.with_digits(digits, Security::Full));
                    for parameters in sets {
                        check(&parameters);
                        *deepest = levels.max(*deepest);
                    }
                }
            }
        }
        assert_eq!(deepest[0], 0, "no chain fits a ring of 2^10");
        assert!(deepest[1..].is_sorted() && deepest[7] > 100, "{deepest:?}");
    }

    /// What the schedule chooses among: every width, depth, precision and scale with bootstraps.
    #[test]
    fn no_set_to_choose_from_exceeds_the_limit() {
        let mut sets = vec![];
        for (slots, levels) in (0..=15).flat_map(|log| (1..=45).map(move |levels| (1 << log, Level(levels)))) {
            for precision in [None, Some(1.0), Some(25.0)] {
                sets.extend(plain(Demand { slots, levels }, &ScheduleRequest { precision, ..REQUEST }));
            }
        }
        for (slots, scale_bits) in [1, 1 << 10, 1 << 15].into_iter().flat_map(|n| (40..60).map(move |bits| (n, bits))) {
            for iterations in 1..=MOST_ITERATIONS {
                let refinement = Refinement { profile: REQUEST.profile, scale_bits, iterations };
                let demand = Demand { slots, levels: Level(60) };
                sets.extend(refreshing(demand, slots, &REQUEST, refinement).into_iter().flatten());
            }
        }
        assert!(sets.len() > 1000, "{}", sets.len());
        sets.iter().for_each(check);
    }
}
