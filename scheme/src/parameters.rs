//! Parameters of the encryption scheme, and the security limit they must keep.

use std::collections::BTreeMap;

use paf_ir::ckks::Level;

use crate::Bootstrap;
use crate::keys::merge_levels;

/// Distribution of the secret key's coefficients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Secret {
    /// Each coefficient uniform in {−1, 0, 1}: what the security table is for.
    UniformTernary,
    /// The same, and for the moment of a modulus raise an ephemeral secret of Hamming weight 32, which lives modulo
    /// `q_0·P` only (sparse secret encapsulation: Bossuat, Troncoso-Pastoriza, Hubaux, "Bootstrapping for approximate
    /// homomorphic encryption with negligible failure-probability by using sparse-secret encapsulation", 2022). The
    /// security table holds for the main secret, under which everything else is encrypted.
    UniformTernaryEncapsulated,
}

impl Secret {
    /// The distribution in words.
    pub fn name(self) -> &'static str {
        match self {
            Secret::UniformTernary => "uniform ternary",
            Secret::UniformTernaryEncapsulated => "uniform ternary, encapsulated in bootstraps",
        }
    }
}

/// Parameters of the CKKS scheme with hybrid key switching.
///
/// The ciphertext modulus is `Q = q_0·q_1⋯q_levels` with `q_0` of `first_modulus_bits` and the others of `scale_bits`;
/// key switching splits Q into `digits` and works modulo `Q·P`, P a product of `special_primes` primes.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameters {
    /// Ring dimension N.
    pub ring_dimension: usize,
    /// Slots in use, a power of two up to N/2; fewer repeat.
    pub slots: usize,
    /// Rescales a fresh ciphertext allows.
    pub levels: Level,
    /// Bits of the scale Δ and of each prime but the first.
    pub scale_bits: u32,
    /// Bits of the first prime.
    pub first_modulus_bits: u32,
    /// Digits of hybrid key switching (dnum).
    pub digits: u32,
    /// Number of primes in P.
    pub special_primes: u32,
    /// Distribution of the secret.
    pub secret: Secret,
    /// How bootstraps are evaluated, where there are any.
    pub bootstrap: Option<Bootstrap>,
    /// Upper bound of log2(Q·P) for these bit sizes.
    pub log_qp: u32,
    /// Classical security in bits; 0 for test parameters.
    pub security_bits: u32,
}

/// Whether parameters that protect nothing are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum InsecureTestParameters {
    /// They are refused.
    #[default]
    Refuse,
    /// They are taken as any others: for tests.
    Allow,
}

/// Largest log2(Q·P) that keeps 128 bits of classical security with uniform ternary secrets, by ring dimension.
///
/// Source: [`LOG_QP_LIMITS_SOURCE`].
pub const LOG_QP_LIMITS_128: [(usize, u32); 8] = [
    (1 << 10, 26),
    (1 << 11, 53),
    (1 << 12, 106),
    (1 << 13, 214),
    (1 << 14, 430),
    (1 << 15, 868),
    (1 << 16, 1747),
    (1 << 17, 3523),
];

/// Where [`LOG_QP_LIMITS_128`] comes from.
pub const LOG_QP_LIMITS_SOURCE: &str =
    "Security Guidelines for Implementing Homomorphic Encryption, IACR CiC 1(4) 26 (ePrint 2024/463), table 5.2";

/// Bits that the nominal log2(Q·P) of chosen parameters stays below the limit.
///
/// The table's limits are for the modulus itself. Its primes lie on both sides of their nominal sizes: those of P and the
/// first of Q below, the others by turns above and below, next to the scales. All of them together exceed the nominal sum
/// by far less than this bit, which also keeps some distance from limits that are estimates themselves.
pub const LOG_QP_MARGIN: u32 = 1;

/// The limit of [`LOG_QP_LIMITS_128`] for a ring dimension, 0 where the table has none.
pub fn log_qp_limit_128(ring_dimension: usize) -> u32 {
    LOG_QP_LIMITS_128.iter().find(|(n, _)| *n == ring_dimension).map_or(0, |(_, limit)| *limit)
}

/// Whether parameters of a nominal log2(Q·P) may be chosen for a ring dimension: the limit holds with its margin.
pub fn is_secure_choice(ring_dimension: usize, log_qp: u32) -> bool {
    log_qp + LOG_QP_MARGIN <= log_qp_limit_128(ring_dimension)
}

