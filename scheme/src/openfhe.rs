//! The profile of OpenFHE 1.4.2 with the kernels of this workspace: every constant of that engine, once.

use crate::profile::{
    BootstrapRules, ChainRules, EngineProfile, MemoryFigures, NoiseFigures, PackingPrices, ProgressWeights,
    ReferenceMachine, TimeFigures,
};

impl EngineProfile {
    /// OpenFHE 1.4.2 with the kernels of this workspace.
    pub const fn openfhe() -> &'static EngineProfile {
        &OPENFHE
    }
}

pub(crate) const OPENFHE: EngineProfile = EngineProfile {
    name: "OpenFHE 1.4.2",
    chain: ChainRules {
        ring_dimensions: &[1 << 13, 1 << 14, 1 << 15, 1 << 16],
        least_test_ring: 1 << 11,
        scale_bits: [20, 50],
        headroom_bits: 8,
        most_prime_bits: 60,
        special_prime_bits: 60,
    },
    // `ckksrns-fhe.cpp`, `GetBootstrapDepth` with an encapsulated secret: a Chebyshev series of degree 32 in seven
    // levels, and three double angles.
    bootstrap: BootstrapRules {
        level_budgets: &[[2, 2], [3, 2], [3, 3], [4, 3], [4, 4]],
        input_level: 1,
        modular_reduction_levels: 10,
        modular_reduction_products: 14.0,
        other_key_switches: 3.0,
        headroom_bits: 7,
        least_scale_bits: 40,
        most_usable_levels: 24,
        refinement_reserve_bits: 1.0,
    },
    noise: NoiseFigures {
        // Homomorphic Encryption Standard.
        error_deviation: 3.19,
        // `CKKS_M_FACTOR` of 1.
        decryption_factor: std::f64::consts::SQRT_2,
        // Fitted to the networks of the benchmark: about 16 bits lost over 9 levels at N = 2^14, 21 over 17 levels at
        // 2^15, 25 over 37 levels at 2^16. The worst of ten images came out up to 1.4 bits below what this expects.
        fresh_bits: 3.0,
        bits_per_level: 0.18,
        // Measured at N = 2^16, scale 2^50, an encapsulated secret, on average over the slots: 2^-15 with 2^12 slots and
        // level budgets {3, 3}, 2^-12.2 with 2^14 slots and {4, 3}. A few slots have errors that are 30 times as large.
        bootstrap_bits: 35.0,
        bootstrap_slots: 1 << 12,
        bootstrap_bits_per_doubling: 1.4,
        // A result has 13 bits at a scale of 2^50; see `docs/bootstrapping.md`.
        bootstrap_reserve_bits: 2.0,
    },
    // Two threads, AVX-512 kernels on a server CPU (`cargo bench -p paf-compiler --bench networks`).
    time: TimeFigures {
        seconds_per_butterfly: 2.1e-10,
        raise: 1.6,
        divide: 2.0,
        hoisted: 0.4,
        plaintext_product: 0.35,
        encoding: 1.0,
        encoding_of_limb: 1.1,
        product: 0.8,
        rescale: 2.5,
        addition: 0.3,
        transform_baby: 0.5,
        transform_product: 0.4,
        // Fitted, like the seconds of a butterfly, to four networks with bootstraps of 2^12 to 2^14 slots at N = 2^16
        // (docs/bootstrapping.md).
        bootstrap: 0.79,
        // A disk of 1.2 GB a second, the checksum, and unpacking.
        seconds_per_key_byte: 2.2e-9,
    },
    memory: MemoryFigures {
        base_bytes: 150 << 20,
        peak_percent: 108,
        prepared_bytes: 4 << 30,
        bootstrap_ciphertexts: 20,
    },
    packing: PackingPrices {
        baby: 0.45,
        giant: 1.0,
        fold: 0.95,
        diagonal_product: 0.05,
        diagonal_encoding: 0.03,
        key: 3.0,
        ciphertext: 30.0,
        // A rotation of a plan runs at a low level, with a seventh of the work of one at the top, and a bootstrap is
        // about 70 of those.
        refresh: 500.0,
        refresh_slots: 1 << 14,
        refresh_growth: 1.12,
        refresh_full: 1.6,
    },
    // With these the share of the cost that is done keeps within a tenth of the share of the time, in ResNet-20 with 19
    // bootstraps (N = 2^16, 27 limbs, four digits).
    progress: ProgressWeights {
        rotation_in_map: 20,
        plaintext_product: 1,
        key_switch: 40,
        rescale: 8,
        product: 4,
        addition: 1,
        bootstrap: 15_000,
    },
    // Two cores, as `paf-run calibrate-machine` wrote it.
    reference: ReferenceMachine {
        machine: "built-in table, an AMD EPYC (Zen 4)",
        threads: 2,
        kernels: "avx512",
        seconds: [
            &[9.0e-3, 1.82e-2, 5.9e-2],
            &[1.13e-3, 1.54e-3, 3.13e-3],
            &[1.33e-3, 2.49e-3, 3.62e-3],
            &[3.9e-4, 2.35e-3, 5.6e-3],
            &[1.02e-3, 5.1e-3, 8.4e-3],
            &[1.2e-4, 5.6e-4, 2.55e-3],
            &[0.47],
            &[0.094],
        ],
    },
};
