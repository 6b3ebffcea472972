//! The one cxx bridge: OpenFHE's calls as [`shim.h`](https://cxx.rs) declares them, and the types they work on.
//!
//! Every function that can throw returns `Result`. The crate's root re-exports all of it and adds the variants that
//! return a new object, and those that return bytes.

// cxx generates the unsafe glue; its own checks of the C++ signatures are what makes the functions safe to call.
#![allow(unsafe_code, reason = "the bridge is where this crate meets C++")]

use crate::kernels::{
    add, add_scalar, convert_basis, encode_limb, in_use, multiply, multiply_accumulate, multiply_scalar, ntt_forward,
    ntt_inverse, permute, real_coefficients, scale_and_add, subtract, subtract_and_scale, subtract_scalar,
    sum_of_products, sums_of_products, sums_of_repeated_products, switch_modulus_and_scale,
};

/// The bridge module.
#[cxx::bridge(namespace = "openfhe_shim")]
#[allow(missing_docs, reason = "cxx expands items whose documentation it drops")]
pub(crate) mod ffi {
    /// How OpenFHE chooses its primes and per-level scaling factors.
    #[derive(Debug)]
    enum ScalingTechnique {
        /// Every level has the scale 2^`scaling_mod_bits`, only nearly equal to the primes.
        FixedManual,
        /// Every level has its own real scale, squared and divided by a prime from the one above.
        FlexibleAuto,
    }

    /// The distribution of the main secret.
    #[derive(Debug)]
    enum SecretKeyDistribution {
        /// Uniform in {-1, 0, 1}.
        UniformTernary,
        /// Hamming weight 192.
        SparseTernary,
        /// Hamming weight 192, and 32 for the secret that bootstrapping switches to.
        SparseEncapsulated,
    }

    /// What OpenFHE checks the parameters against.
    #[derive(Debug)]
    enum SecurityLevel {
        /// 128 bits against classical attacks, from the homomorphic encryption standard's tables.
        Classic128,
        /// Nothing is checked: for tests.
        NotSet,
    }

    /// A polynomial that a public key says something with.
    #[derive(Debug)]
    enum PublicKeyPart {
        /// `b = e - a * s`.
        Body,
        /// The uniform `a`.
        Mask,
        /// `b / a` value by value in evaluation format, 0 where `a` is 0: `-s`, if there were no error `e`.
        Quotient,
    }

    /// How a polynomial is written down.
    #[derive(Debug)]
    enum Representation {
        /// Its values at roots of unity.
        Evaluation,
        /// Its coefficients.
        Coefficient,
    }

    /// Everything that determines a context. Equal parameters give equal primes in every process.
    #[derive(Debug, Clone)]
    struct ContextParameters {
        /// N, a power of two.
        ring_dimension: u32,
        /// The batch size: a power of two, at most N/2.
        slots: u32,
        /// Primes beside the first one.
        multiplicative_depth: u32,
        /// log2 of the scale, and of the primes that rescaling drops.
        scaling_mod_bits: u32,
        /// log2 of the first prime.
        first_mod_bits: u32,
        /// Digits of hybrid key switching ("dnum").
        digits: u32,
        /// How the scales relate to the primes.
        scaling_technique: ScalingTechnique,
        /// The distribution of the main secret.
        secret_key_distribution: SecretKeyDistribution,
        /// The security level that OpenFHE enforces.
        security_level: SecurityLevel,
    }

    /// A fresh public and secret key with the same key tag.
    struct KeyPair {
        /// Encrypts.
        public_key: UniquePtr<PublicKey>,
        /// Decrypts, and makes evaluation keys.
        secret_key: UniquePtr<SecretKey>,
    }

    /// The keys between the main secret and a fresh sparse one, which bootstraps switch to and back.
    struct EncapsulationKeys {
        /// From the main secret.
        to_sparse: UniquePtr<LooseKey>,
        /// Back to it.
        to_main: UniquePtr<LooseKey>,
    }