/// Smallest ring for the sparse secret of Hamming weight 32 of bootstraps.
///
/// Source of both limits: Bossuat et al. (see [`Secret::UniformTernaryEncapsulated`]) take weight 32 for up to 121 bits. The
/// lattice estimator's primal hybrid attack (MATZOV) gives 147 bits at N = 2^15 and 172 at 2^16 for a modulus of 120 bits,
/// and 123 at 2^14. The guidelines of [`LOG_QP_LIMITS_SOURCE`] have no rows for sparse secrets.
pub const ENCAPSULATION_RING: usize = 1 << 15;

/// Largest log2 of the modulus of the one key under that secret: of the first prime of Q and the first of P.
pub const ENCAPSULATION_LOG_QP: u32 = 121;

/// Why the sparse secret of bootstraps does not protect a key modulo so many bits, if it does not.
pub fn encapsulation_problem(ring_dimension: usize, log_qp: f64) -> Option<String> {
    let protects = ring_dimension >= ENCAPSULATION_RING && log_qp <= f64::from(ENCAPSULATION_LOG_QP);
    (!protects).then(|| {
        format!(
            "a bootstrap's sparse secret with log2(q0 P0) = {log_qp:.0} and N = {ring_dimension}; 128-bit security allows {ENCAPSULATION_LOG_QP} from N = {ENCAPSULATION_RING} on"
        )
    })
}

impl Parameters {
    /// Whether the parameters are for tests only and protect nothing.
    pub fn is_insecure(&self) -> bool {
        self.security_bits < 128
    }

    /// Number of primes in Q.
    pub fn limbs(&self) -> usize {
        self.levels.0 as usize + 1
    }

    /// log2 of Q: the primes lie within a thousandth of a bit of their nominal size.
    pub fn log_q(&self) -> u32 {
        self.first_modulus_bits + self.levels.0 * self.scale_bits
    }

    /// Nominal bits of the largest digit of Q.
    pub fn largest_digit_bits(levels: Level, scale_bits: u32, first_modulus_bits: u32, digits: u32) -> u32 {
        let per_digit = (levels.0 + 1).div_ceil(digits);
        (per_digit * scale_bits).max(first_modulus_bits + (per_digit - 1) * scale_bits)
    }

    /// The highest level of a bootstrap's result; without bootstraps the level of a fresh ciphertext.
    pub fn usable_levels(&self) -> Level {
        Level(self.levels.0.saturating_sub(self.bootstrap.map_or(0, |bootstrap| bootstrap.depth)))
    }

    /// Every rotation of the bootstraps of these slot counts, each with the highest level it is used at.
    pub fn bootstrap_rotations(&self, slots: &[usize]) -> BTreeMap<i64, Level> {
        let mut all = BTreeMap::new();
        for (bootstrap, &slots) in self.bootstrap.iter().flat_map(|bootstrap| slots.iter().map(move |s| (bootstrap, s)))
        {
            merge_levels(&mut all, bootstrap.rotations(slots, self.ring_dimension, self.levels));
        }
        all
    }

    /// Digits of Q that a ciphertext at a level has.
    pub fn digits_at(&self, level: Level) -> u32 {
        let per_digit = (self.levels.0 + 1).div_ceil(self.digits.max(1));
        (level.0 + 1).div_ceil(per_digit)
    }

    /// Bytes of an evaluation key for ciphertexts up to a level: `digits · 2 · limbs · N · 8`, where only the digits and
    /// limbs of that level and the special primes count.
    pub fn evaluation_key_bytes_at(&self, level: Level) -> u64 {
        let limbs = u64::from(level.0) + 1 + u64::from(self.special_primes);
        u64::from(self.digits_at(level)) * 2 * limbs * self.ring_dimension as u64 * 8
    }

    /// Bytes of an evaluation key for all levels.
    pub fn evaluation_key_bytes(&self) -> u64 {
        self.evaluation_key_bytes_at(self.levels)
    }

    /// Bytes of the keys that bootstraps take besides rotations and relinearization: the conjugation and the switch back
    /// from the ephemeral secret; the switch to it is small.
    pub fn refresh_key_bytes(&self) -> u64 {
        2 * self.evaluation_key_bytes()
    }

    /// Bytes of a ciphertext of two parts at a level.
    pub fn ciphertext_bytes(&self, level: Level) -> u64 {
        2 * (u64::from(level.0) + 1) * self.ring_dimension as u64 * 8
    }
}