    /// One product of an inner product over Q·P.
    struct ExtendedTerm<'a> {
        /// The ciphertext of the product.
        ciphertext: &'a ExtendedCiphertext,
        /// The plaintext of the product.
        plaintext: &'a ExtendedPlaintext,
    }

    /// Values of the first slots of a vector.
    struct SlotValues<'a> {
        /// One a slot.
        values: &'a [f64],
    }

    /// One product of a rotated ciphertext and a plaintext.
    struct SparseTerm<'a> {
        /// Rotations of a ciphertext.
        rotations: &'a HoistedRotations,
        /// Which of them.
        rotation: u32,
        /// Plaintexts of the ciphertext's level.
        plaintexts: &'a SparsePlaintexts,
        /// Which of them.
        plaintext: u32,
    }

    /// A ciphertext to rotate.
    struct RotationTerm<'a> {
        /// The ciphertext.
        ciphertext: &'a Ciphertext,
        /// How far, to the left.
        step: i32,
    }

    /// The residues of a limb.
    struct Limb<'a> {
        /// One a coefficient or point.
        words: &'a [u64],
    }

    /// The residues of a limb to write to.
    struct LimbMut<'a> {
        /// One a coefficient or point.
        words: &'a mut [u64],
    }

    /// A pair of limbs to multiply.
    struct LimbProduct<'a> {
        /// The left factor.
        left: &'a [u64],
        /// The right factor.
        right: &'a [u64],
    }

    /// A digit's limb and those of both halves of a key.
    struct DigitProduct<'a> {
        /// The digit.
        digit: &'a [u64],
        /// The key's first half.
        first: &'a [u64],
        /// The key's second half.
        second: &'a [u64],
    }

    // What the overrides of OpenFHE's functions run instead: the kernels in use, on the limbs of one prime.
    #[namespace = "openfhe_shim::kernels"]
    extern "Rust" {
        fn in_use() -> bool;
        fn ntt_forward(values: &mut [u64], modulus: u64, roots: &[u64], shoup: &[u64]);
        fn ntt_inverse(
            values: &mut [u64],
            modulus: u64,
            roots: &[u64],
            shoup: &[u64],
            n_inverse: u64,
            n_inverse_shoup: u64,
        );
        fn add(sum: &mut [u64], other: &[u64], modulus: u64);
        fn subtract(difference: &mut [u64], other: &[u64], modulus: u64);
        fn multiply(product: &mut [u64], other: &[u64], modulus: u64);
        fn multiply_scalar(product: &mut [u64], factor: u64, modulus: u64);
        fn add_scalar(sum: &mut [u64], addend: u64, modulus: u64);
        fn subtract_scalar(difference: &mut [u64], subtrahend: u64, modulus: u64);
        fn multiply_accumulate(sum: &mut [u64], left: &[u64], right: &[u64], modulus: u64);
        fn sum_of_products(sum: &mut [u64], terms: &[LimbProduct], modulus: u64);
        fn sums_of_products(first: &mut [u64], second: &mut [u64], terms: &[DigitProduct], modulus: u64);
        fn sums_of_repeated_products(
            first: &mut [u64],
            second: &mut [u64],
            terms: &[DigitProduct],
            log_repeats: usize,
            modulus: u64,
        );
        fn real_coefficients(
            first: &[f64],
            second: &[f64],
            scale: f64,
            first_result: &mut [i64],
            second_result: &mut [i64],
        ) -> i32;
        fn encode_limb(
            limb: &mut [u64],
            coefficients: &[i64],
            power_of_two: u32,
            modulus: u64,
            roots: &[u64],
            shoup: &[u64],
        );
        fn permute(result: &mut [u64], values: &[u64], indices: &[u32]);
        fn switch_modulus_and_scale(result: &mut [u64], values: &[u64], factor: u64, from: u64, to: u64);
        fn subtract_and_scale(values: &mut [u64], subtrahend: &[u64], factor: u64, modulus: u64);
        fn scale_and_add(values: &mut [u64], factor: u64, addend: &[u64], modulus: u64);
        fn convert_basis(
            results: &mut [LimbMut],
            inputs: &[Limb],
            sources: &[u64],
            targets: &[u64],
            hat_inverse: &[u64],
            hat: &[Limb],
        );
    }

    // A function that returns no `Result` is `noexcept` in C++: an exception would end the process. A test looks.
    unsafe extern "C++" {
        include!("openfhe-sys/src/shim/shim.h");
        include!("openfhe-sys/src/shim/overrides/canary.h");

        /// A CKKS context with hybrid key switching.
        type Context;
        /// A public key.
        type PublicKey;
        /// A secret key; its limbs are overwritten when it is dropped.
        type SecretKey;
        /// An evaluation key that is not, or not yet, in the process-wide maps.
        type LooseKey;
        /// An encoded vector over Q at one level.
        type Plaintext;
        /// An encoded vector over Q·P at one level.
        type ExtendedPlaintext;
        /// A ciphertext of two or three parts.
        type Ciphertext;
        /// A ciphertext over Q·P, its message multiplied by P.
        type ExtendedCiphertext;
        /// Encoded vectors over Q at one level and of one number of slots, each value of their polynomials kept once:
        /// with n slots they are polynomials in X^(N/2n).
        type SparsePlaintexts;
        /// Rotations of one ciphertext that share its digit decomposition.
        type HoistedRotations;
        /// A sum of rotated ciphertexts, divided by P once at the end.
        type RotationSum;

        /// The files of overrides whose functions OpenFHE does not call, separated by commas: none where all is well.
        fn deaf_overrides() -> Result<String>;
        /// Raises glibc's mmap and trim thresholds, so that freed limbs are reused instead of unmapped. False when
        /// the allocator refuses. Call it first in `main`.
        fn configure_allocator() -> bool;
        /// Keeps the memory of this process out of core dumps, and debuggers away from it.
        fn forbid_core_dumps() -> Result<()>;
        /// Makes this process end with a sentence and exit code 3 where C++ code finds no memory, also in loops that no
        /// exception leaves.
        fn exit_when_out_of_memory();
        /// Sets the threads of OpenFHE's loops, for loops started by this thread.
        fn set_threads(count: u32) -> Result<()>;
        /// The threads of OpenFHE's loops.
        fn threads() -> u32;
        /// The version that this crate was built against.
        fn openfhe_version() -> Result<String>;
        /// Drops all multiplication keys of the process.
        fn clear_multiplication_keys() -> Result<()>;
        /// Drops all rotation, conjugation and bootstrapping keys of the process.
        fn clear_rotation_keys() -> Result<()>;
        /// Drops OpenFHE's references to all contexts; those still in use stay alive.
        fn release_contexts() -> Result<()>;

        /// Makes a context, or finds the equal one that the process already has.
        fn create_context(parameters: &ContextParameters) -> Result<UniquePtr<Context>>;
        /// Makes the tables of the context's transforms. OpenFHE keeps one for each prime in the process, makes it at the
        /// first use, and makes it anew where a prime is used with another ring dimension.
        fn prepare_transforms(context: &Context) -> Result<()>;
        /// N.
        fn ring_dimension(self: &Context) -> u32;
        /// The batch size.
        fn slots(self: &Context) -> u32;
        /// Primes of Q, one more than the multiplicative depth.
        fn limb_count(self: &Context) -> u32;
        /// The primes of Q. A rescale at level k drops the prime at index `limb_count() - 1 - k`.
        fn moduli_q(self: &Context) -> Result<Vec<u64>>;
        /// The special primes, P.
        fn moduli_p(self: &Context) -> Result<Vec<u64>>;
        /// log2 of Q·P, the size that security depends on.
        fn log2_qp(self: &Context) -> f64;
        /// The scale of a ciphertext at rest, by level.
        fn scaling_factors(self: &Context) -> Result<Vec<f64>>;

        /// Makes a key pair from the context's secret key distribution.
        fn generate_key_pair(context: &Context) -> Result<KeyPair>;
        /// Makes a key pair whose secret is uniform ternary, whatever the context's distribution is.
        fn generate_dense_key_pair(context: &Context) -> Result<KeyPair>;
        /// The name under which the process-wide maps hold the evaluation keys of this key.
        fn key_tag(self: &PublicKey) -> Result<String>;
        /// The name under which the process-wide maps hold the evaluation keys of this key.
        fn key_tag(self: &SecretKey) -> Result<String>;
        /// The residues of a part of a public key modulo one prime of Q.
        fn public_key_residues(
            key: &PublicKey,
            part: PublicKeyPart,
            limb: u32,
            representation: Representation,
        ) -> Result<Vec<u64>>;
        /// The id of the key that rotates left by `step`.
        fn rotation_key_id(context: &Context, step: i32) -> Result<u32>;
        /// The id of the conjugation key.
        fn conjugation_key_id(context: &Context) -> Result<u32>;
        /// A name that no keys have yet: 128 random bits, as OpenFHE names key pairs.
        fn fresh_key_tag(context: &Context) -> Result<String>;
        /// Makes the key with this id: a rotation, the conjugation, or
        /// [`MULTIPLICATION_KEY`](crate::MULTIPLICATION_KEY). It serves ciphertexts of up to so many limbs and takes
        /// memory for no more, unless OpenFHE's own code is in use, which takes keys for all limbs only.
        fn generate_evaluation_key(key: &SecretKey, id: u32, limbs: u32) -> Result<UniquePtr<LooseKey>>;
        /// Automorphism index of the key, or [`MULTIPLICATION_KEY`](crate::MULTIPLICATION_KEY).
        fn id(self: &LooseKey) -> u32;
        /// Limbs of Q that the key has: it serves ciphertexts of no more.
        fn limbs(self: &LooseKey) -> u32;
        /// The ids of the keys that the process holds under this tag, in ascending order.
        fn evaluation_key_ids(tag: &str) -> Result<Vec<u32>>;
        /// One evaluation key of the process-wide maps, where it stays too.
        fn evaluation_key(tag: &str, id: u32) -> Result<UniquePtr<LooseKey>>;
        /// Puts a key into the process-wide maps under this tag, replacing one that has its id.
        fn insert_evaluation_key(tag: &str, key: UniquePtr<LooseKey>) -> Result<()>;
        /// Drops one evaluation key.
        fn remove_evaluation_key(tag: &str, id: u32) -> Result<()>;

        /// Encodes real values over Q at this level and scale. Values beyond those given are 0; with fewer slots than
        /// N/2 the vector repeats.
        fn encode(
            context: &Context,
            values: &[f64],
            slots: u32,
            level: u32,
            scale: f64,
        ) -> Result<UniquePtr<Plaintext>>;
        /// Encodes as [`encode`], over Q·P.
        fn encode_extended(
            context: &Context,
            values: &[f64],
            slots: u32,
            level: u32,
            scale: f64,
        ) -> Result<UniquePtr<ExtendedPlaintext>>;
        /// Encrypts at the plaintext's level.
        fn encrypt(key: &PublicKey, plaintext: &Plaintext) -> Result<UniquePtr<Ciphertext>>;
        /// Encrypts at the plaintext's level with a fresh uniform polynomial, without a public key and with less noise.
        fn encrypt_with_secret_key(key: &SecretKey, plaintext: &Plaintext) -> Result<UniquePtr<Ciphertext>>;
        /// Decrypts and decodes at this scale. OpenFHE adds noise of about the size of the error that it sees, and
        /// refuses when fewer than five bits are left.
        fn decrypt(key: &SecretKey, ciphertext: &Ciphertext, scale: f64) -> Result<Vec<f64>>;

        /// Limbs dropped from Q.
        fn level(self: &Ciphertext) -> u32;
        /// Limbs left.
        fn limb_count(self: &Ciphertext) -> u32;
        /// 2, or 3 after a product without relinearization.
        fn part_count(self: &Ciphertext) -> u32;
        /// Slots of the message.
        fn slots(self: &Ciphertext) -> u32;
        /// Factors of the scale: 1 at rest, 2 after a product.
        fn noise_scale_degree(self: &Ciphertext) -> u32;
        /// The scale as the operations so far have made it.
        fn scaling_factor(self: &Ciphertext) -> f64;
        /// The tag of the key that it is encrypted under.
        fn key_tag(self: &Ciphertext) -> Result<String>;

        /// A copy.
        fn clone_ciphertext(ciphertext: &Ciphertext) -> Result<UniquePtr<Ciphertext>>;
        /// Names the keys that operations on this ciphertext use.
        fn set_key_tag(ciphertext: Pin<&mut Ciphertext>, tag: &str) -> Result<()>;
        /// `left += right`; the parts of either may be two or three.
        fn add_in_place(left: Pin<&mut Ciphertext>, right: &Ciphertext) -> Result<()>;
        /// `left -= right`; the parts of either may be two or three.
        fn subtract_in_place(left: Pin<&mut Ciphertext>, right: &Ciphertext) -> Result<()>;
        /// Adds a plaintext of the same scale.
        fn add_plain_in_place(ciphertext: Pin<&mut Ciphertext>, plaintext: &Plaintext) -> Result<()>;
        /// Adds `round(value * scale)` to every slot's integer; `scale` is the ciphertext's.
        fn add_constant_in_place(ciphertext: Pin<&mut Ciphertext>, value: f64, scale: f64) -> Result<()>;
        /// Multiplies by `round(value * scale)`; the scale is multiplied by `scale`.
        fn multiply_constant_in_place(ciphertext: Pin<&mut Ciphertext>, value: f64, scale: f64) -> Result<()>;
        /// The product, in three parts.
        fn multiply_no_relinearize(left: &Ciphertext, right: &Ciphertext) -> Result<UniquePtr<Ciphertext>>;
        /// The square, in three parts.
        fn square_no_relinearize(ciphertext: &Ciphertext) -> Result<UniquePtr<Ciphertext>>;
        /// Brings three parts back to two.
        fn relinearize_in_place(ciphertext: Pin<&mut Ciphertext>) -> Result<()>;
        /// Drops the last prime and divides the message and the scale by it.
        fn rescale_in_place(ciphertext: Pin<&mut Ciphertext>) -> Result<()>;
        /// Drops limbs; message and scale stay.
        fn drop_levels_in_place(ciphertext: Pin<&mut Ciphertext>, count: u32) -> Result<()>;

        /// Rotates the slots left.
        fn rotate(ciphertext: &Ciphertext, step: i32) -> Result<UniquePtr<Ciphertext>>;
        /// Multiplies by P; the first part becomes 0 without `add_first`.
        fn extend(ciphertext: &Ciphertext, add_first: bool) -> Result<UniquePtr<ExtendedCiphertext>>;
        /// The sum of the products of ciphertexts and plaintexts over Q·P of one level and scale: faster than the
        /// products one by one.
        fn inner_product_extended(terms: &[ExtendedTerm]) -> Result<UniquePtr<ExtendedCiphertext>>;

        /// Encodes as [`encode`], many vectors at once.
        fn encode_sparse(
            context: &Context,
            vectors: &[SlotValues],
            slots: u32,
            level: u32,
            scale: f64,
        ) -> Result<UniquePtr<SparsePlaintexts>>;
        /// Bytes of all limbs.
        fn byte_size(self: &SparsePlaintexts) -> usize;
        /// Rotates left by each step, with one decomposition. A step of 0 is the ciphertext itself.
        fn rotate_all(ciphertext: &Ciphertext, steps: &[i32]) -> Result<UniquePtr<HoistedRotations>>;
        /// The sum of products of rotations and plaintexts of one level and scale; the scales multiply.
        fn sum_of_sparse_products(terms: &[SparseTerm]) -> Result<UniquePtr<Ciphertext>>;
        /// A sum without terms.
        fn start_rotation_sum() -> Result<UniquePtr<RotationSum>>;
        /// Adds the rotations of ciphertexts of one level and scale, those of one call side by side.
        fn add_rotations(sum: Pin<&mut RotationSum>, terms: &[RotationTerm]) -> Result<()>;
        /// The sum of at least one term, which is empty afterwards.
        fn finish_rotation_sum(sum: Pin<&mut RotationSum>) -> Result<UniquePtr<Ciphertext>>;

        /// Levels that a bootstrap with these two level budgets takes.
        fn bootstrap_depth(level_budget: &[u32], distribution: SecretKeyDistribution) -> Result<u32>;
        /// Precomputes a bootstrap of this many slots. `dim1` holds the two inner dimensions, 0 for OpenFHE's choice;
        /// a correction factor of 0 is OpenFHE's choice.
        fn setup_bootstrap(
            context: &Context,
            level_budget: &[u32],
            dim1: &[u32],
            slots: u32,
            correction_factor: u32,
        ) -> Result<()>;
        /// The ids of the two keys of sparse encapsulation.
        fn encapsulation_key_ids(context: &Context) -> Result<[u32; 2]>;
        /// Makes the two keys of sparse encapsulation alone, for callers that make the others one by one.
        fn generate_encapsulation_keys(key: &SecretKey) -> Result<EncapsulationKeys>;
        /// Says that a ciphertext's content repeats after so many slots, a power of two.
        fn set_slots(ciphertext: Pin<&mut Ciphertext>, slots: u32) -> Result<()>;
        /// Refreshes a ciphertext of at least two limbs. `iterations` is 1 or 2; `precision` is what the first of two
        /// iterations reaches, in bits.
        fn bootstrap(ciphertext: &Ciphertext, iterations: u32, precision: u32) -> Result<UniquePtr<Ciphertext>>;

        /// Bytes that [`export_evaluation_key_into`] writes.
        fn evaluation_key_size(key: &LooseKey) -> Result<usize>;
        /// Writes one evaluation key; `out` has exactly its size.
        fn export_evaluation_key_into(key: &LooseKey, out: &mut [u8]) -> Result<()>;
        /// Reads one evaluation key.
        fn evaluation_key_from_bytes(context: &Context, bytes: &[u8]) -> Result<UniquePtr<LooseKey>>;
        /// Bytes that [`export_public_key_into`] writes.
        fn public_key_size(key: &PublicKey) -> Result<usize>;
        /// Writes a public key; `out` has exactly its size.
        fn export_public_key_into(key: &PublicKey, out: &mut [u8]) -> Result<()>;
        /// Reads a public key.
        fn public_key_from_bytes(context: &Context, bytes: &[u8]) -> Result<UniquePtr<PublicKey>>;
        /// Bytes that [`export_secret_key_into`] writes.
        fn secret_key_size(key: &SecretKey) -> Result<usize>;
        /// Writes a secret key; `out` has exactly its size.
        fn export_secret_key_into(key: &SecretKey, out: &mut [u8]) -> Result<()>;
        /// Reads a secret key.
        fn secret_key_from_bytes(context: &Context, bytes: &[u8]) -> Result<UniquePtr<SecretKey>>;
        /// Bytes that [`export_ciphertext_into`] writes.
        fn ciphertext_size(ciphertext: &Ciphertext, tag: &str) -> Result<usize>;
        /// Writes a ciphertext as one of the keys with this tag; `out` has exactly its size.
        fn export_ciphertext_into(ciphertext: &Ciphertext, tag: &str, out: &mut [u8]) -> Result<()>;
        /// Reads a ciphertext.
        fn ciphertext_from_bytes(context: &Context, bytes: &[u8]) -> Result<UniquePtr<Ciphertext>>;

    }
}

macro_rules! thread_safe {
    ($($name:ident)*) => { $(
        // SAFETY: the C++ object owns its limbs and shares with others only reference counts, which are atomic, and
        // bases and tables, which are not written after the context was created. It has no thread affinity.
        unsafe impl Send for ffi::$name {}
        // SAFETY: the bridge's functions only read through `&`: they work on copies of what OpenFHE would change.
        unsafe impl Sync for ffi::$name {}
    )* };
}

thread_safe! {
    Context PublicKey SecretKey LooseKey Plaintext ExtendedPlaintext SparsePlaintexts Ciphertext ExtendedCiphertext HoistedRotations
    RotationSum
}
